"""Which screens show how things stand without a login, and how is that taken back?"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries_walls as reads
from dashboard.access import guarded_fragment, origin, require
from dashboard.actions import ask, attempt, confirm, refusal_to
from dashboard.components.actors import who
from dashboard.components.layout import empty, page_head
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.states import chip
from dashboard.components.times import age
from dashboard.doors import WALL
from jobs.alerts.walls import LONGEST_NAME, WallLink, add_link, revoke_link
from jobs.core.people import Person
from jobs.core.permissions import Right

require(Right.SHARE_WALL)
_PROBLEM = "nx-wall-problem"
_SHOWN_ONCE = "nx-wall-shown-once"
"""Holds a link's secret for as long as its dialog shows it."""


@guarded_fragment(Right.SHARE_WALL, run_every=15, parallel=False)
def listed() -> None:
    found = reads.links()
    open_ = sum(one.revoked_at is None for one in found)
    page_head(
        f"{open_} wall {'link is' if open_ == 1 else 'links are'} open" if open_ else "No wall link is open",
        "Whoever holds a link sees how things stand, without a login: what is wrong and who has it, who is on call, how "
        "many transactions wait. No customers, no amounts, no hashes, and nothing else of the desk.",
    )
    if st.button("Make a link", icon=":material/add_link:", type="primary"):
        for key in (_PROBLEM, _SHOWN_ONCE):
            st.session_state.pop(key, None)
        _add()
    if not found:
        empty("Links for screens on a wall will stand here.", "Each is shown once, when it is made.")
    for one in found:
        show(_line(one))
        if one.revoked_at is None and st.button("Revoke", key=f"wall-revoke-{one.id}", icon=":material/link_off:"):
            ask(
                f"Revoke the link “{one.name}”",
                "Whatever shows it goes dark within seconds. It cannot be opened again: make a new one instead.",
                verb="Revoke", right=Right.SHARE_WALL, command=_revoking(one.id), key=f"wall-revoking-{one.id}",
            )  # fmt: skip


def _line(link: WallLink) -> Html:
    seen = join("looked at ", age(link.seen_at)) if link.seen_at is not None else "never looked at"
    state = chip("off", "revoked") if link.revoked_at is not None else chip("ok", "open")
    ended = join(age(link.revoked_at), " by ", who(link.revoked_by)) if link.revoked_at is not None else seen
    return tag(
        "div",
        tag("div", tag("b", link.name), tag("div", f"link {link.id}", class_="nx-quiet")),
        tag("div", "made ", age(link.created_at), " by ", who(link.created_by), class_="nx-quiet"),
        tag("div", state, tag("div", ended, class_="nx-note")),
        class_="nx-call",
    )


def _revoking(link_id: int) -> Callable[[Connection, Person, str], str]:
    came_from = origin()

    def command(conn: Connection, actor: Person, reason: str) -> str:
        name = revoke_link(conn, link_id, actor=actor.email, origin=came_from, reason=reason)
        return f"The link “{name}” opens nothing any more."

    return command


@st.dialog("Make a wall link")
def _add() -> None:
    if (secret := st.session_state.get(_SHOWN_ONCE)) is not None:
        show(tag("p", "Open this on the screen. It is shown this once; whoever has it sees the wall."))
        st.code(f"{_address()}{WALL}{secret}", language=None, wrap_lines=True)
        if st.button("I have it", type="primary", key="wall-seen"):
            st.session_state.pop(_SHOWN_ONCE, None)
            st.rerun()
        return
    st.text_input("Where the screen hangs", key="wall-name", max_chars=LONGEST_NAME, placeholder="Office, 2nd floor")
    came_from = origin()

    def command(conn: Connection, actor: Person) -> str:
        return add_link(conn, str(st.session_state.get("wall-name", "")), actor=actor.email, origin=came_from)

    def sent() -> None:
        if _SHOWN_ONCE in st.session_state:
            return  # a second click that was under way
        if (made := attempt(Right.SHARE_WALL, command, refusal_to(_PROBLEM))) is not None:
            st.session_state[_SHOWN_ONCE] = made

    confirm("Make the link", _PROBLEM, key="wall-add", on_click=sent)


def _address() -> str:
    """The dashboard's address as this browser knows it; empty outside of one."""
    return "/".join((st.context.url or "").split("/")[:3])


listed()
