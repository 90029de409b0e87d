"""How a job has been doing, by its runs: exact however often it runs, and however many runs were skipped since."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import load_jobs
from jobs.core.settings import Settings
from jobs.probes.facts import read_facts
from jobs.probes.model import JobFacts
from jobs.schedule.store import seed_schedules

RUNS = """
INSERT INTO ops.runs (job, trigger, triggered_by, state, queued_at, finished_at, error)
SELECT 'probe-horizon', 'manual', 'test', :state, now() - CAST(:ago AS interval), now() - CAST(:ago AS interval), :error
  FROM generate_series(1, :number)
"""


@pytest.fixture(autouse=True)
def _schedules(db: Database) -> None:
    with db.begin() as conn:
        seed_schedules(conn, load_jobs())


def run(db: Database, number: int, state: str, ago: str, error: str | None = None) -> None:
    with db.begin() as conn:
        conn.execute(text(RUNS), {"number": number, "state": state, "ago": ago, "error": error})


def facts(db: Database, settings: Settings) -> JobFacts:
    with db.read() as conn:
        return next(job for job in read_facts(conn, settings).jobs if job.name == "probe-horizon")


def test_all_failures_since_the_last_success_count(db: Database, settings: Settings) -> None:
    run(db, 1, "failed", "9 hours", "before")
    run(db, 1, "succeeded", "8 hours")
    run(db, 1, "timed_out", "7 hours", "the first")
    run(db, 300, "failed", "6 hours", "503")
    run(db, 300, "skipped", "2 hours")
    run(db, 1, "missed", "10 min", "three slots")
    job = facts(db, settings)
    assert (job.failures, job.error, job.missed) == (301, "503", "three slots")
    with db.read() as conn:
        ended = "SELECT finished_at FROM ops.runs WHERE state = :state"
        assert job.last_success_at == conn.execute(text(ended), {"state": "succeeded"}).scalar_one()
        assert job.failing_since == conn.execute(text(ended), {"state": "timed_out"}).scalar_one()
    run(db, 1, "succeeded", "1 min")
    assert (facts(db, settings).failures, facts(db, settings).failing_since) == (0, None)


def test_of_a_job_that_never_ran_nothing_is_known(db: Database, settings: Settings) -> None:
    job = facts(db, settings)
    assert (job.failures, job.failing_since, job.failed_run, job.error, job.missed) == (0, None, None, None, None)
    assert (job.last_success_at, job.last_run_at) == (None, None)
