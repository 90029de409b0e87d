"""Measures the engine: real workers on a database of their own, and jobs that do nothing.

A run is measured from being queued to having ended, by the database's clock and from its own row: queued, fetched,
executed, ended. For each number of workers a backlog is worked off, then single runs are asked for as the dashboard does,
at random distances, so that no rhythm of ours meets one of the queue's. At last two workers follow many schedules.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil
from sqlalchemy import Row, text

from jobs.bench.database import throwaway_database
from jobs.bench.processes import cpu_of, postmaster, workers
from jobs.bench.telling import Tell
from jobs.core.db import Database
from jobs.core.embedded import embedded_server
from jobs.core.errors import NexaError
from jobs.core.jobs import Every, find_job
from jobs.core.settings import Settings
from jobs.run.hosts import family_bytes
from jobs.run.store import request_run
from jobs.schedule.model import fires_between
from jobs.schedule.store import list_schedules, seed_schedules

START_S, WORK_S = 60.0, 300.0
SETTLE_S, LATEST_S = 2.0, 60.0
"""After the schedules are there, until their slots count; and after the last of these, until it is left out."""
_PUNCTUALITY = text("""
    SELECT extract(epoch FROM queued_at - slot) * 1000 AS claimed, extract(epoch FROM started_at - slot) * 1000 AS started
      FROM ops.runs WHERE schedule = ANY(:names) AND slot > :since AND slot <= :until AND state = 'succeeded'
