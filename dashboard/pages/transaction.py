"""What became of this transaction, by what proof, and what comes next?"""

from __future__ import annotations

from uuid import UUID

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries
from dashboard import queries_story as reads
from dashboard.access import guarded_fragment, may, origin, require
from dashboard.actions import Command, act
from dashboard.components.compare import comparison, pairs
from dashboard.components.explorer import explorer
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.money_words import account_words, booked_words, kind_words, reason_words, short_id
from dashboard.components.numbers import amount_text, figure, money
from dashboard.components.states import chip
from dashboard.components.story import headline, moments, timeline, what_next
from dashboard.components.times import age, unbroken
from jobs.core.flags import Flag
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.run.store import request_run

person = require(Right.VIEW)


def wanted() -> UUID | None:
    """The id in the address; None if there is none, or none that could be one."""
    try:
        return UUID(st.query_params.get("id", ""))
    except ValueError:
        return None


@guarded_fragment(run_every=5)
def head(transaction_id: UUID) -> None:
    story = reads.story(transaction_id)
    if story is None:
        return
    it = story.transaction
    found = queries.standing()
    now = max(found.read_at, it.created_at)
    job = next((job for job in found.facts.jobs if job.name == "reconcile-pending"), None)
    off = any(state.flag is Flag.RECONCILIATION and not state.value for state in found.facts.flags)
    page_head(unbroken(headline(story, now)), what_next(story, job, off, now))
    cases = story.open_cases
    waiting = join(*(tag("div", link(reason_words(case.reason), url("cases", case=case.id))) for case in cases))
    tiles(
        [
            figure(amount_text(it.amount), it.currency, label=kind_words(it.type).capitalize(), note=join("created ", age(it.created_at))),
            figure(chip(it.status), label="State", note=join("last changed ", age(it.updated_at))),
            _balance(it),
            *([figure(chip("warn", "open"), label="Case" if len(cases) == 1 else f"{len(cases)} cases", note=waiting)]
              if cases else []),
        ]
    )  # fmt: skip


def look_again(it: reads.Transaction) -> None:
    """A button for those who may run jobs, on what still waits for proof."""
    # Outside of the fragments: what was done is said by the frame, which runs with the whole page.
    if it.status == "PENDING" and it.type in ("DEPOSIT", "WITHDRAW") and may(person, Right.RUN_JOBS):
        st.button("Look at it now", icon=":material/search:", on_click=act, args=(Right.RUN_JOBS, _look(it.id)))


def _look(transaction_id: UUID) -> Command:
    def look(conn: Connection, by: Person) -> str:
        run = request_run(
            conn, job="reconcile-pending", params={"transaction_id": str(transaction_id)}, actor=by.email,
            reason="asked for on the transaction's page", origin=origin(),
        )  # fmt: skip
        return f"Run {run} looks at it as soon as a worker is free."

    return look


def send_again(story: reads.Story) -> None:
    """A button for those who may run jobs, where an event of it was given up."""
    if any(event.dead_at for event in story.events) and may(person, Right.RUN_JOBS):
        st.button(
            "Send its event again", icon=":material/send:", on_click=act,
            args=(Right.RUN_JOBS, _send(story.transaction.id)),
        )  # fmt: skip


def _send(transaction_id: UUID) -> Command:
    def send(conn: Connection, by: Person) -> str:
        run = request_run(
            conn, job="deliver-events", params={"transaction_id": str(transaction_id), "again": True}, actor=by.email,
            reason="asked for on the transaction's page", origin=origin(),
        )  # fmt: skip
        return f"Run {run} sends it again as soon as a worker is free."

    return send


def _balance(it: reads.Transaction) -> Html:
    search = link(it.email, url("transactions", q=it.email))
    if it.balance is None:
        return figure("–", label="User's balance now", note=search)
    return figure(amount_text(it.balance), it.currency, label="User's balance now", note=search)


@guarded_fragment(run_every=5)
def happened(transaction_id: UUID) -> None:
    story = reads.story(transaction_id)
    if story is None:
        return
    section("What happened", "UTC, oldest first")
    timeline(moments(story, audit=may(person, Right.VIEW_AUDIT)))


@guarded_fragment(run_every=5)
def books(transaction_id: UUID) -> None:
    story = reads.story(transaction_id)
    if story is None:
        return
    section("In the books", "both legs")
    if not story.entries:
        empty(
            "No money has moved for it.", "Both legs of every posting stand here with the balance before and after it."
        )
        return
    table(
        ("Posting", "Account", "Debit", "Credit", "Balance before", "Balance after"),
        [
            (
                booked_words(entry.kind),
                account_words(entry.account_type),
                money(entry.amount, entry.currency) if entry.direction == "DEBIT" else "",
                money(entry.amount, entry.currency) if entry.direction == "CREDIT" else "",
                "" if entry.before is None else money(entry.before, entry.currency),
                "" if entry.after is None else money(entry.after, entry.currency),
            )
            for entry in story.entries
        ],
        numeric=(2, 3, 4, 5),
        label="Ledger entries",
    )


def terms(story: reads.Story) -> None:
    """What is expected, in full and to copy, beside what the newest proof or case found."""
    it = story.transaction
    with st.container(key="nx-terms", gap="xsmall"):
        compared = pairs(_newest_details(story) or {})
        seen = any(row.found for row in compared)
        section("Expected and found" if seen else "Expected")
        if seen:
            comparison(compared, "Expected and found", whole=False)
        _copyable("Hash", it.tx_hash, "No hash has been saved yet.")
        explorer(it.tx_hash)
        whose = "Receiver" if it.destination else "Receiver, the user's wallet"
        _copyable(whose, it.receiver, "The row names no receiver, and the user has no wallet.")
        _copyable(f"Memo, {it.memo_type}" if it.memo_type and it.memo else "Memo", it.memo, "Any memo is accepted.")
        if it.asset_issuer:
            _copyable(f"Issuer of {it.currency}", it.asset_issuer, "")
        _copyable("Id", str(it.id), "")
        if it.status == "PENDING":
            signed = (
                "is kept: it can prove that this never lands" if it.signed else "is not kept: age alone proves nothing"
            )
            show(tag("p", f"The signed envelope {signed}.", class_="nx-note"))


def _newest_details(story: reads.Story) -> dict[str, object] | None:
    """The details that the comparison shows: of the proof it was settled by, else of its newest case."""
    if story.settled is not None:
        return dict(story.settled.proof)
    return dict(story.cases[0].details) if story.cases else None


def _copyable(label: str, value: str | None, missing: str) -> None:
    show(tag("div", label, class_="nx-copy-label"))
    if value:
        st.code(value, language=None, wrap_lines=True)
    else:
        show(tag("p", missing))


def nothing(given: str) -> None:
    """No such transaction: says so, and where to look."""
    page_head("There is no such transaction" if given else "Which transaction?")
    empty(
        f"No transaction has the id “{given[:80]}”." if given else "The address names no transaction.",
        "Ids, hashes, e-mails and memos are found on the page Transactions.",
        link("Search transactions", url("transactions")),
    )


chosen = wanted()
told = reads.story(chosen) if chosen is not None else None
if told is None or chosen is None:
    nothing(st.query_params.get("id", ""))
else:
    st.set_page_config(
        page_title=f"{kind_words(told.transaction.type).capitalize()} {short_id(chosen)} · NexaFX operations"
    )
    head(chosen)
    look_again(told.transaction)
    send_again(told)
    left, right = st.columns([3, 2], gap="large")
    with left:
        happened(chosen)
        books(chosen)
    with right:
        terms(told)
