"""The dashboard as the benchmark starts it: the product's own command, a process of its own, on the filled database."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from dashboard.bench.fill import SERVERS
from jobs.bench.processes import STOP_S, environment
from jobs.core.errors import NexaError
from jobs.core.settings import Settings

START_S = 60.0


@contextmanager
def dashboard_of(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """Its address, once it answers, and its process; it has ended afterwards. Raises NexaError if it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs", "dashboard", "--port", str(port)],
        env=environment(settings, horizon=",".join(SERVERS)),
        cwd=settings.home,  # where no .env lies
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(process, address)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{address}/health", timeout=2):  # noqa: S310 - our own address
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise NexaError("The dashboard to be measured did not start: its last words stand above.")
