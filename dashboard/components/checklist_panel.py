"""One line in full: what can be done to it besides ticking, and everything that happened to it."""

from __future__ import annotations

from collections.abc import Callable, Collection

import streamlit as st
from sqlalchemy import Connection

from checklists.lines import State, TrackedItem
from checklists.store import comment, mark_na, untick
from checklists.tracker import LONGEST_NOTE, Command
from dashboard import queries_checklists as reads
from dashboard.actions import ORIGIN
from dashboard.components.checklist_commands import attempt, one_at_a_time, place_of
from dashboard.components.checklist_words import happened, role_word, told
from dashboard.components.markup import show, tag
from jobs.core.people import Person
from jobs.core.permissions import Right, Role, allowed

_TURNS = "nx-cl-turns"


def panel(run_id: int, item: TrackedItem, *, can: Collection[Command], open_run: bool, roles: frozenset[Role]) -> None:
    """Draws it; `can` holds the commands that the person may give this line now."""
    # The forms come and go with the line's state only, so that what is half written stays while others tick.
    with st.container(key=f"nx-cl-forms-{run_id}-{item.mark.state.value}", horizontal=True, gap="medium"):
        if Command.MARK_NA in can:
            _form(
                "na", run_id, item, label="Why it does not apply", verb="Does not apply",
                command=lambda version, words: _mark_na(run_id, item.id, version, words),
            )  # fmt: skip
        if Command.UNTICK in can:
            was = "done" if item.mark.state is State.DONE else "not applying"
            _form(
                "reopen", run_id, item, label=f"Why it is open again (it stays in its history as {was})", verb="Reopen",
                command=lambda version, words: _reopen(run_id, item.id, version, words),
            )  # fmt: skip
        if open_run and allowed(roles, Right.TICK):
            _form(
                "comment", run_id, item, label="Comment", verb="Comment",
                command=lambda _version, words: comment_on(run_id, item.id, words),
            )  # fmt: skip
    if item.definition.na == "never":
        show(tag("p", "This line always applies.", class_="nx-note"))
    if item.role is not None:
        show(tag("p", f"Ticked by {role_word(item.role)}; a release manager or an administrator can do it too.",
                 class_="nx-note"))  # fmt: skip
    found = reads.events(run_id, item.id)
    show(tag("h3", "History", class_="nx-cl-title"))
    if not found:
        show(tag("p", "Nobody has touched this line yet.", class_="nx-quiet"))
        return
    show(happened([told(event, {}) for event in found[: reads.PAGE]]))
    if len(found) > reads.PAGE:
        show(tag("p", "Older changes stand in the run's own history below.", class_="nx-note"))


def comment_on(run_id: int, item_id: str | None, words: str) -> bool:
    """Keeps a comment on a line or on the run; False if it was refused."""

    def command(conn: Connection, person: Person) -> bool:
        comment(conn, run_id, item_id, words, person, origin=ORIGIN)
        return True

    return bool(attempt(place_of(run_id, item_id), command))


def _mark_na(run_id: int, item_id: str, version: int, words: str) -> bool:
    return bool(
        attempt(
            place_of(run_id, item_id),
            lambda conn, person: mark_na(conn, run_id, item_id, version, person, words, origin=ORIGIN),
        )
    )


def _reopen(run_id: int, item_id: str, version: int, words: str) -> bool:
    return bool(
        attempt(
            place_of(run_id, item_id),
            lambda conn, person: untick(conn, run_id, item_id, version, person, origin=ORIGIN, note=words or None),
        )
    )


def _form(
    name: str, run_id: int, item: TrackedItem, *, label: str, verb: str, command: Callable[[int, str], bool]
) -> None:
    version = item.mark.version
    words_form(
        f"nx-{name}-{place_of(run_id, item.id)}", label=label, verb=verb, command=lambda words: command(version, words)
    )


def words_form(key: str, *, label: str, verb: str, command: Callable[[str], bool]) -> None:
    """A few words and a button. What is refused stays to be mended; what was taken makes room for the next."""
    turns: dict[str, int] = st.session_state.setdefault(_TURNS, {})
    turn = turns.get(key, 0)
    area = f"{key}-{turn}"

    def sent() -> None:
        with one_at_a_time():
            # Otherwise a second press that was under way.
            if turns.get(key, 0) == turn and command(str(st.session_state.get(area, ""))):
                turns[key] = turn + 1

    with st.form(f"{area}-form", border=False):
        st.text_area(label, key=area, max_chars=LONGEST_NOTE, height=72)
        st.form_submit_button(verb, on_click=sent)
