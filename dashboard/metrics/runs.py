"""Runs counted as they end.

Counting three million runs at every scrape would cost more than they did. So this process counts from its own start:
each scrape looks at the runs that are new and at those that were open the last time. Prometheus knows that counters
begin again at zero. With several dashboards, scrape each: their counters agree up to when each began.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import Connection, text

from dashboard.metrics.families import PREFIX

_BOUNDS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_MOST_NEW = 20_000
_OPEN = ("queued", "running")
_COLUMNS = "id, job, state, extract(epoch FROM finished_at - started_at)::float8 AS seconds"
_ENDED = text(
    f"SELECT {_COLUMNS} FROM ops.runs WHERE id = ANY (CAST(:ids AS bigint[])) AND state NOT IN ('queued', 'running')"  # noqa: S608 - constants
)
_NEW = text(f"SELECT {_COLUMNS} FROM ops.runs WHERE id > :seen ORDER BY id LIMIT :most")  # noqa: S608 - constants


class RunCounter:
    """Finished runs by job and state, and how long they took, since this process began to count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._open: set[int] = set()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.durations: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS_S) + 1))
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def collect(self, conn: Connection) -> Iterator[Metric]:
        """Counts what has finished since the last time; two scrapes at once take turns."""
        with self._lock:
            self._update(conn)
            ended = sorted(self.ended.items())
            durations = {job: list(counts) for job, counts in sorted(self.durations.items())}
            seconds = dict(self.seconds)
        runs = CounterMetricFamily(
            f"{PREFIX}runs", "Runs that ended since this dashboard started.", labels=["job_name", "state"]
        )
        for (job, state), count in ended:
            runs.add_metric([job, state], count)
        yield runs
        took = HistogramMetricFamily(f"{PREFIX}run_duration_seconds", "How long runs took.", labels=["job_name"])
        for job, counts in durations.items():
            total = 0.0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            took.add_metric([job], buckets, sum_value=seconds[job])
        yield took

    def _update(self, conn: Connection) -> None:
        if self._seen is None:
            # Reads the open ones of before, too: they will end on our watch.
            self._seen = conn.execute(text("SELECT coalesce(max(id), 0) FROM ops.runs")).scalar_one()
            rows = conn.execute(text("SELECT id FROM ops.runs WHERE state IN ('queued', 'running')"))
            self._open = {row.id for row in rows}
            return
        # Apart, so that however many wait, none of them is lost sight of and those that come after them are seen.
        ended = conn.execute(_ENDED, {"ids": sorted(self._open)}).all()
        new = conn.execute(_NEW, {"seen": self._seen, "most": _MOST_NEW}).all()
        for row in (*ended, *new):
            self._seen = max(self._seen, row.id)
            if row.state in _OPEN:
                self._open.add(row.id)
            else:
                self._open.discard(row.id)
                self._count(row.job, row.state, row.seconds)

    def _count(self, job: str, state: str, seconds: float | None) -> None:
        self.ended[job, state] += 1
        if seconds is not None:
            place = next((i for i, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))
            self.durations[job][place] += 1
            self.seconds[job] += seconds
