"""The courses of several series over a window, in one statement, whatever the window's length.

A point is the least, mean and most of one step. Rolled-up buckets end where the newest minute was rolled up; from the
bucket of that minute on the samples themselves are read, so no sample is missing and none counts twice. Where nothing was
sampled there is no point but a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.probes.series import HORIZON_NUMBERS
from jobs.probes.spans import Window, grid, with_gaps

Key = tuple[str, str]
"""Subject and metric of a series."""


@dataclass(frozen=True, slots=True)
class Course:
    """A series over time, oldest first; None in all three at one time is a gap."""

    at: tuple[datetime, ...] = ()
    least: tuple[float | None, ...] = ()
    mean: tuple[float | None, ...] = ()
    most: tuple[float | None, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.at)


@dataclass(frozen=True, slots=True)
class Courses:
    """What was read: from when to when the window reaches, and the course of each series that has points in it."""

    since: datetime
    until: datetime
    by_key: dict[Key, Course]

    def of(self, subject: str, metric: str) -> Course:
        """A series' course, without points if there is none."""
        return self.by_key.get((subject, metric), Course())


_NOW = text("SELECT now()")
_COURSES = text(f"""
WITH wanted AS MATERIALIZED (
    SELECT s.id, s.subject, s.metric FROM unnest(CAST(:subjects AS text[]), CAST(:metrics AS text[])) AS w (subject, metric)
    JOIN ops.series s USING (subject, metric)
), edge AS MATERIALIZED (
    SELECT CASE WHEN :source = 'sample' THEN '-infinity' ELSE coalesce(
               -- Of a series that was silent for so long that its minutes are gone the hours are left.
               date_trunc(:source, max(newest.minute), 'UTC'), max(newest.hour) + interval '1 hour', '-infinity')
           END AS at
    FROM wanted s CROSS JOIN LATERAL (
        SELECT (SELECT max(at) FROM ops.rollups WHERE span = 'minute' AND series = s.id) AS minute,
               (SELECT max(at) FROM ops.rollups WHERE span = 'hour' AND series = s.id) AS hour) AS newest
), found AS (
    SELECT w.subject, w.metric, x.* FROM wanted w CROSS JOIN edge CROSS JOIN LATERAL (
        SELECT r.at, r.n, r.total, r.least, r.most FROM ops.rollups r
        WHERE r.span = :source AND r.series = w.id AND r.at >= :first AND r.at < least(CAST(:until AS timestamptz), edge.at)
        UNION ALL
        SELECT s.at, 1, s.value, s.value, s.value FROM ops.samples s
        WHERE s.series = w.id AND s.at >= greatest(CAST(:first AS timestamptz), edge.at) AND s.at < :until) AS x
    UNION ALL
    SELECT h.server, v.metric, h.at, 1, v.value, v.value, v.value
    FROM edge CROSS JOIN ops.horizon_samples h {HORIZON_NUMBERS}
    WHERE h.server = ANY (CAST(:subjects AS text[])) AND v.metric = ANY (CAST(:metrics AS text[])) AND v.value IS NOT NULL
      AND h.at >= greatest(CAST(:first AS timestamptz), edge.at) AND h.at < :until
)
SELECT subject, metric, date_bin(CAST(:step AS interval), at, 'epoch') AS at, min(least) AS least, max(most) AS most,
       sum(total) / sum(n) AS mean
FROM found GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")  # noqa: S608 - a constant


def read_courses(conn: Connection, keys: Sequence[Key], window: Window) -> Courses:
    """The courses of these series over the window; a series without a point in it is left out."""
    now: datetime = conn.execute(_NOW).scalar_one()
    until = window.until or now
    chosen = grid(window, now)
    rows = conn.execute(
        _COURSES,
        {
            "subjects": [subject for subject, _ in keys],
            "metrics": [metric for _, metric in keys],
            "source": chosen.source,
            "step": chosen.step,
            "first": until - window.length,
            "until": until,
        },
    )
    points: dict[Key, list[tuple[datetime, tuple[float, float, float]]]] = {}
    for row in rows:
        points.setdefault((row.subject, row.metric), []).append((row.at, (row.least, row.mean, row.most)))
    return Courses(
        until - window.length,
        until,
        {key: _course(with_gaps(found, chosen.step)) for key, found in points.items()},
    )


def _course(points: list[tuple[datetime, tuple[float, float, float] | None]]) -> Course:
    least, mean, most = zip(*(value or (None, None, None) for _, value in points), strict=True)
    return Course(tuple(at for at, _ in points), least, mean, most)
