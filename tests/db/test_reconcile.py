"""The jobs against a real Horizon over HTTP and a real PostgreSQL: what is asked, what is proved, what moves."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import text
from stellar_sdk import Payment, TransactionEnvelope

from jobs.core.db import Database
from jobs.core.flags import Flag
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import XLM, Wallet, asset, memo, muxed
from jobs.run.store import RunRow
from tests.db.books import (
    FAILED,
    add_row,
    add_user,
    assert_books_balance,
    balance_of,
    count,
    counters,
    everything,
    fund,
    open_reasons,
    recent,
    run_job,
    spend,
    status_of,
    switch,
    value,
)

PAYER = Wallet.named("payer")
USER = Wallet.named("user")


def test_each_way_of_paying_settles_its_row(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    issuer = Wallet.named("issuer").address
    usdc = asset("USDC", issuer)
    fresh = Wallet.named("fresh")
    ways: list[tuple[TransactionEnvelope, dict[str, str | int]]] = [
        (PAYER.payment(USER.address, "10.5"), {}),
        (PAYER.payment(USER.address, 3, usdc), {"amount": 3, "currency": "USDC", "asset_issuer": issuer}),
        (PAYER.create_account(fresh.address, 7), {"amount": 7, "destination": fresh.address}),
        (PAYER.path_send(USER.address, (9, XLM), (2, XLM)), {"amount": 9}),
        (PAYER.path_receive(USER.address, (9, XLM), (8, XLM)), {"amount": 8}),
        (PAYER.payment(muxed(USER.address, 0), 4), {"amount": 4, "destination": muxed(USER.address, 0)}),
        (
            PAYER.payment(USER.address, 5, memo=memo("text", "order 5")),
            {"amount": 5, "memo_type": "text", "memo": "order 5"},
        ),
    ]
    rows = [
        add_row(db, user, tx_hash=envelope.hash_hex(), age=timedelta(minutes=5), **changes)
        for envelope, changes in ways
    ]
    sandbox.ledger.include([envelope for envelope, _ in ways])
    run = run_job(db, horizon)
    assert [status_of(db, row) for row in rows] == ["SUCCESS"] * len(rows)
    assert counters(run) == {"seen": 7, "settled": 7, "failed": 0, "pending": 0, "cases": 0}
    assert abs(run.counters["requests_estimated"] - run.counters["requests"]) <= 2
    assert_books_balance(db)


def test_a_fee_bump_pays_once_whichever_hash_a_row_holds(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    inner = PAYER.payment(USER.address, "10.5")
    outer = Wallet.named("sponsor").fee_bump(inner)
    by_outer = add_row(db, user, tx_hash=outer.hash_hex(), age=timedelta(hours=2))
    by_inner = add_row(db, user, tx_hash=inner.hash_hex().upper())
    sandbox.ledger.include([outer])
    run_job(db, horizon)
    assert (status_of(db, by_outer), status_of(db, by_inner)) == ("SUCCESS", "PENDING")
    assert open_reasons(db, by_inner) == ["HASH_REUSED"]
    assert value(db, "SELECT tx_hash FROM ops.claims") == inner.hash_hex()
    assert balance_of(db, user) == Decimal("10.5")


def test_an_older_row_whose_look_up_failed_still_has_the_better_right(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    inner = Wallet.named("another payer").payment(USER.address, "10.5")
    outer = Wallet.named("sponsor").fee_bump(inner)
    sandbox.ledger.include([outer])
    older = add_row(db, user, tx_hash=inner.hash_hex(), age=timedelta(hours=1))
    younger = add_row(db, user, tx_hash=outer.hash_hex())
    sandbox.faults.set("service-unavailable", path=f"/transactions/{inner.hash_hex()}")
    run_job(db, horizon, limit=2)
    assert (status_of(db, older), status_of(db, younger)) == ("PENDING", "PENDING")
    assert open_reasons(db, younger) == ["HASH_REUSED"]


def test_a_deposit_and_a_withdrawal_that_failed_on_the_chain_end_failed_and_the_user_is_refunded(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    first, second = PAYER.failing_payment(USER.address), PAYER.failing_payment(USER.address)
    deposit = add_row(db, user, tx_hash=first.hash_hex())
    withdrawal = add_row(db, user, tx_hash=second.hash_hex(), type="WITHDRAW", amount=Decimal(4))
    sandbox.ledger.include([first, second])
    assert counters(run_job(db, horizon))["failed"] == 2
    assert (status_of(db, deposit), status_of(db, withdrawal)) == ("FAILED", "FAILED")
    assert balance_of(db, user) == 4
    assert "op_underfunded" in str(value(db, "SELECT failure_reason FROM transactions WHERE id = :id", id=deposit))
    assert_books_balance(db)


def test_what_differs_becomes_a_case_that_closes_itself_when_the_row_is_mended(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, 10)
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    assert counters(run_job(db, horizon))["cases"] == 1
    run_job(db, horizon)
    assert open_reasons(db, row) == ["AMOUNT_MISMATCH"]
    assert count(db, "ops.reconciliation_cases") == 1
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET amount = 10"))
    run = run_job(db, horizon)
    assert open_reasons(db, row) == []
    assert value(db, "SELECT resolved_by FROM ops.reconciliation_cases") == f"run:{run.id}"
    assert status_of(db, row) == "SUCCESS"


def test_several_rows_on_one_hash_are_paid_by_operations_of_their_own(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    payment = Payment(USER.address, XLM, "10.5")
    envelope = PAYER.transaction(payment, payment)
    rows = [add_row(db, user, tx_hash=envelope.hash_hex(), age=timedelta(hours=9 - number)) for number in range(3)]
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    assert [status_of(db, row) for row in rows] == ["SUCCESS", "SUCCESS", "PENDING"]
    assert open_reasons(db, rows[2]) == ["HASH_REUSED"]


def test_a_row_without_a_hash_an_odd_one_and_a_garbled_envelope_never_stop_the_batch(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    nobody = add_user(db, None)
    envelope = PAYER.payment(USER.address, "10.5")
    sandbox.ledger.include([envelope])
    old = timedelta(hours=30)
    odd = {
        "NO_HASH": add_row(db, nobody, tx_hash=None, age=old),
        "INVALID_HASH": add_row(db, nobody, tx_hash="not a hash", age=old),
        "DESTINATION_MISMATCH": add_row(db, nobody, tx_hash=envelope.hash_hex(), age=old),
        "BEYOND_HISTORY": add_row(db, nobody, envelope_xdr="AAAA garbage", age=old),
        "ODD_ROW": add_row(db, nobody, amount=Decimal("NaN"), age=old),
    }
    fine_envelope = PAYER.payment(USER.address, "1.5")
    fine = add_row(db, nobody, destination=USER.address, amount=Decimal("1.5"), tx_hash=fine_envelope.hash_hex())
    sandbox.ledger.include([fine_envelope])
    run = run_job(db, horizon)
    assert {reason: open_reasons(db, row) for reason, row in odd.items()} == {reason: [reason] for reason in odd}
    assert status_of(db, fine) == "SUCCESS"
    assert counters(run) == {"seen": 6, "settled": 1, "failed": 0, "pending": 0, "cases": 5}


# Never -------------------------------------------------------------------------------------------------------


def test_an_envelope_whose_time_has_passed_is_never_and_the_money_comes_back(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    gone = PAYER.payment(USER.address, "10.5", max_time=int(time.time()) - 60)
    open_ = PAYER.payment(USER.address, "10.5", max_time=int(time.time()) + 3600)
    late = recent(db, user, tx_hash=gone.hash_hex(), envelope_xdr=gone.to_xdr())
    waiting = recent(db, user, tx_hash=open_.hash_hex(), envelope_xdr=open_.to_xdr())
    foreign = recent(db, user, envelope_xdr=gone.to_xdr())
    sandbox.ledger.close_ledger()
    run_job(db, horizon)
    assert [status_of(db, row) for row in (late, waiting, foreign)] == ["FAILED", "PENDING", "PENDING"]
    assert balance_of(db, user) == Decimal("10.5")
    assert "Never included" in str(value(db, "SELECT failure_reason FROM transactions WHERE id = :id", id=late))
    assert_books_balance(db)


def test_ledger_bounds_and_a_spent_sequence_number_are_never_too(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    source = Wallet.named("source")
    first = source.payment(USER.address, 1, sequence=1_000)
    rival = source.payment(USER.address, 2, sequence=1_000)
    later = source.payment(USER.address, 3, sequence=1_001)
    bounded = PAYER.payment(USER.address, 4, max_ledger=sandbox.ledger.latest.sequence)
    spent, open_, short = (
        recent(db, user, tx_hash=envelope.hash_hex(), envelope_xdr=envelope.to_xdr())
        for envelope in (rival, later, bounded)
    )
    sandbox.ledger.include([first])
    run_job(db, horizon)
    assert [status_of(db, row) for row in (spent, open_, short)] == ["FAILED", "PENDING", "FAILED"]


def test_a_fee_bump_that_is_absent_but_whose_inner_transaction_was_included_is_paid(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    inner = PAYER.payment(USER.address, "10.5")
    outer = Wallet.named("sponsor").fee_bump(inner)
    row = add_row(db, user, age=timedelta(0), tx_hash=outer.hash_hex(), envelope_xdr=outer.to_xdr())
    sandbox.ledger.include([inner])
    run_job(db, horizon)
    assert status_of(db, row) == "SUCCESS"


def test_one_row_that_the_database_refuses_costs_nobody_else(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    rich = add_user(db, USER.address)
    fund(db, rich, Decimal("99999999999999999999.99999999"))
    envelopes = [PAYER.payment(USER.address, "10.5") for _ in range(9)]
    rows = [
        add_row(db, rich if number == 4 else user, tx_hash=envelope.hash_hex())
        for number, envelope in enumerate(envelopes)
    ]
    sandbox.ledger.include(envelopes)
    run = run_job(db, horizon)
    assert [status_of(db, row) for row in rows] == ["SUCCESS"] * 4 + ["PENDING"] + ["SUCCESS"] * 4
    assert (run.counters["settled"], run.counters["odd"], run.counters["cases"]) == (8, 1, 1)
    assert open_reasons(db, rows[4]) == ["ODD_ROW"]
    assert "numeric field overflow" in str(value(db, "SELECT details->>'sentence' FROM ops.reconciliation_cases"))
    assert_books_balance(db)


def test_one_row_that_a_trigger_of_the_application_refuses_costs_nobody_else(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    watched = add_user(db, USER.address)
    guard(db, "INSERT ON balances", watched)
    envelopes = [PAYER.payment(USER.address, "10.5") for _ in range(5)]
    rows = [
        add_row(db, watched if number == 2 else user, tx_hash=envelope.hash_hex())
        for number, envelope in enumerate(envelopes)
    ]
    sandbox.ledger.include(envelopes)
    run = run_job(db, horizon)
    assert (counters(run)["settled"], counters(run)["cases"]) == (4, 1)
    assert open_reasons(db, rows[2]) == ["ODD_ROW"]
    assert "under review" in str(value(db, "SELECT details->>'sentence' FROM ops.reconciliation_cases"))
    assert_books_balance(db)
    guard(db, "UPDATE ON transactions", watched)
    refused = run_job(db, horizon)  # not even held: that is said in one line, without the statement
    assert (refused.state, refused.error) == ("failed", "this account is under review")


def guard(db: Database, what: str, user: UUID) -> None:
    """A trigger of the application that refuses a user's rows."""
    with db.begin() as conn:
        conn.execute(
            text(
                "CREATE OR REPLACE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" IF NEW.user_id = '{user}' THEN RAISE EXCEPTION 'this account is under review'; END IF;"
                " RETURN NEW; END $$"
            )
        )
        conn.execute(text(f"CREATE TRIGGER guard BEFORE {what} FOR EACH ROW EXECUTE FUNCTION guard()"))


