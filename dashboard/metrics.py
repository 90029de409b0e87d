"""Figures for Prometheus, read when it asks: what stands in the tables, and runs counted as they finish.

Counting three million runs at every scrape would cost more than they did. So this process counts from its own start:
each scrape looks at the runs that are new and at those that were open the last time. Prometheus knows that counters
begin again at zero. With several dashboards, scrape each: their counters agree up to when each began.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, text

from dashboard import queries
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.breaker import State, state_of
from jobs.probes import figures
from jobs.probes.attention import alive, ledgers_behind
from jobs.probes.model import Facts
from jobs.probes.spans import Window

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_MOST_NEW = 20_000
_OPEN = ("queued", "running")

requests_of_last_hour = queries.cached(ttl=10)(figures.requests)


class RunCounter:
    """Finished runs by job and state, and how long they took, since this process began to count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._open: set[int] = set()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.durations: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS_S) + 1))
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def update(self, conn: Connection) -> None:
        """Counts what has finished since the last update; two scrapes at once take turns."""
        with self._lock:
            if self._seen is None:
                # Reads the open ones of before, too: they will end on our watch.
                self._seen = conn.execute(text("SELECT coalesce(max(id), 0) FROM ops.runs")).scalar_one()
                rows = conn.execute(text("SELECT id FROM ops.runs WHERE state IN ('queued', 'running')"))
                self._open = {row.id for row in rows}
                return
            rows = conn.execute(
                text(
                    "SELECT id, job, state, extract(epoch FROM finished_at - started_at)::float8 AS seconds"
                    " FROM ops.runs WHERE id > :seen OR id = ANY (CAST(:open AS bigint[])) ORDER BY id LIMIT :most"
                ),
                {"seen": self._seen, "open": sorted(self._open), "most": _MOST_NEW},
            )
            still_open = set()
            for row in rows:
                self._seen = max(self._seen, row.id)
                if row.state in _OPEN:
                    still_open.add(row.id)
                else:
                    self._count(row.job, row.state, row.seconds)
            self._open = still_open

    def _count(self, job: str, state: str, seconds: float | None) -> None:
        self.ended[job, state] += 1
        if seconds is not None:
            place = next((i for i, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))
            self.durations[job][place] += 1
            self.seconds[job] += seconds


