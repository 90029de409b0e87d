"""How a page changes something: the right is asked again, one transaction, one sentence about what was done.

Buttons call `act` from their `on_click`; what is risky goes through `ask`, a dialog that names what will happen and
asks why. The command itself belongs to the room that owns the tables and writes its audit row.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries
from dashboard.access import signed_in, told
from dashboard.components.markup import show, tag
from dashboard.desk import desk
from jobs.core import permissions
from jobs.core.errors import NexaError, UsageError
from jobs.core.people import Person
from jobs.core.permissions import Right

ORIGIN = "dashboard"
"""What the audit rows of commands from a page say about where they came from."""
_DONE = "nx-done"
Command = Callable[[Connection, Person], str]
ReasonedCommand = Callable[[Connection, Person, str], str]


def act(right: Right, command: Command) -> None:
    """For `on_click`: runs the command in one transaction if the person may; says its sentence, or why not.

    The command gets the person as the database knows them at this moment and returns what to say.
    """
    with told():
        _run(right, command)


def ask(title: str, consequence: str, *, verb: str, right: Right, command: ReasonedCommand, key: str) -> None:
    """Opens a dialog: what will happen, why it is wanted, and a button that says `verb`.

    Call it where a button was pressed (`if st.button(…): ask(…)`), outside of parallel fragments. The command gets the
    reason, which is never empty, as its third argument.
    """
    why, problem, finished = f"{key}-why", f"{key}-problem", f"{key}-finished"

    def confirmed() -> None:
        reason = str(st.session_state.get(why, "")).strip()
        try:
            if not reason:
                raise UsageError("Say why: whoever comes after you will want to know.")
            _run(right, lambda conn, person: command(conn, person, reason))
        except NexaError as error:
            st.session_state[problem] = str(error)
        else:
            st.session_state[finished] = True

    def body() -> None:
        if st.session_state.pop(finished, False):
            st.rerun()
        show(tag("p", consequence))
        st.text_area("Why", key=why, max_chars=500, height=88)
        if said := st.session_state.pop(problem, None):
            st.error(said, icon=":material/error:")
        st.button(verb, type="primary", key=f"{key}-confirm", on_click=confirmed)

    st.session_state.pop(problem, None)
    st.dialog(title)(body)()


def say_what_was_done() -> None:
    """Shows the sentences of what was done just before this run; called once, by the frame."""
    for sentence in st.session_state.pop(_DONE, []):
        st.toast(sentence, icon=":material/check_circle:")


def _run(right: Right, command: Command) -> None:
    person = signed_in()
    permissions.require(person, right)
    with desk().db.begin() as conn:
        sentence = command(conn, person)
    queries.forget()
    st.session_state.setdefault(_DONE, []).append(sentence)
