"""A person's decision on a case: what the chain shows at that moment allows it or not, and it is done once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from stellar_sdk import Payment as PaymentOperation

from jobs.core.db import Database
from jobs.core.errors import Forbidden
from jobs.core.flags import Flag
from jobs.core.people import Person
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import XLM, memo
from jobs.reconcile.verdicts import Choice
from tests.db.books import (
    FAILED,
    add_row,
    add_user,
    assert_books_balance,
    balance_of,
    open_reasons,
    run_job,
    status_of,
    switch,
    value,
)
from tests.db.deciding import (
    ANN,
    ISSUER,
    PAYER,
    STRANGER,
    USDC,
    USER,
    decide,
    mismatch,
    paid,
    refused,
    seen,
    top_up,
    withdrawal,
)

pytestmark = pytest.mark.usefixtures("books_are_proved")


def test_a_deposit_of_another_amount_is_credited_with_what_arrived(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, "10.1234567")
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    case = seen(db, row)
    assert "SUCCESS" in decide(db, horizon, case, Choice.ACCEPT)
    assert balance_of(db, user) == Decimal("10.1234567")
    assert value(db, "SELECT amount FROM transactions WHERE id = :id", id=row) == Decimal("10.1234567")
    assert value(db, "SELECT message FROM notifications") == "Your deposit of 10.1234567 XLM has been confirmed"
    assert value(db, "SELECT payload ->> 'amount' FROM ops.outbox") == "10.1234567"
    assert value(db, "SELECT transaction_id FROM ops.claims WHERE tx_hash = :hash", hash=envelope.hash_hex()) == row
    with db.read() as conn:
        audited = conn.execute(
            text("SELECT actor, old, new, reason, origin FROM ops.audit WHERE action = 'transaction.settled'")
        ).one()
        decided = conn.execute(
            text("SELECT decided_by, run_id, verdict FROM ops.decisions WHERE verdict <> 'case'")
        ).one()
        closed = conn.execute(text("SELECT resolved_by, decision, resolution FROM ops.reconciliation_cases")).one()
    assert audited.old["amount"] == "10.50000000"
    assert audited.new["amount"] == "10.1234567"
    assert (audited.actor, audited.reason, audited.origin) == (ANN.email, "Agreed with the sender.", "dashboard")
    assert tuple(decided) == (ANN.email, None, "accepted")
    assert tuple(closed) == (ANN.email, "accepted", "Agreed with the sender.")
    assert_books_balance(db)
    refused(db, horizon, case, Choice.ACCEPT, r"already closed by ann@example\.org")


def test_a_deposit_of_another_asset_is_credited_in_that_asset(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, 7, USDC)
    row = add_row(db, user, tx_hash=envelope.hash_hex(), amount=Decimal(7))
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    assert open_reasons(db, row) == ["ASSET_MISMATCH"]
    decide(db, horizon, seen(db, row), Choice.ACCEPT)
    assert (balance_of(db, user), balance_of(db, user, "USDC")) == (0, 7)
    assert value(db, "SELECT asset_issuer FROM balances") == ISSUER
    assert value(db, "SELECT currency || asset_issuer FROM transactions") == f"USDC{ISSUER}"
    assert_books_balance(db)


def test_another_memo_and_another_receiver_can_be_accepted(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    noted, strayed = (
        PAYER.payment(USER.address, "10.5", memo=memo("text", "B")),
        PAYER.payment(STRANGER.address, "10.5"),
    )
    rows = [
        add_row(db, user, tx_hash=noted.hash_hex(), memo_type="text", memo="A"),
        add_row(db, user, tx_hash=strayed.hash_hex()),
    ]
    sandbox.ledger.include([noted, strayed])
    run_job(db, horizon)
    assert [open_reasons(db, row) for row in rows] == [["MEMO_MISMATCH"], ["DESTINATION_MISMATCH"]]
    for row in rows:
        decide(db, horizon, seen(db, row), Choice.ACCEPT)
    assert [status_of(db, row) for row in rows] == ["SUCCESS", "SUCCESS"]
    assert value(db, "SELECT memo FROM transactions WHERE id = :id", id=rows[0]) == "A"
    assert balance_of(db, user) == 21
    assert_books_balance(db)


def test_a_withdrawal_that_paid_out_less_gives_the_rest_back_and_one_that_paid_more_takes_it(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    ends = []
    for sent, extra in ((90, 0), (130, 50), (130, 10)):
        user = add_user(db, USER.address)
        envelope = PAYER.payment(STRANGER.address, sent)
        row = withdrawal(db, user, tx_hash=envelope.hash_hex(), destination=STRANGER.address)
        if extra:
            top_up(db, user, extra)
        sandbox.ledger.include([envelope])
        run_job(db, horizon)
        if extra < sent - 100:
            refused(db, horizon, seen(db, row), Choice.ACCEPT, "does not cover")
        else:
            decide(db, horizon, seen(db, row), Choice.ACCEPT)
        ends.append((status_of(db, row), balance_of(db, user)))
        assert_books_balance(db)
    assert ends == [("SUCCESS", 10), ("SUCCESS", 20), ("PENDING", 10)]


def test_a_withdrawal_in_another_asset_cannot_be_accepted(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(STRANGER.address, 100, USDC)
    row = withdrawal(db, user, tx_hash=envelope.hash_hex(), destination=STRANGER.address)
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    refused(db, horizon, seen(db, row), Choice.ACCEPT, "does not allow that")


def test_what_another_row_has_a_right_to_is_not_accepted(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, 10)
    row = add_row(db, user, tx_hash=envelope.hash_hex(), age=timedelta(hours=2))
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    case = seen(db, row)
    exact = add_row(db, user, tx_hash=envelope.hash_hex(), amount=Decimal(10))
    refused(db, horizon, case, Choice.ACCEPT, str(exact))
    run_job(db, horizon)
    assert status_of(db, exact) == "SUCCESS"
    refused(db, horizon, case, Choice.ACCEPT, str(exact))


def test_a_split_payment_has_no_single_one_to_accept(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    half = PaymentOperation(USER.address, XLM, "5.25")
    envelope = PAYER.transaction(half, half)
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    refused(db, horizon, seen(db, row), Choice.ACCEPT, "No single payment")


def test_a_row_that_was_mended_is_no_longer_what_was_shown(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, 10)
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    case = seen(db, row)
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET amount = 10"))
    refused(db, horizon, case, Choice.ACCEPT, "has changed since you looked")
    refused(db, horizon, seen(db, row), Choice.ACCEPT, "no longer shows this difference")


def test_marking_a_withdrawal_as_failed_refunds_it_once_and_the_rescue_takes_it_back(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(STRANGER.address, 100)
    row = withdrawal(db, user, tx_hash=envelope.hash_hex(), destination=STRANGER.address, age=timedelta(minutes=50))
    lower = horizon.model_copy(update={"expire_unproven_after_h": 0})
    run_job(db, lower)
    assert open_reasons(db, row) == ["EXPIRED_UNPROVEN"]
    said = decide(db, horizon, seen(db, row), Choice.FAIL)
    assert "It may still land" in said
    assert (status_of(db, row), balance_of(db, user)) == ("FAILED", 100)
    assert "by a person" in str(value(db, "SELECT failure_reason FROM transactions WHERE id = :id", id=row))
    assert value(db, "SELECT count(*) FROM ledger_entries WHERE kind = 'WITHDRAW_REFUND'") == 2
    assert_books_balance(db)
    sandbox.ledger.include([envelope])
    run_job(db, horizon, FAILED)
    assert (status_of(db, row), balance_of(db, user)) == ("SUCCESS", 0)
    assert_books_balance(db)


def test_what_was_included_after_the_person_looked_cannot_be_marked_as_failed(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    run_job(db, horizon.model_copy(update={"expire_unproven_after_h": 0}))
    case = seen(db, row)
    sandbox.ledger.include([envelope])
    refused(db, horizon, case, Choice.FAIL, "included successfully")


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("plain-503", "no answer"),
        ("timeout", "no answer"),
        ("lag", "behind"),
        ("all-404", "."),
        ("wrong-network", "."),
    ],
)
def test_without_an_answer_that_counts_nothing_is_marked_as_failed(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, fault: str, match: str
) -> None:
    row = add_row(db, user)
    run_job(db, horizon.model_copy(update={"expire_unproven_after_h": 0}))
    case = seen(db, row)
    with db.begin() as conn:  # what is behind is another thing than what went back
        conn.execute(text("DELETE FROM ops.horizon_servers"))
    sandbox.faults.set(fault, **({"path": "/transactions"} if fault in ("plain-503", "timeout") else {}))
    refused(db, horizon, case, Choice.FAIL, match)
    sandbox.faults.clear()


def test_a_row_without_a_hash_is_asked_for_by_what_was_signed(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    signed = add_row(db, user, tx_hash=None, envelope_xdr=envelope.to_xdr(), age=timedelta(hours=2))
    bare = add_row(db, user, tx_hash=None, age=timedelta(hours=2))
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    refused(db, horizon, seen(db, signed), Choice.FAIL, "included successfully")
    assert "nothing shows that it was never sent" in decide(db, horizon, seen(db, bare), Choice.FAIL)
    decide(db, horizon, seen(db, signed), Choice.LINK, tx_hash=envelope.hash_hex())
    run_job(db, horizon)
    assert (status_of(db, signed), status_of(db, bare), balance_of(db, user)) == ("SUCCESS", "FAILED", Decimal("10.5"))


def test_waiting_keeps_the_reason_quiet_until_its_time(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    row = add_row(db, user, tx_hash=None, age=timedelta(hours=2))
    run_job(db, horizon)
    case = seen(db, row)
    now = datetime.now(UTC)
    refused(db, horizon, case, Choice.WAIT, "in the future", until=now - timedelta(minutes=1))
    refused(db, horizon, case, Choice.WAIT, "90 days", until=now + timedelta(days=91))
    oncall = Person(uuid4(), "cy@example.org", "Cy", frozenset({Role.ON_CALL}))
    decide(db, horizon, case, Choice.WAIT, until=now + timedelta(hours=6), who=oncall)
    run_job(db, horizon)
    assert (open_reasons(db, row), status_of(db, row)) == ([], "PENDING")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.reconciliation_cases SET quiet_until = now() - interval '1 second'"))
    run_job(db, horizon)
    assert open_reasons(db, row) == ["NO_HASH"]


def test_linking_takes_another_hash_that_pays_and_leaves_the_settling_to_proof(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    wrong, right = PAYER.payment(STRANGER.address, 3), PAYER.payment(USER.address, "10.5")
    failed = PAYER.failing_payment(USER.address)
    row = add_row(db, user, tx_hash=wrong.hash_hex())
    sandbox.ledger.include([wrong, right, failed])
    run_job(db, horizon)
    case = seen(db, row)
    refused(db, horizon, case, Choice.LINK, "malformed", tx_hash="abc")
    refused(db, horizon, case, Choice.LINK, "not show the other transaction as included", tx_hash="ab" * 32)
    refused(db, horizon, case, Choice.LINK, "has this hash already", tx_hash=wrong.hash_hex())
    refused(db, horizon, case, Choice.LINK, "failed on the chain", tx_hash=failed.hash_hex())
    refused(db, horizon, case, Choice.LINK, "does not pay this row", tx_hash=paid(sandbox))
    decide(db, horizon, case, Choice.LINK, tx_hash=right.hash_hex().upper())
    assert (status_of(db, row), balance_of(db, user), open_reasons(db, row)) == ("PENDING", 0, [])
    with db.read() as conn:
        audited = conn.execute(text("SELECT old, new FROM ops.audit WHERE action = 'transaction.linked'")).one()
    assert (audited.old["tx_hash"], audited.new["tx_hash"]) == (wrong.hash_hex(), right.hash_hex())
    run_job(db, horizon)
    assert (status_of(db, row), balance_of(db, user)) == ("SUCCESS", Decimal("10.5"))


def test_a_repetition_is_cancelled_only_when_the_other_row_was_paid_and_a_withdrawal_comes_back(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(STRANGER.address, 100)
    first = add_row(
        db, user, type="WITHDRAW", amount=Decimal(100), tx_hash=envelope.hash_hex(), destination=STRANGER.address,
        age=timedelta(hours=2),
    )  # fmt: skip
    again = withdrawal(db, user, tx_hash=envelope.hash_hex(), destination=STRANGER.address)
    sandbox.ledger.include([envelope])
    run_job(db, horizon, transaction_id=str(again))
    refused(db, horizon, seen(db, again), Choice.CANCEL, "not paid yet")
    run_job(db, horizon)
    assert str(first) in decide(db, horizon, seen(db, again), Choice.CANCEL)
    assert (status_of(db, first), status_of(db, again), balance_of(db, user)) == ("SUCCESS", "CANCELLED", 100)
    assert "has been cancelled, and the amount was refunded" in str(
        value(db, "SELECT message FROM notifications WHERE related_id = :id", id=again)
    )
    assert_books_balance(db)


def test_a_failed_row_that_was_paid_otherwise_is_accepted_and_its_refund_comes_back_as_paid(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(STRANGER.address, 90)
    row = withdrawal(db, user, tx_hash=envelope.hash_hex(), destination=STRANGER.address, age=timedelta(hours=2))
    run_job(db, horizon.model_copy(update={"expire_unproven_after_h": 0}))
    decide(db, horizon, seen(db, row), Choice.FAIL)
    sandbox.ledger.include([envelope])
    run_job(db, horizon, FAILED)
    decide(db, horizon, seen(db, row), Choice.ACCEPT)
    assert (status_of(db, row), balance_of(db, user)) == ("SUCCESS", 10)
    assert_books_balance(db)


def test_flags_and_rights_are_asked_again_when_it_commits(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    _, case = mismatch(db, horizon, sandbox, user)
    oncall = Person(uuid4(), "cy@example.org", "Cy", frozenset({Role.ON_CALL}))
    for choice in (Choice.ACCEPT, Choice.LINK):
        with pytest.raises(Forbidden):
            decide(db, horizon, case, choice, who=oncall, tx_hash="ab" * 32)
    switch(db, Flag.BALANCE_UPDATES, False)
    refused(db, horizon, case, Choice.ACCEPT, "enableBalanceUpdates is off")
    switch(db, Flag.BALANCE_UPDATES, True)
    switch(db, Flag.DRY_RUN, True)
    refused(db, horizon, case, Choice.ACCEPT, "dryRun is on")


def test_a_server_that_is_away_is_a_sentence(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, settings: Settings
) -> None:
    _, case = mismatch(db, horizon, sandbox, user)
    refused(db, settings, case, Choice.ACCEPT, ".")
