"""Who may sign in, and what may they do?"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries_admin as reads
from dashboard.access import guarded_fragment, origin, require
from dashboard.actions import ask, attempt, confirm, refusal_to
from dashboard.components.layout import empty, page_head
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.pager import before_uuid, first_page, pager
from dashboard.components.states import chip
from dashboard.components.times import age, clock
from dashboard.queries_admin import Account
from jobs.core.people import Person, add_person, disable_person, reset_password, set_roles
from jobs.core.permissions import GRANTS, Right, Role

person = require(Right.MANAGE_PEOPLE)
CHOSEN = "person"
_PROBLEM = "nx-people-problem"
_SHOWN_ONCE = "nx-people-shown-once"
"""Holds a one-time password for as long as its dialog shows it."""
Command = Callable[[Connection, Person], str]


@guarded_fragment(Right.MANAGE_PEOPLE, run_every=30, parallel=False)
def listed() -> None:
    place = st.container()
    search = st.text_input(
        "Search", key="q", bind="query-params", type="search", max_chars=200, on_change=first_page,
        placeholder="A part of a name or an e-mail address", label_visibility="collapsed", icon=":material/search:",
    )  # fmt: skip
    found = reads.people((search or "").replace("\x00", "").strip(), before_uuid())
    lead = f"{found.administrators} of them " + ("manages people." if found.administrators == 1 else "manage people.")
    with place:
        page_head(f"{found.may_sign_in} {'person' if found.may_sign_in == 1 else 'people'} may sign in", lead)
        if st.button("Add a person", icon=":material/person_add:", type="primary"):
            _begin(_add)
    if found.found:
        show(
            *(
                _line(account, link(account.person.name, _address(account), class_="nx-link nx-inline"))
                for account in found.found
            )
        )
    else:
        empty("Nobody is called so.", action=link("Everybody", url("people")))
    pager("people", older=found.older, words=("First", "More"))


@guarded_fragment(Right.MANAGE_PEOPLE, run_every=30, parallel=False)
def one_account(given: str) -> None:
    """The account that the address names, with what can be done about it."""
    others = {key: value for key, value in st.query_params.items() if key != CHOSEN}
    back = link("Everybody", url("people", **others), class_="nx-link nx-inline")
    account = _named(given)
    if account is None:
        page_head("There is no such account", back)
        return
    page_head(account.person.name, back)
    show(_line(account, account.person.name))
    if account.person.disabled_at is None:
        _buttons(account)


def _named(given: str) -> Account | None:
    try:
        return reads.account(UUID(given))
    except ValueError:
        return None


def _address(account: Account) -> str:
    return url("people", **{**st.query_params.to_dict(), CHOSEN: account.person.id})


def _line(account: Account, name: object) -> Html:
    who = account.person
    roles = ", ".join(sorted(role.value.replace("_", " ") for role in who.roles))
    seen = join("seen ", age(account.seen_at)) if account.seen_at is not None else "never signed in"
    sessions = f", {account.sessions} open session{'' if account.sessions == 1 else 's'}" if account.sessions else ""
    return tag(
        "div",
        tag("div", tag("b", name), tag("div", who.email, class_="nx-quiet")),
        tag("div", roles),
        tag("div", _state(account), tag("div", seen, sessions, class_="nx-note")),
        class_="nx-call",
    )


def _state(account: Account) -> Html:
    who = account.person
    if who.disabled_at is not None:
        return join(chip("off", "closed"), " ", age(who.disabled_at))
    if account.locked_until is not None:
        return join(chip("warn", "locked"), " until ", clock(account.locked_until))
    if who.must_change:
        return chip("wait", "has not chosen a password yet")
    return chip("ok", "open")


def _buttons(account: Account) -> None:
    who = account.person
    with st.container(key=f"nx-people-acts-{who.id}", horizontal=True, gap="small"):
        if st.button("Change roles", key=f"roles-{who.id}", icon=":material/badge:"):
            _begin(_roles, account)
        if st.button("New one-time password", key=f"reset-{who.id}", icon=":material/key:"):
            _begin(_reset, account)
        if who.id != person.id and st.button("Close account", key=f"close-{who.id}", icon=":material/person_off:"):
            ask(
                f"Close the account of {who.name}",
                f"{who.email} can no longer sign in, and every open session ends now. "
                "An address is never used again; what was done under it stays.",
                verb="Close account", right=Right.MANAGE_PEOPLE, command=_closing(who.email), key=f"closing-{who.id}",
            )  # fmt: skip


def _closing(email: str) -> Callable[[Connection, Person, str], str]:
    def command(conn: Connection, actor: Person, reason: str) -> str:
        disable_person(conn, email, actor=actor.email, origin=origin(), reason=reason)
        return f"The account of {email} is closed."

    return command


def _begin(dialog: Callable[..., None], *given: Account) -> None:
    for key in (_PROBLEM, _SHOWN_ONCE):
        st.session_state.pop(key, None)
    dialog(*given)


@st.dialog("Add a person")
def _add() -> None:
    if _shown():
        return
    st.text_input("E-mail address", key="person-email", max_chars=200, placeholder="ada@nexafx.com")
    st.text_input("Name", key="person-name", max_chars=100)
    _choose_roles("person-roles", ())

    def command(conn: Connection, actor: Person) -> str:
        state = st.session_state
        return add_person(
            conn, str(state.get("person-email", "")), state.get("person-roles") or [], actor=actor.email, origin=origin(),
            name=str(state.get("person-name", "")).strip() or None,
        )  # fmt: skip

    confirm("Add", _PROBLEM, key="person-add", on_click=_asking(command))


@st.dialog("Roles")
def _roles(account: Account) -> None:
    if st.session_state.pop(_SHOWN_ONCE, None) is not None:
        st.rerun()
    who = account.person
    show(tag("p", f"What {who.name} may do from now on; open sessions stay.", class_="nx-quiet"))
    key = f"roles-of-{who.id}"
    _choose_roles(key, sorted(who.roles))

    def command(conn: Connection, actor: Person) -> str:
        set_roles(conn, who.email, st.session_state.get(key) or [], actor=actor.email, origin=origin())
        return "done"

    confirm("Change roles", _PROBLEM, key=f"{key}-sent", on_click=_asking(command))


@st.dialog("New one-time password")
def _reset(account: Account) -> None:
    if _shown():
        return
    who = account.person
    show(
        tag("p", f"The password of {who.name} no longer opens anything, and every open session ends now.",
            class_="nx-strong"),
        tag("p", "They sign in with the new one once, and choose their own.", class_="nx-quiet"),
    )  # fmt: skip

    def command(conn: Connection, actor: Person) -> str:
        return reset_password(conn, who.email, actor=actor.email, origin=origin())

    confirm("Make a new one", _PROBLEM, key=f"reset-sent-{who.id}", on_click=_asking(command))


def _asking(command: Command) -> Callable[[], None]:
    def sent() -> None:
        if _SHOWN_ONCE in st.session_state:
            return  # a second click that was under way
        if (answer := attempt(Right.MANAGE_PEOPLE, command, refusal_to(_PROBLEM))) is not None:
            st.session_state[_SHOWN_ONCE] = answer

    return sent


def _shown() -> bool:
    """Shows a one-time password that was just made; it is in no table and in no log."""
    if (password := st.session_state.get(_SHOWN_ONCE)) is None:
        return False
    show(tag("p", "Give them this one-time password by a way that you trust. It is shown this once."))
    st.code(password, language=None)
    if st.button("I have it", type="primary", key="person-seen"):
        st.session_state.pop(_SHOWN_ONCE, None)
        st.rerun()
    return True


def _choose_roles(key: str, now: object) -> None:
    st.multiselect(
        "Roles", list(Role), default=now, key=key, format_func=lambda role: role.value.replace("_", " "),
        placeholder="At least one",
    )  # fmt: skip
    chosen = st.session_state.get(key) or ()
    rights = [right.value for right in Right if any(right in GRANTS[role] for role in chosen)]
    show(tag("p", "May ", ", ".join(rights), "." if rights else "nothing yet.", class_="nx-note"))


if named := st.query_params.get(CHOSEN):
    one_account(named)
else:
    listed()
