"""The buttons that decide cases, one or many, and the dialogs that say what that will do.

What a person may not decide is not shown; the command asks again. A dialog only takes the order: asking Horizon and
deciding happen on the page, where a bar shows how far it is (case_orders.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st
from sqlalchemy import Connection

from dashboard.access import may
from dashboard.actions import ask
from dashboard.components.case_orders import give
from dashboard.components.case_words import BUTTONS, consequence, counted, possible, read_hashes, several, together
from dashboard.components.markup import Html, tag
from dashboard.components.numbers import amount_text
from dashboard.queries_cases import Case, Cases
from jobs.core.errors import UsageError
from jobs.core.people import Person
from jobs.reconcile.deciding import MOST_AT_ONCE, Ruling, Seen
from jobs.reconcile.picture import CaseReason
from jobs.reconcile.verdicts import RIGHTS, Choice, Payment, payment, payments

_WAITS: Mapping[str, timedelta] = {
    "4 hours": timedelta(hours=4),
    "24 hours": timedelta(days=1),
    "3 days": timedelta(days=3),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
}
_BULK = (Choice.ACCEPT, Choice.FAIL, Choice.CANCEL, Choice.LINK, Choice.WAIT)


def decide_one(case: Case, person: Person) -> None:
    """The buttons beside one open case."""
    offered = [choice for choice in possible(case) if may(person, RIGHTS[choice])]
    with st.container(horizontal=True, gap="small"):
        for choice in offered:
            label, title, _ = BUTTONS[choice]
            if st.button(label, key=f"{choice}-{case.id}"):
                _open(choice, title.format(f"case {case.id}"), consequence(choice, case), [case])


def decide_many(fitting: Callable[[], Cases], person: Person) -> None:
    """The buttons over the cases that fit the filters, or over those of them that are picked.

    The cases are read once somebody opens it: most who look at the page decide none, or one.
    """
    rights = [choice for choice in _BULK if may(person, RIGHTS[choice])]
    if not rights:
        return
    place = st.expander(
        "Decide several at once", icon=":material/checklist:", key="several", on_change="rerun", bind="query-params"
    )
    if not place.open:
        return
    found = fitting()
    by_id = {case.id: case for case in found.found}
    with place:
        count = f"{len(by_id):,}"
        every = f"All {count} that fit" if found.older is None else f"The first {count} that fit"
        picked = st.multiselect(
            "Which cases",
            list(by_id),
            key="nx-picked",
            placeholder=every,
            format_func=lambda number: _name(by_id, number),
        )
        chosen = [by_id[number] for number in picked if number in by_id] or list(found.found)
        with st.container(horizontal=True, gap="small"):
            for choice in rights:
                able = together(choice, chosen)
                label = f"{BUTTONS[choice][0]} ({len(able):,})"
                if able and st.button(label, key=f"{choice}-many"):
                    _open(choice, BUTTONS[choice][1].format(counted(able)), several(choice, able), able)


def _name(by_id: Mapping[int, Case], number: int) -> str:
    case = by_id[number]
    return f"Case {case.id}: {amount_text(case.amount)} {case.currency}, {case.email}"


def _open(choice: Choice, title: str, words: str, cases: Sequence[Case]) -> None:
    """Opens the dialog; the order is of the cases as they stand on the page now."""
    key = f"nx-{choice}-{cases[0].id if len(cases) == 1 else 'many'}"
    fields = _Fields(choice, cases[:MOST_AT_ONCE], key)

    def body() -> Html:
        fields.draw()
        return tag("p", words)

    def order(_conn: Connection, _by: Person, why: str) -> str:
        return give(Ruling(choice, why, fields.until()), fields.seen())

    ask(title, body, verb=BUTTONS[choice][2], right=RIGHTS[choice], command=order, key=key)


class _Fields:
    """What a choice needs beside a reason: until when, which of equal payments, or other hashes."""

    def __init__(self, choice: Choice, cases: Sequence[Case], key: str) -> None:
        self._cases = cases
        only = cases[0] if len(cases) == 1 else None
        self._until = f"{key}-until" if choice is Choice.WAIT else None
        self._claimed = choice is Choice.ACCEPT and only is not None and only.reason == CaseReason.CLAIMABLE_UNCLAIMED
        self._hash = f"{key}-hash" if self._claimed or (choice is Choice.LINK and only is not None) else None
        self._hashes = f"{key}-hashes" if choice is Choice.LINK and only is None else None
        self._meant = payments(only.reason, only.details) if choice is Choice.ACCEPT and only is not None else ()
        self._which = f"{key}-which" if len(self._meant) > 1 else None

    def draw(self) -> None:
        if self._until is not None:
            st.selectbox("For how long", list(_WAITS), index=1, key=self._until)
        if self._which is not None:
            st.selectbox(
                "Which of the equal payments", range(len(self._meant)), key=self._which,
                format_func=lambda place: _payment_name(self._meant[place]),
                help="The others stay free for other rows with the same hash.",
            )  # fmt: skip
        if self._hash is not None:
            label = (
                "Hash of the transaction that claimed it, if Horizon does not find it"
                if self._claimed
                else "The other hash"
            )
            st.text_input(label, key=self._hash, max_chars=64, placeholder="64 hex digits")
        if self._hashes is not None:
            first = self._cases[0].id
            st.text_area(
                "The other hashes, a line for each case", key=self._hashes, max_chars=100 * MOST_AT_ONCE, height=160,
                placeholder=f"{first} 64 hex digits\nthe number of a case, and the hash that it is to have",
            )  # fmt: skip

    def until(self) -> datetime | None:
        if self._until is None:
            return None
        return datetime.now(UTC) + _WAITS[str(st.session_state.get(self._until, "24 hours"))]

    def seen(self) -> list[Seen]:
        """The cases as they stood on the page, with what was named for each; UsageError for what is missing."""
        if self._hashes is not None:
            named = read_hashes(str(st.session_state.get(self._hashes, "")), self._cases)
            return [_seen(case, tx_hash=named[case.id]) for case in self._cases if case.id in named]
        if self._which is not None:
            return [_seen(self._cases[0], self._meant[int(st.session_state.get(self._which, 0))])]
        given = str(st.session_state.get(self._hash, "")).strip() if self._hash is not None else ""
        if self._hash is not None and not self._claimed and not given:
            raise UsageError("Name the hash: it is looked up before anything changes.")
        return [_seen(case, tx_hash=given or None) for case in self._cases]


def _seen(case: Case, meant: Payment | None = None, tx_hash: str | None = None) -> Seen:
    return Seen(case.id, case.version, meant or payment(case.reason, case.details), tx_hash)


def _payment_name(one: Payment) -> str:
    return f"Operation {one.operation + 1}: {amount_text(one.amount)} {one.asset.partition(':')[0]}"
