"""What a worker says with each beat, and what stands before and beside the workers."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from uuid import UUID, uuid4

import psutil
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.run import hosts
from jobs.run.fleet import Fleet, Worker, drains_in_s, read_fleet
from jobs.run.lease import Lease
from jobs.run.queue import defer
from jobs.run.store import request_run
from tests.ui.runs import a_run

JOB = "reconcile-pending"


def fleet(db: Database, *jobs: str) -> Fleet:
    with db.read() as conn:
        return read_fleet(conn, jobs)


def beating(db: Database) -> Worker:
    (worker,) = fleet(db).workers
    return worker


def test_a_beat_says_which_worker_on_which_host_and_how_the_host_does(db: Database) -> None:
    id_ = uuid4()
    hosts.beat(db, id_, concurrency=4, silent_s=2.0)
    worker = beating(db)
    assert (worker.id, worker.host, worker.pid) == (id_, socket.gethostname(), os.getpid())
    assert (worker.version, worker.concurrency, worker.runs) == (version("nexaops"), 4, ())
    assert worker.scheduler_at is not None
    assert timedelta(seconds=1) < worker.beat_at - worker.scheduler_at < timedelta(seconds=3)
    # One machine, one clock.
    assert worker.skew_ms is not None
    assert abs(worker.skew_ms) < 200
    assert worker.memory_bytes is not None
    assert worker.memory_bytes >= psutil.Process().memory_info().rss / 2
    assert worker.load_1m is not None
    assert worker.load_1m >= 0
    assert worker.cores == psutil.cpu_count()


def test_the_next_beat_renews_the_row(db: Database) -> None:
    id_ = uuid4()
    hosts.beat(db, id_, concurrency=4, silent_s=2.0)
    before = beating(db)
    hosts.beat(db, id_, concurrency=4, silent_s=0.0)
    after = beating(db)
    assert after.started_at == before.started_at
    assert after.beat_at > before.beat_at


@pytest.mark.parametrize("ahead_s", [-90, 5])
def test_a_host_whose_clock_is_off_says_by_how_much(
    db: Database, monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=ahead_s)

    monkeypatch.setattr(hosts, "datetime", Wrong)
    hosts.beat(db, uuid4(), concurrency=1, silent_s=0.0)
    assert beating(db).skew_ms == pytest.approx(ahead_s * 1000, abs=200)


def test_a_worker_of_an_older_version_says_nothing_of_its_host_and_is_there(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.workers (id, host, pid, version, concurrency)"
                          " VALUES (gen_random_uuid(), 'a', 1, '0.0.9', 4)"))  # fmt: skip
    worker = beating(db)
    assert (worker.skew_ms, worker.memory_bytes, worker.load_1m, worker.cores) == (None, None, None, None)


def test_only_workers_of_the_last_day_that_did_not_sign_off_are_told_with_what_they_run(db: Database) -> None:
    ids = {name: uuid4() for name in ("here", "lost", "gone", "long-ago")}
    with db.begin() as conn:
        for name, id_ in ids.items():
            conn.execute(
                text("INSERT INTO ops.workers (id, host, pid, version, concurrency, beat_at, stopped_at)"
                     " VALUES (:id, :host, 1, '1', 4, now() - CAST(:old AS interval), CASE WHEN :host = 'gone' THEN now() END)"),
                {"id": id_, "host": name, "old": {"lost": "2 hours", "long-ago": "2 days"}.get(name, "0")},
            )  # fmt: skip
    one, two = a_run(db, "running", worker_id=ids["here"]), a_run(db, "running", worker_id=ids["here"])
    a_run(db, worker_id=ids["here"])
    found = {worker.host: worker.runs for worker in fleet(db).workers}
    assert found == {"here": (one, two), "lost": ()}


def test_the_queue_is_told_by_job_with_the_oldest_and_what_was_ended(db: Database) -> None:
    with db.begin() as conn:
        for _ in range(2):
            request_run(conn, job=JOB, actor="ada@nexafx.com")
    later = a_run(db, "queued", job="retry-failed")
    with db.begin() as conn:
        defer(conn, later, delay_s=600)
    a_run(db, "queued", job="gone-job")
    for _ in range(10):
        a_run(db)
    a_run(db, "missed")
    queue = {item.job: item for item in fleet(db, JOB, "retry-failed", "backup").queue}
    assert {name: (item.queued, item.later, item.ended) for name, item in queue.items()} == {
        JOB: (2, 0, 10), "retry-failed": (0, 1, 0), "backup": (0, 0, 0), "gone-job": (1, 0, 0),
    }  # fmt: skip
    assert queue[JOB].oldest is not None
    assert queue["retry-failed"].oldest is None
    assert drains_in_s(list(queue.values())) == 3 / 10 * 300
    assert drains_in_s([queue["gone-job"]]) is None


def test_a_lease_is_told_with_the_worker_that_holds_it(db: Database) -> None:
    mine, unknown = uuid4(), UUID(int=7)
    hosts.beat(db, mine, concurrency=1, silent_s=0.0)
    with db.begin() as conn:
        assert Lease("rescue", mine, ttl_s=20).hold(conn)
        assert Lease("other", unknown, ttl_s=20).hold(conn)
    now = fleet(db)
    other, rescue = now.leases
    assert (rescue.holder, rescue.host, rescue.pid, rescue.term) == (mine, socket.gethostname(), os.getpid(), 1)
    assert (other.host, other.pid) == (None, None)
    assert rescue.expires_at > now.now
