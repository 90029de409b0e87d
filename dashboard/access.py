"""Who is looking, and what they may do: asked of the database at every run of a page, and of a fragment by itself.

The gate in front of Streamlit has checked the session and passes the person's id on in a header that no client can
set. A rerun of a fragment skips the page's own script, and a WebSocket outlives a change of roles: so nothing here is
remembered from an earlier run. One run of a page is drawn, with all its tiles, for the person it began with.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec
from uuid import UUID, uuid4

import streamlit as st
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dashboard import doors
from dashboard.components.markup import plain
from dashboard.desk import desk
from jobs.core import permissions
from jobs.core.errors import Forbidden, NexaError
from jobs.core.logs import get_logger
from jobs.core.people import Person, person_from
from jobs.core.permissions import Right
from jobs.core.sentry import report_error

P = ParamSpec("P")
log = get_logger(__name__)
USER_KEY = "person"
SESSION_KEY = "session"
ADDRESS_KEY = "address"
"""Under which names `server.trustedUserHeaders` puts the gate's headers into `st.user`."""


_looking: ContextVar[Person | None] = ContextVar("looking", default=None)


@contextmanager
def looking(person: Person) -> Iterator[None]:
    """For the time of one run of a page, with the tiles that it draws: all of it is drawn for whom it began with.

    A tile that renews later stands outside and asks again; and what a person does is never done on the strength of this.
    """
    token = _looking.set(person)
    try:
        yield
    finally:
        _looking.reset(token)


def signed_in() -> Person:
    """Whose page this is: within one run of a page whom it began with, and whom the database knows now everywhere else.

    To draw with; what a person does asks `as_known_now`. Raises Forbidden as that does.
    """
    return _looking.get() or as_known_now()


def as_known_now() -> Person:
    """The person whose page this is, as the database knows them now.

    Raises Forbidden if there is none: no session, or an account that was closed meanwhile.
    """
    try:
        person_id = UUID(str(st.user.to_dict().get(USER_KEY)))
    except ValueError:
        raise Forbidden("You are not signed in: sign in and come back.") from None
    with desk().db.read() as conn:
        row = conn.execute(
            text(
                "SELECT id, email, name, roles, must_change, disabled_at FROM ops.people"
                " WHERE id = :id AND disabled_at IS NULL AND NOT must_change"
            ),
            {"id": person_id},
        ).one_or_none()
    if row is None:
        raise Forbidden("Your account is closed or needs a new password: sign in again.")
    return person_from(row)


def session() -> str | None:
    """The name of the session in which this page is looked at; None outside of a browser."""
    found = st.user.to_dict().get(SESSION_KEY)
    return str(found) if found else None


def origin() -> str:
    """What the audit rows of a command from this page say about where it came from.

    Ask for it where the page's script runs: a thread of its own has no page.
    """
    address = st.user.to_dict().get(ADDRESS_KEY)
    return doors.origin("dashboard", str(address) if address else None)


def require(right: Right) -> Person:
    """The person, if they may; otherwise the page ends here with one sentence.

    The first line of every page. What a person does is checked once more by the command that does it.
    """
    try:
        person = signed_in()
        permissions.require(person, right)
    except Forbidden as refusal:
        st.error(plain(str(refusal)), icon=":material/lock:")
        st.stop()
    return person


def may(person: Person, right: Right) -> bool:
    """Whether to show what takes this right; what a person may not do is not shown."""
    return permissions.allowed(person.roles, right)


def guarded_fragment(
    right: Right = Right.VIEW, *, run_every: float | None = None, parallel: bool = True
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A tile of its own: reruns alone, checks the person each time, and fails alone.

    `run_every` in seconds. The only way to make a fragment here. `parallel=False` for one that opens a dialog.
    """

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            require(right)
            with told():
                function(*args, **kwargs)

        return st.fragment(guarded, run_every=run_every, parallel=parallel)

    return decorate


class told:  # noqa: N801 - reads as a statement: `with told(): …`
    """What goes wrong inside is told in one sentence, in its place; a trace goes to the log under a number."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        # Streamlit's own signals (stop, rerun) derive from BaseException and pass.
        if not isinstance(error, Exception):
            return False
        show_error(error)
        return True


def show_error(error: Exception) -> bool:
    """Shows an error as a sentence; True, so that it also serves as Streamlit's `on_script_error`."""
    if isinstance(error, NexaError):
        st.error(plain(str(error)), icon=":material/error:")
        return True
    number = uuid4().hex[:8]
    log.error("a page failed", error_id=number, exc_info=error)
    report_error(error, {"error_id": number})
    what = "The database does not answer" if isinstance(error, SQLAlchemyError) else "This part of the page failed"
    st.error(f"{what}. The log has the details under {number}.", icon=":material/error:")
    return True
