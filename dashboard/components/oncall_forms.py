"""The dialogs of the rota: who takes turns, and who stands in. What is chosen is told in turns before it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st
from sqlalchemy import Connection

from dashboard.access import origin
from dashboard.actions import Command, ReasonedCommand, ask, attempt, confirm, refusal_to
from dashboard.components.markup import Html, tag
from dashboard.components.oncall import ordinal, say_turns
from dashboard.components.times import local_zone, now
from jobs.alerts.rota import Override, Rota, turns
from jobs.alerts.rota_store import add_override, drop_rota, end_override, move_rota, save_rota
from jobs.core.errors import UsageError
from jobs.core.people import Person
from jobs.core.permissions import Right

_FINISHED = "nx-rota-finished"
_PROBLEM = "nx-rota-problem"
_SHOWN = 3


def new_rota(name: str, people: Mapping[str, str]) -> None:
    """Opens the form of a rota that is not there yet, with a name to begin with. Call it where a button was pressed."""
    _begin("New rota", None, name, people)


def change_rota(rota: Rota, people: Mapping[str, str], order: Sequence[str]) -> None:
    """The same for one that is there, and as which of all these rotas it is called."""
    _begin(f"Rota {rota.name}", rota, rota.name, people, order)


def _begin(title: str, rota: Rota | None, name: str, people: Mapping[str, str], order: Sequence[str] = ()) -> None:
    for key in (_PROBLEM, _FINISHED):
        st.session_state.pop(key, None)
    st.dialog(title)(_rota_form)(rota, name, people, order)


def _rota_form(rota: Rota | None, name: str, people: Mapping[str, str], order: Sequence[str]) -> None:
    if st.session_state.pop(_FINISHED, False):
        st.rerun()
    key = f"rota-{rota.name}-{rota.version}" if rota is not None else "rota-new"
    if rota is None:
        st.text_input("Name", value=name, key=f"{key}-name", max_chars=40, help="Small letters and hyphens.")
    # Whose account is closed is left out: saved again, the rota is whole again.
    chosen = [email for email in (rota.people if rota is not None else ()) if email in people]
    st.multiselect(
        "Who takes turns, in the order in which you choose them", list(people), default=chosen, key=f"{key}-people",
        format_func=lambda email: f"{people[email]}, {email}", placeholder="At least one",
    )  # fmt: skip
    left, right = st.columns(2)
    left.date_input("First turn of the first one", value=rota.starts_on if rota is not None else _monday(),
                    key=f"{key}-starts", format="YYYY-MM-DD")  # fmt: skip
    right.time_input("Handed over at", value=rota.handover if rota is not None else time(9), key=f"{key}-handover")
    left.number_input("Days of a turn", 1, 366, value=rota.turn_days if rota is not None else 7, key=f"{key}-days")
    zone = rota.zone if rota is not None else local_zone().key
    zones = sorted({zone, *available_timezones()})
    right.selectbox("By the clock of", zones, index=zones.index(zone), key=f"{key}-zone")
    if len(order) > 1:
        st.selectbox("Called", list(range(1, len(order) + 1)), index=order.index(name), key=f"{key}-place",
                     format_func=ordinal)  # fmt: skip
    if (draft := _draft(rota, key)) is not None:
        at = now()
        ahead = turns(draft, (), at, at + timedelta(days=draft.turn_days * _SHOWN))
        say_turns(ahead[:_SHOWN], dict(people))

    def save(conn: Connection, actor: Person) -> bool:
        wanted = _draft(rota, key)
        if wanted is None:
            raise UsageError("A rota needs somebody who takes turns, and a day to begin.")
        place = st.session_state.get(f"{key}-place")
        if rota is not None and place is not None and place != order.index(name) + 1:
            # First, because it locks the table: two who had saved before could wait for each other.
            move_rota(conn, name, rota.place, place, actor=actor.email, origin=origin())
        save_rota(
            conn, wanted.name, rota.version if rota is not None else 0, zone=wanted.zone, starts_on=wanted.starts_on,
            handover=wanted.handover, turn_days=wanted.turn_days, people=wanted.people, actor=actor.email,
            origin=origin(),
        )  # fmt: skip
        return True

    def sent() -> None:
        if attempt(Right.KEEP_CONTACTS, save, refusal_to(_PROBLEM)):
            st.session_state[_FINISHED] = True

    confirm("Save", _PROBLEM, key=f"{key}-save", on_click=sent)


def _draft(rota: Rota | None, key: str) -> Rota | None:
    """What the form holds; None while nobody is chosen."""
    state: Any = st.session_state
    people, starts = state.get(f"{key}-people"), state.get(f"{key}-starts")
    if not people or not isinstance(starts, date):
        return None
    name = rota.name if rota is not None else str(state.get(f"{key}-name", "")).strip()
    place = rota.place if rota is not None else 1
    handover: time = state[f"{key}-handover"]
    return Rota(name, place, state[f"{key}-zone"], starts, handover, int(state[f"{key}-days"]), tuple(people))


def ask_override(rota: Rota, people: Mapping[str, str]) -> None:
    """Opens the dialog in which somebody stands in."""
    key = f"override-{rota.name}"
    zone, state = ZoneInfo(rota.zone), st.session_state

    def fields() -> Html:
        here = now().astimezone(zone)
        st.selectbox("Who stands in", list(people), index=None, key=f"{key}-who",
                     format_func=lambda email: f"{people[email]}, {email}")  # fmt: skip
        left, right = st.columns(2)
        left.date_input("From", value=here.date(), key=f"{key}-from", format="YYYY-MM-DD")
        right.time_input("Time from", value=here.time().replace(second=0, microsecond=0), key=f"{key}-from-at")
        left.date_input("Until", value=here.date() + timedelta(days=1), key=f"{key}-until", format="YYYY-MM-DD")
        right.time_input("Time until", value=rota.handover, key=f"{key}-until-at")
        return tag("p", f"By the clock of {rota.zone}. Whose turn it is has it again afterwards.", class_="nx-quiet")

    def instant(side: str) -> datetime:
        day, at = state.get(f"{key}-{side}"), state.get(f"{key}-{side}-at")
        if not isinstance(day, date) or not isinstance(at, time):
            raise UsageError("Say from when and until when.")
        return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)

    def command(conn: Connection, actor: Person, reason: str) -> str:
        who = state.get(f"{key}-who")
        if not who:
            raise UsageError("Say who stands in.")
        add_override(
            conn, rota.name, who, instant("from"), instant("until"), actor=actor.email, origin=origin(), reason=reason
        )
        return f"{people.get(who, who)} stands in on {rota.name}."

    ask("Somebody stands in", fields, verb="Stand in", right=Right.KEEP_CONTACTS, command=command, key=key)


def ask_drop(rota: Rota) -> None:
    """Opens the dialog that takes a rota away."""
    ask(
        f"Take the rota {rota.name} away",
        "Nobody takes turns in it any more, and its overrides go with it. What it was stays in the audit trail.",
        verb="Take it away", right=Right.KEEP_CONTACTS, command=_dropping(rota), key=f"drop-{rota.name}",
    )  # fmt: skip


def _dropping(rota: Rota) -> ReasonedCommand:
    def command(conn: Connection, actor: Person, reason: str) -> str:
        drop_rota(conn, rota.name, rota.version, actor=actor.email, origin=origin(), reason=reason)
        return f"The rota {rota.name} is gone."

    return command


def ending(override: Override, name: str) -> Command:
    """Takes an override back, for `act`."""

    def command(conn: Connection, actor: Person) -> str:
        end_override(conn, override.id, actor=actor.email, origin=origin())
        return f"{name} no longer stands in on {override.rota}."

    return command


def _monday() -> date:
    today = now().date()
    return today - timedelta(days=today.weekday())