# Runs --------------------------------------------------------------------------------------------------------


def test_a_second_run_over_a_thousand_rows_changes_nothing_and_a_dry_one_neither(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelopes = [PAYER.payment(USER.address, "10.5", signed=False) for _ in range(900)]
    failures = [PAYER.failing_payment(USER.address, signed=False) for _ in range(50)]
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO transactions (user_id, type, amount, currency, tx_hash)"
                " SELECT :user, CASE WHEN n % 2 = 0 THEN 'DEPOSIT' ELSE 'WITHDRAW' END, 10.5, 'XLM', h"
                " FROM unnest(CAST(:hashes AS text[])) WITH ORDINALITY AS a(h, n)"
            ),
            {
                "user": user,
                "hashes": [each.hash_hex() for each in envelopes + failures] + [uuid4().hex * 2 for _ in range(50)],
            },
        )
    for start in range(0, 900, 300):
        sandbox.ledger.include(envelopes[start : start + 300])
    sandbox.ledger.include(failures)
    before = everything(db)
    dry = run_job(db, horizon, dry_run=True)
    assert everything(db) == before
    assert dry.counters["would_settle"] == 900
    assert value(db, "SELECT count(*) FROM ops.decisions WHERE dry_run") == 950
    run = run_job(db, horizon)
    assert counters(run) == {"seen": 1000, "settled": 900, "failed": 50, "pending": 50, "cases": 0}
    assert (run.progress_done, run.progress_total) == (1000, 1000)
    assert_books_balance(db)
    after = everything(db)
    assert counters(run_job(db, horizon)) == {"seen": 50, "settled": 0, "failed": 0, "pending": 50, "cases": 0}
    assert everything(db) == after


