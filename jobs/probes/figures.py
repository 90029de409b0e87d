"""What the probes have found, as a page shows it: newest samples, courses over time, and what the requests cost.

Every read is bounded: a course has at most `POINTS` points whatever its length, and requests are summed over a day at
most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, text

from jobs.horizon.latency import SIZE, merge, percentile
from jobs.probes.rollup import SAMPLES_KEPT

POINTS = 240
LONGEST_SUM = timedelta(hours=24)
ANSWERED = frozenset({"ok", "absent"})
"""Outcomes that are answers; "there is no such transaction" is one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest sample of a server; fees in stroops, capacity as a share of one."""

    server: str
    at: datetime
    verdict: str
    reasons: tuple[str, ...]
    latency_ms: float | None
    age_s: float | None
    lag: int | None
    latest_ledger: int | None
    elder_ledger: int | None
    core_ledger: int | None
    ingest_ledger: int | None
    passphrase: str | None
    protocol: int | None
    supported_protocol: int | None
    horizon_version: str | None
    core_version: str | None
    capacity_usage: Decimal | None
    fee_p50: int | None
    fee_p95: int | None
    max_fee_p95: int | None
    error: str | None


def newest_samples(conn: Connection, servers: Sequence[str]) -> tuple[Sample, ...]:
    """The newest sample of each server, in the order given; a server without any is left out."""
    rows = conn.execute(
        text(
            "SELECT s.server, s.at, s.verdict, s.reasons, s.latency_ms, s.age_s, s.lag, s.latest_ledger, s.elder_ledger,"
            " s.core_ledger, s.ingest_ledger, s.passphrase, s.protocol, s.supported_protocol, s.horizon_version,"
            " s.core_version, s.capacity_usage, s.fee_p50, s.fee_p95, s.max_fee_p95, s.error"
            " FROM unnest(CAST(:servers AS text[])) WITH ORDINALITY AS n (server, position) CROSS JOIN LATERAL ("
            "   SELECT * FROM ops.horizon_samples WHERE server = n.server ORDER BY at DESC LIMIT 1) AS s"
            " ORDER BY n.position"
        ),
        {"servers": list(servers)},
    )
    return tuple(
        Sample(**{**row._mapping, "reasons": tuple(str(reason["sentence"]) for reason in row.reasons or ())})
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Point:
    """The worst of one stretch of time: age in seconds, latency in milliseconds, lag in ledgers; None: no data."""

    at: datetime
    age_s: float | None
    latency_ms: float | None
    lag: int | None


def course(conn: Connection, server: str, length: timedelta) -> tuple[Point, ...]:
    """A server's samples of the last `length`, the worst of each of at most `POINTS` stretches.

    A stretch without a sample is a point of Nones, so that a line drawn through the points shows the gap.
    """
    rows = conn.execute(
        text(
            "WITH grid AS (SELECT at FROM generate_series("
            "   date_bin(CAST(:step AS interval), now() - CAST(:length AS interval), 'epoch'), now(),"
            "   CAST(:step AS interval)) AS at),"
            " seen AS (SELECT at, age_s, latency_ms, lag FROM ops.horizon_samples"
            "   WHERE server = :server AND at >= now() - CAST(:length AS interval)"
            # What is older than samples are kept is there as minutes.
            "   UNION ALL SELECT r.at, CASE s.metric WHEN 'horizon.age_s' THEN r.most END,"
            "   CASE s.metric WHEN 'horizon.latency_ms' THEN r.most END,"
            "   CASE s.metric WHEN 'horizon.lag_ledgers' THEN CAST(r.most AS integer) END"
            "   FROM ops.series s JOIN ops.rollups r ON r.series = s.id AND r.span = 'minute'"
            "   WHERE s.subject = :server AND r.at >= now() - CAST(:length AS interval)"
            "   AND r.at < now() - CAST(:kept AS interval)),"
            " found AS (SELECT date_bin(CAST(:step AS interval), at, 'epoch') AS at, max(age_s) AS age_s,"
            "   max(latency_ms) AS latency_ms, max(lag) AS lag FROM seen GROUP BY 1)"
            " SELECT grid.at, age_s, latency_ms, lag FROM grid LEFT JOIN found USING (at) ORDER BY grid.at"
        ),
        {
            "server": server,
            "length": length,
            "step": max(length / POINTS, timedelta(seconds=15)),
            "kept": SAMPLES_KEPT,
        },
    )
    return tuple(Point(row.at, row.age_s, row.latency_ms, row.lag) for row in rows)


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds of the requests to one endpoint."""

    endpoint: str
    requests: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Requests:
    """What was asked of Horizon in a time, by endpoint, by who asked, and by what came back."""

    total: int
    latency: tuple[Latency, ...]
    p95: float | None
    by_job: tuple[tuple[str, int], ...]
    errors: tuple[tuple[str, int], ...]

    @property
    def error_share(self) -> float:
        """Of one; 0 when nothing was asked."""
        return sum(count for _, count in self.errors) / self.total if self.total else 0.0


def requests(conn: Connection, length: timedelta) -> Requests:
    """The requests of the last `length`, a day at most."""
    rows = conn.execute(
        text(
            "SELECT endpoint, job, outcome, u.position, sum(u.n) AS n"
            " FROM ops.horizon_requests, unnest(buckets) WITH ORDINALITY AS u (n, position)"
            " WHERE minute >= date_trunc('minute', now()) - CAST(:length AS interval) AND cardinality(buckets) = :size"
            " GROUP BY endpoint, job, outcome, u.position HAVING sum(u.n) > 0"
        ),
        {"length": min(length, LONGEST_SUM), "size": SIZE},
    )
    endpoints: dict[str, list[int]] = {}
    jobs: dict[str, int] = {}
    errors: dict[str, int] = {}
    for row in rows:
        endpoints.setdefault(row.endpoint, [0] * SIZE)[row.position - 1] += row.n
        jobs[row.job] = jobs.get(row.job, 0) + row.n
        if row.outcome not in ANSWERED:
            errors[row.outcome] = errors.get(row.outcome, 0) + row.n
    return Requests(
        total=sum(jobs.values()),
        latency=tuple(
            Latency(name, sum(buckets), *(percentile(buckets, q) for q in (0.5, 0.95, 0.99)))
            for name, buckets in sorted(endpoints.items(), key=lambda item: -sum(item[1]))
        ),
        p95=percentile(merge(endpoints.values()), 0.95),
        by_job=_largest_first(jobs),
        errors=_largest_first(errors),
    )


def _largest_first(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
