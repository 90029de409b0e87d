"""A schedule as it stands in the table, and when it means: the one place that turns it into instants.

The same triggers serve the scheduler, the search for missed slots and "the next five fires" on a page, so that these
three cannot disagree. An interval is counted from its anchor and its slots have no jitter: every host computes the same
ones. Starts are spread after the claim, by a delay that the slot itself determines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Any, Literal

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobs.core.errors import UsageError
from jobs.schedule.recurrence import COUNTED_FROM, rule_of, walls_of
from jobs.schedule.wall import Walls, instants, zone_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_S = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Schedule:
    """One row of ops.schedules; `expression` is five cron fields, seconds or a calendar's rule, as `kind` says."""

    name: str
    kind: Literal["cron", "interval", "calendar"]
    expression: str
    zone: str
    anchor: datetime | None
    """From when an interval or a calendar is counted, and before which it has no slot; None: from long ago."""
    overlap: Literal["skip", "queue", "allow"]
    misfire: Literal["skip", "once", "all"]
    grace_s: int
    timeout_s: int
    retries: int
    retry_first_s: int
    """Seconds before the first retry; each later one waits twice as long, `retry_most_s` at most."""
    retry_most_s: int
    jitter_s: int
    """Over how many seconds the starts of its runs are spread."""
    params: Mapping[str, Any] = field(hash=False)
    enabled: bool
    paused_at: datetime | None
    paused_until: datetime | None
    paused_by: str | None
    paused_reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime

    def paused(self, now: datetime) -> bool:
        """Whether a person has paused it and the time to resume by itself has not come."""
        return self.paused_at is not None and (self.paused_until is None or self.paused_until > now)

    def active(self, now: datetime) -> bool:
        """Whether its slots are to run."""
        return self.enabled and not self.paused(now)

    @property
    def live_since(self) -> datetime:
        """Since when its slots count: before that it did not exist, was off, was paused, or meant other instants."""
        return self.updated_at if self.paused_until is None else max(self.updated_at, self.paused_until)

    @property
    def timing(self) -> tuple[object, ...]:
        """What decides which instants are its slots; what else is edited moves none."""
        return self.kind, self.expression, self.zone, self.anchor

    def spread_s(self, slot: datetime) -> float:
        """How many seconds after its slot a run starts: the same on every host, and another for the next slot."""
        digest = hashlib.sha256(f"{self.name} {slot.astimezone(UTC):%Y-%m-%dT%H:%M:%S}".encode()).digest()
        return self.jitter_s * int.from_bytes(digest[:6]) / 2**48


class WallTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """The times of a rule on the wall of a zone, as instants."""

    __slots__ = ("walls", "zone")

    def __init__(self, walls: Walls, zone: str) -> None:
        self.walls = walls
        self.zone = zone

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        since = now if previous_fire_time is None else previous_fire_time + timedelta(microseconds=1)
        return next(instants(self.walls, self.zone, since), None)


@lru_cache(maxsize=1024)
def trigger_of(kind: str, expression: str, zone: str, anchor: datetime | None = None) -> BaseTrigger:
    """The trigger; UsageError says in one sentence what is wrong with the expression or the zone.

    A trigger keeps nothing of what it was asked, so the same one serves everybody.
    """
    if kind == "interval":
        seconds = int(expression) if expression.isascii() and expression.isdigit() else 0
        if not 1 <= seconds <= LONGEST_S:
            raise UsageError(
                f"{expression!r} is not an interval: say a whole number of seconds from 1 to {LONGEST_S:,}."
            )
        return IntervalTrigger(seconds=seconds, start_date=anchor or EPOCH, timezone=UTC)
    clock = zone_of(zone)
    if kind == "calendar":
        counted_from = COUNTED_FROM if anchor is None else anchor.astimezone(clock).date()
        return WallTrigger(walls_of(rule_of(expression), counted_from), zone)
    return WallTrigger(_cron_walls(expression), zone)


def fires(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Every instant strictly later than `after` at which the schedule is due, oldest first, in UTC.

    None for one that cannot be read: no edit leaves such a one behind, and if a stranger does, the others go on.
    """
    try:
        trigger = trigger_of(schedule.kind, schedule.expression, schedule.zone, schedule.anchor)
    except UsageError:
        return
    since = after + timedelta(microseconds=1)
    if isinstance(trigger, WallTrigger):
        # The same instants in one go: asked for one by one, each would begin anew.
        yield from instants(trigger.walls, trigger.zone, since)
        return
    due = trigger.get_next_fire_time(None, since)
    while due is not None:
        yield due
        due = trigger.get_next_fire_time(due, due)


def fires_between(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The instants later than `after` and not later than `until`, oldest first."""
    return list(takewhile(lambda due: due <= until, fires(schedule, after)))


def is_slot(schedule: Schedule, at: datetime) -> bool:
    """Whether an instant is one of the schedule's slots as it stands now."""
    return at > schedule.live_since and next(fires(schedule, at - timedelta(microseconds=1)), None) == at


def _cron_walls(expression: str) -> Walls:
    fields = expression.split()
    if len(fields) != 5:
        raise UsageError(f"{expression!r} has {len(fields)} fields: cron has five, as in '0 2 * * mon'.")
    if any(character.isdigit() for character in fields[4].partition("/")[0]):
        # 0 is Sunday to cron and Monday to APScheduler: whoever writes a number means one of them.
        raise UsageError(f"{fields[4]!r} gives the day of the week as a number: name it, as in 'mon' or 'mon-fri'.")
    try:
        trigger = CronTrigger.from_crontab(expression, timezone=UTC)
    except ValueError as error:
        raise UsageError(f"{expression!r} is not a cron expression: {str(error).rstrip('.')}.") from error

    def walls(since: datetime) -> Iterator[datetime]:
        due = trigger.get_next_fire_time(None, since.replace(tzinfo=UTC))
        while due is not None:
            yield due.replace(tzinfo=None)
            due = trigger.get_next_fire_time(due, due)

    return walls
