"""Whether a run is tried again, and how long that waits: its schedule says it, or its job where there is none."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import Params, Run, job
from jobs.run.retry import retry_run
from jobs.run.store import find_run
from tests.ui.runs import a_run


@job(name="patient", title="t", does="Nothing.", schedule=None, timeout_s=60, retries=1, params=Params)
def patient(_run: Run, _params: Params) -> None: ...


@pytest.mark.parametrize(("attempt", "waits"), [(1, 7.0), (2, 14.0), (3, 20.0), (4, None)])
def test_a_retry_waits_as_its_schedule_says(db: Database, attempt: int, waits: float | None) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET retries = 3, retry_first_s = 7, retry_most_s = 20"))
    failed = a_run(db, "failed", attempt=attempt, worker_id=uuid4())
    with db.begin() as conn:
        retry = retry_run(conn, find_run(conn, failed))
        queued = conn.execute(
            text("SELECT extract(epoch FROM scheduled_at - now())::float8 FROM procrastinate.procrastinate_jobs")
        ).scalar()
    assert (retry is not None, queued) == (waits is not None, waits)


@pytest.mark.parametrize(
    ("job", "attempt", "waits"), [("patient", 1, 15.0), ("patient", 2, None), ("another", 1, None)]
)
def test_without_a_schedule_the_jobs_own_policy_counts(
    db: Database, job: str, attempt: int, waits: float | None
) -> None:
    failed = a_run(db, "failed", job=job, attempt=attempt, worker_id=uuid4())
    with db.begin() as conn:
        assert (retry_run(conn, find_run(conn, failed)) is not None) is (waits is not None)
        queued = conn.execute(
            text("SELECT extract(epoch FROM scheduled_at - now())::float8 FROM procrastinate.procrastinate_jobs")
        ).scalar()
    assert queued == waits
