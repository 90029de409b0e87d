"""Lost runs are found by one holder of the lease, and an outage loses none."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import Every, Params, Run, find_job, job
from jobs.run import rescue as room
from jobs.run.rescue import rescue, rescue_lease
from jobs.run.store import find_run, list_runs, request_run
from jobs.schedule.store import seed_schedules


@job(name="test-lost", title="t", does="Nothing.", schedule=Every(3600), timeout_s=60, retries=1, params=Params)
def lost_job(_run: Run, _params: Params) -> None:
    """Never executed here."""


@pytest.fixture
def silent(db: Database) -> int:
    """A run whose worker has not beaten for a minute."""
    with db.begin() as conn:
        seed_schedules(conn, {"test-lost": find_job("test-lost")})
        run_id = request_run(conn, job="test-lost", actor="ada@example.org")
        conn.execute(
            text(
                "UPDATE ops.runs SET state = 'running', attempt = 1, attempt_token = gen_random_uuid(), worker_id = :worker,"
                " started_at = now() - interval '2 minutes', beat_at = now() - interval '1 minute' WHERE id = :id"
            ),
            {"id": run_id, "worker": uuid4()},
        )
        conn.execute(text("DELETE FROM procrastinate.procrastinate_jobs"))
    return run_id


def test_a_new_holder_gives_everybody_time_for_a_beat_first(
    db: Database, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = rescue_lease(uuid4())
    with db.begin() as conn:
        assert rescue(conn, lease).lost == ()
        assert find_run(conn, silent).state == "running"
    monkeypatch.setattr(room, "SETTLE_S", 0.0)
    with db.begin() as conn:
        assert rescue(conn, lease).lost == (silent,)


def test_a_lost_run_says_so_and_is_tried_again(db: Database, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SETTLE_S", 0.0)
    with db.begin() as conn:
        found = rescue(conn, rescue_lease(uuid4()))
    with db.read() as conn:
        lost = find_run(conn, silent)
        (retry,) = [run for run in list_runs(conn) if run.id in found.retried]
    assert lost.state == "lost"
    assert lost.error is not None
    assert "no sign of life for 30 s" in lost.error
    assert (retry.state, retry.retry_of, retry.trigger) == ("queued", silent, "retry")
    with db.begin() as conn:
        assert rescue(conn, rescue_lease(uuid4())).lost == ()


def test_a_queued_run_that_the_queue_forgot_is_queued_again(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SETTLE_S", 0.0)
    lease = rescue_lease(uuid4())
    with db.begin() as conn:
        run_id = request_run(conn, job="test-lost", actor="ada@example.org")
        conn.execute(text("UPDATE ops.runs SET queued_at = now() - interval '1 minute'"))
        assert rescue(conn, lease).queued_again == ()
        conn.execute(text("DELETE FROM procrastinate.procrastinate_jobs"))
        assert rescue(conn, lease).queued_again == (run_id,)
        assert rescue(conn, lease).queued_again == ()
