"""A schedule in the words of a person, and its next instants: pure, with no clock of its own."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import islice

from cron_descriptor import CasingTypeEnum, Options, get_description

from jobs.schedule.model import Schedule, fires

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_DAYS = {"mon": "Mondays", "tue": "Tuesdays", "wed": "Wednesdays", "thu": "Thursdays", "fri": "Fridays",
         "sat": "Saturdays", "sun": "Sundays"}  # fmt: skip


def in_words(schedule: Schedule) -> str:
    """When it runs: "every 2 minutes", "daily at 02:00 UTC", "monthly, on the 1st at 04:00 UTC"."""
    if schedule.kind == "interval":
        return _every(int(schedule.expression))
    minute, hour, day, month, weekday = schedule.expression.split()
    if minute.isdigit() and hour.isdigit() and month == "*":
        at = f"at {int(hour):02}:{int(minute):02} {schedule.zone}"
        if (day, weekday) == ("*", "*"):
            return f"daily {at}"
        if day.isdigit() and weekday == "*":
            return f"monthly, on the {_ordinal(int(day))} {at}"
        if day == "*" and weekday in _DAYS:
            return f"{_DAYS[weekday]} {at}"
    return _described(schedule.expression, schedule.zone)


def next_fires(schedule: Schedule, after: datetime, n: int) -> list[datetime]:
    """The next `n` instants later than `after`, in UTC; none while it is off, or paused until somebody resumes it."""
    if not schedule.enabled:
        return []
    if schedule.paused(after):
        if schedule.paused_until is None:
            return []
        after = schedule.paused_until
    return list(islice(fires(schedule, after), n))


def _every(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def _ordinal(day: int) -> str:
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _described(expression: str, zone: str) -> str:
    options = Options()
    options.use_24hour_time_format = True
    options.casing_type = CasingTypeEnum.Sentence
    sentence = get_description(expression, options)
    sentence = re.sub(r"\bday last of\b", "the last day of", sentence)
    sentence = f"{sentence[:1].lower()}{sentence[1:]}"
    return sentence if sentence.startswith("every") and "at" not in sentence.split() else f"{sentence} ({zone})"
