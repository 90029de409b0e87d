"""Signing, rejecting and letting somebody else sign: the password is asked for here, used once and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import streamlit as st
from sqlalchemy import Connection

from checklists.delegation import Delegation, delegate, revoke
from checklists.grammar import SignOff
from checklists.reads import ChecklistRun
from checklists.record import scope_of
from checklists.signing import Proof, reject, sign
from checklists.tracker import LONGEST_NOTE
from dashboard import queries_checklists as reads
from dashboard.access import origin, session
from dashboard.actions import attempt, attempt_apart, refusal_to
from dashboard.components.checklist_commands import one_at_a_time
from dashboard.components.instants import instant
from dashboard.components.layout import section
from dashboard.components.markup import plain, show, tag
from dashboard.components.times import now
from dashboard.desk import desk
from jobs.core.db import Database
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.core.sessions import IDLE_MINUTES, is_continuous

_TURN = "nx-sg-turn"
_DAYS = {"today (8 hours)": timedelta(hours=8), "three days": timedelta(days=3), "two weeks": timedelta(days=14)}
_Command = Callable[[Database, Person, Proof], int]


def sign_form(
    run: ChecklistRun, line: SignOff, digest: str, person: Person, behalf: Sequence[Delegation], refused: str | None
) -> None:
    """The password and the button; `refused` says why this person cannot sign yet, but could reject."""
    section(f"Sign as {line.title}")
    name = session()
    with desk().db.read() as conn:
        here = name is not None and is_continuous(conn, name, person.id)
    if refused is not None:
        show(tag("p", refused, class_="nx-quiet"))
    else:
        place = f"sign-{run.id}-{line.role.value}"
        with st.form(place, border=False):
            whom = _behalf(place, line, person, behalf)
            _credentials(place, here=here)
            st.form_submit_button(
                f"Sign: {line.meaning}", type="primary", icon=":material/signature:", on_click=_send,
                args=(place, lambda db, who, proof: sign(
                    db, run.id, line.role, who, proof, digest, origin=origin(), on_behalf_of=whom())),
            )  # fmt: skip
    with st.expander("Reject it instead", icon=":material/block:"):
        _reject_form(run, line, digest, person, behalf, here=here)


def delegate_form(run: ChecklistRun, line: SignOff, person: Person, given: Sequence[Delegation]) -> None:
    """Lets somebody else sign this line for the person, until a time; lists what stands and takes it back."""
    with st.expander(f"Let somebody else sign as {line.title} for you", icon=":material/person_add:"):
        for one in given:
            if one.by == person.email and one.role is line.role:
                show(tag("p", f"{one.to_name} may sign for you until ", instant(one.expires_at, seconds=False), ": ",
                         tag("q", one.reason)))  # fmt: skip
                st.button("Take it back", key=f"nx-sg-revoke-{one.id}", on_click=_revoke, args=(run.id, one.id))
        place = f"delegate-{run.id}-{line.role.value}"
        names = {one.email: one.name for one in reads.people() if one.email != person.email}
        with st.form(place, border=False):
            st.selectbox("Who", list(names), key=f"{place}-to", format_func=lambda email: f"{names[email]}, {email}")
            st.selectbox("For how long", list(_DAYS), key=f"{place}-until")
            st.text_input("Why", key=f"{place}-why", max_chars=500, placeholder="stands beside the signature")
            show(tag("p", "They sign with their own name and password, “on behalf of” you. It is for this run and this "
                          "role alone, and whoever did the work still cannot judge it.", class_="nx-quiet"))  # fmt: skip
            _problem(place)
            st.form_submit_button("Let them sign", on_click=_delegate, args=(run.id, line, place))


def _reject_form(
    run: ChecklistRun, line: SignOff, digest: str, person: Person, behalf: Sequence[Delegation], *, here: bool
) -> None:
    place = f"reject-{run.id}-{line.role.value}"
    phases = {phase.id: phase.title for phase in reversed(scope_of(run.template, line.role))}
    with st.form(place, border=False):
        st.text_area("Why", key=f"{place}-why", max_chars=LONGEST_NOTE, height=88)
        if phases:
            st.selectbox("Open again", list(phases), key=f"{place}-phase", format_func=lambda name: phases[name])
        show(tag("p", "Every line of that phase is open again, with your reason in its history, and signatures on it "
                      "are void.", class_="nx-quiet"))  # fmt: skip
        whom = _behalf(place, line, person, behalf)
        _credentials(place, here=here)

        def command(db: Database, who: Person, proof: Proof) -> int:
            why, phase = st.session_state.get(f"{place}-why"), st.session_state.get(f"{place}-phase")
            return reject(
                db, run.id, line.role, who, proof, digest, str(why or ""), origin=origin(), phase_id=phase,
                on_behalf_of=whom(),
            )  # fmt: skip

        st.form_submit_button("Reject", icon=":material/block:", on_click=_send, args=(place, command))


def _behalf(place: str, line: SignOff, person: Person, behalf: Sequence[Delegation]) -> Callable[[], str | None]:
    """Asks whom the person signs for, where there is a choice; returns how to read the answer."""
    names = {one.by: one.by_name for one in behalf}
    own = [None] if line.role in person.roles else []
    key = f"{place}-for"
    if names:
        st.selectbox(
            "Sign for", [*own, *names], key=key,
            format_func=lambda email: "yourself" if email is None else f"{names[email]}, on their behalf",
        )  # fmt: skip
    return lambda: st.session_state.get(key)


def _credentials(place: str, *, here: bool) -> None:
    """The password; the e-mail too once nobody has been `here` for a while."""
    turn = st.session_state.get(_TURN, 0)
    if not here:
        show(
            tag("p", f"You have been away for {IDLE_MINUTES} minutes, so everything is asked again.", class_="nx-quiet")
        )
        st.text_input("Your e-mail address", key=f"{place}-email-{turn}", autocomplete="username")
    st.text_input("Your password", type="password", key=f"{place}-password-{turn}", autocomplete="current-password")
    _problem(place)


def _send(place: str, command: _Command) -> None:
    with one_at_a_time():
        turn = st.session_state.get(_TURN, 0)
        # Taken out at once, and the next form has a field of its own: a password does not stay in the session's memory.
        password = st.session_state.pop(f"{place}-password-{turn}", None)
        email = st.session_state.pop(f"{place}-email-{turn}", None)
        if password is None:
            return  # a second press that was under way
        st.session_state[_TURN] = turn + 1
        proof = Proof(str(password), None if email is None else str(email), session())
        attempt_apart(Right.VIEW, lambda db, person: command(db, person, proof), refusal_to(f"nx-sg-{place}"))


def _delegate(run_id: int, line: SignOff, place: str) -> None:
    to, until, why = (st.session_state.get(f"{place}-{name}") for name in ("to", "until", "why"))

    def command(conn: Connection, person: Person) -> int:
        ends: datetime = now() + _DAYS[str(until)]
        return delegate(conn, run_id, line.role, str(to or ""), ends, person, str(why or ""), origin=origin())

    attempt(Right.VIEW, command, refusal_to(f"nx-sg-{place}"))


def _revoke(run_id: int, delegation_id: int) -> None:
    attempt(
        Right.VIEW,
        lambda conn, person: revoke(conn, run_id, delegation_id, person, origin=origin()),
        refusal_to(f"nx-sg-delegate-{run_id}"),
    )


def _problem(place: str) -> None:
    """Why the last try was refused, once."""
    if said := st.session_state.pop(f"nx-sg-{place}", None):
        st.error(plain(said), icon=":material/error:")
