"""What the probes have found about Horizon, as a page shows it: newest samples, and what the requests cost.

Every read is bounded: what the requests of a month or a year cost is read from sums by the hour and the day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from jobs.horizon.latency import SIZE, merge, percentile
from jobs.probes.rollup import SUM_BUCKETS
from jobs.probes.spans import Window, broken, grid, with_gaps

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
    database_connected: bool | None
    core_up: bool | None
    core_synced: bool | None
    capacity_usage: Decimal | None
    fee_p50: int | None
    fee_p95: int | None
    max_fee_p95: int | None
    error: str | None


# Fees are asked once a minute only: those of the last minutes count as the newest sample's.
_NEWEST = text("""
SELECT s.server, s.at, s.verdict, s.reasons, s.latency_ms, s.age_s, s.lag, s.latest_ledger, s.elder_ledger,
       s.core_ledger, s.ingest_ledger, s.passphrase, s.protocol, s.supported_protocol, s.horizon_version,
       s.core_version, s.database_connected, s.core_up, s.core_synced, f.capacity_usage, f.fee_p50, f.fee_p95,
       f.max_fee_p95, s.error
FROM unnest(CAST(:servers AS text[])) WITH ORDINALITY AS n (server, position) CROSS JOIN LATERAL (
    SELECT * FROM ops.horizon_samples WHERE server = n.server ORDER BY at DESC LIMIT 1) AS s LEFT JOIN LATERAL (
    SELECT capacity_usage, fee_p50, fee_p95, max_fee_p95 FROM ops.horizon_samples
    WHERE server = n.server AND capacity_usage IS NOT NULL AND at > s.at - interval '5 minutes'
    ORDER BY at DESC LIMIT 1) AS f ON true
ORDER BY n.position
""")


def newest_samples(conn: Connection, servers: Sequence[str]) -> tuple[Sample, ...]:
    """The newest sample of each server, in the order given; a server without any is left out."""
    rows = conn.execute(_NEWEST, {"servers": list(servers)})
    return tuple(
        Sample(**{**row._mapping, "reasons": tuple(str(reason["sentence"]) for reason in row.reasons or ())})
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds of the requests to one endpoint, or to one server."""

    name: str
    requests: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """The requests of one step of time, whatever their endpoint: percentiles in milliseconds, and failures by kind."""

    requests: int
    p50: float | None
    p95: float | None
    p99: float | None
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Requests:
    """What was asked of Horizon in a time: in its course, by endpoint and server, by who asked, by what came back."""

    since: datetime
    until: datetime
    course: tuple[tuple[datetime, Moment | None], ...]
    """None: a time in which nothing was asked."""
    total: int
    latency: tuple[Latency, ...]
    """By endpoint, the most requested first."""
    by_server: tuple[Latency, ...]
    p95: float | None
    by_job: tuple[tuple[str, int], ...]
    errors: tuple[tuple[str, int], ...]

    @property
    def error_share(self) -> float:
        """Of one; 0 when nothing was asked."""
        return sum(count for _, count in self.errors) / self.total if self.total else 0.0


# Sums end where the newest one was made, which may still grow: from there on the minutes themselves are read.
_EDGE = text("""
SELECT now() AS now, (SELECT max(at) FROM ops.horizon_request_sums WHERE span = 'hour') AS hour,
       (SELECT max(at) FROM ops.horizon_request_sums WHERE span = 'day') AS day
""")
# Histograms are added up only where percentiles are told, and what was answered is counted only by who asked.
_REQUESTS = text(f"""
WITH asked AS MATERIALIZED (
    SELECT date_bin(CAST(:step AS interval), at, 'epoch') AS at, server, endpoint, job, outcome, count, buckets
    FROM (
        SELECT at, server, endpoint, job, outcome, count, buckets FROM ops.horizon_request_sums
        WHERE span = :source AND at >= :first AND at < :edge AND at < :until
        UNION ALL
        SELECT minute, server, endpoint, job, outcome, count, buckets FROM ops.horizon_requests
        WHERE minute >= :first AND minute >= :edge AND minute < :until AND cardinality(buckets) = :size
    ) AS found
)
SELECT at, server, endpoint, NULL AS job, NULL AS outcome, sum(count)::bigint AS n, {SUM_BUCKETS} AS buckets
FROM asked GROUP BY GROUPING SETS ((at), (server), (endpoint))
UNION ALL
SELECT at, NULL, NULL, job, outcome, sum(count)::bigint, NULL FROM asked
GROUP BY GROUPING SETS ((at, outcome), (job)) HAVING job IS NOT NULL OR outcome <> ALL (CAST(:answered AS text[]))
ORDER BY at
""")  # noqa: S608 - a constant


def requests(conn: Connection, window: Window) -> Requests:
    """The requests of a window; of what is older than 30 days there are whole hours, or days, only."""
    known = conn.execute(_EDGE).one()
    until: datetime = window.until or known.now
    chosen = grid(window, known.now, least="minute")
    first = until - window.length
    edge = {"hour": known.hour, "day": known.day}.get(chosen.source) or first
    bounds = {"first": first, "until": until, "edge": edge, "source": chosen.source, "step": chosen.step}
    rows = conn.execute(_REQUESTS, {**bounds, "size": SIZE, "answered": list(ANSWERED)})
    steps: list[tuple[datetime, int, Sequence[int]]] = []
    failed: dict[datetime, dict[str, int]] = {}
    errors: Counter[str] = Counter()
    endpoints: dict[str, Sequence[int]] = {}
    servers: dict[str, Sequence[int]] = {}
    by_job: dict[str, int] = {}
    for at, server, endpoint, job, outcome, n, buckets in rows:
        if outcome is not None:
            failed.setdefault(at, {})[outcome] = n
            errors[outcome] += n
        elif at is not None:
            steps.append((at, n, buckets))
        elif endpoint is not None:
            endpoints[endpoint] = buckets
        elif server is not None:
            servers[server] = buckets
        else:
            by_job[job] = n
    moments = [Moment(n, *_percentiles(buckets), failed.get(at, {})) for at, n, buckets in steps]
    at, gaps = with_gaps([at for at, _, _ in steps], chosen.step)
    return Requests(
        since=first,
        until=until,
        course=tuple(zip(at, broken(moments, gaps), strict=True)),
        total=sum(moment.requests for moment in moments),
        latency=_latencies(endpoints),
        by_server=_latencies(servers),
        p95=percentile(merge(endpoints.values()), 0.95),
        by_job=_largest_first(by_job),
        errors=_largest_first(errors),
    )


def _latencies(histograms: Mapping[str, Sequence[int]]) -> tuple[Latency, ...]:
    most_first = sorted(histograms.items(), key=lambda item: (-sum(item[1]), item[0]))
    return tuple(Latency(name, sum(buckets), *_percentiles(buckets)) for name, buckets in most_first)


def _percentiles(buckets: Sequence[int]) -> tuple[float | None, float | None, float | None]:
    return percentile(buckets, 0.5), percentile(buckets, 0.95), percentile(buckets, 0.99)


def _largest_first(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
