"""Samples as every probe keeps them, and their past as a trend needs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Connection, text

from jobs.probes.trend import Points

_SERIES = text("""
INSERT INTO ops.series (subject, metric)
SELECT :subject, metric FROM unnest(CAST(:metrics AS text[])) AS m (metric)
EXCEPT SELECT subject, metric FROM ops.series ON CONFLICT DO NOTHING
""")
_SAMPLES = text("""
INSERT INTO ops.samples (series, at, value)
SELECT s.id, now(), m.value
FROM unnest(CAST(:metrics AS text[]), CAST(:values AS double precision[])) AS m (metric, value)
JOIN ops.series s ON s.subject = :subject AND s.metric = m.metric
ON CONFLICT DO NOTHING
""")
_HOURS = text("""
SELECT r.at, r.total / r.n AS mean FROM ops.rollups r JOIN ops.series s ON s.id = r.series
WHERE r.span = 'hour' AND s.subject = :subject AND s.metric = :metric AND r.at > now() - CAST(:past AS interval)
ORDER BY r.at
""")
_LAST = text("""
SELECT x.value FROM ops.samples x JOIN ops.series s ON s.id = x.series
WHERE s.subject = :subject AND s.metric = :metric ORDER BY x.at DESC LIMIT 1
""")
PAST = timedelta(days=7)
HORIZON_NUMBERS = """CROSS JOIN LATERAL (VALUES
    ('horizon.latency_ms', h.latency_ms), ('horizon.age_s', h.age_s), ('horizon.lag_ledgers', h.lag),
    ('horizon.capacity_ratio', CAST(h.capacity_usage AS double precision)), ('horizon.fee_p50_stroops', h.fee_p50),
    ('horizon.fee_p95_stroops', h.fee_p95), ('horizon.max_fee_p95_stroops', h.max_fee_p95)) AS v (metric, value)
"""
"""Behind `FROM ops.horizon_samples h`: its columns as series, by the names under which they are rolled up."""


def write_samples(conn: Connection, subject: str, values: Mapping[str, float | None]) -> None:
    """Keeps one look at a subject, at the database's time; what is None was not measured and stays a gap."""
    known = {metric: value for metric, value in values.items() if value is not None}
    bound = {"subject": subject, "metrics": list(known), "values": list(known.values())}
    conn.execute(_SERIES, bound)
    conn.execute(_SAMPLES, bound)


def read_hours(conn: Connection, subject: str, metric: str) -> Points:
    """The means of the last week's hours, the oldest first; hours without a sample are left out."""
    rows = conn.execute(_HOURS, {"subject": subject, "metric": metric, "past": PAST})
    return [(row.at, row.mean) for row in rows]


def read_last(conn: Connection, subject: str, metric: str) -> float | None:
    """The newest sample; None if there is none."""
    value: float | None = conn.execute(_LAST, {"subject": subject, "metric": metric}).scalar()
    return value
