"""What must a person decide, worth how much?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation

import streamlit as st

from dashboard import queries_cases as reads
from dashboard.access import guarded_fragment, require
from dashboard.components.actors import who
from dashboard.components.case_actions import decide_many, decide_one
from dashboard.components.case_orders import carry_out
from dashboard.components.case_words import DECIDED, sums
from dashboard.components.compare import column, comparison, other_details, pairs, telling
from dashboard.components.explorer import explorer
from dashboard.components.filters import choice
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.money_words import brief, kind_words, reason_advice, reason_words, short_id
from dashboard.components.numbers import amount_text, figure, money
from dashboard.components.pager import PARAMETER, before_id, first_page, pager
from dashboard.components.states import chip, shape
from dashboard.components.story import evidence
from dashboard.components.times import age, both, now
from dashboard.desk import desk
from jobs.core.csv_file import csv_file
from jobs.core.permissions import Right
from jobs.reconcile.deciding import MOST_AT_ONCE
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
_TYPES: Mapping[str, str] = {"Deposit": "DEPOSIT", "Withdrawal": "WITHDRAW"}


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


def asked() -> tuple[reads.Order, reads.Filters]:
    """Which cases in which order, as it stands in the address."""
    search = st.text_input(
        "Search", key="q", bind="query-params", type="search", max_chars=200, on_change=first_page,
        placeholder="Number, id, hash or the start of one, e-mail", label_visibility="collapsed", icon=":material/search:",
    )  # fmt: skip
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        order = st.segmented_control(
            "Order", list(_ORDERS), key="order", default="Oldest", required=True, bind="query-params",
            on_change=first_page,
        )  # fmt: skip
        reason = choice("Reason", _REASONS, key="reason")
        older = choice("Open for", _AGES, key="age")
        held = (stake.currency for stake in reads.standing().stakes if stake.currency)
        known = dict.fromkeys(sorted({*reads.currencies(), *held}))
        wanted = st.query_params.get("currency")
        currency = choice("Currency", known | ({wanted: None} if wanted and len(wanted) <= 12 else {}), key="currency")
        kind = choice("Type", _TYPES, key="type")
        least = st.text_input(
            "At least", key="least", bind="query-params", max_chars=20, on_change=first_page, placeholder="Any amount"
        )
    return _ORDERS[order or "Oldest"], reads.Filters(
        reason=_REASONS.get(reason or ""),
        older_than=_AGES.get(older or "", timedelta(0)),
        currency=currency,
        type=_TYPES.get(kind or ""),
        least=_amount(least),
        search=(search or "").strip(),
    )


def _amount(given: str | None) -> Decimal:
    """The amount that was typed; zero for nothing, and for what is no amount, which is said."""
    try:
        amount = Decimal((given or "0").replace(",", "").strip() or "0")
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_finite() and 0 <= amount < Decimal(10) ** 12:
        return amount
    st.warning("“At least” is no amount, so it is left out: write it like 250 or 0.5.", icon=":material/warning:")
    return Decimal(0)


def work_off(order: reads.Order, filters: reads.Filters) -> None:
    """What can be done with all that fits: decide, and take away as a file."""
    # Outside of the fragments: dialogs open here, and a list that renews itself does not change under them.
    if order is not reads.Order.CLOSED and reads.standing(filters).count > 1:
        decide_many(lambda: reads.cases(order, filters, most=MOST_AT_ONCE), person)
    st.download_button(
        "Download as CSV",
        data=lambda: _file(order, filters),
        file_name=f"cases-{now():%Y-%m-%d-%H%M}.csv",
        mime="text/csv",
        key="nx-csv",
        type="tertiary",
        icon=":material/download:",
        help=f"All cases that fit these filters, {reads.EXPORTED:,} at most.",
        on_click="ignore",
    )


def _file(order: reads.Order, filters: reads.Filters) -> bytes:
    columns = (
        "case", "reason", "opened", "closed", "closed by", "decision", "quiet until", "what was decided", "transaction",
        "type", "status", "amount", "currency", "issuer", "hash", "user", "expected", "found",
    )  # fmt: skip
    with desk().db.read() as conn:
        return csv_file(columns, (_exported(case) for case in reads.all_cases(conn, order, filters)))


def _exported(case: reads.Case) -> tuple[object, ...]:
    rows = telling(pairs(case.details))
    return (
        case.id, case.reason, case.opened_at, case.resolved_at, case.resolved_by, case.decision, case.quiet_until,
        case.resolution, case.transaction_id, case.type, case.status, case.amount, case.currency, case.asset_issuer,
        case.tx_hash, case.email, "; ".join(f"{row.label} {row.expected}" for row in rows if row.expected),
        "; ".join(f"{row.label} {row.found}" for row in rows if row.found),
    )  # fmt: skip


@guarded_fragment(run_every=10)
def listing(order: reads.Order, filters: reads.Filters) -> None:
    page = reads.cases(order, filters, before=before_id())
    notes = {
        reads.Order.OLDEST: "Oldest first",
        reads.Order.DEAREST: "By currency, dearest first",
        reads.Order.CLOSED: "Closed, by number, newest first",
    }
    section(notes[order], _fitting(filters) if filters and order is not reads.Order.CLOSED else "")
    if not page.found:
        _none(order, filtered=bool(filters))
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


def _fitting(filters: reads.Filters) -> str:
    found = reads.standing(filters)
    held = sums((stake.currency, stake.amount) for stake in found.stakes)
    return f"{found.count:,} fit{f': {held}' if held else ''}"


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
    how = DECIDED.get(case.decision or "", "")
    until = f" until {both(case.quiet_until)}" if case.quiet_until is not None else ""
    said = tag("div", f"{how}{until}", class_="nx-note") if how else ""
    decided = tag("div", said, brief(case.resolution or "", 160), class_="nx-words")
    return (_link(case), _value(case), reason_words(case.reason), age(case.resolved_at), who(case.resolved_by), decided)


def chosen_case(given: str) -> None:
    """The case that the address names, with all of its details and what the person may decide about it."""
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
    explorer(case.tx_hash)
    if case.resolved_at is None:
        decide_one(case, person)


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
            tag("strong", how, ". ") if (how := DECIDED.get(case.decision or "")) else "",
            case.resolution or "",
        )
        advice = ""
    told = tag("p", brief(said, 400), class_="nx-strong") if isinstance(said, str) and said else ""
    show(tag("div", told, tag("p", state), advice, class_="nx-case"))


carry_out()
if named := st.query_params.get(CHOSEN):
    chosen_case(named)
    section("All cases")
else:
    at_stake()
chosen = asked()
work_off(*chosen)
listing(*chosen)