def test_two_runs_at_once_settle_each_row_once(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelopes = [PAYER.payment(USER.address, "10.5", signed=False) for _ in range(200)]
    for envelope in envelopes:
        for _ in range(2):  # two rows on each hash: one of each pair may be paid
            add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include(envelopes)
    small = horizon.model_copy(update={"batch_size": 25})
    runs: list[RunRow] = []
    threads = [threading.Thread(target=lambda: runs.append(run_job(db, small))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(run.counters["settled"] for run in runs) == 200
    assert value(db, "SELECT count(*) FROM transactions WHERE status = 'SUCCESS'") == 200
    assert value(db, "SELECT count(*) FROM ops.reconciliation_cases WHERE reason = 'HASH_REUSED'") == 200
    assert balance_of(db, user) == Decimal(2100)
    assert_books_balance(db)


def test_retry_rescues_what_the_network_proves_and_leaves_the_rest(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    paid, sent, lost = (PAYER.payment(USER.address, "10.5") for _ in range(3))
    failed = PAYER.failing_payment(USER.address)
    sandbox.ledger.include([paid, sent, failed])
    deposit = add_row(db, user, tx_hash=paid.hash_hex(), status="FAILED")
    withdrawal = add_row(db, user, tx_hash=sent.hash_hex(), status="FAILED", type="WITHDRAW")
    still = add_row(db, user, tx_hash=failed.hash_hex(), status="FAILED")
    absent = add_row(db, user, tx_hash=lost.hash_hex(), status="FAILED", envelope_xdr=lost.to_xdr())
    old = add_row(db, user, tx_hash=paid.hash_hex(), status="FAILED", age=timedelta(hours=25))
    pending = add_row(db, user, tx_hash=lost.hash_hex())
    run = run_job(db, horizon, FAILED)
    assert run.counters["rescued"] == 2
    rows = (deposit, withdrawal, still, absent, old, pending)
    assert [status_of(db, row) for row in rows] == ["SUCCESS", "SUCCESS", "FAILED", "FAILED", "FAILED", "PENDING"]
    assert balance_of(db, user) == Decimal("10.5")
    assert_books_balance(db)


def test_a_rescue_takes_the_refund_back_or_opens_a_case_when_it_was_spent(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    gone, kept = (PAYER.payment(USER.address, "10.5", max_time=int(time.time()) - 60) for _ in range(2))
    spender = add_user(db, USER.address)
    rows = [
        recent(db, owner, tx_hash=envelope.hash_hex(), envelope_xdr=envelope.to_xdr())
        for owner, envelope in ((user, gone), (spender, kept))
    ]
    sandbox.ledger.close_ledger()
    run_job(db, horizon)
    assert balance_of(db, user) == balance_of(db, spender) == Decimal("10.5")
    spend(db, spender, Decimal(1))
    real = [PAYER.payment(USER.address, "10.5") for _ in rows]
    with db.begin() as conn:  # the same payments did land, under hashes that were learnt later
        for row, envelope in zip(rows, real, strict=True):
            conn.execute(
                text("UPDATE transactions SET tx_hash = :hash WHERE id = :id"), {"hash": envelope.hash_hex(), "id": row}
            )
    sandbox.ledger.include(real)
    for _ in range(2):
        run_job(db, horizon, FAILED)
    assert [status_of(db, row) for row in rows] == ["SUCCESS", "FAILED"]
    assert (balance_of(db, user), balance_of(db, spender)) == (Decimal(0), Decimal("9.5"))
    assert open_reasons(db, rows[1]) == ["REFUND_SPENT"]
    assert_books_balance(db)
    refill = PAYER.payment(USER.address, 1)
    add_row(db, spender, amount=Decimal(1), tx_hash=refill.hash_hex())
    sandbox.ledger.include([refill])
    run_job(db, horizon)
    run_job(db, horizon, FAILED)
    assert status_of(db, rows[1]) == "SUCCESS"
    assert balance_of(db, spender) == 0
    assert open_reasons(db, rows[1]) == []
    assert_books_balance(db)


def test_flags_decide_what_a_run_may_do(db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    switch(db, Flag.RECONCILIATION, False)
    assert run_job(db, horizon).state == "skipped"
    switch(db, Flag.RECONCILIATION, True)
    switch(db, Flag.DRY_RUN, True)
    assert run_job(db, horizon).counters["would_settle"] == 1
    switch(db, Flag.DRY_RUN, False)
    switch(db, Flag.BALANCE_UPDATES, False)
    assert run_job(db, horizon).counters["held"] == 1
    assert status_of(db, row) == "PENDING"
    switch(db, Flag.BALANCE_UPDATES, True)
    switch(db, Flag.NOTIFICATIONS, False)
    run_job(db, horizon)
    assert (status_of(db, row), count(db, "notifications")) == ("SUCCESS", 0)
