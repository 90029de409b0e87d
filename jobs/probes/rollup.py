"""rollup-metrics: samples become minutes, minutes hours, hours days; each step is one statement.

A bucket holds how many samples there were, their sum, the least and the greatest: so an hour made of minutes is exactly
what it would be made of samples. What requests to Horizon cost is rolled up likewise, by adding its histograms. A step computes whole buckets from what they are made of and writes only those that
differ, so it may be repeated, by several at once, and a sample that comes late is in the next time. Where nothing was
sampled there is no bucket: a gap stays a gap.

What is kept: samples for 48 hours, minutes for 30 days, hours and days for two years. A limit is always a whole bucket
of the next coarser kind, so no bucket is ever computed again from a part of what it was made of.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from jobs.core.jobs import Every, Params, Run, job
from jobs.horizon.latency import SIZE
from jobs.probes.series import HORIZON_NUMBERS

SAMPLES_KEPT = timedelta(hours=48)
MINUTES_KEPT = timedelta(days=30)
HOURS_KEPT = timedelta(days=730)
LATE = timedelta(hours=2)
"""How late a sample may come to be in at once; until it is deleted, it still gets in once a day (see `prune`)."""

_SINCE = text("""
SELECT now() AS now,
       -- Where the minutes end: after a pause what was sampled in it is rolled up, too.
       coalesce((SELECT max(newest.at) FROM ops.series s CROSS JOIN LATERAL (
                    SELECT max(at) AS at FROM ops.rollups WHERE span = 'minute' AND series = s.id) AS newest),
                '-infinity') AS rolled_to
""")
_HORIZON = f"FROM ops.horizon_samples h {HORIZON_NUMBERS} WHERE h.at >= :since AND v.value IS NOT NULL"
_SERIES = text(f"""
INSERT INTO ops.series (subject, metric) SELECT DISTINCT h.server, v.metric {_HORIZON}
EXCEPT SELECT subject, metric FROM ops.series ON CONFLICT DO NOTHING
""")  # noqa: S608 - constants, here and below
_WRITE = """
INSERT INTO ops.rollups AS r (span, series, at, n, total, least, most)
SELECT '{span}', series, date_trunc('{span}', at, 'UTC'), {aggregates}
FROM ({source}) AS part GROUP BY series, date_trunc('{span}', at, 'UTC')
ON CONFLICT (span, series, at) DO UPDATE
   SET n = excluded.n, total = excluded.total, least = excluded.least, most = excluded.most
 WHERE (r.n, r.least, r.most) IS DISTINCT FROM (excluded.n, excluded.least, excluded.most)
"""
_MINUTES = text(
    _WRITE.format(
        span="minute",
        aggregates="count(*), sum(value), min(value), max(value)",
        source=f"""
    SELECT s.id AS series, x.at, x.value
      FROM ops.series s CROSS JOIN LATERAL (SELECT at, value FROM ops.samples WHERE series = s.id AND at >= :since) AS x
    UNION ALL
    SELECT s.id, u.at, u.value FROM (SELECT h.server, h.at, v.metric, v.value {_HORIZON}) AS u
      JOIN ops.series s ON s.subject = u.server AND s.metric = u.metric""",  # noqa: S608
    )
)
_COARSER = """
    SELECT r.series, r.at, r.n, r.total, r.least, r.most FROM ops.series s CROSS JOIN LATERAL (
        SELECT * FROM ops.rollups WHERE span = '{finer}' AND series = s.id AND at >= date_trunc('{span}', :since, 'UTC')) AS r"""
_HOURS, _DAYS = (
    text(
        _WRITE.format(
            span=span,
            aggregates="sum(n), sum(total), min(least), max(most)",
            source=_COARSER.format(finer=finer, span=span),
        )
    )
    for span, finer in (("hour", "minute"), ("day", "hour"))
)

SUM_BUCKETS = f"CAST(ARRAY[{', '.join(f'sum(buckets[{place}])' for place in range(1, SIZE + 1))}] AS bigint[])"
"""Histograms added up; many times as fast as taking them apart. Where the table holds those of other bounds, leave them out."""
_ADD = """
INSERT INTO ops.horizon_request_sums AS r (span, at, server, endpoint, job, outcome, count, total_ms, buckets)
SELECT '{span}', date_trunc('{span}', {at}, 'UTC'), server, endpoint, job, outcome, sum(count), sum(total_ms), {buckets}
FROM {source} WHERE cardinality(buckets) = {size} AND {at} >= date_trunc('{span}', least(:since, coalesce(
    (SELECT max(at) FROM ops.horizon_request_sums WHERE span = '{span}'), '-infinity')), 'UTC')
GROUP BY date_trunc('{span}', {at}, 'UTC'), server, endpoint, job, outcome
ON CONFLICT (span, at, server, endpoint, job, outcome) DO UPDATE
   SET count = excluded.count, total_ms = excluded.total_ms, buckets = excluded.buckets
 WHERE r.count <> excluded.count
"""
_REQUESTS = {
    span: text(_ADD.format(span=span, at=at, source=source, buckets=SUM_BUCKETS, size=SIZE))
    for span, at, source in (
        ("hour", "minute", "ops.horizon_requests"),
        ("day", "at", "(SELECT * FROM ops.horizon_request_sums WHERE span = 'hour') AS hours"),
    )
}


@job(
    name="rollup-metrics",
    title="Roll samples up",
    does="Makes minutes, hours and days of what the probes have sampled, and sums of what requests to Horizon cost.",
    schedule=Every(seconds=300),
    timeout_s=240,
    params=Params,
)
def rollup_metrics(run: Run, _params: Params) -> None:
    """Counts `minute`, `hour` and `day`: buckets written. A dry run writes them too: they are measurements."""
    with run.db.begin() as conn:
        row = conn.execute(_SINCE).one()
        for span, count in roll_up(conn, row.now, min(row.now - LATE, row.rolled_to)).items():
            run.count(span, count)


def roll_up(conn: Connection, now: datetime, since: datetime) -> dict[str, int]:
    """Rolls up what was sampled from `since` on, as far as samples are kept; returns buckets written by span."""
    first = max(since, kept_from(now)["samples"]).replace(second=0, microsecond=0)
    conn.execute(_SERIES, {"since": first})
    steps = {"minute": _MINUTES, "hour": _HOURS, "day": _DAYS}
    written = {span: conn.execute(statement, {"since": first}).rowcount for span, statement in steps.items()}
    for span, statement in _REQUESTS.items():
        written[span] += conn.execute(statement, {"since": first}).rowcount
    return written


def kept_from(now: datetime) -> dict[str, datetime]:
    """From when on samples, minutes, hours and days are kept; the beginning of an hour or a day of UTC."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    old = day - HOURS_KEPT
    return {"samples": hour - SAMPLES_KEPT, "minute": day - MINUTES_KEPT, "hour": old, "day": old}
