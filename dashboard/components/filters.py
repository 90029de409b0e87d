"""Filters of a list: a few words to choose from, which stand in the address so that every view has a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import streamlit as st

from dashboard.components.pager import first_page

RANGES: Mapping[str, timedelta] = {
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
}
"""How far back a page about what moves by the minute may look."""


def choice(label: str, options: Iterable[str], *, key: str) -> str | None:
    """One of some words, or none of them; bound to the address under `key`."""
    return st.selectbox(
        label, list(options), index=None, placeholder="Any", key=key, bind="query-params", on_change=first_page
    )


def time_shown(ranges: Mapping[str, timedelta], *, default: str) -> tuple[str, timedelta]:
    """How far back to look, as its words and its length; bound to the address as `range`."""
    chosen = st.segmented_control(
        "Time shown", list(ranges), default=default, required=True, key="range", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    return chosen or default, ranges[chosen or default]
