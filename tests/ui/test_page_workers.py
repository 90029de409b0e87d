"""Workers: who works on which host, how these do, what waits, who holds which lease."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.run.lease import Lease
from tests.ui import seed
from tests.ui.desk import run_page, seen
from tests.ui.runs import a_run


def worker(db: Database, host: str, **values: object) -> str:
    row = {"id": uuid4(), "host": host, "pid": 42, "version": "0.1.0", "concurrency": 4, "skew_ms": 3.0,
           "memory_bytes": 142_300_000, "load_1m": 0.8, "cores": 2, "beat": 4, "scheduler": 4, **values}  # fmt: skip
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, skew_ms, memory_bytes, load_1m, cores,"
                " started_at, beat_at, scheduler_at) VALUES (:id, :host, :pid, :version, :concurrency, :skew_ms,"
                " :memory_bytes, :load_1m, :cores, now() - interval '3 hours', now() - make_interval(secs => :beat),"
                " now() - make_interval(secs => :scheduler))"
            ),
            row,
        )
    return str(row["id"])


def look(db: Database, settings: Settings) -> str:
    page = run_page(db, settings, "workers", seed.person(db, Role.VIEWER))
    assert not page.exception
    assert not page.error
    return seen(page)


def test_a_worker_says_where_it_is_what_it_does_and_how_its_host_does(db: Database, settings: Settings) -> None:
    id_ = worker(db, "ops-1")
    run_id = a_run(db, "running", worker_id=id_)
    said = look(db, settings)
    assert "<h1>1 worker, 1 of 4 places taken</h1>" in said
    for words in ("ops-1", "process 42", "0.1.0", "1 of 4", "0.8 on 2 cores", "142 MB", "3 ms ahead", "alive"):
        assert words in said
    assert f'href="/run?id={run_id}"' in said
    assert "No run waits for a worker." in said
    assert "Lost in the last day" not in said


def test_a_clock_that_is_off_is_marked_and_says_what_to_do(db: Database, settings: Settings) -> None:
    worker(db, "ops-1", skew_ms=-2310.0)
    said = look(db, settings)
    assert "2.3 s behind" in said
    assert "let it follow a time server" in said


def test_two_versions_are_a_rolling_upgrade_and_a_silent_scheduler_is_seen(db: Database, settings: Settings) -> None:
    worker(db, "ops-1")
    worker(db, "ops-2", version="0.2.0", scheduler=300)
    said = look(db, settings)
    assert "2 workers on 2 hosts, 0 of 8 places taken" in said
    assert "versions 0.1.0 and 0.2.0 run side by side" in said
    assert "silent for 5 min" in said


def test_who_was_lost_is_told_for_a_day(db: Database, settings: Settings) -> None:
    worker(db, "ops-1")
    worker(db, "ops-7", beat=3600, version="0.0.9")
    said = look(db, settings)
    assert "Lost in the last day" in said
    assert "ops-7" in said
    assert "2 h" in said  # it lived from three hours ago to one hour ago
    # One that is lost is no side of an upgrade.
    assert "side by side" not in said


def test_what_waits_is_told_with_its_age_and_how_fast_it_goes(db: Database, settings: Settings) -> None:
    worker(db, "ops-1")
    for _ in range(3):
        a_run(db, "queued")
    for _ in range(10):
        a_run(db)
    said = look(db, settings)
    assert "3 runs wait for a worker, the oldest queued" in said
    assert "about 90 s of work at the rate of the last minutes" in said
    assert 'href="/runs?job=reconcile-pending&amp;state=queued"' in said
    assert ">2.0<" in said


def test_leases_say_who_has_them_and_until_when(db: Database, settings: Settings) -> None:
    id_ = worker(db, "ops-1")
    with db.begin() as conn:
        Lease("rescue", id_, ttl_s=60).hold(conn)  # type: ignore[arg-type]  # the id as text is the same to the table
        Lease("other", uuid4(), ttl_s=0).hold(conn)
    said = look(db, settings)
    assert "ops-1, process 42" in said
    assert "until <time" in said
    assert "free since" in said


def test_without_a_worker_it_says_how_to_start_one(db: Database, settings: Settings) -> None:
    said = look(db, settings)
    assert "<h1>No worker runs</h1>" in said
    assert "nexaops worker" in said
