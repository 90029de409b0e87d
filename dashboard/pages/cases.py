"""What must a person decide, worth how much?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries_cases as reads
from dashboard.access import guarded_fragment, may, require
from dashboard.actions import ORIGIN, ask
from dashboard.components.actors import who
from dashboard.components.compare import column, comparison, other_details, pairs, telling
from dashboard.components.filters import choice
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.money_words import brief, kind_words, reason_advice, reason_words, short_id
from dashboard.components.numbers import amount_text, figure, money
from dashboard.components.pager import PARAMETER, before_id, first_page, pager
from dashboard.components.states import chip, shape, word
from dashboard.components.story import evidence
from dashboard.components.times import age, both
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.reconcile.cases import resolve_case
from jobs.reconcile.picture import CaseReason

person = require(Right.VIEW)
CHOSEN = "case"
_REASONS = {reason_words(reason): reason.value for reason in CaseReason}
_ORDERS: Mapping[str, reads.Order] = {
    "Oldest": reads.Order.OLDEST,
    "Dearest": reads.Order.DEAREST,
    "Closed": reads.Order.CLOSED,
}
_AGES: Mapping[str, timedelta] = {
    "Older than 1 hour": timedelta(hours=1),
    "Older than 24 hours": timedelta(days=1),
    "Older than 7 days": timedelta(days=7),
}


@guarded_fragment(run_every=10)
def at_stake() -> None:
    found = reads.standing()
    if not found.count:
        page_head("No case is open", "Where the chain and the books differ, a person decides; now they agree.")
        return
    most = ", ".join(f"{count:,} × {reason_words(reason).lower()}" for reason, count in found.reasons[:3])
    page_head(f"{found.count:,} {'case waits' if found.count == 1 else 'cases wait'} for a decision", most)
    tiles(
        figure(amount_text(stake.amount), stake.currency, label=f"At stake in {stake.currency}",
               note=join(f"{stake.transactions:,} {'transaction' if stake.transactions == 1 else 'transactions'}, oldest ",
                         age(stake.oldest)))
        for stake in found.stakes[:6]
    )  # fmt: skip


def asked() -> tuple[reads.Order, str | None, timedelta | None]:
    """Which cases in which order, as it stands in the address."""
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        order = st.segmented_control(
            "Order", list(_ORDERS), key="order", default="Oldest", required=True, bind="query-params",
            on_change=first_page,
        )  # fmt: skip
        reason = choice("Reason", _REASONS, key="reason")
        older = choice("Open for", _AGES, key="age")
    return _ORDERS[order or "Oldest"], _REASONS.get(reason or ""), _AGES.get(older or "")


@guarded_fragment(run_every=10)
def listing(order: reads.Order, reason: str | None, older: timedelta | None) -> None:
    page = reads.cases(order, reason=reason, older_than=older, before=before_id())
    notes = {
        reads.Order.OLDEST: "Oldest first",
        reads.Order.DEAREST: "By currency, dearest first",
        reads.Order.CLOSED: "Closed, by number, newest first",
    }
    section(notes[order])
    if not page.found:
        _none(order, filtered=bool(reason or older))
    elif order is reads.Order.CLOSED:
        table(
            ("Case", "Value", "Why", "Closed", "By", "What was decided"),
            [_closed(case) for case in page.found], numeric=(1,), label="Closed cases",
        )  # fmt: skip
    else:
        table(
            ("Case", "Value", "Why", "Expected", "Found", "Transaction", "Open"),
            [_open(case) for case in page.found], numeric=(1,), label="Open cases",
        )  # fmt: skip
    pager("cases", older=page.older)


def _none(order: reads.Order, *, filtered: bool) -> None:
    if filtered:
        empty("No case fits these filters.", "Take a filter away to see the others.")
    elif order is reads.Order.CLOSED:
        empty("No case has been closed yet.", "Each stands here with who closed it and what was decided.")
    else:
        empty(
            "Nothing waits for a decision.",
            "A case opens when what arrived on the chain is not what was expected, and closes by itself when proof arrives.",
        )


def _link(case: reads.Case) -> Html:
    others = {key: value for key, value in st.query_params.items() if key not in (CHOSEN, PARAMETER)}
    return link(f"Case {case.id}", url("cases", **others, **{CHOSEN: case.id}), class_="nx-link nx-inline")


def _value(case: reads.Case) -> Html:
    return tag("div", money(case.amount, case.currency), tag("div", kind_words(case.type), class_="nx-note"))


def _open(case: reads.Case) -> tuple[object, ...]:
    rows = telling(pairs(case.details))
    row = link(
        short_id(case.transaction_id), url("transaction", id=case.transaction_id), class_="nx-link nx-id nx-inline"
    )
    return (
        _link(case),
        _value(case),
        tag("div", reason_words(case.reason), class_="nx-words"),
        column(rows, "expected"),
        column(rows, "found"),
        tag("div", row, tag("div", case.email, class_="nx-note")),
        age(case.opened_at),
    )


def _closed(case: reads.Case) -> tuple[object, ...]:
    decided = tag("div", brief(case.resolution or "", 160), class_="nx-words")
    return (_link(case), _value(case), reason_words(case.reason), age(case.resolved_at), who(case.resolved_by), decided)


def chosen_case(given: str) -> None:
    """The case that the address names, with all of its details and, for whoever may, the button that closes it."""
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
    case = reads.case(number) if number is not None else None
    others = {key: value for key, value in st.query_params.items() if key != CHOSEN}
    back = link("All cases", url("cases", **others), class_="nx-link nx-inline")
    if case is None:
        page_head("There is no such case", join(f"No case has the number “{given[:40]}”. ", back))
        return
    page_head(f"Case {case.id}: {reason_words(case.reason).lower()}", back)
    _sentence(case)
    rows = pairs(case.details)
    if rows:
        comparison(rows, f"Case {case.id}, expected and found")
    rest = other_details(case.details)
    proof = evidence(case.details)
    if proof or rest:
        show(tag("div", proof, tag("div", rest, class_="nx-mono") if rest else "", class_="nx-note nx-case"))
    if case.resolved_at is None and may(person, Right.DECIDE_CASES):
        _closing(case)


def _sentence(case: reads.Case) -> None:
    said = case.details.get("sentence")
    transaction = link(
        f"{kind_words(case.type)} of {amount_text(case.amount)} {case.currency}",
        url("transaction", id=case.transaction_id), class_="nx-link nx-inline",
    )  # fmt: skip
    facts = join("About the ", transaction, f" by {case.email}, which is ", chip(case.status), ". ")
    if case.resolved_at is None:
        state = join(facts, "Opened ", age(case.opened_at), f", {both(case.opened_at)}.")
        advice = tag("p", reason_advice(case.reason)) if reason_advice(case.reason) else ""
    else:
        state = join(
            facts,
            shape("ok"),
            " Closed by ",
            who(case.resolved_by),
            f", {both(case.resolved_at)}: ",
            case.resolution or "",
        )
        advice = ""
    told = tag("p", brief(said, 400), class_="nx-strong") if isinstance(said, str) and said else ""
    show(tag("div", told, tag("p", state), advice, class_="nx-case"))


def _closing(case: reads.Case) -> None:
    consequence = (
        f"Case {case.id} closes under your name, with what you write here. The {kind_words(case.type)} of"
        f" {amount_text(case.amount)} {case.currency} by {case.email} stays {word(case.status)}: no money moves. The same"
        " reason stays silent for a day; if proof arrives, it settles all the same."
    )

    def close(conn: Connection, by: Person, why: str) -> str:
        resolve_case(conn, case.id, actor=by.email, resolution=why, origin=ORIGIN)
        return f"Case {case.id} is closed."

    if st.button("Close this case", key=f"close-{case.id}", icon=":material/gavel:"):
        ask(
            f"Close case {case.id}?", consequence, verb="Close the case", right=Right.DECIDE_CASES, command=close,
            key=f"close-{case.id}",
        )  # fmt: skip


if named := st.query_params.get(CHOSEN):
    chosen_case(named)
    section("All cases")
else:
    at_stake()
listing(*asked())
