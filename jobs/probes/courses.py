"""The courses of several series over a window, in one statement, whatever the window's length.

A point is the least, the mean or the most of one step, and a course is one row with all of its points: taking a row a
point apart costs ten times as much as drawing it. Rolled-up buckets end where the newest minute was rolled up; from the
bucket of that minute on the samples themselves are read, so no sample is missing and none counts twice. Where nothing was
sampled there is no point but a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from sqlalchemy import Connection, text

from jobs.probes.series import HORIZON_NUMBERS
from jobs.probes.spans import Window, broken, grid, rolled_until, with_gaps

Part = Literal["least", "mean", "most"]
"""Which value of a step."""
Key = tuple[str, str, Part]
"""Subject and metric of a series, and what of it."""


@dataclass(frozen=True, slots=True)
class Course:
    """A series over time, oldest first; None is a gap."""

    at: tuple[datetime, ...] = ()
    values: tuple[float | None, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.at)


@dataclass(frozen=True, slots=True)
class Courses:
    """What was read: from when to when the window reaches, and the course of each series that has points in it."""

    since: datetime
    until: datetime
    by_key: Mapping[Key, Course]

    def of(self, subject: str, metric: str, part: Part) -> Course:
        """A series' course, without points if there is none."""
        return self.by_key.get((subject, metric, part), Course())


# Of a series that was silent for so long that its minutes are gone the hours are left.
_ROLLED = text("""
SELECT now() AS now, max(newest.minute) AS minute, max(newest.hour) AS hour
FROM unnest(CAST(:subjects AS text[]), CAST(:metrics AS text[])) AS w (subject, metric)
JOIN ops.series s USING (subject, metric) CROSS JOIN LATERAL (
    SELECT (SELECT max(at) FROM ops.rollups WHERE span = 'minute' AND series = s.id) AS minute,
           (SELECT max(at) FROM ops.rollups WHERE span = 'hour' AND series = s.id) AS hour) AS newest
""")
# Samples of Horizon are no series before they are rolled up for the first time.
_COURSES = text(f"""
SELECT w.place, course.at, course.values
FROM unnest(CAST(:subjects AS text[]), CAST(:metrics AS text[]), CAST(:parts AS text[])) WITH ORDINALITY
     AS w (subject, metric, part, place)
LEFT JOIN ops.series s USING (subject, metric) CROSS JOIN LATERAL (
    SELECT array_agg(CAST(extract(epoch FROM at) AS bigint) ORDER BY at) AS at, array_agg(value ORDER BY at) AS values
    FROM (
        SELECT date_bin(CAST(:step AS interval), at, 'epoch') AS at,
               CASE w.part WHEN 'least' THEN min(least) WHEN 'most' THEN max(most) ELSE sum(total) / sum(n) END AS value
        FROM (
            SELECT r.at, r.n, r.total, r.least, r.most FROM ops.rollups r
            WHERE r.span = :source AND r.series = s.id AND r.at >= :first AND r.at < :edge AND r.at < :until
            UNION ALL
            SELECT x.at, 1, x.value, x.value, x.value FROM ops.samples x
            WHERE x.series = s.id AND x.at >= :first AND x.at >= :edge AND x.at < :until
            UNION ALL
            SELECT h.at, 1, v.value, v.value, v.value FROM ops.horizon_samples h {HORIZON_NUMBERS}
            WHERE h.server = w.subject AND v.metric = w.metric AND v.value IS NOT NULL
              AND h.at >= :first AND h.at >= :edge AND h.at < :until
        ) AS found GROUP BY 1
    ) AS steps
) AS course WHERE course.at IS NOT NULL
""")  # noqa: S608 - a constant


def read_courses(conn: Connection, keys: Sequence[Key], window: Window) -> Courses:
    """The courses of these series over the window; a series without a point in it is left out."""
    subjects, metrics, parts = ([key[place] for key in keys] for place in range(3))
    wanted = {"subjects": subjects, "metrics": metrics}
    rolled = conn.execute(_ROLLED, wanted).one()
    until: datetime = window.until or rolled.now
    chosen = grid(window, rolled.now)
    # By itself: a bound that the planner knows lets it read no more than what lies behind it.
    edge = rolled_until(chosen.source, rolled.minute, rolled.hour)
    bounds = {
        "first": until - window.length,
        "until": until,
        "edge": edge,
        "source": chosen.source,
        "step": chosen.step,
    }
    found: dict[Key, Course] = {}
    for row in conn.execute(_COURSES, {**wanted, **bounds, "parts": parts}):
        at, gaps = _times(tuple(row.at), chosen.step)
        found[keys[row.place - 1]] = Course(at, broken(row.values, gaps))
    return Courses(until - window.length, until, found)


# What is measured together has its times in common.
@lru_cache(maxsize=128)
def _times(seconds: tuple[int, ...], step: timedelta) -> tuple[tuple[datetime, ...], tuple[int, ...]]:
    return with_gaps([datetime.fromtimestamp(one, UTC) for one in seconds], step)
