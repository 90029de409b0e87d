"""Measures reconciliation: a database, a Horizon with latency and budget, and one run of the job between them.

Three processes, as in life: PostgreSQL, the sandbox Horizon, and the run. Each is bounded in time and ends with this one.
Nothing of this machine's settings is used: the database is embedded in a temporary folder, and Horizon on loopback.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from jobs.bench.database import add_pending, filled_database
from jobs.bench.processes import cpu_of, environment, postmaster
from jobs.bench.scenario import Scenario, budget_words, by_database
from jobs.bench.telling import Tell
from jobs.core.db import Database
from jobs.core.embedded import embedded_server
from jobs.core.errors import NexaError
from jobs.core.settings import Settings

RUN_S = 1200
"""The most that one run may take: a hundred thousand rows at 3,600 requests an hour take half of it."""
HORIZON_S = 300.0
"""The most that Horizon may take to write its past."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run did and what it took; times in seconds, memory in megabytes, shares 0 to 1."""

    scenario: Scenario
    state: str
    error: str | None
    settled: int
    seconds: float
    requests: int
    requests_estimated: int
    cpu: Mapping[str, float]
    """Shares of the run's own CPU time, by part."""
    cpu_s: Mapping[str, float]
    """CPU seconds of the run, of PostgreSQL and of the sandbox."""
    memory_mb: Mapping[str, float]
    """Of the run: when it started, and at most."""

    @property
    def complete(self) -> bool:
        """Whether the run succeeded and settled every row."""
        return self.state == "succeeded" and self.settled == self.scenario.pending

    @property
    def settled_per_s(self) -> float:
        return self.settled / self.seconds

    @property
    def cpu_ms_per_row(self) -> float:
        """Of all three processes."""
        return 1000 * sum(self.cpu_s.values()) / max(self.settled, 1)

    @property
    def requests_per_row(self) -> float:
        return self.requests / max(self.settled, 1)

    def document(self) -> dict[str, object]:
        """The result as the README documents it."""
        scenario = asdict(self.scenario)
        budget = budget_words(scenario.pop("per_hour"))
        return {
            **scenario,
            "budget": budget,
            "state": self.state,
            "error": self.error,
            "settled": self.settled,
            "seconds": round(self.seconds, 3),
            "settled_per_s": round(self.settled_per_s, 1),
            "requests": self.requests,
            "requests_estimated": self.requests_estimated,
            "requests_per_row": round(self.requests_per_row, 4),
            "cpu": dict(self.cpu),
            "cpu_s": dict(self.cpu_s),
            "cpu_ms_per_row": round(self.cpu_ms_per_row, 3),
            "memory_mb": dict(self.memory_mb),
        }


def measure(scenarios: list[Scenario], tell: Tell) -> Iterator[Result]:
    """Measures one scenario after the other; `tell` is told what goes on. Raises NexaError if a part does not start."""
    # In short names, because the server's socket lies there.
    with tempfile.TemporaryDirectory(prefix="nexaops-bench-") as folder, embedded_server(home := Path(folder)):
        server = postmaster(home)
        for number, together in enumerate(by_database(scenarios)):
            rows, accounts = together[0].rows, together[0].accounts
            settings = Settings.model_validate({"NEXAOPS_HOME": home, "DB_NAME": f"bench_{number}"})

            def filling(done: int, rows: int = rows) -> None:
                tell(f"filling: {done:,} of {rows:,} rows")

            with filled_database(settings, rows, accounts, filling) as db:
                for scenario in together:
                    yield _measure(scenario, settings, db, server, tell)


def _measure(scenario: Scenario, settings: Settings, db: Database, server: psutil.Process, tell: Tell) -> Result:
    tell(f"writing {scenario.pending:,} payments")
    with _horizon(scenario) as (url, payments, sandbox):
        add_pending(db, payments, scenario.accounts, timeout_s=RUN_S)
        tell(f"settling {scenario.pending:,} rows")
        before = cpu_of(server), cpu_of(sandbox)
        run = _run(scenario, settings, url)
        postgres, horizon = cpu_of(server) - before[0], cpu_of(sandbox) - before[1]
    counters = run["counters"]
    return Result(
        scenario=scenario,
        state=run["state"],
        error=run["error"],
        settled=counters.get("settled", 0),
        seconds=run["seconds"],
        requests=counters.get("requests", 0),
        requests_estimated=counters.get("requests_estimated", 0),
        cpu=run["cpu"],
        cpu_s={"run": round(run["cpu_s"], 2), "postgres": round(postgres, 2), "sandbox": round(horizon, 2)},
        memory_mb=run["memory_mb"],
    )


def _run(scenario: Scenario, settings: Settings, url: str) -> dict[str, Any]:
    """The measured process; raises NexaError with what it says if it does not end well."""
    params = {"limit": scenario.pending} if scenario.by_hash else {}  # a run with a limit asks by hash
    try:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.bench.measured", orjson.dumps(params).decode()],
            env=environment(settings, horizon=url, per_hour=scenario.per_hour),
            cwd=settings.home,  # where no .env lies
            capture_output=True,
            timeout=RUN_S + 60,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NexaError(f"A run did not end within {RUN_S} s: measure fewer rows, or with a larger budget.") from error
    if done.returncode:
        raise NexaError(f"A run could not be measured: {_last_line(done.stderr)}.")
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


@contextmanager
def _horizon(scenario: Scenario) -> Iterator[tuple[str, Path, psutil.Process]]:
    """The scenario's Horizon: its address, the file of its payments, and its process."""
    with tempfile.TemporaryDirectory(prefix="nexaops-bench-") as name:
        folder = Path(name)
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.bench.horizon", orjson.dumps(asdict(scenario)).decode(), name],
            stdin=subprocess.PIPE,
        )
        try:
            announced = folder / "horizon.url"
            deadline = time.monotonic() + HORIZON_S
            while not announced.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NexaError("The benchmark's Horizon did not start: measure fewer rows.")
                time.sleep(0.05)
            yield announced.read_text(), folder / "payments.tsv", psutil.Process(process.pid)
        finally:
            if process.stdin is not None:
                process.stdin.close()  # it ends with its input
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _last_line(text: bytes) -> str:
    return (text.decode("utf-8", "replace").strip().rpartition("\n")[2] or "it said nothing").rstrip(".")
