"""Runs counted as they end.

Counting three million runs at every scrape would cost more than they did. So this process counts from its own start:
each scrape looks at what has ended since the last one, and an hour further back, because what ends first may be committed
last; what was counted of that hour is remembered. Prometheus knows that counters begin again at zero. With several
dashboards, scrape each: their counters agree up to when each began.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import Connection, text

from dashboard.metrics.families import PREFIX

_BOUNDS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_MOST_NEW = 20_000
"""A scrape counts so many; the next one goes on."""
_LATE = timedelta(hours=1)
"""Within so long of its end a run is committed: a transaction that ends one takes milliseconds, or as long as a lock."""
# A loose scan finds the jobs, and of each the index of ended runs holds all that is asked.
_ENDED = text("""
WITH RECURSIVE named AS (
    (SELECT job FROM ops.runs WHERE finished_at IS NOT NULL ORDER BY job LIMIT 1)
    UNION ALL
    SELECT n.job FROM named CROSS JOIN LATERAL (
        SELECT job FROM ops.runs r WHERE r.job > named.job AND finished_at IS NOT NULL ORDER BY job LIMIT 1) AS n
)
SELECT r.id, r.job, r.state, r.finished_at, extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds
FROM named CROSS JOIN LATERAL (
    SELECT id, job, state, started_at, finished_at FROM ops.runs
    WHERE job = named.job AND finished_at >= :since AND id <> ALL (CAST(:counted AS bigint[]))
) AS r LIMIT :most
""")


class RunCounter:
    """Finished runs by job and state, and how long they took, since this process began to count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: datetime | None = None
        self._counted: dict[int, datetime] = {}
        """Of what has ended since then: when."""
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
        began = self._since is None
        now: datetime = conn.execute(text("SELECT now()")).scalar_one()
        since = self._since or now - _LATE
        most = None if began else _MOST_NEW
        rows = conn.execute(_ENDED, {"since": since, "counted": list(self._counted), "most": most}).all()
        for row in rows:
            self._counted[row.id] = row.finished_at
            if not began:
                self._count(row.job, row.state, row.seconds)
        if len(rows) != most:
            self._since = now - _LATE
            self._counted = {id_: at for id_, at in self._counted.items() if at >= self._since}

    def _count(self, job: str, state: str, seconds: float | None) -> None:
        self.ended[job, state] += 1
        if seconds is not None:
            place = next((i for i, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))
            self.durations[job][place] += 1
            self.seconds[job] += seconds
