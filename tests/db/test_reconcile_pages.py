"""Reading pages instead of asking for each hash: fewer requests, the same decisions, and cursors that pass nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from stellar_sdk import TransactionEnvelope

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet, memo
from jobs.reconcile import reading, reconcile
from jobs.run.store import RunRow, list_logs
from tests.db.books import (
    add_row,
    assert_books_balance,
    balance_of,
    count,
    counters,
    everything,
    open_reasons,
    run_job,
    status_of,
    value,
)

PAYER = Wallet.named("payer")
CUSTODY, OTHER = Wallet.named("custody").address, Wallet.named("other custody").address


def pay(sandbox: SandboxServer, number: int, to: str = CUSTODY, amount: str = "10.5") -> list[TransactionEnvelope]:
    """Payments on the chain, a hundred a ledger."""
    envelopes = [PAYER.payment(to, amount, signed=False) for _ in range(number)]
    for start in range(0, number, 100):
        sandbox.ledger.include(envelopes[start : start + 100])
    return envelopes


def expect(db: Database, user: UUID, envelopes: list[TransactionEnvelope], to: str = CUSTODY) -> None:
    """A pending deposit for each of them."""
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO transactions (user_id, type, amount, currency, destination, tx_hash, created_at)"
                " SELECT :user, 'DEPOSIT', 10.5, 'XLM', :to, h, now() - interval '1 minute'"
                " FROM unnest(CAST(:hashes AS text[])) AS a(h)"
            ),
            {"user": user, "to": to, "hashes": [each.hash_hex() for each in envelopes]},
        )


def pages(db: Database) -> int:
    """Pages asked for so far, by the requests that were counted."""
    found = value(db, "SELECT coalesce(sum(count), 0) FROM ops.horizon_requests WHERE endpoint LIKE '%transactions'")
    return int(str(found))


def between_look_and_settlement(
    monkeypatch: pytest.MonkeyPatch, db: Database, statement: str, row: UUID | None = None
) -> None:
    """Something that happens once the first rows were judged, and before anything is written about them."""
    judge, done = reconcile.decide_all, []

    def then(*known: object) -> object:
        judged = judge(*known)  # type: ignore[arg-type]
        if judged and not done:
            done.append(True)
            with db.begin() as conn:
                conn.execute(text(statement), {"id": row})
        return judged

    monkeypatch.setattr(reconcile, "decide_all", then)


def said(db: Database, run: RunRow) -> str:
    with db.read() as conn:
        return "\n".join(line.event for line in list_logs(conn, run.id))


def test_rows_on_custody_accounts_cost_a_request_for_two_hundred(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    expect(db, user, pay(sandbox, 700))
    expect(db, user, pay(sandbox, 450, OTHER), OTHER)
    run = run_job(db, horizon)
    assert counters(run) == {"seen": 1150, "settled": 1150, "failed": 0, "pending": 0, "cases": 0}
    assert run.counters["requests"] <= 14
    assert run.counters["requests"] / 1.5 <= run.counters["requests_estimated"] <= run.counters["requests"] * 1.5
    assert "plan: about" in said(db, run)
    assert balance_of(db, user) == Decimal("10.5") * 1150
    assert count(db, "ops.page_cursors") == 0
    assert_books_balance(db)


def test_what_the_pages_do_not_show_is_asked_by_its_hash(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    expect(db, user, pay(sandbox, 20))
    elsewhere = pay(sandbox, 1, OTHER)
    stray = add_row(db, user, destination=CUSTODY, tx_hash=elsewhere[0].hash_hex())
    absent = add_row(db, user, destination=CUSTODY)
    run = run_job(db, horizon)
    assert open_reasons(db, stray) == ["DESTINATION_MISMATCH"]
    assert status_of(db, absent) == "PENDING"
    assert counters(run) == {"seen": 22, "settled": 20, "failed": 0, "pending": 1, "cases": 1}


def test_pages_judge_as_hashes_do(db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID) -> None:
    expect(db, user, pay(sandbox, 5))
    failing = PAYER.failing_payment(CUSTODY)
    inner = Wallet.named("another payer").payment(CUSTODY, "10.5", memo=memo("text", "order 5"))
    outer = Wallet.named("sponsor").fee_bump(inner)
    sandbox.ledger.include([failing, outer])
    failed = add_row(db, user, destination=CUSTODY, tx_hash=failing.hash_hex())
    bumped = add_row(db, user, destination=CUSTODY, tx_hash=inner.hash_hex(), memo_type="text", memo="order 5")
    wrong = add_row(db, user, destination=CUSTODY, tx_hash=pay(sandbox, 1, amount="3")[0].hash_hex())
    run = run_job(db, horizon)
    assert (status_of(db, failed), status_of(db, bumped), status_of(db, wrong)) == ("FAILED", "SUCCESS", "PENDING")
    assert open_reasons(db, wrong) == ["AMOUNT_MISMATCH"]
    assert run.counters["requests"] <= 4
    assert_books_balance(db)


def test_a_dry_run_by_pages_decides_the_same_and_writes_nothing(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    expect(db, user, pay(sandbox, 450))
    before = everything(db)
    run = run_job(db, horizon, dry_run=True)
    assert (run.counters["seen"], run.counters["would_settle"]) == (450, 450)
    assert everything(db) == before
    assert count(db, "ops.page_cursors") == 0


def test_a_reading_that_was_cut_short_goes_on_where_its_effects_end(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 1)
    expect(db, user, pay(sandbox, 1600))
    with db.begin() as conn:
        conn.execute(
            text(
                "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF (SELECT count(*) FROM transactions WHERE status = 'SUCCESS') >= 600 THEN"
                "   RAISE EXCEPTION 'killed' USING ERRCODE = 'admin_shutdown'; END IF; RETURN NEW; END $$;"
                "CREATE TRIGGER give_up BEFORE INSERT ON ops.claims FOR EACH STATEMENT EXECUTE FUNCTION give_up()"
            )
        )
    assert run_job(db, horizon).state == "failed"
    settled = value(db, "SELECT count(*) FROM transactions WHERE status = 'SUCCESS'")
    assert settled == 700
    with db.begin() as conn:
        conn.execute(text("DROP TRIGGER give_up ON ops.claims"))
    before = pages(db)
    run = run_job(db, horizon)
    assert counters(run)["settled"] == 900
    assert pages(db) - before <= 9  # from the start again it would be eleven
    assert count(db, "ops.page_cursors") == 0
    assert_books_balance(db)


def test_a_cursor_does_not_pass_a_row_that_somebody_else_holds(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(db, user, pay(sandbox, 900))
    taken = add_row(db, user, destination=CUSTODY, tx_hash=pay(sandbox, 1)[0].hash_hex())
    between_look_and_settlement(
        monkeypatch,
        db,
        "UPDATE transactions SET processing_locked_by = 'somebody else', processing_locked_at = now() WHERE id = :id",
        taken,
    )
    run = run_job(db, horizon)
    assert (run.counters["settled"], run.counters["lost"]) == (900, 1)
    assert status_of(db, taken) == "PENDING"
    monkeypatch.undo()
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET processing_locked_by = NULL"))
    assert run_job(db, horizon).counters["settled"] == 1
    assert_books_balance(db)


def test_an_attempt_that_was_given_up_settles_nothing(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(db, user, pay(sandbox, 20))
    between_look_and_settlement(monkeypatch, db, "UPDATE ops.runs SET attempt_token = gen_random_uuid()")
    run_job(db, horizon)
    assert value(db, "SELECT count(*) FROM transactions WHERE status <> 'PENDING'") == 0
    assert count(db, "ledger_entries") == count(db, "ops.claims") == 0


def test_a_case_that_pages_show_is_not_opened_on_a_row_that_somebody_else_holds(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(db, user, pay(sandbox, 20))
    wrong, taken = (
        add_row(db, user, destination=CUSTODY, tx_hash=pay(sandbox, 1, amount="3")[0].hash_hex()) for _ in range(2)
    )
    between_look_and_settlement(
        monkeypatch,
        db,
        "UPDATE transactions SET processing_locked_by = 'somebody else', processing_locked_at = now() WHERE id = :id",
        taken,
    )
    run = run_job(db, horizon)
    assert (run.counters["settled"], run.counters["cases_opened"], run.counters["lost"]) == (20, 1, 1)
    assert (open_reasons(db, wrong), open_reasons(db, taken)) == (["AMOUNT_MISMATCH"], [])
    held = "SELECT processing_locked_by FROM transactions WHERE id = :id"
    assert (value(db, held, id=wrong), value(db, held, id=taken)) == (None, "somebody else")


def test_an_old_straggler_is_asked_by_hash_and_does_not_stretch_the_pages(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    pay(sandbox, 2000)
    expect(db, user, pay(sandbox, 30))
    old = add_row(db, user, destination=CUSTODY, age=timedelta(days=20))
    run = run_job(db, horizon)
    assert counters(run)["settled"] == 30
    assert run.counters["pages"] == 1
    assert open_reasons(db, old) == ["BEYOND_HISTORY"]


def test_where_a_server_gives_no_pages_hashes_do(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    expect(db, user, pay(sandbox, 20))
    sandbox.faults.set("service-unavailable", path="/accounts")
    run = run_job(db, horizon)
    assert counters(run)["settled"] == 20
    assert "pages end early" in said(db, run)
    assert run.counters["requests"] >= 20


def test_pages_that_hang_delay_no_stop(db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID) -> None:
    expect(db, user, pay(sandbox, 20))
    sandbox.faults.set("hang", 60, path="/accounts")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET timeout_s = 1 WHERE name = 'reconcile-pending'"))
    run = run_job(db, horizon.model_copy(update={"horizon_timeout_s": 30.0}))
    assert (run.state, run.error) == ("timed_out", "Its time limit of 1 s was reached.")


def test_a_frozen_server_settles_nothing_by_its_pages(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    expect(db, user, pay(sandbox, 20))
    before = everything(db)
    assert run_job(db, horizon.model_copy(update={"network_passphrase": "another network"})).state == "failed"
    assert everything(db) == before
