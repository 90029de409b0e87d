"""Cases that a person decides, or proof closes, once nothing differs any more: claimed balances, covered refunds, equal payments."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import stellar_sdk
from sqlalchemy import text
from stellar_sdk import TransactionEnvelope

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import XLM, Wallet
from jobs.reconcile.deciding import Seen
from jobs.reconcile.verdicts import Choice, Payment
from tests.db.books import (
    FAILED,
    add_row,
    add_user,
    assert_books_balance,
    balance_of,
    open_reasons,
    run_job,
    spend,
    status_of,
    value,
)
from tests.db.deciding import PAYER, STRANGER, USER, decide, paid, refused, seen, top_up, withdrawal

pytestmark = pytest.mark.usefixtures("books_are_proved")


@pytest.fixture
def created(sandbox: SandboxServer) -> TransactionEnvelope:
    """A balance of 10.5 XLM that the user or a stranger may claim."""
    envelope = PAYER.claimable_balance([USER.address, STRANGER.address], "10.5")
    sandbox.ledger.include([envelope])
    return envelope


def claim(sandbox: SandboxServer, created: TransactionEnvelope, name: str = "user") -> str:
    envelope = Wallet.named(name).claim(created.transaction.get_claimable_balance_id(0))
    sandbox.ledger.include([envelope])
    return str(envelope.hash_hex())


@pytest.mark.parametrize("limit", [None, 100], ids=["by pages", "by hash"])
def test_a_claimable_balance_settles_by_itself_once_the_receiver_has_claimed_it_and_pays_once(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, created: TransactionEnvelope, limit: int | None
) -> None:
    rows = [add_row(db, user, tx_hash=created.hash_hex(), age=timedelta(minutes=5 + n)) for n in range(2)]
    shared = [
        add_row(db, add_user(db, USER.address)) for _ in range(6)
    ]  # so many rows share the account that it is paged
    params = {} if limit is None else {"limit": limit}
    assert run_job(db, horizon, **params).counters.get("pages", 0) == (0 if limit else 1)
    assert [open_reasons(db, row) for row in rows] == [["CLAIMABLE_UNCLAIMED"]] * 2
    hash_ = claim(sandbox, created)
    run_job(db, horizon, **params)
    assert [status_of(db, row) for row in rows] == ["PENDING", "SUCCESS"], "the oldest row is paid"
    assert open_reasons(db, rows[0]) == ["CLAIMABLE_UNCLAIMED", "HASH_REUSED"]
    assert open_reasons(db, rows[1]) == []
    assert balance_of(db, user) == Decimal("10.5")
    assert value(db, "SELECT proof ->> 'claimed_by' FROM ops.decisions WHERE verdict = 'success'") == hash_
    assert {status_of(db, row) for row in shared} == {"PENDING"}
    assert_books_balance(db)


def test_a_balance_that_somebody_else_claimed_was_paid_to_somebody_else(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, created: TransactionEnvelope
) -> None:
    row = add_row(db, user, tx_hash=created.hash_hex())
    run_job(db, horizon)
    claim(sandbox, created, "stranger")
    refused(db, horizon, seen(db, row), Choice.ACCEPT, "says now: The receiver differs")
    run_job(db, horizon)
    assert open_reasons(db, row) == ["CLAIMABLE_UNCLAIMED", "DESTINATION_MISMATCH"]
    assert (status_of(db, row), balance_of(db, user)) == ("PENDING", 0)


def test_accepting_a_claimed_balance_settles_it_at_once_and_where_none_is_listed_the_claim_is_named(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, created: TransactionEnvelope
) -> None:
    row = add_row(db, user, tx_hash=created.hash_hex())
    run_job(db, horizon)
    case = seen(db, row)
    refused(db, horizon, case, Choice.ACCEPT, "name the hash of the transaction")
    refused(db, horizon, case, Choice.ACCEPT, "does not claim this balance", tx_hash=paid(sandbox))
    hash_ = claim(sandbox, created)
    sandbox.faults.set("all-404", path="/claimable_balances")
    refused(db, horizon, case, Choice.ACCEPT, "name the hash of the transaction")
    decide(db, horizon, case, Choice.ACCEPT, tx_hash=hash_)
    assert (status_of(db, row), balance_of(db, user)) == ("SUCCESS", Decimal("10.5"))
    assert_books_balance(db)


def test_a_spent_refund_is_taken_back_once_the_balance_covers_it_also_a_day_later(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(STRANGER.address, 100)
    row = withdrawal(db, user, tx_hash="cd" * 32, destination=STRANGER.address, age=timedelta(hours=30))
    run_job(db, horizon)
    decide(db, horizon, seen(db, row), Choice.FAIL)
    spend(db, user, Decimal(60))
    with db.begin() as conn:  # it did land, under a hash that was learnt later
        conn.execute(
            text("UPDATE transactions SET tx_hash = :hash WHERE id = :id"), {"hash": envelope.hash_hex(), "id": row}
        )
    sandbox.ledger.include([envelope])
    run_job(db, horizon, FAILED)
    assert open_reasons(db, row) == ["REFUND_SPENT"]
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET updated_at = now() - interval '3 days' WHERE id = :id"), {"id": row})
    assert run_job(db, horizon, FAILED).counters["seen"] == 0, "after a day nobody looks at it by itself"
    refused(db, horizon, seen(db, row), Choice.ACCEPT, "balance does not cover")
    top_up(db, user, 60)
    sandbox.faults.set("all-404")
    refused(db, horizon, seen(db, row), Choice.ACCEPT, "It says now")
    sandbox.faults.clear()
    decide(db, horizon, seen(db, row), Choice.ACCEPT)
    assert (status_of(db, row), balance_of(db, user), open_reasons(db, row)) == ("SUCCESS", Decimal(0), [])
    assert_books_balance(db)


def test_of_two_equal_payments_with_another_memo_the_person_chooses_one_and_each_pays_one_row(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.transaction(*[stellar_sdk.Payment(USER.address, XLM, "10.5")] * 2)
    rows = [add_row(db, user, tx_hash=envelope.hash_hex(), memo_type="text", memo=f"order {n}") for n in range(2)]
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    cases = [replace(seen(db, row), payment=Payment(1, Decimal("10.5"), "XLM")) for row in rows]
    unchosen: Seen = replace(cases[0], payment=None)
    refused(db, horizon, unchosen, Choice.ACCEPT, "No single payment")
    decide(db, horizon, cases[0], Choice.ACCEPT)
    refused(db, horizon, cases[1], Choice.ACCEPT, "belongs to another row")
    decide(db, horizon, replace(cases[1], payment=Payment(0, Decimal("10.5"), "XLM")), Choice.ACCEPT)
    assert ({status_of(db, row) for row in rows}, balance_of(db, user)) == ({"SUCCESS"}, Decimal(21))
    assert_books_balance(db)
