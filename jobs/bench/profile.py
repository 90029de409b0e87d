"""Where a process spends its CPU and how much memory it takes, sampled while it works.

Every few milliseconds each thread's CPU time since the last sample goes to what the innermost frame that we know of is
about. So waiting costs nothing, and time in C counts for whoever called it. A sample sees a thread where it gives the
interpreter lock up, so parts that wait often get a little more than their share.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Self

import psutil

EVERY_S = 0.004
PARTS = ("http", "decoding", "rules", "database", "other")
# By module, the longest name that fits: who is innermost on a stack.
_PART_OF = {
    "aiohttp": "http",
    "asyncio": "http",
    "multidict": "http",
    "selectors": "http",
    "yarl": "http",
    "jobs.horizon": "http",
    "stellar_sdk": "http",
    "jobs.horizon.answers": "decoding",
    "jobs.horizon.codes": "decoding",
    "jobs.horizon.decode": "decoding",
    "jobs.horizon.plain": "decoding",
    "stellar_sdk.strkey": "decoding",
    "stellar_sdk.xdr": "decoding",
    "xdrlib3": "decoding",
    "jobs.reconcile": "rules",
    "jobs.core.db": "database",
    "jobs.horizon.journal": "database",
    "jobs.reconcile.cases": "database",
    "jobs.reconcile.conclude": "database",
    "jobs.reconcile.scopes": "database",
    "jobs.reconcile.settle": "database",
    "jobs.reconcile.store": "database",
    "jobs.run": "database",
    "psycopg": "database",
    "psycopg_binary": "database",
    "sqlalchemy": "database",
}


class Profile:
    """Samples this process for the time of the block."""

    def __init__(self) -> None:
        self.start_mb = self.peak_mb = _memory_mb()
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._known: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample_all, name="profile", daemon=True)

    def __enter__(self) -> Self:
        self._sample()  # what was used before does not count
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def shares(self) -> Mapping[str, float]:
        """Each part's share of the CPU time, 0 to 1."""
        total = sum(self._seconds.values()) or 1.0
        return {part: round(self._seconds[part] / total, 3) for part in PARTS}

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all threads but this one."""
        return sum(self._seconds.values())

    def _sample_all(self) -> None:
        while not self._done.wait(EVERY_S):
            self._sample()
            self.peak_mb = max(self.peak_mb, _memory_mb())

    def _sample(self) -> None:
        # A thread that has ended is not looked at: it had its last sample a few milliseconds ago.
        for thread, frame in sys._current_frames().items():
            if thread == self._thread.ident:
                continue
            try:
                used = time.clock_gettime(time.pthread_getcpuclockid(thread))
            except OSError:
                continue
            self._seconds[_part_of(frame)] += used - self._known.get(thread, 0.0)
            self._known[thread] = used


def _part_of(frame: FrameType | None) -> str:
    while frame is not None:
        part = _part_of_module(frame.f_globals.get("__name__", ""))
        if part is not None:
            return part
        frame = frame.f_back
    return "other"


@lru_cache(maxsize=4096)
def _part_of_module(name: str) -> str | None:
    while name:
        if name in _PART_OF:
            return _PART_OF[name]
        name = name.rpartition(".")[0]
    return None


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
