"""A schedule as it stands in the table, and when it means: the one place that turns it into instants.

APScheduler's triggers are the arithmetic, for the scheduler, for the search for missed slots and for "the next five
fires" on a page alike, so that these three cannot disagree. An interval is anchored at the epoch and has no jitter:
every host computes the same slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobs.core.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One row of ops.schedules; `expression` is five cron fields, or seconds, as `kind` says."""

    name: str
    kind: Literal["cron", "interval"]
    expression: str
    zone: str
    overlap: Literal["skip", "queue", "allow"]
    misfire: Literal["skip", "once", "all"]
    grace_s: int
    timeout_s: int
    retries: int
    params: Mapping[str, Any]
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


def trigger_of(kind: str, expression: str, zone: str) -> BaseTrigger:
    """The trigger; UsageError says in one sentence what is wrong with the expression."""
    if kind == "interval":
        try:
            seconds = int(expression)
        except ValueError:
            seconds = 0
        if seconds < 1:
            raise UsageError(f"{expression!r} is not an interval: say a whole number of seconds from 1 upwards.")
        return IntervalTrigger(seconds=seconds, start_date=EPOCH, timezone=UTC)
    fields = expression.split()
    if len(fields) != 5:
        raise UsageError(f"{expression!r} has {len(fields)} fields: cron has five, as in '0 2 * * mon'.")
    if any(character.isdigit() for character in fields[4].partition("/")[0]):
        # 0 is Sunday to cron and Monday to APScheduler: whoever writes a number means one of them.
        raise UsageError(f"{fields[4]!r} gives the day of the week as a number: name it, as in 'mon' or 'mon-fri'.")
    try:
        return CronTrigger.from_crontab(expression, timezone=ZoneInfo(zone))
    except ZoneInfoNotFoundError as error:
        raise UsageError(f"{zone!r} is not a time zone: say one like UTC or Europe/Berlin.") from error
    except ValueError as error:
        raise UsageError(f"{expression!r} is not a cron expression: {str(error).rstrip('.')}.") from error


def fires(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Every instant strictly later than `after` at which the schedule is due, oldest first, in UTC."""
    trigger = trigger_of(schedule.kind, schedule.expression, schedule.zone)
    due = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    while due is not None:
        yield due.astimezone(UTC)
        due = trigger.get_next_fire_time(due, due)


def fires_between(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The instants later than `after` and not later than `until`, oldest first."""
    return list(takewhile(lambda due: due <= until, fires(schedule, after)))
