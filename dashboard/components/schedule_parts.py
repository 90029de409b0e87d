"""What a schedule does and what was done to it, as markup: its standing, a look ahead, differences, its history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dashboard.components.actors import who
from dashboard.components.audit_words import changes, difference, done
from dashboard.components.instants import written
from dashboard.components.layout import table
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.states import chip, shape
from dashboard.components.times import city, clock, local_zone
from jobs.core.audit_read import Happened
from jobs.schedule.edits import FIELDS, MISFIRES, NUMBERS, OVERLAPS
from jobs.schedule.model import Schedule
from jobs.schedule.preview import Preview
from jobs.schedule.wall import zone_of


def standing(schedule: Schedule, now: datetime) -> Html:
    """On, off, or paused: until when, by whom and why."""
    if not schedule.enabled:
        return join(chip("off", "off"), " no run starts by it")
    if not schedule.paused(now):
        return chip("on", "on")
    until = "somebody resumes it" if schedule.paused_until is None else written(schedule.paused_until, seconds=False)
    reason = schedule.paused_reason or "no reason given"
    return join(chip("paused", "paused"), " until ", until, ", by ", who(schedule.paused_by), f": {reason}")


def warnings(seen: Preview) -> Html:
    """What may surprise, a line each; nothing for nothing."""
    if not seen.warnings:
        return join()
    return tag("ul", *(tag("li", shape("warn"), tag("span", said)) for said in seen.warnings), class_="nx-problems")


def fires_table(schedule: Schedule, seen: Preview) -> None:
    """The next fires in UTC, in the schedule's zone and in the reader's, each where it says something else."""
    if not seen.fires:
        return
    here = local_zone()
    zones = {"UTC": zone_of("UTC")}
    for name, zone in ((schedule.zone, zone_of(schedule.zone)), (f"{city(here)} (yours)", here)):
        if all(any(_differ(due, zone, other) for due in seen.fires) for other in zones.values()):
            zones[name] = zone
    utc = tag("span", " UTC", class_="nx-unit")
    table(
        tuple(zones),
        [
            tuple(join(_day(due.astimezone(zone)), utc if name == "UTC" else "") for name, zone in zones.items())
            for due in seen.fires
        ],
        label="The next fires",
    )


def values_list(schedule: Schedule) -> Html:
    """Every value of a schedule, by name."""
    numbers = {bounds.words: f"{getattr(schedule, name):,}" for name, bounds in NUMBERS.items()}
    facts: Mapping[str, object] = {
        "runs by": tag("span", f"{schedule.kind} ", tag("code", schedule.expression, class_="nx-mono")),
        "zone": schedule.zone,
        "while a run goes on": OVERLAPS[schedule.overlap],
        "missed slots": MISFIRES[schedule.misfire],
        **numbers,
    }
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in facts.items()), class_="nx-facts")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Html:
    """Old and new values, "when 120 → 300", in the order of the form."""
    before, after = ({_label(name): side[name] for name in (*FIELDS, *side) if name in side} for side in (old, new))
    return difference(changes(before, after))


def _label(name: str) -> str:
    return FIELDS.get(name, name)


def past_line(past: Happened) -> Html:
    """One row of the history: when, who, what, old and new, why."""
    return tag(
        "div",
        tag("div", clock(past.at), tag("div", who(past.actor), class_="nx-note")),
        tag(
            "div",
            tag("b", done(past.action.removeprefix("schedule."))),
            tag("div", past.reason or "", class_="nx-note"),
        ),
        differences(past.old, past.new) if past.old or past.new else tag("span"),
        class_="nx-past",
    )


def _differ(due: datetime, one: ZoneInfo, other: ZoneInfo) -> bool:
    return due.astimezone(one).utcoffset() != due.astimezone(other).utcoffset()


def _day(at: datetime) -> Html:
    return tag("span", f"{at:%a %-d %b %Y, %H:%M:%S}", class_="nx-num")


def say_ahead(schedule: Schedule, seen: Preview) -> None:
    """The look ahead: how often, what may surprise, the next fires."""
    show(tag("p", seen.how_often), warnings(seen))
    fires_table(schedule, seen)
