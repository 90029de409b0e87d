"""Runs over time: how fast and how well each job runs, the lanes of the timeline, and what failed in the same way.

All of it is read from one index that holds what has ended by job and time; each read is one statement for all jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from dashboard.queries import cached
from jobs.run.again import MOST_READ, Repeat, left_to_repeat, recent_failures
from jobs.run.failures import Group, grouped

STRETCHES = 90
"""A lane of the timeline has at most so many bars and one."""
MOST_TIMED = 1000
"""Durations are told from the newest so many successes of each week: of what runs every few seconds, some hours."""


@dataclass(frozen=True, slots=True)
class JobFigures:
    """How one job has done: counts of ends, and durations in seconds of the successes of the last seven days.

    `before` is the 95th percentile of the seven days before these. None: nothing to tell it from.
    """

    job: str
    well_day: int
    ill_day: int
    well_week: int
    ill_week: int
    missed_day: int
    p50: float | None
    p95: float | None
    p99: float | None
    timed: int
    before: float | None
    timed_before: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the jobs, read at `read_at` (the database's clock)."""

    read_at: datetime
    jobs: Mapping[str, JobFigures]


_FIGURES = text("""
    SELECT j.name AS job, ends.well_day, ends.ill_day, ends.well_week, ends.ill_week, ends.missed_day,
           week.p[1] AS p50, week.p[2] AS p95, week.p[3] AS p99, week.timed, before.p AS before,
           before.timed AS timed_before
    FROM unnest(CAST(:jobs AS text[])) AS j (name)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(n) FILTER (WHERE recent AND state = 'succeeded'), 0)::bigint AS well_day,
               coalesce(sum(n) FILTER (WHERE recent AND state IN ('failed', 'timed_out', 'lost')), 0)::bigint AS ill_day,
               coalesce(sum(n) FILTER (WHERE recent AND state = 'missed'), 0)::bigint AS missed_day,
               coalesce(sum(n) FILTER (WHERE state = 'succeeded'), 0)::bigint AS well_week,
               coalesce(sum(n) FILTER (WHERE state IN ('failed', 'timed_out', 'lost')), 0)::bigint AS ill_week
        FROM (SELECT state, finished_at > now() - interval '1 day' AS recent, count(*) AS n FROM ops.runs
              WHERE job = j.name AND finished_at > now() - interval '7 days' GROUP BY 1, 2) AS ended
    ) AS ends
    CROSS JOIN LATERAL (
        SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) AS p, count(*) AS timed
        FROM (SELECT extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM ops.runs
              WHERE job = j.name AND state = 'succeeded' AND finished_at > now() - interval '7 days'
              ORDER BY finished_at DESC LIMIT :most) AS took
    ) AS week
    CROSS JOIN LATERAL (
        SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS p, count(*) AS timed
        FROM (SELECT extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM ops.runs
              WHERE job = j.name AND state = 'succeeded' AND finished_at <= now() - interval '7 days'
                AND finished_at > now() - interval '14 days' ORDER BY finished_at DESC LIMIT :most) AS took
    ) AS before
""")


@cached(ttl=15)
def figures(conn: Connection, jobs: tuple[str, ...]) -> Figures:
    """Durations, success rates and missed slots of these jobs."""
    read_at: datetime = conn.execute(text("SELECT now()")).scalar_one()
    rows = conn.execute(_FIGURES, {"jobs": list(jobs), "most": MOST_TIMED}).mappings()
    return Figures(read_at, {row["job"]: JobFigures(**row) for row in rows})


@dataclass(frozen=True, slots=True)
class Bar:
    """Runs of a job within one stretch of the timeline; `run_id` is the worst of them, the newest of these."""

    job: str
    state: str
    run_id: int
    runs: int
    failed: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Lanes:
    """The timeline from `since` to `until` (the database's clock), in stretches of `step`."""

    since: datetime
    until: datetime
    step: timedelta
    bars: tuple[Bar, ...]


# Counted by job, stretch and state first, where it is cheap; then the worst of a stretch gives it its state.
_LANES = text("""
    WITH ran AS (
        SELECT r.* FROM unnest(CAST(:jobs AS text[])) AS j (name) CROSS JOIN LATERAL (
            SELECT job, state, date_bin(CAST(:step AS interval), finished_at, 'epoch') AS stretch, max(id) AS id,
                   count(*) AS runs, min(coalesce(started_at, finished_at)) AS began, max(finished_at) AS ended
            FROM ops.runs
            WHERE job = j.name AND finished_at > now() - CAST(:window AS interval) AND state <> 'skipped'
            GROUP BY job, state, stretch
        ) AS r
        UNION ALL
        SELECT job, state, date_bin(CAST(:step AS interval), now(), 'epoch'), max(id), count(*), min(started_at), now()
        FROM ops.runs WHERE state = 'running' AND job = ANY (CAST(:jobs AS text[])) GROUP BY job, state
    ), ranked AS (
        SELECT *, CASE WHEN state IN ('failed', 'timed_out', 'lost') THEN 5 WHEN state = 'running' THEN 4
                       WHEN state = 'missed' THEN 3 WHEN state = 'stopped' THEN 2 ELSE 1 END AS rank
        FROM ran
    )
    SELECT job, (ARRAY['succeeded', 'stopped', 'missed', 'running', 'failed'])[max(rank)] AS state,
           (max(ARRAY[rank, id]))[2] AS run_id, sum(runs)::bigint AS runs,
           coalesce(sum(runs) FILTER (WHERE rank = 5), 0)::bigint AS failed,
           greatest(min(began), now() - CAST(:window AS interval)) AS first, max(ended) AS last
    FROM ranked GROUP BY job, stretch ORDER BY job, last
""")


@cached(ttl=15)
def lanes(conn: Connection, jobs: tuple[str, ...], window: timedelta) -> Lanes:
    """The runs of these jobs that ended within the window or run now; those close together are one bar."""
    step = window / STRETCHES
    until: datetime = conn.execute(text("SELECT now()")).scalar_one()
    rows = conn.execute(_LANES, {"jobs": list(jobs), "window": window, "step": step})
    return Lanes(until - window, until, step, tuple(Bar(**row) for row in rows.mappings()))


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed within a window, by kind, and what of each kind can be repeated.

    `cut`: there were more than were looked at.
    """

    read_at: datetime
    groups: tuple[Group, ...]
    left: Mapping[str, tuple[Repeat, ...]]
    cut: bool


@cached(ttl=10)
def failures(conn: Connection, window: timedelta, job: str | None) -> Failures:
    """The groups of failures within a window, of one job or of all; the group with the newest failure first."""
    read_at: datetime = conn.execute(text("SELECT now()")).scalar_one()
    found = recent_failures(conn, window)
    groups = grouped(failure for failure in found if job is None or failure.job == job)
    repeats = {repeat.id: repeat for repeat in left_to_repeat(conn, [run for group in groups for run in group.runs])}
    left = {group.key: tuple(repeats[run] for run in group.runs if run in repeats) for group in groups}
    return Failures(read_at, groups, left, cut=len(found) >= MOST_READ)
