"""A Horizon in trouble: away, slow, dying, behind, frozen or another one. It proves nothing that it did not show."""

from __future__ import annotations

import threading
import time
from uuid import UUID

import pytest

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon import server
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from tests.db.books import (
    add_row,
    assert_books_balance,
    count,
    dying_after_the_first,
    recent,
    run_job,
    status_of,
    value,
)

PAYER = Wallet.named("payer")
USER = Wallet.named("user")


@pytest.mark.parametrize(
    "fault",
    ["still-ingesting", "timeout", "reset", "truncated", "html", "plain-503", "stale-history", "all-404"],
)
def test_a_server_in_trouble_leaves_rows_pending_and_unlocked(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, fault: str
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    rows = [
        add_row(db, user, tx_hash=envelope.hash_hex()),
        add_row(db, user, envelope_xdr=PAYER.payment(USER.address, 1, max_time=1).to_xdr()),
    ]
    sandbox.ledger.include([envelope])
    sandbox.faults.set(fault, path="/transactions" if fault != "all-404" else "/")
    run_job(db, horizon)
    assert {status_of(db, row) for row in rows} == {"PENDING"}
    assert value(db, "SELECT count(*) FROM transactions WHERE processing_locked_by IS NOT NULL") == 0
    assert count(db, "ops.reconciliation_cases") == 0
    sandbox.faults.clear()
    run_job(db, horizon)
    assert status_of(db, rows[0]) == "SUCCESS"


def test_a_server_that_is_away_fails_the_run_with_a_sentence(db: Database, settings: Settings, user: UUID) -> None:
    row = add_row(db, user)
    run = run_job(db, settings.model_copy(update={"horizon_attempts": 1}))
    assert run.state == "failed"
    assert "127.0.0.1" in str(run.error)
    assert status_of(db, row) == "PENDING"


def test_a_server_that_dies_in_the_middle_leaves_the_rest_pending_and_unlocked(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelopes = [PAYER.payment(USER.address, "10.5", signed=False) for _ in range(100)]
    for envelope in envelopes:
        add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include(envelopes)
    with dying_after_the_first(db, sandbox):
        run = run_job(db, horizon.model_copy(update={"batch_size": 10, "horizon_parallel": 4}), limit=100)  # by hash
    assert run.state == "failed"
    assert 0 < count(db, "ops.claims") < 100
    assert value(db, "SELECT count(*) FROM transactions WHERE processing_locked_by IS NOT NULL") == 0
    assert_books_balance(db)
    sandbox.faults.clear()
    run_job(db, horizon)
    assert count(db, "ops.claims") == 100


@pytest.mark.parametrize("fault", ["wrong-network", "regress"])
def test_a_frozen_server_settles_nothing(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, fault: str
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    sandbox.ledger.include([envelope])
    run_job(db, horizon)  # learns how far the ledger is
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.faults.set(fault)
    run = run_job(db, horizon)
    assert (run.state, status_of(db, row)) == ("failed", "PENDING")
    sandbox.faults.clear()
    run_job(db, horizon)
    assert status_of(db, row) == "SUCCESS"


def test_a_server_that_turns_out_to_be_another_during_a_batch_settles_nothing(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WATERMARK_S", 0.0)  # a batch that outlives a watermark, without its seconds
    envelope = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    sandbox.faults.set("latency", 1000, path="/transactions")
    turn = threading.Timer(0.7, sandbox.faults.set, ["wrong-network"])
    turn.start()
    run = run_job(db, horizon)
    turn.join()
    assert (run.state, status_of(db, row)) == ("failed", "PENDING")
    assert "network" in str(run.error)


def test_look_ups_without_an_answer_are_counted(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    for _ in range(3):
        add_row(db, user)
    sandbox.faults.set("html", path="/transactions")
    assert run_job(db, horizon).counters["unanswered"] == 3


def test_a_server_that_dies_before_an_absence_is_confirmed_proves_none_but_what_it_showed_is_settled(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    gone = PAYER.payment(USER.address, "10.5", max_time=int(time.time()) - 60)
    paid = PAYER.payment(USER.address, "10.5")
    late = recent(db, user, tx_hash=gone.hash_hex(), envelope_xdr=gone.to_xdr())
    row = add_row(db, user, tx_hash=paid.hash_hex())
    sandbox.ledger.include([paid])
    sandbox.ledger.close_ledger()
    run_job(db, horizon, transaction_id=str(row), dry_run=True)
    sandbox.faults.set("timeout", path="/transactions/" + gone.hash_hex())
    run_job(db, horizon)
    assert (status_of(db, late), status_of(db, row)) == ("PENDING", "SUCCESS")
    sandbox.faults.clear()
    run_job(db, horizon)
    assert status_of(db, late) == "FAILED"


@pytest.mark.parametrize("fault", ["lag", "load-balancer"])
def test_a_server_that_is_behind_proves_no_absence(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, fault: str
) -> None:
    sandbox.ledger.close_ledger()
    gone = PAYER.payment(USER.address, "10.5", max_time=int(time.time()) - 60)
    row = recent(db, user, tx_hash=gone.hash_hex(), envelope_xdr=gone.to_xdr())
    sandbox.ledger.close_ledger()
    sandbox.faults.set(fault)
    for _ in range(3):
        run_job(db, horizon)
    assert status_of(db, row) == "PENDING"
