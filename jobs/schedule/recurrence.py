"""A calendar's rule: as much of RFC 5545's RRULE as a sentence can say.

Which day and which hour stand in the rule itself, never in the day from which it is counted: that day (the anchor)
only tells which weeks or months `INTERVAL` means. More often than daily is the business of cron and intervals. Pure;
python-dateutil is the arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

from dateutil.rrule import DAILY, FR, MO, MONTHLY, SA, SU, TH, TU, WE, WEEKLY, YEARLY, rrule

from jobs.core.errors import UsageError
from jobs.schedule.wall import Walls

COUNTED_FROM = date(2024, 1, 1)
"""A Monday that begins a year, as for the lists that open by themselves."""
MOST_A_DAY = 48
EXAMPLE = "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=18"
_FREQUENCIES: Mapping[str, Literal[0, 1, 2, 3]] = {
    "DAILY": DAILY,
    "WEEKLY": WEEKLY,
    "MONTHLY": MONTHLY,
    "YEARLY": YEARLY,
}
_DAYS = {"MO": MO, "TU": TU, "WE": WE, "TH": TH, "FR": FR, "SA": SA, "SU": SU}
_NUMBERS = {"INTERVAL": (1, 999), "BYMONTH": (1, 12), "BYMONTHDAY": (-31, 31), "BYSETPOS": (-31, 31),
            "BYHOUR": (0, 23), "BYMINUTE": (0, 59)}  # fmt: skip
_PARTS = ("FREQ", "BYDAY", *_NUMBERS)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule taken apart. Days are (0, "MO") for every Monday, (-1, "MO") for the last one."""

    frequency: str
    interval: int
    days: tuple[tuple[int, str], ...]
    month_days: tuple[int, ...]
    months: tuple[int, ...]
    positions: tuple[int, ...]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]


def rule_of(expression: str) -> Rule:
    """The rule; UsageError says in one sentence what is wrong with it."""
    parts = _parts(expression)
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise UsageError(
            f"FREQ={frequency} is not a calendar's: say DAILY, WEEKLY, MONTHLY or YEARLY, as in {EXAMPLE!r}."
        )
    given = {name: _numbers(name, parts[name]) for name in _NUMBERS if name in parts}
    rule = Rule(
        frequency=frequency,
        interval=given.get("INTERVAL", (1,))[0],
        days=tuple(_day(text) for text in parts["BYDAY"].split(",")) if "BYDAY" in parts else (),
        month_days=given.get("BYMONTHDAY", ()),
        months=given.get("BYMONTH", ()),
        positions=given.get("BYSETPOS", ()),
        hours=given.get("BYHOUR", ()),
        minutes=given.get("BYMINUTE", (0,)),
    )
    if (missing := _missing(rule)) is not None:
        raise UsageError(f"{expression!r} leaves open {missing}.")
    return rule


def walls_of(rule: Rule, counted_from: date) -> Walls:
    """The times of the rule on the wall, none before `counted_from`."""
    found = rrule(
        _FREQUENCIES[rule.frequency],
        dtstart=datetime.combine(counted_from, time()),
        interval=rule.interval,
        byweekday=[_DAYS[day](nth) if nth else _DAYS[day] for nth, day in rule.days] or None,
        bymonthday=rule.month_days or None,
        bymonth=rule.months or None,
        bysetpos=rule.positions or None,
        byhour=rule.hours,
        byminute=rule.minutes,
        bysecond=0,
        cache=True,
    )
    return lambda since: iter(found.xafter(since, inc=True))


def _parts(expression: str) -> Mapping[str, str]:
    parts: dict[str, str] = {}
    for part in expression.strip().upper().removeprefix("RRULE:").split(";"):
        name, equals, value = (text.strip() for text in part.partition("="))
        if name not in _PARTS or not equals or not value:
            raise UsageError(f"{part!r} is not understood in a calendar's rule: it takes {', '.join(_PARTS)}.")
        if name in parts:
            raise UsageError(f"{name} stands twice in {expression!r}: say it once, with commas.")
        parts[name] = value
    return parts


def _numbers(name: str, value: str) -> tuple[int, ...]:
    least, most = _NUMBERS[name]
    found = []
    for text in value.split(","):
        number = int(text) if re.fullmatch(r"[+-]?\d{1,3}", text) else most + 1
        if not least <= number <= most or (least < 0 and number == 0):
            raise UsageError(f"{name}={value} is not accepted: say numbers from {least} to {most}.")
        found.append(number)
    if name == "INTERVAL" and len(found) > 1:
        raise UsageError(f"INTERVAL={value} is not accepted: say one number.")
    return tuple(sorted(set(found), key=lambda number: (number < 0, number)))


def _day(text: str) -> tuple[int, str]:
    found = re.fullmatch(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)", text.strip())
    if found is None:
        raise UsageError(
            f"BYDAY={text} is not a day: say MO, or 1MO for the first Monday and -1FR for the last Friday."
        )
    return int(found[1] or 0), found[2]


def _missing(rule: Rule) -> str | None:
    """What a rule must say so that it means one thing, and something that can be."""
    if not rule.hours:
        return "the hour: add BYHOUR"
    if len(rule.hours) * len(rule.minutes) > MOST_A_DAY:
        return f"why it is no cron expression: a calendar has at most {MOST_A_DAY} times a day"
    if rule.frequency == "WEEKLY" and (not rule.days or rule.month_days):
        return "the day: a weekly rule names it by BYDAY"
    if rule.frequency in ("MONTHLY", "YEARLY") and not (rule.days or rule.month_days):
        return "the day: add BYDAY or BYMONTHDAY"
    if rule.frequency == "YEARLY" and not rule.months:
        return "the month: add BYMONTH"
    if any(nth for nth, _ in rule.days) and rule.frequency not in ("MONTHLY", "YEARLY"):
        return "of which month: only a monthly or yearly rule has a first or last Monday"
    months = rule.months or tuple(range(1, 13))
    if rule.month_days and all(abs(day) > _LONGEST[month - 1] for day in rule.month_days for month in months):
        return "a day that there is: none of its months is so long"
    return None
