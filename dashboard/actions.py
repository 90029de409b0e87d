"""How a page changes something: the right is asked again, one transaction, one sentence about what was done.

Buttons call `act` from their `on_click`; what is risky goes through `ask`, a dialog that names what will happen and
asks why; what says its refusals in a place of its own calls `attempt`. The command itself belongs to the room that
owns the tables and writes its audit row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dashboard import queries
from dashboard.access import as_known_now, told
from dashboard.components.markup import Html, plain, show, tag
from dashboard.desk import desk
from jobs.core import permissions
from jobs.core.db import Database
from jobs.core.errors import NexaError, UsageError
from jobs.core.logs import get_logger
from jobs.core.people import Person
from jobs.core.permissions import Right

T = TypeVar("T")
log = get_logger(__name__)
WHERE_WHY_STANDS = "stands in the audit trail, for whoever comes after you"
_DONE = "nx-done"
Command = Callable[[Connection, Person], str]
ReasonedCommand = Callable[[Connection, Person, str], str]


def act(right: Right, command: Command) -> None:
    """For `on_click`: runs the command in one transaction if the person may; says its sentence, or why not.

    The command gets the person as the database knows them at this moment and returns what to say.
    """
    with told():
        _done(_run(right, command))


def attempt(right: Right, command: Callable[[Connection, Person], T], refused: Callable[[str], None]) -> T | None:
    """The same for what answers in its own way: the command's value, or None after `refused` got the sentence why not."""
    return _answered(lambda: _run(right, command), refused)


def attempt_apart(right: Right, command: Callable[[Database, Person], T], refused: Callable[[str], None]) -> T | None:
    """The same for a command with transactions of its own, because something of it stays even if it is refused."""

    def apart() -> T:
        person = as_known_now()
        permissions.require(person, right)
        try:
            return command(desk().db, person)
        finally:
            queries.forget()

    return _answered(apart, refused)


def ask(
    title: str,
    consequence: str | Callable[[], Html],
    *,
    verb: str,
    right: Right,
    command: ReasonedCommand,
    key: str,
    asked: str | None = "Why",
) -> None:
    """Opens a dialog: what will happen, why it is wanted, and a button that says `verb`.

    Call it where a button was pressed (`if st.button(…): ask(…)`), outside of parallel fragments. A dialog with fields
    of its own draws them in `consequence` and returns the words. The command gets the reason, which is never empty, as
    its third argument. `asked` is what the reason is called; None: none is needed, and the command gets "".
    """
    why, problem, finished = f"{key}-why", f"{key}-problem", f"{key}-finished"

    def reasoned(conn: Connection, person: Person) -> str:
        reason = str(st.session_state.get(why, "")).strip()
        if not reason and asked is not None:
            raise UsageError(f"Say {asked[:1].lower()}{asked[1:]}: whoever comes after you will want to know.")
        return command(conn, person, reason)

    def confirmed() -> None:
        if (sentence := attempt(right, reasoned, refusal_to(problem))) is not None:
            _done(sentence)
            st.session_state[finished] = True

    def body() -> None:
        if st.session_state.pop(finished, False):
            st.rerun()
        show(tag("p", consequence) if isinstance(consequence, str) else consequence())
        if asked is not None:
            st.text_area(asked, key=why, max_chars=500, height=88, placeholder=WHERE_WHY_STANDS)
        confirm(verb, problem, key=key, on_click=confirmed)

    st.session_state.pop(problem, None)
    st.dialog(title)(body)()


def refusal_to(problem: str) -> Callable[[str], None]:
    """For `attempt`: keeps the sentence under this key, where `confirm` finds it."""

    def keep(sentence: str) -> None:
        st.session_state[problem] = sentence

    return keep


def confirm(verb: str, problem: str, *, key: str, on_click: Callable[[], None]) -> None:
    """The end of a dialog: why the last try was refused, if it was, and the button that does it."""
    if said := st.session_state.pop(problem, None):
        st.error(plain(said), icon=":material/error:")
    st.button(verb, type="primary", key=f"{key}-confirm", on_click=on_click)


def say_what_was_done() -> None:
    """Shows the sentences of what was done just before this run; called once, by the frame."""
    for sentence in st.session_state.pop(_DONE, []):
        st.toast(plain(sentence), icon=":material/check_circle:")


def _answered(command: Callable[[], T], refused: Callable[[str], None]) -> T | None:
    try:
        return command()
    except NexaError as error:
        refused(str(error))
    except SQLAlchemyError as error:
        log.error("a command of a page failed", exc_info=error)
        refused("The database does not answer: nothing was changed, try again.")
    return None


def _done(sentence: str) -> None:
    st.session_state.setdefault(_DONE, []).append(sentence)


def _run(right: Right, command: Callable[[Connection, Person], T]) -> T:
    person = as_known_now()
    permissions.require(person, right)
    try:
        with desk().db.begin() as conn:
            return command(conn, person)
    finally:
        # Also after a refusal: what stood on the page may be why it was tried.
        queries.forget()
