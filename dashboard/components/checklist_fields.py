"""The fields of a summary as widgets: asked for when a run starts, and when one is corrected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import streamlit as st

from checklists.grammar import FieldKind, SummaryField
from checklists.tracker import LONGEST_NOTE


def summary_field(field: SummaryField, *, key: str, names: Mapping[str, str], value: str | None) -> None:
    """Draws the widget of one field; `names` by e-mail are those that it can name, `value` is what it begins with."""
    label = field.title if field.required else f"{field.title} (optional)"
    match field.type:
        case FieldKind.DATE:
            st.date_input(label, value=date.fromisoformat(value) if value else None, key=key, format="YYYY-MM-DD")
        case FieldKind.USER:
            emails = list(names)
            st.selectbox(
                label, emails, index=emails.index(value) if value is not None and value in names else None, key=key,
                format_func=lambda email: f"{names[email]}, {email}",
            )  # fmt: skip
        case FieldKind.MARKDOWN:
            st.text_area(label, value=value or "", key=key, max_chars=LONGEST_NOTE, height=96)
        case FieldKind.TEXT:
            st.text_input(label, value=value or "", key=key, max_chars=200)


def written(value: object) -> str:
    """What such a widget holds, as the summary keeps it."""
    return value.isoformat() if isinstance(value, date) else str(value or "")
