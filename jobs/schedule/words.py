"""A schedule in the words of a person, and its next instants: pure, with no clock of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice

from cron_descriptor import CasingTypeEnum, Options, get_description

from jobs.core.errors import UsageError
from jobs.schedule.model import Schedule, fires, trigger_of
from jobs.schedule.recurrence import Rule, rule_of

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_DAYS = {"mon": "Mondays", "tue": "Tuesdays", "wed": "Wednesdays", "thu": "Thursdays", "fri": "Fridays",
         "sat": "Saturdays", "sun": "Sundays"}  # fmt: skip
_NAMES = {name[:2].upper(): day.removesuffix("s") for name, day in _DAYS.items()}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_FREQUENCIES = {"DAILY": ("daily", "days"), "WEEKLY": ("weekly", "weeks"), "MONTHLY": ("monthly", "months"),
                "YEARLY": ("yearly", "years")}  # fmt: skip
_WORKDAYS = tuple((0, day) for day in ("MO", "TU", "WE", "TH", "FR"))


@lru_cache(maxsize=1024)
def in_words(schedule: Schedule) -> str:
    """When it runs: "every 2 minutes", "daily at 02:00 UTC", "monthly, on the 1st at 04:00 UTC"."""
    try:
        trigger_of(schedule.kind, schedule.expression, schedule.zone, schedule.anchor)
    except UsageError:
        return f"never: {schedule.expression!r} in {schedule.zone} cannot be read"
    if schedule.kind == "interval":
        every = _every(int(schedule.expression))
        return every if schedule.anchor is None else f"{every}, counted from {schedule.anchor:%Y-%m-%d %H:%M} UTC"
    if schedule.kind == "calendar":
        words = f"{_rule(rule_of(schedule.expression))} {schedule.zone}"
        return words if schedule.anchor is None else f"{words}, counted from {schedule.anchor:%Y-%m-%d} on"
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
    if schedule.kind == "interval":
        return list(islice(fires(schedule, after), n))
    # What goes by the wall is due at whole minutes: within one, everybody who asks is told the same.
    return list(_on_the_wall(schedule, after.replace(second=0, microsecond=0), n))


@lru_cache(maxsize=1024)
def _on_the_wall(schedule: Schedule, minute: datetime, n: int) -> tuple[datetime, ...]:
    return tuple(islice(fires(schedule, minute), n))


def _every(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def _rule(rule: Rule) -> str:
    once, units = _FREQUENCIES[rule.frequency]
    words = [once if rule.interval == 1 else f"every {rule.interval} {units}"]
    if days := _days(rule):
        words.append(f"on {days}")
    if rule.months:
        words.append(f"in {listed([_MONTHS[month - 1] for month in rule.months])}")
    times = [f"{hour:02}:{minute:02}" for hour in rule.hours for minute in rule.minutes]
    separator = ", " if len(words) > 1 else " "
    return f"{words[0]}{separator}{' '.join([*words[1:], f'at {listed(times)}'])}"


def _days(rule: Rule) -> str:
    """ "Mondays and Fridays", "the last weekday", "the 1st and 15th when it is a Monday"; nothing for every day."""
    each = "weekdays" if rule.days == _WORKDAYS else listed([_weekday(nth, day) for nth, day in rule.days])
    numbers = f"the {listed([_nth(day, 'day') for day in rule.month_days])}" if rule.month_days else ""
    if rule.month_days and rule.days:
        one_of = "weekday" if rule.days == _WORKDAYS else listed([_NAMES[day] for _, day in rule.days], "or")
        numbers = f"{numbers} when that is a {one_of}"
    days = numbers or each
    if not rule.positions:
        return days
    positions = listed([_nth(position, "") for position in rule.positions])
    return f"the {positions} weekday" if days == "weekdays" else f"the {positions} of {days or 'all days'}"


def _weekday(nth: int, day: str) -> str:
    return f"{_NAMES[day]}s" if nth == 0 else f"the {_nth(nth, '')} {_NAMES[day]}"


def _nth(number: int, noun: str) -> str:
    """ "1st", "last", "2nd to last", with a noun where the end is counted from."""
    if number > 0:
        return _ordinal(number)
    last = "last" if number == -1 else f"{_ordinal(-number)} to last"
    return f"{last} {noun}".rstrip()


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


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
