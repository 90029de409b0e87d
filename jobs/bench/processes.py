"""The product's own processes as the benchmarks start them: on throw-away data, whatever this machine is set up for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from jobs.core.settings import Settings
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE

STOP_S = 30.0
_OURS = ("STELLAR_", "DB_", "NEXAOPS_", "NODE_ENV", "APP_ENV")
_NOBODY = "http://127.0.0.1:9"


def environment(settings: Settings, *, horizon: str = _NOBODY, per_hour: int = 0) -> dict[str, str]:
    """This process's environment without what is set for the product, and with what a benchmark's process needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | {
        "STELLAR_HORIZON_URL": horizon,
        "STELLAR_NETWORK": "CUSTOM",
        "STELLAR_NETWORK_PASSPHRASE": SANDBOX_PASSPHRASE,
        "STELLAR_RATE_LIMIT_PER_HOUR": str(per_hour),
        "NEXAOPS_HOME": str(settings.home),
        "DB_NAME": settings.db_name,
        "NEXAOPS_LOG_LEVEL": "error",
    }


def postmaster(home: Path) -> psutil.Process:
    """The embedded server of a benchmark's home."""
    return psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process and its children, those that have ended included."""
    used = 0.0
    for child in process.children():
        with suppress(psutil.NoSuchProcess):  # it has just ended, and is among the ended ones of its parent below
            used += cpu_of(child)
    times = process.cpu_times()
    return used + float(times.user + times.system + times.children_user + times.children_system)


class Meter:
    """Adds up what processes, each with its children, use in CPU seconds while one of the blocks lasts."""

    def __init__(self, processes: Sequence[psutil.Process]) -> None:
        self._processes = processes
        self._before: list[float] = []
        self.seconds = [0.0] * len(processes)

    def __enter__(self) -> None:
        self._before = [cpu_of(process) for process in self._processes]

    def __exit__(self, *_error: object) -> None:
        now = [cpu_of(process) for process in self._processes]
        self.seconds = [
            used + after - before for used, after, before in zip(self.seconds, now, self._before, strict=True)
        ]


@contextmanager
def workers(count: int, settings: Settings) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many `nexaops worker` that know the jobs of `noop`; they have ended afterwards. Their errors go to this one's."""
    packages = _packages(settings.home)
    found = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH"))))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "jobs", "worker"],
            env=environment(settings) | {"PYTHONPATH": found},
            cwd=settings.home,  # where no .env lies
        )
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _packages(home: Path) -> Path:
    """A folder on the workers' module path, as an installer leaves it: with an entry point for the jobs that do nothing."""
    known = home / "packages" / "nexaops_bench-0.dist-info"
    known.mkdir(parents=True, exist_ok=True)
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: nexaops-bench\nVersion: 0\n")
    (known / "entry_points.txt").write_text("[nexaops.jobs]\nbench = jobs.bench.noop\n")
    return known.parent
