"""The reads of the pages Jobs, Runs and Run: each bounded, whatever the tables hold.

Lists go by the key `id`, never by an offset, and leave out the trace, which may be long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Double, Select, Text, cast, func, select, text

from dashboard.queries import cached
from jobs.run import store
from jobs.run.store import LOGS, RUNS, LogLine, RunRow
from jobs.schedule.model import Schedule
from jobs.schedule.store import list_schedules

STATES = ("queued", "running", "succeeded", "failed", "stopped", "timed_out", "lost", "missed", "skipped")
TRIGGERS = ("schedule", "manual", "checklist", "api", "retry")
PAGE = 50
NEWER_MOST = 99
_RETRY_WITHIN = 1000
LEVELS: Mapping[str, tuple[str, ...]] = {
    "everything": (),
    "warnings": ("warning", "error", "critical"),
    "errors": ("error", "critical"),
}
"""What the log can be narrowed to; no levels: all of them."""


@cached(ttl=5)
def schedules(conn: Connection) -> tuple[Schedule, ...]:
    """All schedules by name."""
    return tuple(list_schedules(conn))


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of runs is narrowed to; None: not by this."""

    job: str | None = None
    state: str | None = None
    trigger: str | None = None
    dry_run: bool | None = None


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as one line of a list."""

    id: int
    job: str
    state: str
    trigger: str
    triggered_by: str
    reason: str | None
    slot: datetime | None
    retry_of: int | None
    dry_run: bool
    queued_at: datetime
    started_at: datetime | None
    seconds: float | None
    """From start to end, or until now while it runs; None: it never started."""
    counters: Mapping[str, int]
    done: int | None
    total: int | None
    error: str | None


def _lines() -> Select[Any]:
    seconds = func.extract("epoch", func.coalesce(RUNS.c.finished_at, func.now()) - RUNS.c.started_at)
    kept = [field.name for field in fields(RunLine) if field.name in RUNS.c and field.name != "error"]
    return select(
        *(RUNS.c[name] for name in kept),
        cast(seconds, Double).label("seconds"),
        RUNS.c.progress_done.label("done"),
        RUNS.c.progress_total.label("total"),
        func.left(RUNS.c.error, 500).label("error"),
    )


def _narrowed(query: Select[Any], filters: Filters) -> Select[Any]:
    wanted = {
        RUNS.c.job: filters.job,
        RUNS.c.state: filters.state,
        RUNS.c.trigger: filters.trigger,
        RUNS.c.dry_run: filters.dry_run,
    }
    return query.where(*(column == value for column, value in wanted.items() if value is not None))


@cached(ttl=2)
def run_list(conn: Connection, filters: Filters, before: int | None, limit: int = PAGE) -> tuple[RunLine, ...]:
    """Runs with a lower id than `before`, newest first."""
    query = _narrowed(_lines(), filters).order_by(RUNS.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(RUNS.c.id < before)
    return tuple(RunLine(**row) for row in conn.execute(query).mappings())


@cached(ttl=2)
def newest_run(conn: Connection) -> int:
    """The id of the newest run of all; 0 before the first."""
    newest: int = conn.execute(select(func.coalesce(func.max(RUNS.c.id), 0))).scalar_one()
    return newest


@cached(ttl=2)
def newer_runs(conn: Connection, filters: Filters, after: int) -> int:
    """How many runs have come since the one with this id, counted up to `NEWER_MOST` + 1."""
    query = _narrowed(select(RUNS.c.id), filters).where(RUNS.c.id > after).limit(NEWER_MOST + 1)
    return conn.execute(select(func.count()).select_from(query.subquery())).scalar_one()


@cached(ttl=1)
def run(conn: Connection, run_id: int) -> RunRow:
    """One run with everything; raises NotFound."""
    return store.find_run(conn, run_id)


@cached(ttl=5)
def retries_of(conn: Connection, run_id: int, job: str) -> tuple[RunLine, ...]:
    """The runs that are another attempt of this one; the next runs of the job are looked through for them."""
    later = (
        select(RUNS.c.id, RUNS.c.retry_of)
        .where(RUNS.c.job == job, RUNS.c.id > run_id)
        .order_by(RUNS.c.id)
        .limit(_RETRY_WITHIN)
        .subquery()
    )
    ids = select(later.c.id).where(later.c.retry_of == run_id)
    rows = conn.execute(_lines().where(RUNS.c.id.in_(ids)).order_by(RUNS.c.id))
    return tuple(RunLine(**row) for row in rows.mappings())


@dataclass(frozen=True, slots=True)
class LogTail:
    """The newest lines of a log that match, oldest first, and whether there are earlier ones."""

    lines: tuple[LogLine, ...]
    more: bool


@cached(ttl=1)
def log_tail(conn: Connection, run_id: int, level: str, find: str, limit: int, before: int | None = None) -> LogTail:
    """The newest `limit` lines of a run at a level of `LEVELS` in which `find` occurs, in any case.

    With `before`, a line's id, the newest of those that come earlier than it.
    """
    query = select(LOGS).where(LOGS.c.run_id == run_id).order_by(LOGS.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(LOGS.c.id < before)
    if LEVELS[level]:
        query = query.where(LOGS.c.level.in_(LEVELS[level]))
    if find:
        said = func.concat(LOGS.c.event, " ", cast(LOGS.c.fields, Text))
        query = query.where(said.icontains(find, autoescape=True))
    found = [LogLine(**row) for row in conn.execute(query).mappings()]
    return LogTail(tuple(reversed(found[:limit])), more=len(found) > limit)


@cached(ttl=5)
def log_head(conn: Connection, run_id: int, limit: int) -> tuple[LogLine, ...]:
    """The first `limit` lines of a run, in order."""
    return tuple(store.list_logs(conn, run_id, limit=limit))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Runs of the same job to hold a run against: the one before it, and the last one before it that succeeded."""

    before: int | None
    success: int | None


@cached(ttl=30)
def neighbours(conn: Connection, run_id: int, job: str) -> Neighbours:
    """Looked for among the thousand runs of the job before this one."""
    row = conn.execute(
        text(
            "SELECT max(id) FILTER (WHERE started_at IS NOT NULL) AS before,"
            "       max(id) FILTER (WHERE state = 'succeeded') AS success FROM ("
            " SELECT id, state, started_at FROM ops.runs WHERE job = :job AND id < :run ORDER BY id DESC LIMIT 1000) r"
        ),
        {"job": job, "run": run_id},
    ).one()
    return Neighbours(row.before, row.success)


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What a run decided about one transaction."""

    id: int
    transaction_id: UUID
    at: datetime
    dry_run: bool
    verdict: str
    reason: str


@cached(ttl=5)
def decisions(conn: Connection, run_id: int, before: int | None, limit: int = PAGE) -> tuple[DecisionRow, ...]:
    """The decisions of a run with a lower id than `before`, newest first."""
    rows = conn.execute(
        text(
            "SELECT id, transaction_id, at, dry_run, verdict, reason FROM ops.decisions"
            " WHERE run_id = :run AND (CAST(:before AS bigint) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"
        ),
        {"run": run_id, "before": before, "limit": limit},
    )
    return tuple(DecisionRow(**row) for row in rows.mappings())
