"""Runs over time: how fast and how well each job runs, the lanes of the timeline, and what failed in the same way.

All of it is read from one index that holds what has ended by job and time; each read is one statement for all jobs.
What ended on a day that is over stays as it is: it is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, text

from dashboard.desk import desk
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


@dataclass(frozen=True, slots=True)
class Ends:
    """How many runs of a job ended in which way; `ill`: failed, out of time or lost."""

    well: int
    ill: int
    missed: int


@dataclass(frozen=True, slots=True)
class Took:
    """How long the newest successes took: how many were timed, and percentiles in seconds."""

    timed: int
    p50: float | None
    p95: float | None
    p99: float | None


Stretch = tuple[datetime, datetime]
"""After the first instant, up to and including the second."""
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
_EACH = """
    FROM unnest(CAST(:jobs AS text[])) AS j (name)
    CROSS JOIN unnest(CAST(:after AS timestamptz[]), CAST(:until AS timestamptz[])) WITH ORDINALITY AS w (after, until, place)
    CROSS JOIN LATERAL"""
_ENDS = text(f"""
    SELECT w.place, j.name, ended.* {_EACH} (
        SELECT count(*) FILTER (WHERE state = 'succeeded') AS well,
               count(*) FILTER (WHERE state IN ('failed', 'timed_out', 'lost')) AS ill,
               count(*) FILTER (WHERE state = 'missed') AS missed
        FROM ops.runs WHERE job = j.name AND finished_at > w.after AND finished_at <= w.until
    ) AS ended
""")  # noqa: S608 - constants, here and below
# Lengths stay intervals until three of them are left: to make numbers of a thousand takes as long as to sort them.
_TOOK = text(f"""
    SELECT w.place, j.name, took.timed, extract(epoch FROM took.p[1])::float8, extract(epoch FROM took.p[2])::float8,
           extract(epoch FROM took.p[3])::float8 {_EACH} (
        SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY length) AS p, count(*) AS timed
        FROM (SELECT finished_at - started_at AS length FROM ops.runs
              WHERE job = j.name AND state = 'succeeded' AND finished_at > w.after AND finished_at <= w.until
              ORDER BY finished_at DESC LIMIT {MOST_TIMED}) AS newest
    ) AS took
""")  # noqa: S608


@cached(ttl=15)
def figures(conn: Connection, jobs: tuple[str, ...]) -> Figures:
    """Durations, success rates and missed slots of these jobs."""
    # A database that was restored has the address of the one before, and is another one.
    at, oid = conn.execute(text("SELECT now(), oid FROM pg_database WHERE datname = current_database()")).one()
    here = f"{desk().key} {oid}"
    day, week = at - _DAY, at - _WEEK
    over = _days_over(week, at)
    ends = _ends(conn, jobs, (day, at), (week, over[0]), (over[-1] + _DAY, at))
    for begin in over:
        ends.update({(begin, job): counts for job, counts in _ends_of_day(here, jobs, begin).items()})
    took = _took(conn, jobs, (week, at))
    earlier = _took_a_week_before(here, jobs, week.replace(minute=0, second=0, microsecond=0))
    found = {}
    for job in jobs:
        recent, now, before = ends[day, job], took[week, job], earlier[job]
        parts = [ends[begin, job] for begin in (week, *over, over[-1] + _DAY)]
        found[job] = JobFigures(
            job=job,
            well_day=recent.well,
            ill_day=recent.ill,
            well_week=sum(part.well for part in parts),
            ill_week=sum(part.ill for part in parts),
            missed_day=recent.missed,
            p50=now.p50,
            p95=now.p95,
            p99=now.p99,
            timed=now.timed,
            before=before.p95,
            timed_before=before.timed,
        )
    return Figures(at, found)


def _days_over(since: datetime, now: datetime) -> list[datetime]:
    """Where the whole days of UTC begin that lie after `since` and ended at least an hour ago.

    Nothing is added to such a day any more: no transaction that ends a run is open for so long.
    """
    midnight = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = (midnight + day * _DAY for day in range(1, _WEEK.days + 1))
    return [begin for begin in begins if begin + _DAY + timedelta(hours=1) <= now]


@lru_cache(maxsize=64)
def _ends_of_day(_database: str, jobs: tuple[str, ...], begin: datetime) -> Mapping[str, Ends]:
    """A day that is over is counted once: such days would be most of what a page has to read."""
    with desk().db.read() as conn:
        return {job: ends for (_, job), ends in _ends(conn, jobs, (begin, begin + _DAY)).items()}


@lru_cache(maxsize=8)
def _took_a_week_before(_database: str, jobs: tuple[str, ...], until: datetime) -> Mapping[str, Took]:
    """What is long over, once an hour."""
    with desk().db.read() as conn:
        return {job: took for (_, job), took in _took(conn, jobs, (until - _WEEK, until)).items()}


def _ends(conn: Connection, jobs: tuple[str, ...], *stretches: Stretch) -> dict[tuple[datetime, str], Ends]:
    """By the beginning of the stretch and the job."""
    rows = conn.execute(_ENDS, _given(jobs, stretches))
    return {(stretches[place - 1][0], job): Ends(*counts) for place, job, *counts in rows}


def _took(conn: Connection, jobs: tuple[str, ...], *stretches: Stretch) -> dict[tuple[datetime, str], Took]:
    """By the beginning of the stretch and the job."""
    rows = conn.execute(_TOOK, _given(jobs, stretches))
    return {(stretches[place - 1][0], job): Took(*found) for place, job, *found in rows}


def _given(jobs: tuple[str, ...], stretches: Sequence[Stretch]) -> Mapping[str, Any]:
    after, until = zip(*stretches, strict=True)
    return {"jobs": list(jobs), "after": list(after), "until": list(until)}


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
