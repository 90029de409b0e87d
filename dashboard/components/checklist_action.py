"""The button of an item that does something: what it will do, why, and where that can be followed."""

from __future__ import annotations

import streamlit as st

from checklists.acting import press
from checklists.actions import describe
from checklists.lines import TrackedItem
from dashboard.access import may, origin
from dashboard.components.checklist_commands import attempt, place_of
from dashboard.components.checklist_forms import turn_of, words_form
from dashboard.components.checklist_view import View
from dashboard.components.markup import show, tag
from jobs.core.errors import NexaError
from jobs.core.jobs import load_jobs


def action_button(view: View, item: TrackedItem) -> None:
    """Draws it for who may press it; for others the words alone."""
    action = item.definition.action
    if action is None:
        return
    try:
        words = describe(action, load_jobs(), view.run.fields)
    except NexaError as error:
        show(tag("p", str(error), class_="nx-cl-refused"))
        return
    if not view.works or not may(view.person, words.right):
        show(tag("p", f"{words.label}: {words.consequence} You may not {words.right.value}.", class_="nx-note"))
        return
    key = f"nx-action-{place_of(view.run.id, item.id)}"

    def command(reason: str) -> bool:
        done = attempt(
            place_of(view.run.id, item.id),
            lambda conn, person: press(conn, view.run.id, item.id, person, reason, origin=origin()),
            right=words.right,
        )
        return done is not None

    with st.popover(f"{words.label}…", key=f"{key}-pop-{turn_of(key)}", icon=":material/bolt:"):
        show(tag("p", words.consequence))
        words_form(key, label="Why", verb=words.label, command=command)
