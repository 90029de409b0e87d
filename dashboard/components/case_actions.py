"""The buttons that decide cases, one or many, and the dialogs that say what that will do.

What a person may not decide is not shown; the command asks again. A dialog only takes the order: asking Horizon and
deciding happen on the page, where a bar shows how far it is (case_orders.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st
from sqlalchemy import Connection

from dashboard.access import may
from dashboard.actions import ask
from dashboard.components.case_orders import give
from dashboard.components.case_words import BUTTONS, consequence, counted, possible, several
from dashboard.components.markup import Html, tag
from dashboard.components.numbers import amount_text
from dashboard.queries_cases import Case
from jobs.core.errors import UsageError
from jobs.core.people import Person
from jobs.reconcile.deciding import MOST_AT_ONCE, Ruling, Seen
from jobs.reconcile.picture import CaseReason
from jobs.reconcile.verdicts import RIGHTS, Choice, payment

_WAITS: Mapping[str, timedelta] = {
    "4 hours": timedelta(hours=4),
    "24 hours": timedelta(days=1),
    "3 days": timedelta(days=3),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
}
_BULK = (Choice.ACCEPT, Choice.FAIL, Choice.WAIT)


def decide_one(case: Case, person: Person) -> None:
    """The buttons beside one open case."""
    offered = [choice for choice in possible(case) if may(person, RIGHTS[choice])]
    with st.container(horizontal=True, gap="small"):
        for choice in offered:
            label, title, _ = BUTTONS[choice]
            if st.button(label, key=f"{choice}-{case.id}"):
                _open(choice, title.format(f"case {case.id}"), consequence(choice, case), [case])


def decide_many(fitting: Sequence[Case], person: Person, *, more: bool) -> None:
    """The buttons over the cases that fit the filters, or over those of them that are picked; `more` exist than these."""
    rights = [choice for choice in _BULK if may(person, RIGHTS[choice])]
    if len(fitting) < 2 or not rights:
        return
    by_id = {case.id: case for case in fitting}
    with st.expander("Decide several at once", icon=":material/checklist:"):
        every = f"All {len(fitting):,} that fit" if not more else f"The first {len(fitting):,} that fit"
        picked = st.multiselect(
            "Which cases",
            list(by_id),
            key="nx-picked",
            placeholder=every,
            format_func=lambda number: _name(by_id, number),
        )
        chosen = [by_id[number] for number in picked if number in by_id] or list(fitting)
        with st.container(horizontal=True, gap="small"):
            for choice in rights:
                able = [case for case in chosen if choice in possible(case)]
                label = f"{BUTTONS[choice][0]} ({len(able):,})"
                if st.button(label, key=f"{choice}-many", disabled=not able):
                    _open(choice, BUTTONS[choice][1].format(counted(able)), several(choice, able), able)


def _name(by_id: Mapping[int, Case], number: int) -> str:
    case = by_id[number]
    return f"Case {case.id}: {amount_text(case.amount)} {case.currency}, {case.email}"


def _open(choice: Choice, title: str, words: str, cases: Sequence[Case]) -> None:
    """Opens the dialog; the order is of the cases as they stand on the page now."""
    key = f"nx-{choice}-{cases[0].id if len(cases) == 1 else 'many'}"
    fields = _Fields(choice, cases, key)
    seen = [Seen(case.id, case.version, payment(case.reason, case.details)) for case in cases[:MOST_AT_ONCE]]

    def body() -> Html:
        fields.draw()
        return tag("p", words)

    def order(_conn: Connection, _by: Person, why: str) -> str:
        return give(Ruling(choice, why, fields.until(), fields.tx_hash()), seen)

    ask(title, body, verb=BUTTONS[choice][2], right=RIGHTS[choice], command=order, key=key)


class _Fields:
    """What a choice needs beside a reason: until when, or another hash."""

    def __init__(self, choice: Choice, cases: Sequence[Case], key: str) -> None:
        self._until = f"{key}-until" if choice is Choice.WAIT else None
        claimed = choice is Choice.ACCEPT and len(cases) == 1 and cases[0].reason == CaseReason.CLAIMABLE_UNCLAIMED
        self._hash = f"{key}-hash" if choice is Choice.LINK or claimed else None
        self._label = "Hash of the transaction that claimed it" if claimed else "The other hash"

    def draw(self) -> None:
        if self._until is not None:
            st.selectbox("For how long", list(_WAITS), index=1, key=self._until)
        if self._hash is not None:
            st.text_input(self._label, key=self._hash, max_chars=64, placeholder="64 hex digits")

    def until(self) -> datetime | None:
        if self._until is None:
            return None
        return datetime.now(UTC) + _WAITS[str(st.session_state.get(self._until, "24 hours"))]

    def tx_hash(self) -> str | None:
        if self._hash is None:
            return None
        given = str(st.session_state.get(self._hash, "")).strip()
        if not given:
            raise UsageError("Name the hash: it is looked up before anything changes.")
        return given
