"""Where is this deposit?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import streamlit as st

from dashboard import queries
from dashboard import queries_money as reads
from dashboard.access import guarded_fragment, require
from dashboard.components.filters import choice
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.money_words import failure_words, kind_words, look_words, reason_words, short_id
from dashboard.components.numbers import amount_text, figure, money
from dashboard.components.pager import before_uuid, first_page, pager
from dashboard.components.states import chip, shape
from dashboard.components.times import age, both
from jobs.core.permissions import Right

require(Right.VIEW)
# What comes after this moment waits behind a button, so that nothing moves under the eyes of whoever reads.
ANCHOR = "nx-transactions-anchor"
_TYPES: Mapping[str, str] = {"Deposit": "DEPOSIT", "Withdrawal": "WITHDRAW", "Swap": "SWAP"}
# label -> created within this time, or longer ago than this
_AGES: Mapping[str, tuple[timedelta | None, timedelta | None]] = {
    "Last hour": (timedelta(hours=1), None),
    "Last 24 hours": (timedelta(days=1), None),
    "Last 7 days": (timedelta(days=7), None),
    "Older than 30 min": (None, timedelta(minutes=30)),
    "Older than 24 hours": (None, timedelta(days=1)),
}


@guarded_fragment(run_every=10)
def pending() -> None:
    facts = queries.standing().facts
    waiting = sum(item.count for item in facts.pending)
    late = f", {facts.late_pending:,} of them too long" if facts.late_pending else ""
    page_head(
        f"{waiting:,} transactions wait for the chain{late}"
        if waiting != 1
        else f"1 transaction waits for the chain{late}",
        "Money moves only on proof; until then a transaction is pending.",
    )
    if facts.pending:
        tiles(
            figure(amount_text(item.amount), item.currency, label=f"Pending {item.currency}",
                   note=join(link(f"{item.count:,} waiting", _here(status="PENDING", currency=item.currency)),
                             ", oldest ", age(item.oldest)))
            for item in facts.pending[:6]
        )  # fmt: skip


def _here(**query: object) -> str:
    return url("transactions", **query)


def asked(anchor: datetime) -> reads.Filters:
    """The filters as they stand in the address."""
    search = st.text_input(
        "Search", key="q", bind="query-params", type="search", max_chars=200, on_change=first_page,
        placeholder="Id, hash or the start of one, e-mail, memo, wallet", label_visibility="collapsed",
        icon=":material/search:",
    )  # fmt: skip
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        status = st.segmented_control(
            "Status", reads.STATUSES, key="status", bind="query-params", on_change=first_page,
        )  # fmt: skip
        kind = choice("Type", _TYPES, key="type")
        waiting = (item.currency for item in queries.standing().facts.pending if item.currency)
        known = dict.fromkeys(sorted({*reads.currencies(), *waiting}))
        wanted = st.query_params.get("currency")
        currency = choice("Currency", known | ({wanted: None} if wanted and len(wanted) <= 12 else {}), key="currency")
        created = choice("Created", _AGES, key="age")
    within, longer = _AGES.get(created or "", (None, None))
    return reads.Filters(
        status=status,
        type=_TYPES.get(kind or ""),
        currency=currency,
        since=anchor - within if within else None,
        until=anchor - longer if longer else None,
        search=(search or "").strip(),
    )


@guarded_fragment(run_every=10)
def listing(filters: reads.Filters) -> None:
    after = before_uuid()
    anchor: datetime = st.session_state[ANCHOR]
    page = reads.transactions(filters, anchor, after)
    section("Found" if filters.search else "Newest first")
    if after is None and not filters.search and filters.until is None:
        _newer(reads.newer(filters, anchor))
    if page.lines:
        table(
            ("Id", "Type", "Amount", "State", "Last look", "User", "Created"),
            [_row(line) for line in page.lines],
            numeric=(2,),
            label="Transactions",
        )
    elif filters.search:
        empty(
            f"Nothing found for “{filters.search}” with these filters.",
            "Ids and hashes are found by their first eight characters, users by the start of their e-mail.",
        )
    elif page.reached is None:
        empty("No transaction fits these filters.", "What users deposit and withdraw stands here as it happens.")
    said = ""
    if page.reached is not None:
        what = "memos and wallets are" if filters.search else "this was"
        said = f"{what[:1].upper()}{what[1:]} looked for back to {both(page.reached)}; Older goes on from there."
    pager("transactions", older=page.older, shown=said)


def _newer(count: int) -> None:
    """Always there, so that nothing moves when the first newer row comes."""
    label = f"{count}{'+' if count >= 100 else ''} newer, show" if count else "Up to date"
    st.button(label, key="nx-newer", type="tertiary", disabled=not count, on_click=_to_this_moment)


def _to_this_moment() -> None:
    st.session_state[ANCHOR] = reads.this_moment()


def _row(line: reads.Line) -> tuple[object, ...]:
    return (
        link(short_id(line.id), url("transaction", id=line.id), class_="nx-link nx-id nx-inline", title=str(line.id)),
        kind_words(line.type),
        money(line.amount, line.currency),
        tag("div", chip(line.status), _case(line)),
        _look(line),
        line.email,
        age(line.created_at),
    )


def _case(line: reads.Line) -> Html:
    if line.case_id is None or line.case_reason is None:
        return Html("")
    words = tag("span", shape("warn"), link(reason_words(line.case_reason), url("cases", case=line.case_id)))
    return tag("div", words, class_="nx-note nx-case-mark")


def _look(line: reads.Line) -> Html:
    if line.status == "FAILED":
        why = failure_words(line.failure_reason)
        return _said(why[:1].upper() + why[1:], age(line.updated_at))
    if line.status == "SUCCESS":
        return _said(f"Included in ledger {line.ledger:,}" if line.ledger else "Settled", age(line.updated_at))
    if line.checked_at is None or line.outcome is None:
        return tag("span", "Not looked at yet" if line.status == "PENDING" else "–", class_="nx-quiet")
    tries = "" if line.attempts in (None, 1) else f", {line.attempts} tries"
    return _said(look_words(line.outcome, line.detail or ""), join("checked ", age(line.checked_at), tries))


def _said(words: str, when: Html) -> Html:
    return tag("span", words, tag("span", ", ", when, class_="nx-quiet"))


pending()
_to_this_moment()
listing(asked(st.session_state[ANCHOR]))
