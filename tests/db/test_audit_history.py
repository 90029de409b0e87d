"""audit-history: settled rows against the network, by the rules that settle; what one run leaves the next goes on with."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.integrity import history
from jobs.integrity.history import BATCH
from jobs.run.store import RunRow
from tests.db.books import add_row, everything, run_job, status_of, value

JOB = "audit-history"
PAYER = Wallet.named("payer")
USER = Wallet.named("user")


def paid(db: Database, sandbox: SandboxServer, user: UUID, count: int = 1, **changes: object) -> list[UUID]:
    """SUCCESS deposits of 10.5 XLM whose payments the network has."""
    envelopes = [PAYER.payment(USER.address, "10.5", signed=False) for _ in range(count)]
    sandbox.ledger.include(envelopes)
    return [add_row(db, user, **{"status": "SUCCESS", "tx_hash": e.hash_hex()} | changes) for e in envelopes]


def audit(db: Database, horizon: Settings, **params: object) -> RunRow:
    run = run_job(db, horizon, JOB, **params)
    assert run.state == "succeeded", run.error
    return run


def told(run: RunRow) -> tuple[int, int, int]:
    return run.counters["confirmed"], run.counters["contradicted"], run.counters["unknown"]


def open_findings(db: Database) -> dict[UUID, tuple[str, str]]:
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT transaction_id, expected, actual FROM ops.integrity_findings"
                " WHERE check_name = 'history' AND resolved_at IS NULL"
            )
        )
        return {row.transaction_id: (row.expected, row.actual) for row in rows}


def test_what_the_network_confirms_is_confirmed(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    paid(db, sandbox, user, 3)
    failing = PAYER.failing_payment(USER.address)
    sandbox.ledger.include([failing])
    add_row(db, user, status="FAILED", tx_hash=failing.hash_hex())
    run = audit(db, horizon)
    assert told(run) == (4, 0, 0)
    assert open_findings(db) == {}
    with db.read() as conn:
        done = conn.execute(text("SELECT looked_at, run_id FROM ops.integrity_checks WHERE name = 'history'")).one()
    assert tuple(done) == (4, run.id)


def test_a_success_that_is_not_on_the_network_and_a_failure_that_is_are_named(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    [rescued] = paid(db, sandbox, user, status="FAILED")
    [short] = paid(db, sandbox, user, amount=Decimal(11))
    failing = PAYER.failing_payment(USER.address)
    sandbox.ledger.include([failing])
    failed = add_row(db, user, status="SUCCESS", tx_hash=failing.hash_hex())
    malformed = add_row(db, user, status="SUCCESS", tx_hash="not a hash")
    before = everything(db)
    run = audit(db, horizon)
    assert open_findings(db) == {
        rescued: ("FAILED", "SUCCESS"),
        short: ("SUCCESS", "AMOUNT_MISMATCH"),
        failed: ("SUCCESS", "FAILED"),
        malformed: ("SUCCESS", "INVALID_HASH"),
    }
    assert told(run) == (0, 4, 0)
    assert everything(db) == before


def test_a_success_that_a_server_which_remembers_that_time_does_not_list_is_contradicted(
    db: Database, horizon: Settings, user: UUID
) -> None:
    patient = horizon.model_copy(update={"expire_unproven_after_h": 0})
    absent = add_row(db, user, status="SUCCESS", age=timedelta(0))
    audit(db, patient)
    assert open_findings(db) == {absent: ("SUCCESS", "EXPIRED_UNPROVEN")}


def test_what_this_server_cannot_know_is_unknown_and_no_finding(db: Database, horizon: Settings, user: UUID) -> None:
    add_row(db, user, status="SUCCESS", age=timedelta(days=400))
    add_row(db, user, status="SUCCESS", tx_hash=None, age=timedelta(days=1))
    add_row(db, user, status="FAILED", age=timedelta(days=2))
    assert told(audit(db, horizon)) == (0, 0, 3)
    assert open_findings(db) == {}
    assert value(db, "SELECT count(*) FROM ops.integrity_checks") == 0  # nothing was proved: no green light


def test_two_rows_that_were_paid_by_one_payment_are_contradicted_and_a_failed_twin_is_not(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    [first] = paid(db, sandbox, user)
    hash_ = value(db, "SELECT tx_hash FROM transactions WHERE id = :id", id=first)
    second = add_row(db, user, status="SUCCESS", tx_hash=hash_, age=timedelta(minutes=1))
    add_row(db, user, status="FAILED", tx_hash=hash_)
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.claims (network, tx_hash, operation_index, transaction_id) VALUES (:n, :h, 0, :id)"),
            {"n": _network(horizon), "h": hash_, "id": first},
        )
    audit(db, horizon)
    assert open_findings(db) == {second: ("SUCCESS", "HASH_REUSED")}


def _network(settings: Settings) -> str:
    return sha256(settings.passphrase.encode()).hexdigest()


def test_a_finding_is_looked_at_again_by_every_audit_and_ends_when_the_row_was_put_right(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    [row] = paid(db, sandbox, user, status="FAILED")
    paid(db, sandbox, user, 20)
    assert audit(db, horizon).counters["new"] == 1
    assert audit(db, horizon, sample=0).counters["seen"] == 1
    assert open_findings(db).keys() == {row}
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET status = 'SUCCESS' WHERE id = :id"), {"id": row})
    assert audit(db, horizon, sample=0).counters["resolved"] == 1
    assert open_findings(db) == {}


def test_a_finding_ends_when_its_row_is_settled_no_more(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    [row] = paid(db, sandbox, user, status="FAILED")
    audit(db, horizon)
    with db.begin() as conn:
        conn.execute(text("UPDATE transactions SET status = 'PENDING' WHERE id = :id"), {"id": row})
    assert audit(db, horizon).counters["resolved"] == 1


def test_a_sample_is_drawn_by_its_seed(db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID) -> None:
    paid(db, sandbox, user, 30)
    drawn = []
    for seed in (7, 7, 8):
        with pytest.MonkeyPatch.context() as patch:
            asked: list[UUID] = []
            decide_all = history.decide_all

            def watch(run: object, network: str, batch: list[object], findings: object) -> object:
                asked.extend(held.row.id for held in batch)  # type: ignore[attr-defined]  # noqa: B023
                return decide_all(run, network, batch, findings)  # type: ignore[arg-type]  # noqa: B023

            patch.setattr(history, "decide_all", watch)
            audit(db, horizon, sample=10, seed=seed)
        drawn.append(asked)
    assert [len(one) for one in drawn] == [10, 10, 10]
    assert drawn[0] == drawn[1] != drawn[2]


def test_everything_is_everything_that_is_settled(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    paid(db, sandbox, user, 12)
    add_row(db, user)
    add_row(db, user, type="SWAP", status="SUCCESS")
    assert audit(db, horizon, sample=1).counters["seen"] == 1
    run = audit(db, horizon, everything=True)
    assert (run.counters["seen"], run.progress_done, run.progress_total) == (12, 12, 12)


def test_a_dry_run_judges_the_same_and_leaves_no_audit(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    paid(db, sandbox, user, 5)
    [row] = paid(db, sandbox, user, status="FAILED")
    run = run_job(db, horizon, JOB, dry_run=True, sample=100)
    assert told(run) == (5, 1, 0)
    assert status_of(db, row) == "FAILED"
    for table in ("ops.history_audits", "ops.integrity_findings", "ops.history_sample"):
        assert value(db, f"SELECT count(*) FROM {table}") == 0


def test_a_server_that_dies_leaves_the_audit_to_the_next_run_and_restart_gives_it_up(
    db: Database, horizon: Settings, settings: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    paid(db, sandbox, user, 3)
    dead = run_job(db, settings.model_copy(update={"horizon_attempts": 1}), JOB, seed=5)
    assert dead.state == "failed"
    assert value(db, "SELECT count(*) FROM ops.history_audits WHERE finished_at IS NULL") == 1
    run = audit(db, horizon, seed=6)
    assert run.counters["seen"] == 3
    assert value(db, "SELECT seed FROM ops.history_audits") == 5
    run_job(db, settings.model_copy(update={"horizon_attempts": 1}), JOB, seed=7)
    audit(db, horizon, seed=8, restart=True)
    with db.read() as conn:
        ended = conn.execute(text("SELECT seed, given_up FROM ops.history_audits ORDER BY id")).all()
    assert [tuple(row) for row in ended] == [(5, False), (7, True), (8, False)]


_CHILD = """
import sys
from pathlib import Path
from sqlalchemy import make_url
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.run.nursery import young_nursery
from tests.db.books import run_job
url, horizon, passphrase, home = sys.argv[1:]
settings = Settings.model_validate(
    {"STELLAR_HORIZON_URL": (horizon,), "STELLAR_NETWORK": "CUSTOM", "STELLAR_NETWORK_PASSPHRASE": passphrase,
     "STELLAR_RATE_LIMIT_PER_HOUR": 0, "NEXAOPS_HOME": Path(home), "NEXAOPS_HORIZON_PARALLEL": 1})
