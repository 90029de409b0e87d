"""Filters of a list and of charts: a few words to choose from, which stand in the address so that every view has a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard.components.markup import link, show, tag, url
from dashboard.components.pager import first_page
from dashboard.components.times import local_zone
from jobs.core.db import EARLIEST, FARTHEST
from jobs.probes.spans import LONGEST, Window

RANGES: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
"""How far back a page about what moves by the minute may look."""
CHART_RANGES: Mapping[str, timedelta] = {**RANGES, "30d": timedelta(days=30), "1y": timedelta(days=365)}
"""How far back a chart of what is rolled up may look."""
_SHORTEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Shown:
    """The time that the charts of a page show, and what a sentence calls it: "the last 6 h"."""

    window: Window
    words: str


def choice(label: str, options: Iterable[str], *, key: str, help_: str | None = None) -> str | None:
    """One of some words, or none of them; bound to the address under `key`."""
    return st.selectbox(
        label,
        list(options),
        index=None,
        placeholder="Any",
        key=key,
        bind="query-params",
        on_change=first_page,
        help=help_,
    )


def time_shown(ranges: Mapping[str, timedelta], *, default: str) -> tuple[str, timedelta]:
    """How far back to look, as a sentence says it ("6 h") and as a length; bound to the address as `range=6h`.

    Pages share the key, so that the choice goes along from one to the next.
    """
    chosen = st.segmented_control(
        "Time shown", list(ranges), default=default, required=True, key="range", bind="query-params",
        label_visibility="collapsed", on_change=_no_longer_fixed,
    )  # fmt: skip
    chosen = chosen or default
    return f"{chosen[:-1]} {chosen[-1]}", ranges[chosen]


def time_of_charts(page: str, default: str = "6h") -> Shown:
    """The time that all charts of this page show: `?range=6h`, or from a time to a time, `?from=…&to=…` (ISO 8601)."""
    with st.container(horizontal=True, vertical_alignment="center", key="nx-range"):
        words, length = time_shown(CHART_RANGES, default=default)
        fixed = _fixed(st.query_params.get("from"), st.query_params.get("to"))
        if fixed is None:
            return Shown(Window(length), f"the last {words}")
        since, until = fixed
        zone = local_zone()
        said = f"{since.astimezone(zone):%-d %b %H:%M} to {until.astimezone(zone):%-d %b %H:%M}"
        now = link("Show what is now", url(page, range=words.replace(" ", "")))
        show(tag("p", f"Shown: {said}. ", now, class_="nx-note"))
        return Shown(Window(until - since, until), said)


def _no_longer_fixed() -> None:
    for name in ("from", "to"):
        st.query_params.pop(name, None)
    first_page()


def _fixed(since: str | None, until: str | None) -> tuple[datetime, datetime] | None:
    """The times of the address; None where one is missing, is none, or the two are no stretch that a chart can show."""
    try:
        begin, end = (datetime.fromisoformat(value or "") for value in (since, until))
    except ValueError:
        return None
    begin, end = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (begin, end))
    # In every zone they have to be days of the calendar.
    if begin < EARLIEST or end > FARTHEST:
        return None
    return (begin, end) if _SHORTEST <= end - begin <= LONGEST else None
