"""Reads what a preview needs: of each subject only the readings at which the rule's condition changes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from jobs.alerts.edits import check_condition
from jobs.alerts.keeping import ever_read
from jobs.alerts.model import Rule
from jobs.alerts.preview import LENGTH, Point, Preview, Span, previewed
from jobs.core.errors import UsageError

MOST_POINTS = 20_000


def preview(conn: Connection, rule: Rule) -> Preview:
    """What this rule, saved or not, would have done within the last seven days.

    UsageError for a condition that is none, or that changes too often to be counted.
    """
    check_condition(rule)
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    subjects = [subject for signal, subject in ever_read(conn) if rule.concerns(signal, subject)]
    rows = conn.execute(
        text(_POINTS.format(holds=f"CAST(value {rule.comparison} :threshold AND value <> 'NaN' AS integer)")),
        {
            "signal": rule.signal,
            "subjects": subjects,
            "threshold": rule.threshold,
            "since": now - LENGTH,
            "most": MOST_POINTS,
        },
    )
    points = [Point(row.subject, row.at, row.value) for row in rows]
    if len(points) >= MOST_POINTS:
        # Cut short it would say that a rule fires less often than it does.
        raise UsageError(f"It changes more than {MOST_POINTS:,} times in seven days: choose a threshold further off.")
    watched = conn.execute(
        text("SELECT began_at, until FROM ops.alert_watches WHERE until > :since ORDER BY began_at"),
        {"since": now - LENGTH},
    )
    return previewed(rule, points, [Span(row.began_at, row.until) for row in watched], now)


_POINTS = """
WITH course AS (
    SELECT s.subject, r.at, r.value FROM unnest(CAST(:subjects AS text[])) AS s (subject) CROSS JOIN LATERAL (
        (SELECT at, value FROM ops.alert_readings
          WHERE signal = :signal AND subject = s.subject AND at <= :since ORDER BY at DESC LIMIT 1)
        UNION ALL
        (SELECT at, value FROM ops.alert_readings WHERE signal = :signal AND subject = s.subject AND at > :since)
    ) AS r
), judged AS (
    SELECT subject, at, value, coalesce({holds}, -1) AS holds FROM course
), turns AS (
    SELECT *, lag(holds) OVER (PARTITION BY subject ORDER BY at) AS before FROM judged
)
SELECT subject, at, value FROM turns WHERE before IS NULL OR before <> holds ORDER BY subject, at LIMIT :most
"""
