"""What the pages about money share: their styles, and filters that stand in the address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from dashboard.components.pager import PARAMETER

_STYLES = Path(__file__).parents[1] / "assets" / "money.css"


def money_styles() -> None:
    """The styles of these pages; the first thing on each."""
    st.html(_STYLES)


def choice(label: str, options: Mapping[str, object], *, key: str) -> str | None:
    """One of some words, or none of them; bound to the address under `key`."""
    return st.selectbox(
        label, list(options), index=None, placeholder="Any", key=key, bind="query-params", on_change=back_to_start,
        label_visibility="visible",
    )  # fmt: skip


def back_to_start() -> None:
    """For `on_change` of a filter: another list begins at its beginning."""
    st.query_params.pop(PARAMETER, None)
