"""On a database without constraints: one row that nobody foresaw is a case, and everything else in its batch is settled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.reconcile.picture import Verdict
from jobs.run.execute import execute
from jobs.run.store import request_run
from tests.db.books import (
    FAILED,
    PENDING,
    add_row,
    add_run,
    add_user,
    assert_books_balance,
    attempt_of,
    balance_of,
    count,
    counters,
    everything,
    open_reasons,
    proof,
    run_job,
    settle_now,
    status_of,
    value,
)

PAYER = Wallet.named("payer")
USER = Wallet.named("user")


@pytest.fixture
def loose(db: Database) -> Database:
    """The tables of an application that checks nothing."""
    with db.begin() as conn:
        conn.execute(
            text(
                "ALTER TABLE transactions DROP CONSTRAINT transactions_user_id_fkey,"
                " DROP CONSTRAINT transactions_type_check, DROP CONSTRAINT transactions_amount_check,"
                " DROP CONSTRAINT transactions_memo_type_check,"
                " ALTER COLUMN user_id DROP NOT NULL, ALTER COLUMN type DROP NOT NULL,"
                " ALTER COLUMN amount DROP NOT NULL, ALTER COLUMN currency DROP NOT NULL,"
                " ALTER COLUMN created_at DROP NOT NULL, ALTER COLUMN amount TYPE numeric,"
                " ALTER COLUMN currency TYPE text, ALTER COLUMN asset_issuer TYPE text, ALTER COLUMN tx_hash TYPE text"
            )
        )
    return db


def paid_row(db: Database, sandbox: SandboxServer, user: UUID, **values: object) -> UUID:
    """A deposit whose payment is on the chain."""
    envelope = PAYER.payment(USER.address, "10.5")
    sandbox.ledger.include([envelope])
    return add_row(db, user, **{"tx_hash": envelope.hash_hex(), **values})


def spoil(db: Database, row: UUID, change: str) -> None:
    with db.begin() as conn:
        conn.execute(text(f"UPDATE transactions SET {change} WHERE id = :id"), {"id": row})


SPOILT = [
    "user_id = NULL",
    "user_id = gen_random_uuid()",
    "type = NULL",
    "type = 'deposit'",
    "amount = NULL",
    "amount = 'NaN'",
    "amount = 'Infinity'",
    "amount = 0",
    "amount = -10.5",
    "amount = 922337203685.4775808",
    "currency = NULL",
    "currency = 'NO SUCH COIN'",
    "asset_issuer = 'GISSUER'",
    "created_at = 'infinity'",
    "created_at = '-infinity'",
    "created_at = '4713-01-01 BC'",
    "created_at = '20000-01-01'",
    "created_at = now() + interval '5 hours'",
    "created_at = NULL",
]


def test_every_odd_row_is_a_case_with_a_sentence_and_costs_nobody_else(
    loose: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = add_user(loose, USER.address)
    fine = [paid_row(loose, sandbox, user) for _ in range(3)]
    odd = [paid_row(loose, sandbox, user, age=timedelta(hours=1)) for _ in SPOILT]
    for row, change in zip(odd, SPOILT, strict=True):
        spoil(loose, row, change)
    before = everything(loose)
    dry = run_job(loose, horizon, dry_run=True)
    assert (dry.counters["cases"], dry.counters["would_settle"]) == (len(odd), 3)
    assert everything(loose) == before
    run = run_job(loose, horizon.model_copy(update={"batch_size": 7}))
    assert {change: open_reasons(loose, row) for row, change in zip(odd, SPOILT, strict=True)} == {
        change: ["ODD_ROW"] for change in SPOILT
    }
    assert [status_of(loose, row) for row in fine] == ["SUCCESS"] * 3
    assert {status_of(loose, row) for row in odd} == {"PENDING"}
    assert counters(run) == {"seen": 3 + len(odd), "settled": 3, "failed": 0, "pending": 0, "cases": len(odd)}
    assert balance_of(loose, user) == Decimal("31.5")
    assert value(loose, "SELECT count(*) FROM transactions WHERE processing_locked_by IS NOT NULL") == 0
    assert_books_balance(loose)
    run_job(loose, horizon)
    assert count(loose, "ops.reconciliation_cases") == len(odd)


def test_odd_rows_are_looked_at_less_and_less_often(loose: Database, horizon: Settings, sandbox: SandboxServer) -> None:
    user = add_user(loose, USER.address)
    for change in [*SPOILT, "tx_hash = 'no hash'", "updated_at = 'infinity', amount = -1"]:
        spoil(loose, paid_row(loose, sandbox, user, age=timedelta(hours=1)), change)
    run_job(loose, horizon)
    with loose.begin() as conn:
        run_id = request_run(conn, job=PENDING, actor="test", queued=False)
        conn.execute(text("UPDATE ops.runs SET trigger = 'retry' WHERE id = :id"), {"id": run_id})
    assert execute(loose, horizon, run_id, worker_id=None).counters["seen"] == 0


@pytest.mark.parametrize(
    ("spoilt", "mended"),
    [
        ("user_id = NULL", "user_id = (SELECT id FROM users)"),
        ("amount = -10.5", "amount = 10.5"),
        ("created_at = 'infinity'", "created_at = now() - interval '1 hour'"),
        ("currency = 'lumens!'", "currency = 'XLM'"),
    ],
)
def test_the_case_closes_itself_when_the_row_is_mended_and_the_proof_arrives(
    loose: Database, horizon: Settings, sandbox: SandboxServer, spoilt: str, mended: str
) -> None:
    row = paid_row(loose, sandbox, add_user(loose, USER.address), age=timedelta(hours=1))
    spoil(loose, row, spoilt)
    run_job(loose, horizon)
    assert open_reasons(loose, row) == ["ODD_ROW"]
    spoil(loose, row, f"{mended}, updated_at = now()")
    run_job(loose, horizon)
    assert (status_of(loose, row), open_reasons(loose, row)) == ("SUCCESS", [])
    assert_books_balance(loose)


def test_nothing_is_ever_posted_to_nobody(loose: Database) -> None:
    user = add_user(loose)
    deposit, withdrawal, fine = add_row(loose, user), add_row(loose, user, type="WITHDRAW"), add_row(loose, user)
    spoil(loose, deposit, "user_id = NULL")
    spoil(loose, withdrawal, "user_id = gen_random_uuid()")
    verdicts = {
        deposit: proof(Verdict.SUCCESS, 1),
        withdrawal: proof(Verdict.FAILED),
        fine: proof(Verdict.SUCCESS, 2),
    }
    outcomes = settle_now(loose, attempt_of(loose, add_run(loose)), verdicts)
    assert outcomes == {deposit: "lost", withdrawal: "lost", fine: "settled"}
    assert (count(loose, "ledger_entries"), count(loose, "notifications"), count(loose, "ops.outbox")) == (2, 1, 1)


def test_an_envelope_that_does_not_decode_is_a_case_only_where_the_transaction_is_absent(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = add_user(db, USER.address)
    signed = PAYER.payment(USER.address, 1).to_xdr()
    rubbish = ["AAAA garbage", "é", signed[:-9], signed[4:], "=" * 10_000, "[]"]
    absent = [add_row(db, user, age=timedelta(0), envelope_xdr=envelope) for envelope in rubbish]
    paid = [paid_row(db, sandbox, user, envelope_xdr=envelope) for envelope in rubbish]
    blank = add_row(db, user, age=timedelta(0), envelope_xdr="  ")
    run_job(db, horizon)
    assert [open_reasons(db, row) for row in absent] == [["ODD_ROW"]] * len(rubbish)
    assert [status_of(db, row) for row in paid] == ["SUCCESS"] * len(rubbish)
    assert open_reasons(db, blank) == []


def test_odd_texts_and_metadata_that_is_no_object_change_nothing(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = add_user(db, USER.address)
    rows = [
        paid_row(db, sandbox, user, metadata=metadata, destination=destination)
        for metadata in ("[]", '"text"', "null", "1e400", None)
        for destination in (None, "")
    ]
    long = paid_row(db, sandbox, user, memo_type="text", memo="\u0001\u202e\U0001f4b8" * 3_333)
    strange = paid_row(db, sandbox, user, destination="\u0130" * 56)
    run_job(db, horizon)
    assert [status_of(db, row) for row in rows] == ["SUCCESS"] * len(rows)
    assert open_reasons(db, long) == ["MEMO_MISMATCH"]
    assert open_reasons(db, strange) == ["DESTINATION_MISMATCH"]


def test_the_retry_job_leaves_odd_rows_as_they_are(loose: Database, horizon: Settings, sandbox: SandboxServer) -> None:
    user = add_user(loose, USER.address)
    odd = [paid_row(loose, sandbox, user, status="FAILED") for _ in SPOILT]
    for row, change in zip(odd, SPOILT, strict=True):
        spoil(loose, row, change)
    fine = paid_row(loose, sandbox, user, status="FAILED")
    assert run_job(loose, horizon, FAILED).counters["rescued"] == 1
    assert status_of(loose, fine) == "SUCCESS"
    assert {status_of(loose, row) for row in odd} == {"FAILED"}
    assert count(loose, "ops.reconciliation_cases") == 0


def test_rows_without_a_time_are_looked_at_once_a_run_and_all_in_the_end(loose: Database, horizon: Settings) -> None:
    user = add_user(loose, USER.address)
    for _ in range(25):
        spoil(loose, add_row(loose, user, tx_hash=uuid4().hex * 2), "created_at = NULL")
    small = horizon.model_copy(update={"batch_size": 10})
    with loose.begin() as conn:
        runs = [request_run(conn, job=PENDING, actor="test", queued=False) for _ in range(3)]
        conn.execute(text("UPDATE ops.runs SET trigger = 'retry'"))
    assert [execute(loose, small, run, worker_id=None).counters["seen"] for run in runs] == [10, 10, 5]
    assert count(loose, "ops.reconciliation_cases") == 25


@pytest.mark.parametrize("number", [1, 6])  # by hash, and enough to read a page
def test_a_record_that_nobody_can_read_is_a_case_in_the_end_and_costs_nobody_else(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, number: int
) -> None:
    old = [paid_row(db, sandbox, user, age=timedelta(hours=30)) for _ in range(number)]
    for row in old:
        spoil_record(sandbox, str(value(db, "SELECT tx_hash FROM transactions WHERE id = :id", id=row)))
    young = paid_row(db, sandbox, user)
    spoil_record(sandbox, str(value(db, "SELECT tx_hash FROM transactions WHERE id = :id", id=young)))
    fine = paid_row(db, sandbox, user)
    run = run_job(db, horizon)
    assert counters(run) == {"seen": number + 2, "settled": 1, "failed": 0, "pending": 1, "cases": number}
    assert {tuple(open_reasons(db, row)) for row in old} == {("EXPIRED_UNPROVEN",)}
    assert (status_of(db, fine), open_reasons(db, young)) == ("SUCCESS", [])
    assert value(db, "SELECT failures FROM ops.horizon_servers") == 0


def spoil_record(sandbox: SandboxServer, tx_hash: str) -> None:
    """As if a later protocol had written its result."""
    entry = sandbox.ledger.chain.find(tx_hash)
    assert entry is not None
    object.__setattr__(
        entry, "body", entry.body.replace(entry.result_xdr.encode(), b"AAAAAAAAAGQAAAAAAAAAAQAAAAAAAAB/")
    )
