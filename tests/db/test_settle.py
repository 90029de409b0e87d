"""Settlement: all or none, exactly once, whatever happens at the same time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.reconcile.picture import Verdict
from jobs.reconcile.settle import Attempt, Outcome, Proved, settle
from jobs.reconcile.store import Wanted, hold_batch, hold_free
from tests.db.books import (
    add_row,
    add_run,
    add_user,
    assert_books_balance,
    attempt_of,
    balance_of,
    count,
    fund,
    proof,
    settle_now,
    spend,
    status_of,
    value,
)


@pytest.fixture
def attempt(db: Database) -> Attempt:
    return attempt_of(db, add_run(db))


def test_a_deposit_that_succeeded_is_credited_with_entries_notification_event_and_trail(
    db: Database, attempt: Attempt
) -> None:
    user = add_user(db)
    row = add_row(db, user, amount=Decimal("10.50000000"))
    assert settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}) == {row: Outcome.SETTLED}
    assert status_of(db, row) == "SUCCESS"
    assert balance_of(db, user) == Decimal("10.5")
    with db.read() as conn:
        legs = conn.execute(
            text("SELECT kind, account_type, direction, amount, user_id FROM ledger_entries ORDER BY account_type")
        ).all()
        note = conn.execute(text("SELECT user_id, type, title, message, related_id FROM notifications")).one()
        event = conn.execute(text("SELECT kind, payload FROM ops.outbox")).one()
        lock = conn.execute(text("SELECT processing_locked_at, processing_locked_by FROM transactions")).one()
    assert [tuple(leg) for leg in legs] == [
        ("DEPOSIT_CREDIT", "PLATFORM_ASSET", "DEBIT", Decimal("10.5"), None),
        ("DEPOSIT_CREDIT", "USER", "CREDIT", Decimal("10.5"), user),
    ]
    assert tuple(note) == (
        user,
        "TRANSACTION",
        "Deposit confirmed",
        "Your deposit of 10.5 XLM has been confirmed",
        row,
    )
    assert event.kind == "transaction.succeeded"
    assert event.payload["amount"] == "10.5"
    assert tuple(lock) == (None, None)
    assert value(db, "SELECT verdict FROM ops.decisions") == "success"
    assert value(db, "SELECT entity_id FROM ops.audit WHERE action = 'transaction.settled'") == str(row)
    assert_books_balance(db)


@pytest.mark.parametrize(
    ("kind", "verdict", "credit", "message"),
    [
        ("DEPOSIT", Verdict.FAILED, "0", "Your deposit of 100 XLM has failed"),
        ("WITHDRAW", Verdict.SUCCESS, "0", "Your withdrawal of 100 XLM has been confirmed"),
        ("WITHDRAW", Verdict.FAILED, "100", "Your withdrawal of 100 XLM has failed, and the amount was refunded"),
    ],
)
def test_each_other_proof_has_its_effect(
    db: Database, attempt: Attempt, kind: str, verdict: Verdict, credit: str, message: str
) -> None:
    user = add_user(db)
    row = add_row(db, user, type=kind, amount=Decimal(100))
    settle_now(db, attempt, {row: proof(verdict)})
    assert balance_of(db, user) == Decimal(credit)
    assert value(db, "SELECT message FROM notifications") == message
    reason = value(db, "SELECT failure_reason FROM transactions")
    assert reason == ("tx_failed (op_underfunded)" if verdict is Verdict.FAILED else None)
    assert_books_balance(db)


def test_settling_again_changes_nothing(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    row = add_row(db, user)
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS)})
    assert settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}) == {}
    with db.begin() as conn:  # somebody sets the row back by hand
        conn.execute(text("UPDATE transactions SET status = 'PENDING'"))
    assert settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}) == {row: Outcome.SETTLED}
    assert balance_of(db, user) == Decimal("10.5")
    assert count(db, "ledger_entries") == 2
    assert count(db, "ops.outbox") == 1


def test_a_row_that_changed_hands_or_content_is_lost_and_costs_nobody_else(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    stolen, changed, cancelled, fine = (add_row(db, user) for _ in range(4))
    with db.begin() as conn:
        held = hold_batch(conn, Wanted("PENDING"), owner=attempt.owner, after=None, limit=10)
    with db.begin() as conn:
        for row, change in (
            (stolen, "processing_locked_by = 'run:0:other'"),
            (changed, "amount = 1000"),
            (cancelled, "status = 'CANCELLED'"),
        ):
            conn.execute(text(f"UPDATE transactions SET {change} WHERE id = :id"), {"id": row})
    with db.begin() as conn:
        proved = [Proved(item.row, proof(Verdict.SUCCESS, number)) for number, item in enumerate(held)]
        outcomes = settle(conn, attempt, proved, notify=True, move_balances=True)
    assert outcomes == {stolen: "lost", changed: "lost", cancelled: "lost", fine: "settled"}
    assert balance_of(db, user) == Decimal("10.5")
    assert_books_balance(db)


def test_an_attempt_that_was_given_up_takes_no_free_row_any_more(db: Database, attempt: Attempt) -> None:
    row = add_row(db, add_user(db))
    assert attempt.run_id is not None
    with db.begin() as conn:
        assert hold_free(conn, attempt.owner, [row], run_id=attempt.run_id) == {row}
        conn.execute(text("UPDATE transactions SET processing_locked_at = NULL, processing_locked_by = NULL"))
        conn.execute(text("UPDATE ops.runs SET attempt_token = gen_random_uuid()"))  # tried again elsewhere
        assert hold_free(conn, attempt.owner, [row], run_id=attempt.run_id) == set()


def test_one_operation_pays_one_row_and_the_rest_of_the_batch_settles(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    first = add_row(db, user, age=timedelta(hours=2))
    second = add_row(db, user, age=timedelta(hours=1))
    third = add_row(db, user)
    outcomes = settle_now(
        db,
        attempt,
        {first: proof(Verdict.SUCCESS, 1), second: proof(Verdict.SUCCESS, 1), third: proof(Verdict.SUCCESS, 1, 1)},
    )
    assert outcomes == {first: Outcome.SETTLED, second: Outcome.REUSED, third: Outcome.SETTLED}
    assert status_of(db, second) == "PENDING"
    later = add_row(db, user)
    assert settle_now(db, attempt, {later: proof(Verdict.SUCCESS, 1)}) == {later: Outcome.REUSED}
    assert balance_of(db, user) == Decimal(21)
    assert_books_balance(db)


def test_a_rescued_deposit_is_credited(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    row = add_row(db, user)
    settle_now(db, attempt, {row: proof(Verdict.FAILED)})
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}, status="FAILED")
    assert status_of(db, row) == "SUCCESS"
    assert balance_of(db, user) == Decimal("10.5")
    assert value(db, "SELECT failure_reason FROM transactions") is None
    assert value(db, "SELECT count(*) FROM ops.outbox WHERE kind = 'transaction.rescued'") == 1
    assert_books_balance(db)


def test_a_rescued_withdrawal_gives_its_refund_back_once(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    row = add_row(db, user, type="WITHDRAW")
    settle_now(db, attempt, {row: proof(Verdict.FAILED)})
    assert balance_of(db, user) == Decimal("10.5")
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}, status="FAILED")
    assert balance_of(db, user) == 0
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET status = 'FAILED'"))
        conn.execute(text("DELETE FROM notifications"))
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}, status="FAILED")
    assert balance_of(db, user) == 0
    assert value(db, "SELECT count(*) FROM ledger_entries WHERE kind = 'REFUND_REVERSAL'") == 2
    assert_books_balance(db)


def test_a_rescued_withdrawal_without_a_refund_moves_no_money(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    row = add_row(db, user, type="WITHDRAW", status="FAILED")
    assert settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}, status="FAILED") == {row: Outcome.SETTLED}
    assert count(db, "ledger_entries") == 0


def test_a_refund_that_was_spent_is_never_taken_from_a_balance_that_lacks_it(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    row = add_row(db, user, type="WITHDRAW")
    settle_now(db, attempt, {row: proof(Verdict.FAILED)})
    spend(db, user, Decimal("0.5"))
    assert settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}, status="FAILED") == {row: Outcome.REFUND_SPENT}
    assert status_of(db, row) == "FAILED"
    assert count(db, "ops.claims") == 0
    assert balance_of(db, user) == Decimal(10)
    assert_books_balance(db)


def test_refunds_that_come_back_together_see_what_the_others_left(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    amounts = [Decimal(10), Decimal(7), Decimal(3), Decimal(2)]
    rows = [
        add_row(db, user, type="WITHDRAW", amount=amount, age=timedelta(hours=9 - number))
        for number, amount in enumerate(amounts)
    ]
    settle_now(db, attempt, {row: proof(Verdict.FAILED) for row in rows})
    spend(db, user, Decimal(16))  # 22 − 16 = 6: the first two are too much, the next two fit
    back = {row: proof(Verdict.SUCCESS, number) for number, row in enumerate(rows)}
    outcomes = settle_now(db, attempt, back, status="FAILED")
    assert [outcomes[row] for row in rows] == ["refund_spent", "refund_spent", "settled", "settled"]
    assert balance_of(db, user) == Decimal(1)
    assert_books_balance(db)


def test_without_balance_updates_nothing_moves_half(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    deposit, refund = add_row(db, user), add_row(db, user, type="WITHDRAW")
    lost, sent = add_row(db, user), add_row(db, user, type="WITHDRAW")
    outcomes = settle_now(
        db,
        attempt,
        {
            deposit: proof(Verdict.SUCCESS, 1),
            refund: proof(Verdict.FAILED),
            lost: proof(Verdict.FAILED),
            sent: proof(Verdict.SUCCESS, 2),
        },
        move_balances=False,
    )
    assert outcomes == {deposit: "held", refund: "held", lost: "settled", sent: "settled"}
    assert status_of(db, deposit) == status_of(db, refund) == "PENDING"
    assert count(db, "ledger_entries") == count(db, "balances") == 0
    assert count(db, "ops.claims") == 1


def test_without_notifications_everything_else_happens(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    row = add_row(db, user)
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS)}, notify=False)
    assert balance_of(db, user) == Decimal("10.5")
    assert count(db, "notifications") == 0


def test_a_balance_is_added_to_and_never_overwritten(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    fund(db, user, Decimal("0.00000001"))
    rows = [add_row(db, user, amount=Decimal("0.1")) for _ in range(30)]
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS, number) for number, row in enumerate(rows)})
    assert balance_of(db, user) == Decimal("3.00000001")
    assert_books_balance(db)


def test_currencies_and_issuers_have_balances_of_their_own(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    rows = [
        add_row(db, user, currency=currency, asset_issuer=issuer)
        for currency, issuer in (("XLM", None), ("USDC", "GA"), ("USDC", "GB"))
    ]
    settle_now(db, attempt, {row: proof(Verdict.SUCCESS, number) for number, row in enumerate(rows)})
    assert count(db, "balances") == 3
    assert_books_balance(db)


def test_locking_never_changes_updated_at(db: Database, attempt: Attempt) -> None:
    row = add_row(db, add_user(db), age=timedelta(hours=3))
    before = value(db, "SELECT updated_at FROM transactions")
    settle_now(db, attempt, {})
    assert value(db, "SELECT processing_locked_by FROM transactions") == attempt.owner
    assert value(db, "SELECT updated_at FROM transactions WHERE id = :id", id=row) == before
