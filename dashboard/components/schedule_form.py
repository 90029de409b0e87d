"""The form of a schedule: fields for what can be edited, and how to read them. The engine judges the values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from dashboard.components.param_form import draw_fields, fields_of, read_fields
from jobs.core.jobs import Job
from jobs.schedule.edits import KINDS, MISFIRES, NUMBERS, OVERLAPS
from jobs.schedule.model import Schedule

_EXPRESSIONS: Mapping[str, tuple[str, str]] = {
    "cron": ("Minute, hour, day, month, day of the week", "0 2 * * mon-fri"),
    "interval": ("Every so many seconds", "300"),
    "calendar": ("Rule", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=18"),
}
_HELP = {
    "cron": "Five fields. Name the days of the week: their numbers mean different days to different programs.",
    "interval": None,
    "calendar": "An RRULE of RFC 5545: FREQ (DAILY to YEARLY), INTERVAL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS, BYHOUR,"
    " BYMINUTE.",
}


def choose_kind(schedule: Schedule, *, key: str) -> str:
    """What decides when it runs; it stands outside of the form, because the form's fields depend on it."""
    kind = st.segmented_control("It runs by", KINDS, default=schedule.kind, required=True, key=f"{key}-kind")
    return str(kind or schedule.kind)


def draw_schedule(schedule: Schedule, job: Job, kind: str, *, key: str) -> None:
    """The fields, filled with the schedule as it stands; each holds its value under `<key>-<name>`."""
    same = kind == schedule.kind
    label, example = _EXPRESSIONS[kind]
    when, where = st.columns([3, 2])
    when.text_input(
        label, value=schedule.expression if same else "", key=f"{key}-{kind}", placeholder=f"as in {example}",
        max_chars=200, help=_HELP[kind],
    )  # fmt: skip
    if kind == "interval":
        _anchor(where, schedule if same else None, key)
    else:
        zones = sorted({schedule.zone, *available_timezones()})
        where.selectbox("Time zone", zones, index=zones.index(schedule.zone), key=f"{key}-zone")
    if kind == "calendar":
        _anchor(st, schedule if same else None, key)
    _choice("While a run goes on", OVERLAPS, schedule.overlap, f"{key}-overlap")
    _choice("Slots that no worker claimed", MISFIRES, schedule.misfire, f"{key}-misfire")
    # Row by row, so that on a phone, too, they stand in this order.
    numbers = list(NUMBERS.items())
    for row in (numbers[:3], numbers[3:]):
        for column, (name, bounds) in zip(st.columns(3), row, strict=True):
            value = int(getattr(schedule, name))
            column.number_input(
                f"{bounds.words[:1].upper()}{bounds.words[1:]}",
                min_value=bounds.least, max_value=max(bounds.most, value), value=value, step=1,
                key=f"{key}-{name}",
            )  # fmt: skip
    if job.needs is None:
        st.checkbox("On: its slots run", value=schedule.enabled, key=f"{key}-enabled")
    if fields_of(job.params):
        with st.expander("Parameters of its runs", expanded=bool(schedule.params)):
            draw_fields(job.params, key=f"{key}-param", given=schedule.params)


def read_schedule(job: Job, kind: str, *, key: str) -> dict[str, Any]:
    """What the fields hold, as changes for the engine to judge."""
    state = st.session_state
    changes: dict[str, Any] = {"kind": kind, "expression": state.get(f"{key}-{kind}", "")}
    for name in ("zone", "overlap", "misfire", "enabled", *NUMBERS):
        if (value := state.get(f"{key}-{name}")) is not None:
            changes[name] = value
    if kind != "cron":
        changes["anchor"] = str(state.get(f"{key}-anchor") or "").strip() or None
    filled = read_fields(job.params, key=f"{key}-param")
    # A parameter that has its default is not the schedule's: it goes on following the job.
    defaults = {field.name: field.default for field in fields_of(job.params)}
    changes["params"] = {name: value for name, value in filled.items() if value != defaults[name]}
    return changes


def _anchor(place: Any, schedule: Schedule | None, key: str) -> None:
    anchor: datetime | None = None if schedule is None else schedule.anchor
    place.text_input(
        "Counted from (UTC)", value="" if anchor is None else f"{anchor.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        key=f"{key}-anchor", placeholder="as in 2026-01-31 06:00; empty: from long ago", max_chars=40,
        help="Which weeks, or which minutes, it means; before it, nothing runs.",
    )  # fmt: skip


def _choice(label: str, choices: Mapping[str, str], value: str, key: str) -> None:
    st.selectbox(label, list(choices), index=list(choices).index(value), key=key, format_func=choices.__getitem__)
