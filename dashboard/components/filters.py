"""Filters of a list: a few words to choose from, which stand in the address so that every view has a link."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from dashboard.components.pager import first_page


def choice(label: str, options: Iterable[str], *, key: str) -> str | None:
    """One of some words, or none of them; bound to the address under `key`."""
    return st.selectbox(
        label, list(options), index=None, placeholder="Any", key=key, bind="query-params", on_change=first_page
    )