class Figures:
    """Everything on /metrics."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self._settings, self._db = settings, db
        self._runs = RunCounter()

    def text(self) -> bytes:
        """The whole page; raises SQLAlchemyError if the database does not answer."""
        return _written(list(self._collect()))

    def without_database(self) -> bytes:
        """What can be said when the database does not answer: that."""
        return _written([_gauge("database_up", "Whether the database answers.", 0.0)])

    def _collect(self) -> Iterator[Metric]:
        facts = queries.standing().facts
        with self._db.read() as conn:
            self._runs.update(conn)
            rows = conn.execute(
                text("SELECT state, count(*) AS n FROM ops.runs WHERE state IN ('queued', 'running') GROUP BY state")
            )
            waiting = {row.state: row.n for row in rows}
        yield _gauge("database_up", "Whether the database answers.", 1.0)
        yield _gauge("queue_depth", "Runs that wait for a worker.", waiting.get("queued", 0))
        yield _gauge("runs_running", "Runs under way.", waiting.get("running", 0))
        yield _gauge("workers", "Workers that beat.", len(alive(facts)))
        yield from self._ended()
        yield from _of_jobs(facts)
        yield from _of_money(facts)
        yield from _of_events(facts)
        yield from _of_integrity(facts)
        yield from self._of_horizon(facts)
        flags = GaugeMetricFamily("nexaops_flag", "Feature flags, 1 is on.", labels=["flag"])
        for state in facts.flags:
            flags.add_metric([state.flag.value], float(state.value))
        yield flags

    def _ended(self) -> Iterator[Metric]:
        runs = CounterMetricFamily(
            "nexaops_runs", "Runs that ended since this dashboard started.", labels=["job", "state"]
        )
        for (job, state), count in sorted(self._runs.ended.items()):
            runs.add_metric([job, state], count)
        yield runs
        took = HistogramMetricFamily("nexaops_run_duration_seconds", "How long runs took.", labels=["job"])
        for job, counts in sorted(self._runs.durations.items()):
            total = 0.0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            took.add_metric([job], buckets, sum_value=self._runs.seconds[job])
        yield took

    def _of_horizon(self, facts: Facts) -> Iterator[Metric]:
        age = GaugeMetricFamily("nexaops_horizon_ledger_age_seconds", "Age of the newest ledger when probed.",
                                labels=["server"])  # fmt: skip
        lag = GaugeMetricFamily("nexaops_horizon_lag_ledgers", "Ledgers behind the core.", labels=["server"])
        probed = GaugeMetricFamily("nexaops_horizon_probe_timestamp_seconds", "When it was probed.", labels=["server"])
        for server in facts.servers:
            for family, value in ((age, server.age_s), (lag, server.lag)):
                if value is not None:
                    family.add_metric([server.server], value)
            if server.sampled_at is not None:
                probed.add_metric([server.server], server.sampled_at.timestamp())
        yield from (age, lag, probed)
        behind = GaugeMetricFamily("nexaops_horizon_behind_ledgers", "Ledgers behind the server that has come furthest.",
                                   labels=["server"])  # fmt: skip
        for name, ledgers in ledgers_behind(facts).items():
            behind.add_metric([name], ledgers)
        breaker = GaugeMetricFamily(
            "nexaops_horizon_breaker", "The state of a server's circuit breaker is the one with 1: closed is in use.",
            labels=["server", "state"],
        )  # fmt: skip
        for server in facts.servers:
            now_in = state_of(server.breaker, facts.now)
            for state in State:
                breaker.add_metric([server.server, state.value], float(state is now_in))
        yield from (behind, breaker)
        hour = requests_of_last_hour(Window(timedelta(hours=1)))
        latency = GaugeMetricFamily("nexaops_horizon_latency_seconds", "Latency of the last hour's requests.",
                                    labels=["endpoint", "quantile"])  # fmt: skip
        for item in hour.latency:
            for quantile, value in (("0.5", item.p50), ("0.95", item.p95), ("0.99", item.p99)):
                if value is not None:
                    latency.add_metric([item.name, quantile], value / 1000)
        yield latency
        if limit := self._settings.rate_limit_per_hour:
            left = max(0, limit - hour.total)
            yield _gauge("horizon_budget_remaining", "Requests left of the hour's budget.", left)


def _of_jobs(facts: Facts) -> Iterator[Metric]:
    success = GaugeMetricFamily("nexaops_job_last_success_timestamp_seconds", "When a job last succeeded.",
                                labels=["job"])  # fmt: skip
    failures = GaugeMetricFamily("nexaops_job_failures_in_a_row", "Failures since the last success.", labels=["job"])
    paused = GaugeMetricFamily("nexaops_job_paused", "Whether a person paused it.", labels=["job"])
    for job in facts.jobs:
        if job.last_success_at is not None:
            success.add_metric([job.name], job.last_success_at.timestamp())
        failures.add_metric([job.name], job.failures)
        paused.add_metric([job.name], float(job.paused_at is not None))
    yield from (success, failures, paused)


def _of_money(facts: Facts) -> Iterator[Metric]:
    count = GaugeMetricFamily("nexaops_pending_transactions", "Transactions that wait for the chain.",
                              labels=["currency"])  # fmt: skip
    oldest = GaugeMetricFamily("nexaops_pending_oldest_seconds", "Age of the oldest of them.", labels=["currency"])
    for item in facts.pending:
        count.add_metric([item.currency], item.count)
        oldest.add_metric([item.currency], (facts.now - item.oldest).total_seconds())
    yield from (count, oldest)
    yield _gauge("cases_open", "Cases that wait for a decision.", facts.cases)
    age = (facts.now - facts.oldest_case).total_seconds() if facts.oldest_case is not None else 0.0
    yield _gauge("case_oldest_seconds", "Age of the oldest of them; 0 without any.", age)


def _of_events(facts: Facts) -> Iterator[Metric]:
    events = facts.events
    if events is None:
        return
    yield _gauge("events_waiting", "Events that the other system has not taken yet, up to 10,000.", events.waiting)
    yield _gauge("events_dead", "Events that were given up, up to 10,000.", events.dead)
    oldest = (facts.now - events.oldest).total_seconds() if events.oldest is not None else 0.0
    yield _gauge("event_oldest_seconds", "Age of the oldest that waits; 0 without any.", oldest)


def _of_integrity(facts: Facts) -> Iterator[Metric]:
    findings = GaugeMetricFamily("nexaops_integrity_findings_open", "What differs in the books.", labels=["check"])
    proved = GaugeMetricFamily("nexaops_integrity_proved_timestamp_seconds", "When its last whole pass began.",
                               labels=["check"])  # fmt: skip
    for check in facts.checks:
        findings.add_metric([check.name], check.findings)
        if check.as_of is not None:
            proved.add_metric([check.name], check.as_of.timestamp())
    yield from (findings, proved)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"nexaops_{name}", what, value=value)


class _Collected(Collector):
    """Figures that were read already: an error while reading must not leave half a page."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        return iter(self._found)


def _written(found: list[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Collected(found))
    return generate_latest(registry)