with young_nursery():
    run_job(Database(make_url(url)), settings, "audit-history", everything=True)
"""


def test_a_killed_run_is_gone_on_with_where_it_was(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    """kill −9 in the middle: the next run asks only for what is left, and every row is judged once."""
    rows = 12 * BATCH
    paid(db, sandbox, user, rows)
    [odd] = paid(db, sandbox, user, status="FAILED")
    url = db.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _CHILD, url, sandbox.url, horizon.passphrase, str(horizon.home)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 60
        while not value(db, "SELECT cursor_id FROM ops.history_audits"):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    before = value(db, "SELECT confirmed + contradicted FROM ops.history_audits WHERE finished_at IS NULL")
    assert isinstance(before, int)
    assert 0 < before < rows
    run = audit(db, horizon, sample=1)
    assert run.counters["seen"] == rows + 1 - before
    assert value(db, "SELECT confirmed + contradicted FROM ops.history_audits") == rows + 1
    assert open_findings(db).keys() == {odd}


def test_an_audit_that_another_run_has_taken_over_goes_on_there_alone(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid(db, sandbox, user, 3)
    ask_about = history.ask_about

    async def slow(*given: object) -> object:
        with db.begin() as conn:
            conn.execute(text("UPDATE ops.history_audits SET cursor_id = :id"), {"id": uuid4()})
        return await ask_about(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(history, "ask_about", slow)
    run = run_job(db, horizon, JOB)
    assert run.state == "failed"
    assert "Another run has taken audit" in str(run.error)
    assert value(db, "SELECT confirmed FROM ops.history_audits") == 0
