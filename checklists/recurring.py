"""When a list opens by itself: the occurrences of its rule, in its own zone.

Pure. The rule is RFC 5545's, read on the wall clock of the schedule's zone from a Monday that begins a year
(2024-01-01), so that `INTERVAL=2` means the same weeks on every host. Where the clock is put forward, an occurrence in
the hour that does not exist is an hour later by the clock; where it is put back, it is the first of the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from checklists.grammar import Schedule

_ANCHOR = datetime(2024, 1, 1)  # noqa: DTZ001 - on the wall clock of whichever zone
_MOST = 1000


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """When it opens later than `after` and not later than `until`, in UTC and in order; a thousand at most."""
    found = (at for at in _from(schedule, after) if at > after)
    return tuple(islice(_while_before(found, until), _MOST))


def _from(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(schedule.zone)
    # A day earlier: around a change of the clock, the order of the wall is not the order of time.
    wall = after.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)
    rule = rrulestr(schedule.rrule, dtstart=_ANCHOR)
    seen: datetime | None = None
    for local in rule.xafter(wall, inc=True):
        at = local.replace(tzinfo=zone).astimezone(UTC)
        # Two hours of the wall can be one moment.
        if seen is None or at > seen:
            yield at
            seen = at


def _while_before(found: Iterator[datetime], until: datetime) -> Iterator[datetime]:
    for at in found:
        if at > until:
            return
        yield at
