"""Reads what only alerts look at, once for each of their evaluations: bounded statements, each in one set.

What the overview looks at as well is read by facts.py, every few seconds for whoever has a page open.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, text

from jobs.core.settings import Settings
from jobs.horizon.servers import servers
from jobs.probes.database import SUBJECT
from jobs.probes.latest import INDICATOR, asked_page
from jobs.probes.model import Answers, Measures, Pace, Sampled
from jobs.probes.samples import read_before

USUAL_RUNS = 20
_LOOK_BACK, _USUAL = 300, 200
SAMPLES_LAST = timedelta(days=8)
"""A series without a sample for so long is measured no more."""
PROBE = "database.connect_ms"

# By the index of ended runs alone, which holds all that is asked: the last hour whole, however often a job runs.
_PACES = text("""
SELECT s.name, s.timeout_s AS limit_s, r.*
FROM ops.schedules s CROSS JOIN LATERAL (
    WITH recent AS MATERIALIZED (
        SELECT state, finished_at, extract(epoch FROM finished_at - started_at) AS seconds
        FROM ops.runs WHERE job = s.name AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT :look_back
    ), hour AS (
        SELECT count(*) FILTER (WHERE state NOT IN ('missed', 'skipped')) AS ended,
               count(*) FILTER (WHERE state IN ('failed', 'timed_out', 'lost')) AS failed,
               count(*) FILTER (WHERE state = 'missed') AS missed
        FROM ops.runs WHERE job = s.name AND finished_at > now() - interval '1 hour'
    )
    SELECT (SELECT extract(epoch FROM now() - min(started_at)) FROM ops.runs
             WHERE state = 'running' AND job = s.name) AS running_s,
           (SELECT seconds FROM recent WHERE seconds IS NOT NULL ORDER BY finished_at DESC LIMIT 1) AS last_s,
           (SELECT CASE WHEN count(*) >= :usual_runs THEN percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) END
              FROM (SELECT seconds FROM recent WHERE state = 'succeeded' AND seconds IS NOT NULL
                     ORDER BY finished_at DESC LIMIT :usual) AS u) AS usual_p95_s,
           hour.*
    FROM hour
) AS r WHERE s.enabled
""")
_SAMPLES = text("""
SELECT s.metric, s.subject, x.at, x.value
FROM ops.series s CROSS JOIN LATERAL (
    SELECT at, value FROM ops.samples WHERE series = s.id AND at > now() - CAST(:last AS interval)
    ORDER BY at DESC LIMIT 1
) AS x WHERE s.metric = ANY (CAST(:metrics AS text[]))
""")
_ONES = text("""
SELECT (SELECT count(*) FROM (SELECT FROM ops.reconciliation_cases WHERE opened_at > now() - interval '1 hour'
          LIMIT 100000) AS c) AS opened,
       (SELECT max(made_at) FROM ops.backups) AS backup_at
""")
# A transaction with two cases is held up once.
_IN_CASES = text("""
SELECT coalesce(t.currency, '') AS currency, sum(t.amount) FILTER (WHERE t.amount < 'Infinity') AS amount
FROM (SELECT DISTINCT transaction_id FROM ops.reconciliation_cases WHERE resolved_at IS NULL) AS c
JOIN transactions t ON t.id = c.transaction_id WHERE t.status <> 'PENDING' GROUP BY 1
""")


def read_measures(conn: Connection, settings: Settings, metrics: Collection[str]) -> Measures:
    """The measures of this moment, with the newest samples of these metrics."""
    rows = conn.execute(_PACES, {"look_back": _LOOK_BACK, "usual": _USUAL, "usual_runs": USUAL_RUNS})
    paces = {
        row.name: Pace(
            limit_s=float(row.limit_s),
            running_s=_seconds(row.running_s),
            last_s=_seconds(row.last_s),
            usual_p95_s=_seconds(row.usual_p95_s),
            ended=row.ended,
            failed=row.failed,
            missed=row.missed,
        )
        for row in rows
    }
    found = conn.execute(_SAMPLES, {"metrics": [*metrics, PROBE], "last": SAMPLES_LAST})
    page = asked_page(settings)
    samples = [
        Sampled(row.metric, row.subject, row.at, row.value)
        for row in found
        if row.metric != INDICATOR or row.subject == page
    ]
    ones = conn.execute(_ONES).one()
    return Measures(
        paces=paces,
        answers={server: _answers(conn, server, settings.rate_limit_per_hour) for server in servers(settings)},
        samples=samples,
        probed_at=next((one.at for one in samples if (one.metric, one.subject) == (PROBE, SUBJECT)), None),
        cases_opened=ones.opened,
        in_cases={row.currency: row.amount for row in conn.execute(_IN_CASES) if row.amount is not None},
        backup_at=ones.backup_at,
    )


def _answers(conn: Connection, server: str, per_hour: int) -> Answers:
    seen = read_before(conn, server, per_hour)
    return Answers(seen.requests, seen.errors, seen.p95_ms, seen.budget_left)


def _seconds(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # numeric or double precision
