"""What looks found before: counted while they find the same, kept when they find something else."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from tests.db.books import add_row, count, run_job, status_of

PAYER, USER = Wallet.named("payer"), Wallet.named("user")


def looks(db: Database) -> list[tuple[str, int]]:
    """What was found how often, the last look included."""
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT outcome, times, first_at, last_at FROM ops.looks"
                " UNION ALL SELECT outcome, times, first_at, last_at FROM ops.checks ORDER BY last_at"
            )
        ).all()
    assert all((row.times == 1) == (row.first_at == row.last_at) for row in rows)
    return [(row.outcome, row.times) for row in rows]


def test_the_same_finding_is_counted_and_another_one_kept_beside_it(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    for _ in range(3):
        run_job(db, horizon)
    assert looks(db) == [("absent", 3)]
    assert count(db, "ops.looks") == 0, "nothing but a counter is written while the answer stays the same"
    sandbox.faults.set("service-unavailable", path="/transactions/")
    run_job(db, horizon)
    assert looks(db) == [("absent", 3), ("unavailable", 1)]
    sandbox.faults.clear()
    run_job(db, horizon)
    sandbox.faults.set("service-unavailable", path="/transactions/")
    run_job(db, horizon)
    assert looks(db) == [("unavailable", 1), ("absent", 4), ("unavailable", 1)], "one row a finding, however it flaps"
    with db.read() as conn:
        kept = conn.execute(
            text("SELECT server, request, ledger, run_id FROM ops.looks WHERE outcome = 'absent'")
        ).one()
    assert (kept.server, kept.request) == (sandbox.url, f"GET /transactions/{envelope.hash_hex()}")
    assert kept.ledger
    assert kept.run_id
    sandbox.faults.clear()
    sandbox.ledger.include([envelope])
    before = looks(db)
    run_job(db, horizon)
    assert status_of(db, row) == "SUCCESS"
    assert looks(db) == before, "a settlement's look is its decision"
