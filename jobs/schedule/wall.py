"""From the clock on a wall to instants, across the changes of that clock: pure.

Cron's fields and a calendar's rule speak of times on the wall of a zone. Between two changes of its clock the zone has
one offset, and wall and instant are one subtraction apart; that is all the arithmetic here, stretch by stretch.

Where the clock is put forward, times that do not exist come later by what was skipped. Where it is put back, times that
come twice are two instants. So the instants depend on the rule and the zone alone: whoever begins to look, at whichever
moment, finds the same ones. (APScheduler's cron trigger, left to do this itself, forgets the delayed ones when it begins
within the hour after a change.)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from jobs.core.errors import UsageError

Walls = Callable[[datetime], Iterator[datetime]]
"""The times of a rule from a time on (itself included), without a zone, in order."""
_DAY = timedelta(days=1)
_LAST_YEAR = 9998


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a zone's clock: when (UTC), and its offset before and after."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def forward(self) -> bool:
        return self.after > self.before

    @property
    def length(self) -> timedelta:
        """How much of the wall is skipped or repeated."""
        return abs(self.after - self.before)

    @property
    def wall(self) -> datetime:
        """Where on the wall the skipped or repeated stretch begins."""
        return (self.at + min(self.before, self.after)).replace(tzinfo=None)


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; UsageError if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(f"{name!r} is not a time zone: say one like UTC or Europe/Berlin.") from error


def changes(zone: str, since: datetime, until: datetime) -> list[Change]:
    """The changes of a zone's clock later than `since` and not later than `until`, in order."""
    # One at the very end of a year is found with the days before it.
    years = range(since.year - 1, until.year + 1)
    return [change for year in years for change in _changes_of(zone, year) if since < change.at <= until]


def instants(walls: Walls, zone: str, since: datetime) -> Iterator[datetime]:
    """Every instant of a rule from `since` on (itself included), in UTC, in order and each once."""
    # No offset is longer than a day: what comes before the first time of the wall, less that, need not be looked at.
    first = next(walls(since.astimezone(UTC).replace(tzinfo=None) - _DAY), None)
    if first is None:
        return
    since = max(since.astimezone(UTC), first.replace(tzinfo=UTC) - _DAY)
    for begin, end, offsets in _stretches(zone, since):
        seen = None
        for at in heapq.merge(*(_between(walls, offset, begin, end) for offset in offsets)):
            if at != seen:
                yield at
            seen = at


def _between(walls: Walls, offset: timedelta, begin: datetime, end: datetime) -> Iterator[datetime]:
    for wall in walls((begin + offset).replace(tzinfo=None)):
        at = wall.replace(tzinfo=UTC) - offset
        if at >= end:
            return
        yield at


def _stretches(zone: str, since: datetime) -> Iterator[tuple[datetime, datetime, tuple[timedelta, ...]]]:
    """From `since` on: begin, end (not included) and the offsets by which the wall is read meanwhile.

    They are two for as long after a clock was put forward as it skipped: what should have been then comes now.
    """
    begin = since
    for change in changes(zone, since - 2 * _DAY, since):
        if change.forward and since < change.at + change.length:
            begin = change.at + change.length
            yield since, begin, (change.after, change.before)
    for year in range(begin.year, _LAST_YEAR):
        for change in _changes_of(zone, year):
            if change.at <= begin:
                continue
            yield begin, change.at, (change.before,)
            begin = change.at
            if change.forward:
                begin += change.length
                yield change.at, begin, (change.after, change.before)
        end = datetime(year + 1, 1, 1, tzinfo=UTC)
        if begin < end:
            yield begin, end, (_offset(zone_of(zone), begin),)
            begin = end


@lru_cache(maxsize=1024)
def _changes_of(zone: str, year: int) -> tuple[Change, ...]:
    """The changes within the days of a year: after its first moment, up to and including its last."""
    clock = zone_of(zone)
    found = []
    low, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    before = _offset(clock, low)
    while low < end:
        high = low + _DAY
        after = _offset(clock, high)
        if after != before:
            found.append(Change(_moment(clock, low, high), before, after))
        low, before = high, after
    return tuple(found)


def _moment(clock: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second of the new offset, between two instants with different ones."""
    old = _offset(clock, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if _offset(clock, middle) == old else (low, middle)
    return high


def _offset(clock: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(clock).utcoffset() or timedelta()
