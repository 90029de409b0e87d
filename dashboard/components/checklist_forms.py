"""Forms on a run's page: what is refused stays to be mended, what was taken makes room for the next.

A form's fields belong to its turn: once its command was taken, the next turn's fields are empty, and a second press that
was under way finds that its turn is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from checklists.tracker import LONGEST_NOTE
from dashboard.components.checklist_commands import one_at_a_time

_TURNS = "nx-cl-turns"


def turn_of(key: str) -> int:
    """How often this form's command was taken; as part of a popover's key, it closes the popover then."""
    turns: dict[str, int] = st.session_state.setdefault(_TURNS, {})
    return turns.get(key, 0)


def turn_form(
    key: str, *, fields: Callable[[str], None], verb: str, command: Callable[[Callable[[str], Any]], bool]
) -> None:
    """A form: `fields` draws its widgets with keys that begin with what it is given.

    `command` gets a reader of their values, by the rest of their keys, and returns whether it was taken.
    """
    turn = turn_of(key)
    prefix = f"{key}-{turn}"

    def value(name: str) -> Any:
        return st.session_state.get(f"{prefix}{name}")

    def sent() -> None:
        with one_at_a_time():
            # Otherwise a second press that was under way.
            if turn_of(key) == turn and command(value):
                st.session_state[_TURNS][key] = turn + 1

    with st.form(f"{prefix}-form", border=False):
        fields(prefix)
        st.form_submit_button(verb, on_click=sent)


def words_form(key: str, *, label: str, verb: str, command: Callable[[str], bool]) -> None:
    """A few words and a button."""

    def fields(prefix: str) -> None:
        st.text_area(label, key=prefix, max_chars=LONGEST_NOTE, height=72)

    turn_form(key, fields=fields, verb=verb, command=lambda value: command(str(value("") or "")))
