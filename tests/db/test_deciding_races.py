"""A decision and somebody else at the same time: one of them does it, the other is told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import Conflict
from jobs.core.people import Person
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.reconcile.deciding import Answered, Ruling, ask_again, conclude
from jobs.reconcile.store import Wanted, alive, hold_batch
from jobs.reconcile.verdicts import Choice, Refusal
from tests.db.books import (
    FAILED,
    add_row,
    add_run,
    assert_books_balance,
    attempt_of,
    balance_of,
    run_job,
    status_of,
    value,
)
from tests.db.deciding import (
    ANN,
    BOB,
    PAYER,
    STRANGER,
    mismatch,
    seen,
)


def test_of_two_people_at_once_one_decides_and_the_other_is_told(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    row, case = mismatch(db, horizon, sandbox, user)
    ruling = Ruling(Choice.ACCEPT, "Agreed with the sender.")
    answers = [ask_again(db, horizon, [case], ruling)[0] for _ in range(2)]
    gate = threading.Barrier(2)

    def press(answered: Answered | Refusal, who: Person) -> str:
        assert isinstance(answered, Answered)
        gate.wait()
        try:
            with db.begin() as conn:
                conclude(conn, horizon, who, answered, origin="dashboard")
        except Conflict as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(press, answers, (ANN, BOB)))
    assert sorted(one == "done" for one in said) == [False, True]
    assert any("already closed by" in one for one in said)
    assert (status_of(db, row), balance_of(db, user)) == ("SUCCESS", 10)
    assert_books_balance(db)


def test_a_run_that_holds_or_settles_the_row_meanwhile_wins(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    _, case = mismatch(db, horizon, sandbox, user)
    (answered,) = ask_again(db, horizon, [case], Ruling(Choice.ACCEPT, "Agreed."))
    assert isinstance(answered, Answered)
    attempt = attempt_of(db, add_run(db))
    with alive(db, attempt.owner):
        with db.begin() as conn:
            hold_batch(conn, Wanted("PENDING", everything=True), owner=attempt.owner, after=None, limit=9)
        with pytest.raises(Conflict, match="looking at this transaction"), db.begin() as conn:
            conclude(conn, horizon, ANN, answered, origin="dashboard")
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET amount = 10, processing_locked_by = NULL"))
    run_job(db, horizon)
    with pytest.raises(Conflict, match="already closed by run:"), db.begin() as conn:
        conclude(conn, horizon, ANN, answered, origin="dashboard")
    assert balance_of(db, user) == 10
    assert_books_balance(db)


def test_a_run_and_a_person_at_the_same_instant_move_the_money_once(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelopes = [PAYER.payment(STRANGER.address, 100) for _ in range(6)]
    rows = [
        add_row(
            db, user, type="WITHDRAW", amount=Decimal(100), tx_hash=one.hash_hex(), destination=STRANGER.address,
            age=timedelta(minutes=50),
        )
        for one in envelopes
    ]  # fmt: skip
    run_job(db, horizon.model_copy(update={"expire_unproven_after_h": 0}))
    answers = ask_again(db, horizon, [seen(db, row) for row in rows], Ruling(Choice.FAIL, "It never came."))
    sandbox.ledger.include(envelopes)

    def press(answered: Answered | Refusal) -> None:
        assert isinstance(answered, Answered)
        with suppress(Conflict), db.begin() as conn:
            conclude(conn, horizon, ANN, answered, origin="dashboard")

    with ThreadPoolExecutor(7) as pool:
        run = pool.submit(run_job, db, horizon)
        list(pool.map(press, answers * 2))
        run.result()
    run_job(db, horizon)
    refunds = [value(db, "SELECT count(*) FROM ledger_entries WHERE transaction_id = :id", id=row) for row in rows]
    ends = [status_of(db, row) for row in rows]
    assert all((end, refund) in (("SUCCESS", 0), ("FAILED", 2)) for end, refund in zip(ends, refunds, strict=True))
    assert balance_of(db, user) == 100 * ends.count("FAILED")
    assert_books_balance(db)
    run_job(db, horizon, FAILED)
    assert ([status_of(db, row) for row in rows], balance_of(db, user)) == (["SUCCESS"] * 6, 0)
    assert_books_balance(db)


def test_a_row_that_changes_while_horizon_is_asked_is_not_settled(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    row, case = mismatch(db, horizon, sandbox, user)
    (answered,) = ask_again(db, horizon, [case], Ruling(Choice.ACCEPT, "Agreed."))
    assert isinstance(answered, Answered)
    with db.begin() as conn:
        conn.execute(text("UPDATE users SET wallet_public_key = :other"), {"other": STRANGER.address})
    with pytest.raises(Conflict, match="since Horizon was asked"), db.begin() as conn:
        conclude(conn, horizon, ANN, answered, origin="dashboard")
    assert status_of(db, row) == "PENDING"