""")
_LEFT = text("SELECT count(*) FROM ops.runs WHERE id = ANY(:ids) AND state <> 'succeeded'")
_ENDED = text("SELECT queued_at, started_at, finished_at FROM ops.runs WHERE id = ANY(:ids)")
TARGETS = {"runs_per_s": 150.0, "start_p95_ms": 250.0, "slot_most_ms": 500.0, "idle_mb": 150.0}
"""On two cores: at least so many runs a second, and at most the others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    workers: tuple[int, ...] = (1, 2, 4)
    runs: int = 1000  # as many as may be queued of one job
    asked: int = 200
    """Runs that are asked for one by one."""
    minutes: float = 5.0
    """How long the schedules are followed."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles, in milliseconds."""

    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """What so many workers can do."""

    workers: int
    runs_per_s: float
    worker_ms: float
    """CPU of the workers for a run of the backlog, in milliseconds; what two cores have of it is 2,000 a second."""
    postgres_ms: float
    start: Spread
    """From the question for a run to its start."""
    idle_mb: float
    """Of the largest worker before its first run, with its nursery; what they share counts in parts."""

    def document(self) -> dict[str, object]:
        return {"workers": self.workers, "runs_per_s": round(self.runs_per_s, 1),
                "cpu_ms_per_run": {"workers": round(self.worker_ms, 2), "postgres": round(self.postgres_ms, 2)},
                "start_ms": asdict(self.start), "idle_mb": round(self.idle_mb, 1)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slots:
    """How punctual many schedules are: from the instant that was due."""

    workers: int
    schedules: int
    minutes: float
    slots: int
    claimed: Spread
    """To the run's place in the queue."""
    started: Spread
    missing: int
    """Slots without a run that succeeded."""

    def document(self) -> dict[str, object]:
        found = asdict(self)
        return {**found, "claimed_ms": found.pop("claimed"), "started_ms": found.pop("started")}


def measure(plan: Plan, tell: Tell) -> Iterator[Capacity | Slots]:
    """Each number of workers, then the schedules; `tell` is told what goes on. Raises NexaError if a worker dies."""
    from jobs.bench import noop  # noqa: PLC0415 - whoever imports it has its jobs

    # In short names, because the server's socket lies there.
    with tempfile.TemporaryDirectory(prefix="nexaops-bench-") as folder, embedded_server(home := Path(folder)):
        settings = Settings.model_validate({"NEXAOPS_HOME": home, "DB_NAME": "bench_jobs"})
        with throwaway_database(settings) as db:
            with db.begin() as conn:
                # What the product does by itself is not what is measured.
                conn.execute(text("UPDATE ops.schedules SET enabled = false, version = version + 1"))
            for count in plan.workers:
                yield _capacity(plan, db, settings, count, noop.NOOP, tell)
            yield _slots(plan, db, settings, noop.SCHEDULED, tell)


def _capacity(plan: Plan, db: Database, settings: Settings, count: int, job: str, tell: Tell) -> Capacity:
    whose = f"{count} worker{'' if count == 1 else 's'}"
    tell(f"starting {whose}")
    with workers(count, settings) as processes:
        _wait_for(db, processes)
        server, ours = postmaster(settings.home), [psutil.Process(process.pid) for process in processes]
        idle = max(map(family_bytes, ours)) / 1e6
        _backlog(db, job, 20 * count, processes)  # whatever is loaded late, is loaded now
        tell(f"{plan.runs:,} runs, {whose}")
        before = cpu_of(server), sum(map(cpu_of, ours))
        per_s = _backlog(db, job, plan.runs, processes)
        postgres, working = cpu_of(server) - before[0], sum(map(cpu_of, ours)) - before[1]
        tell(f"{plan.asked:,} single runs, {whose}")
        start = _single(db, job, plan.asked, processes)
    each = 1000 / plan.runs
    return Capacity(count, per_s, working * each, postgres * each, start, idle)


def _slots(plan: Plan, db: Database, settings: Settings, names: Sequence[str], tell: Tell) -> Slots:
    count = 2
    tell(f"{len(names)} schedules for {plan.minutes:g} minutes")
    with workers(count, settings) as processes:
        _wait_for(db, processes)
        # Every 15 to 64 seconds, four of each: some six a second, and some seconds with several times as many.
        every = {name: Every(15 + number % 50) for number, name in enumerate(names)}
        with db.begin() as conn:
            seed_schedules(conn, {name: replace(find_job(name), schedule=every[name]) for name in names})
        since = _now(db) + timedelta(seconds=SETTLE_S)
        until = since + timedelta(minutes=plan.minutes)
        with db.read() as conn:
            due = sum(len(fires_between(it, since, until)) for it in list_schedules(conn) if it.name in every)
        rows: Sequence[Row[Any]] = ()
        while _now(db) < until or (len(rows) < due and _now(db) < until + timedelta(seconds=LATEST_S)):
            _require_alive(processes)
            time.sleep(0.5)
            with db.read() as conn:
                rows = conn.execute(_PUNCTUALITY, {"names": list(names), "since": since, "until": until}).all()
    claimed, started = (_spread([float(row[column]) for row in rows]) for column in (0, 1))
    return Slots(count, len(names), plan.minutes, len(rows), claimed, started, missing=due - len(rows))


def _backlog(db: Database, job: str, runs: int, processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """Runs a second, from the moment at which all of them are there to the end of the last."""
    with db.begin() as conn:
        ids = [request_run(conn, job=job, actor="bench", origin="cli") for _ in range(runs)]
    queued_at = _now(db)
    last: datetime = max(run.finished_at for run in _ended(db, ids, processes))
    return runs / (last - queued_at).total_seconds()


def _single(db: Database, job: str, asked: int, processes: Sequence[subprocess.Popen[bytes]]) -> Spread:
    chance = random.Random(1)  # noqa: S311 - no secret
    ids = []
    for _ in range(asked):
        time.sleep(chance.uniform(0.05, 0.15))
        with db.begin() as conn:
            ids.append(request_run(conn, job=job, actor="bench", origin="cli"))
    waited = [run.started_at - run.queued_at for run in _ended(db, ids, processes)]
    return _spread([one.total_seconds() * 1000 for one in waited])


def _ended(db: Database, ids: Sequence[int], processes: Sequence[subprocess.Popen[bytes]]) -> Sequence[Row[Any]]:
    """When these runs were queued, started and finished, once all have succeeded; NexaError if that takes too long."""
    deadline = time.monotonic() + WORK_S
    left = len(ids)
    while left:
        _require_alive(processes)
        if time.monotonic() > deadline:
            raise NexaError(f"{left} of {len(ids)} runs did not end within {WORK_S:.0f} s: measure fewer with --runs.")
        time.sleep(0.1)
        with db.read() as conn:
            left = conn.execute(_LEFT, {"ids": ids}).scalar_one()
    with db.read() as conn:
        return conn.execute(_ENDED, {"ids": ids}).all()


def _spread(values: Sequence[float]) -> Spread:
    if len(values) < 2:
        raise NexaError("There is too little to measure: take more runs, or more minutes.")
    hundredths = quantiles(values, n=100, method="inclusive")
    return Spread(*(round(it, 1) for it in (hundredths[49], hundredths[94], hundredths[98], max(values))))


def _wait_for(db: Database, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until each of them has beaten."""
    deadline = time.monotonic() + START_S
    pids = [process.pid for process in processes]
    beating = 0
    while beating < len(pids):
        _require_alive(processes)
        if time.monotonic() > deadline:
            raise NexaError(f"The workers did not start within {START_S:.0f} s: try again on a machine less busy.")
        time.sleep(0.1)
        with db.read() as conn:
            beating = conn.execute(
                text("SELECT count(*) FROM ops.workers WHERE pid = ANY(:pids) AND stopped_at IS NULL"), {"pids": pids}
            ).scalar_one()


def _require_alive(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    if any(process.poll() is not None for process in processes):
        raise NexaError("A worker has ended while it was measured: its last words stand above.")


def _now(db: Database) -> datetime:
    with db.read() as conn:
        now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now
