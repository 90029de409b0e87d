"""What only alerts look at: how fast and how well the runs of a job go, however many there are."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import load_jobs
from jobs.core.settings import Settings
from jobs.probes.measures import read_measures
from jobs.schedule.store import seed_schedules

RUNS = """
INSERT INTO ops.runs (job, trigger, triggered_by, state, queued_at, started_at, finished_at)
SELECT 'probe-horizon', 'manual', 'test', :state, now() - CAST(:ago AS interval), now() - CAST(:ago AS interval),
       CASE WHEN :state <> 'running' THEN now() - CAST(:ago AS interval) + make_interval(secs => :seconds) END
  FROM generate_series(1, :number)
"""


@pytest.fixture(autouse=True)
def _schedules(db: Database) -> None:
    with db.begin() as conn:
        seed_schedules(conn, load_jobs())


def run(db: Database, number: int, state: str, ago: str, seconds: float = 1.0) -> None:
    with db.begin() as conn:
        conn.execute(text(RUNS), {"number": number, "state": state, "ago": ago, "seconds": seconds})


def test_failures_of_the_last_hour_count_however_many_runs_there_were_since(db: Database, settings: Settings) -> None:
    run(db, 2, "failed", "61 min")
    run(db, 6, "failed", "50 min", 4.0)
    run(db, 3, "missed", "49 min")
    run(db, 700, "succeeded", "20 min", 2.0)
    run(db, 1, "stopped", "10 min", 7.0)
    run(db, 2, "running", "5 min")
    with db.read() as conn:
        pace = read_measures(conn, settings, ()).paces["probe-horizon"]
    assert (pace.ended, pace.failed, pace.missed) == (707, 6, 3)
    assert (pace.last_s, pace.usual_p95_s) == (7, 2)
    assert (pace.running_s or 0) >= 300


def test_of_a_job_that_never_ran_there_is_nothing_to_say(db: Database, settings: Settings) -> None:
    with db.read() as conn:
        pace = read_measures(conn, settings, ()).paces["probe-horizon"]
    assert (pace.ended, pace.failed, pace.missed) == (0, 0, 0)
    assert (pace.last_s, pace.usual_p95_s, pace.running_s) == (None, None, None)
