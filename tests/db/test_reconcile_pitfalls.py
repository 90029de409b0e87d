"""What went wrong in systems like this one, each against a real Horizon and real books."""

from __future__ import annotations

import base64
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from stellar_sdk import xdr

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet, memo
from jobs.reconcile import reconcile as room
from tests.db.books import (
    FAILED,
    add_row,
    assert_books_balance,
    balance_of,
    count,
    open_reasons,
    run_job,
    status_of,
    value,
)

PAYER = Wallet.named("payer")
USER = Wallet.named("user")


def test_a_submission_that_timed_out_and_landed_later_is_paid_and_never_failed(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    late = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=late.hash_hex(), envelope_xdr=late.to_xdr(), type="WITHDRAW", age=timedelta(0))
    for _ in range(2):
        run_job(db, horizon)
        assert (status_of(db, row), balance_of(db, user)) == ("PENDING", 0)
    sandbox.ledger.include([late])
    run_job(db, horizon)
    assert (status_of(db, row), balance_of(db, user)) == ("SUCCESS", 0)


def test_a_withdrawal_whose_hash_was_never_saved_is_a_case_and_no_refund(
    db: Database, horizon: Settings, user: UUID
) -> None:
    row = add_row(db, user, type="WITHDRAW", tx_hash=None, age=timedelta(days=30))
    run_job(db, horizon)
    assert (status_of(db, row), open_reasons(db, row)) == ("PENDING", ["NO_HASH"])
    assert count(db, "ledger_entries") == 0


def test_an_account_that_was_merged_pays_what_the_result_says(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    fresh = Wallet.named("fresh")
    sandbox.ledger.include([PAYER.create_account(fresh.address, 50)])
    merge = fresh.merge(USER.address)
    (entry,) = sandbox.ledger.include([merge])
    results = xdr.TransactionResult.from_xdr(entry.result_xdr).result.results or []
    merged = results[0].tr.account_merge_result.source_account_balance.int64  # type: ignore[union-attr]
    exact, other = (
        add_row(db, user, tx_hash=merge.hash_hex(), amount=amount, age=timedelta(hours=age))
        for amount, age in ((Decimal(merged).scaleb(-7), 1), (Decimal(50), 2))
    )
    run_job(db, horizon)
    assert (status_of(db, exact), open_reasons(db, other)) == ("SUCCESS", ["AMOUNT_MISMATCH"])


def test_hash_and_return_memos_are_compared_in_base64(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    digest = bytes(range(32))
    written = base64.b64encode(digest).decode()
    rows = {}
    for kind in ("hash", "return"):
        for expected in ("hash", "return"):
            envelope = PAYER.payment(USER.address, "10.5", memo=memo(kind, digest.hex()))  # type: ignore[arg-type]
            sandbox.ledger.include([envelope])
            rows[kind, expected] = add_row(db, user, tx_hash=envelope.hash_hex(), memo_type=expected, memo=written)
    run_job(db, horizon)
    assert {kinds: status_of(db, row) for kinds, row in rows.items()} == {
        (kind, expected): "SUCCESS" if kind == expected else "PENDING" for kind, expected in rows
    }
    assert open_reasons(db, rows["hash", "return"]) == ["MEMO_MISMATCH"]


def test_a_claimable_balance_pays_once_it_was_claimed_and_nobody_by_being_created(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    created = PAYER.claimable_balance([USER.address], "10.5")
    (entry,) = sandbox.ledger.include([created])
    row = add_row(db, user, tx_hash=created.hash_hex())
    run_job(db, horizon)
    assert (status_of(db, row), open_reasons(db, row)) == ("PENDING", ["CLAIMABLE_UNCLAIMED"])
    results = xdr.TransactionResult.from_xdr(entry.result_xdr).result.results or []
    balance_id = results[0].tr.create_claimable_balance_result.balance_id.to_xdr_bytes().hex()  # type: ignore[union-attr]
    claim = USER.claim(balance_id)
    sandbox.ledger.include([claim])
    run_job(db, horizon)
    assert (status_of(db, row), open_reasons(db, row)) == ("SUCCESS", [])
    by_claim = add_row(db, user, tx_hash=claim.hash_hex())
    run_job(db, horizon)
    assert open_reasons(db, by_claim) == ["AMOUNT_MISMATCH"]
    assert balance_of(db, user) == Decimal("10.5")


def test_failed_rows_are_read_a_batch_at_a_time(
    db: Database, horizon: Settings, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(23):
        add_row(db, user, status="FAILED")
    taken: list[int] = []
    hold = room.hold_batch

    def seen(*args: object, **kwargs: object) -> object:
        batch = hold(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came
        taken.append(len(batch))
        return batch

    monkeypatch.setattr(room, "hold_batch", seen)
    assert run_job(db, horizon.model_copy(update={"batch_size": 5}), FAILED).counters["seen"] == 23
    assert max(taken) == 5


def test_a_rescue_looks_back_24_hours_from_the_failure_whatever_locked_the_row_since(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    paid = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=paid.hash_hex(), status="FAILED", age=timedelta(hours=23, minutes=59))
    run_job(db, horizon, FAILED)  # absent: locked, looked at, let go
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET updated_at = updated_at - interval '2 minutes'"))
    sandbox.ledger.include([paid])
    assert run_job(db, horizon, FAILED).counters["seen"] == 0
    assert status_of(db, row) == "FAILED"


def test_status_and_balance_move_together_or_not_at_all(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    with db.begin() as conn:
        conn.execute(text("ALTER TABLE balances ADD CONSTRAINT crowded CHECK (amount < 5)"))
    run_job(db, horizon)
    assert (status_of(db, row), open_reasons(db, row)) == ("PENDING", ["ODD_ROW"])
    for table in ("ledger_entries", "notifications", "ops.outbox", "ops.claims"):
        assert count(db, table) == 0
    assert value(db, "SELECT count(*) FROM ops.audit WHERE action = 'transaction.settled'") == 0
    with db.begin() as conn:
        conn.execute(text("ALTER TABLE balances DROP CONSTRAINT crowded"))
    run_job(db, horizon)
    assert (status_of(db, row), open_reasons(db, row), balance_of(db, user)) == ("SUCCESS", [], Decimal("10.5"))
    assert_books_balance(db)
