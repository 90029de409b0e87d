"""What can be done to a line in its place besides ticking: run its check, verify it, decide, say why."""

from __future__ import annotations

import streamlit as st

from checklists.grammar import Choice
from checklists.lines import State, TrackedItem
from checklists.proving import why_not_proven
from checklists.store import tick, verify
from checklists.tracker import Command
from dashboard.access import as_known_now, origin
from dashboard.components.checklist_commands import (
    asked_why,
    attempt,
    one_at_a_time,
    place_of,
    refuse,
    stop_asking,
)
from dashboard.components.checklist_facts import choice_word
from dashboard.components.checklist_forms import words_form
from dashboard.components.checklist_view import View, slug
from dashboard.components.markup import show, tag
from dashboard.proving import check_line
from jobs.core import permissions
from jobs.core.errors import NexaError
from jobs.core.permissions import Right


def has_acts(item: TrackedItem) -> bool:
    """Whether there ever is a button on the line, by its definition."""
    asked = item.definition
    return bool(asked.check or asked.verify_by or asked.decide)


def acts(view: View, item: TrackedItem) -> None:
    """The buttons of a line, those only that its person can press now."""
    with st.container(key=f"nx-cl-acts-{slug(item.id)}", horizontal=True, gap="small"):
        for choice in item.definition.decide:
            _choice(view, item, choice)
        if item.definition.verify_by is not None and view.may(Command.VERIFY, item):
            st.button(
                "Verify", key=_key("verify", view, item), icon=":material/how_to_reg:", type="tertiary",
                on_click=_verify, args=(view.run.id, item.id, item.mark.version),
            )  # fmt: skip
        if item.id not in view.under_way.items and why_not_proven(item, view.run.read_at) is None:
            st.button(
                "Run the check" if item.check is None else "Check again", key=_key("check", view, item),
                icon=":material/play_arrow:", type="tertiary", on_click=run_check, args=(view.run.id, item),
            )  # fmt: skip


def _choice(view: View, item: TrackedItem, choice: Choice) -> None:
    """One way of a decision as a button that says what follows; not shown once it is decided."""
    if item.mark.state is not State.OPEN or not view.may(Command.TICK, item):
        return
    word = choice_word(choice.id)
    starts = f": starts “{view.titles.get(choice.start, choice.start)}” for you" if choice.start is not None else ""
    st.button(
        f"{word}{starts}", key=_key(f"choose-{choice.id}", view, item), on_click=_decide,
        args=(view.run.id, item.id, item.mark.version, choice.id),
    )  # fmt: skip


def run_check(run_id: int, item: TrackedItem) -> None:
    """For `on_click`: starts the line's check in the person's name."""
    place = place_of(run_id, item.id)
    try:
        person = as_known_now()
        permissions.require(person, Right.TICK)
    except NexaError as error:
        refuse(place, str(error))
        return
    check_line(run_id, item, person)


def why_prompt(view: View, item: TrackedItem) -> None:
    """Asks why a line is ticked all the same, in its place, after its box was clicked."""
    place = place_of(view.run.id, item.id)
    sentence = asked_why(place, item.mark.version)
    if sentence is None:
        return
    version = item.mark.version

    def command(words: str) -> bool:
        done = attempt(
            place, lambda conn, person: tick(conn, view.run.id, item.id, version, person, origin=origin(), note=words)
        )
        if done is not None:
            stop_asking()
        return done is not None

    with st.container(key=f"nx-cl-why-{slug(item.id)}", gap="small"):
        show(tag("p", sentence, role="status"))
        words_form(f"nx-why-{place}-{version}", label="Why", verb="Tick it all the same", command=command)
        st.button("Leave it open", key=_key("leave", view, item), type="tertiary", on_click=stop_asking)


def _key(name: str, view: View, item: TrackedItem) -> str:
    return f"nx-{name}-{place_of(view.run.id, item.id)}-{item.mark.version}"


def _verify(run_id: int, item_id: str, version: int) -> None:
    with one_at_a_time():
        attempt(
            place_of(run_id, item_id),
            lambda conn, person: verify(conn, run_id, item_id, version, person, origin=origin()),
        )


def _decide(run_id: int, item_id: str, version: int, choice: str) -> None:
    with one_at_a_time():
        attempt(
            place_of(run_id, item_id),
            lambda conn, person: tick(conn, run_id, item_id, version, person, origin=origin(), choice=choice),
        )
