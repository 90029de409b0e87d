"""What the probe keeps of a Horizon server, and what it has to remember from before to judge a signal that lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.horizon.health import Judgement, age_s, ledger_lag
from jobs.horizon.journal import read_buckets
from jobs.horizon.latency import percentile
from jobs.horizon.model import FeeStats, Health, Root
from jobs.horizon.quota import BURST

FAILURES = {
    "rate_limited": "429",
    "unavailable": "5xx",
    "timeout": "time-outs",
    "refused": "broken connections",
    "garbled": "unreadable",
}

_BEFORE = text("""
SELECT clock_timestamp() AS now,
       (SELECT min(at) FROM ops.horizon_samples
        WHERE server = :server AND ingest_ledger <> latest_ledger AND at > COALESCE(
            (SELECT max(at) FROM ops.horizon_samples WHERE server = :server AND ingest_ledger = latest_ledger),
            '-infinity')) AS ingestion_lags_since,
       (SELECT max(at) FROM ops.horizon_samples WHERE server = :server) AS sampled_at,
       (SELECT max(at) FROM ops.horizon_samples
        WHERE server = :server AND capacity_usage IS NOT NULL) AS fees_at,
       s.limit_per_hour, s.remaining, s.reset_at
FROM (SELECT 1) AS one LEFT JOIN ops.horizon_servers AS s ON s.server = :server
""")
_RECENT = text("""
SELECT outcome, count AS n, buckets FROM ops.horizon_requests
WHERE server = :server AND minute > clock_timestamp() - interval '6 minutes'
""")
_SPENT = text("""
SELECT job, sum(count)::bigint AS n FROM ops.horizon_requests
WHERE server = :server AND minute > clock_timestamp() - interval '1 hour' GROUP BY job ORDER BY 2 DESC, 1
""")
_SERVER = text("INSERT INTO ops.horizon_servers (server) VALUES (:server) ON CONFLICT DO NOTHING")
_SAMPLE = text("""
INSERT INTO ops.horizon_samples (
    server, at, verdict, reasons, latency_ms, age_s, lag, latest_ledger, closed_at, elder_ledger, core_ledger,
    ingest_ledger, passphrase, protocol, supported_protocol, horizon_version, core_version, database_connected,
    core_up, core_synced, capacity_usage, fee_p50, fee_p95, max_fee_p95, error)
VALUES (
    :server, clock_timestamp(), :verdict, :reasons, :latency_ms, :age_s, :lag, :latest_ledger, :closed_at,
    :elder_ledger, :core_ledger, :ingest_ledger, :passphrase, :protocol, :supported_protocol, :horizon_version,
    :core_version, :database_connected, :core_up, :core_synced, :capacity_usage, :fee_p50, :fee_p95, :max_fee_p95,
    :error)
""")


@dataclass(frozen=True, slots=True)
class Before:
    """What was known of a server before it was asked again."""

    now: datetime
    ingestion_lags_since: datetime | None
    sampled_at: datetime | None
    fees_at: datetime | None
    requests: int
    """In the last five minutes, the current one included; likewise the next three."""
    errors: int
    errors_by_kind: str
    p95_ms: float | None
    budget_left: float | None
    budget_by_job: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one server."""

    server: str
    judgement: Judgement
    now: datetime
    root: Root | None
    health: Health | None
    fees: FeeStats | None
    error: str | None


def read_before(conn: Connection, server: str, per_hour: int) -> Before:
    """What to remember about a server; `per_hour` is our own limit, 0 for none."""
    row = conn.execute(_BEFORE, {"server": server}).one()
    recent = conn.execute(_RECENT, {"server": server}).all()
    spent = conn.execute(_SPENT, {"server": server}).all()
    by_outcome: dict[str, int] = {}
    for line in recent:
        by_outcome[line.outcome] = by_outcome.get(line.outcome, 0) + line.n
    failed = {words: by_outcome[outcome] for outcome, words in FAILURES.items() if outcome in by_outcome}
    shares = []
    if per_hour:
        shares.append(max(0.0, 1 - sum(line.n for line in spent) / per_hour))
    # A limit no higher than the burst is the burst: it empties and refills within a minute and warns of nothing.
    if row.limit_per_hour and row.limit_per_hour > BURST + 1 and row.reset_at and row.reset_at > row.now:
        shares.append(row.remaining / row.limit_per_hour)
    return Before(
        now=row.now,
        ingestion_lags_since=row.ingestion_lags_since,
        sampled_at=row.sampled_at,
        fees_at=row.fees_at,
        requests=sum(by_outcome.values()),
        errors=sum(failed.values()),
        errors_by_kind=_counted(failed),
        p95_ms=percentile(read_buckets([line.buckets for line in recent]), 0.95),
        budget_left=min(shares) if shares else None,
        budget_by_job="spent by " + _counted({line.job: line.n for line in spent}) if spent else "",
    )


def write_sample(conn: Connection, sample: Sample) -> None:
    """Keeps a sample; the server is known from then on, whether it answered or not."""
    root, health, fees = sample.root, sample.health, sample.fees
    conn.execute(_SERVER, {"server": sample.server})
    conn.execute(
        _SAMPLE,
        {
            "server": sample.server,
            "verdict": sample.judgement.verdict.value,
            "reasons": jsonb(
                [
                    {"signal": reason.signal, "verdict": reason.verdict.value, "sentence": reason.sentence}
                    for reason in sample.judgement.reasons
                ]
            ),
            "latency_ms": root and root.latency_ms,
            "age_s": root and age_s(root, sample.now),
            "lag": root and ledger_lag(root),
            "latest_ledger": root and root.latest_ledger,
            "closed_at": root and root.latest_closed_at,
            "elder_ledger": root and root.elder_ledger,
            "core_ledger": root and root.core_ledger,
            "ingest_ledger": root and root.ingest_ledger,
            "passphrase": root and root.network_passphrase,
            "protocol": root and root.protocol,
            "supported_protocol": root and root.supported_protocol,
            "horizon_version": root and root.horizon_version,
            "core_version": root and root.core_version,
            "database_connected": health and health.database_connected,
            "core_up": health and health.core_up,
            "core_synced": health and health.core_synced,
            "capacity_usage": fees and Decimal(fees.capacity_usage),
            "fee_p50": fees and fees.charged_p50,
            "fee_p95": fees and fees.charged_p95,
            "max_fee_p95": fees and fees.max_fee_p95,
            "error": sample.error,
        },
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
