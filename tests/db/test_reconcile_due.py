"""Which rows a run looks at: its parameters, and the backoff of rows that keep their answer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.wallet import Wallet
from jobs.run.execute import execute
from jobs.run.store import request_run
from tests.db.books import PENDING, add_row, fund, run_job, value

PAYER = Wallet.named("payer")


def test_parameters_choose_the_rows(db: Database, horizon: Settings, user: UUID) -> None:
    old = add_row(db, user, age=timedelta(hours=2))
    add_row(db, user)
    add_row(db, user, type="SWAP", age=timedelta(hours=3))
    assert run_job(db, horizon, limit=1).counters["seen"] == 1
    assert run_job(db, horizon, older_than_min=60).counters["seen"] == 1
    assert run_job(db, horizon, transaction_id=str(old)).counters["seen"] == 1
    assert run_job(db, horizon).counters["seen"] == 2


def test_rows_that_keep_their_answer_are_looked_at_less_often_by_the_schedule(
    db: Database, horizon: Settings, user: UUID
) -> None:
    add_row(db, user, age=timedelta(hours=2))
    fund(db, user, Decimal(1))
    waits = []
    for _ in range(9):
        run_job(db, horizon)
        waits.append(value(db, "SELECT CAST(extract(epoch FROM next_at - last_at) AS integer) FROM ops.checks"))
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
    with db.begin() as conn:
        run_id = request_run(conn, job=PENDING, actor="test", queued=False)
        conn.execute(text("UPDATE ops.runs SET trigger = 'retry' WHERE id = :id"), {"id": run_id})
    assert execute(db, horizon, run_id, worker_id=None).counters["seen"] == 0
