"""Runs: asked for, stopped, found, followed. Every change is conditional on the state that it replaces.

`reason` says why a run was asked for; `error` says, for every end but success, why it was none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection, Row, Text, cast, column, func, select, table, text, true, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from jobs.core import audit
from jobs.core.db import jsonb
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.jobs import Job, find_job
from jobs.run.queue import defer, withdraw


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row of ops.runs; the columns are described there."""

    id: int
    job: str
    schedule: str | None
    slot: datetime | None
    trigger: str
    triggered_by: str
    reason: str | None
    params: Mapping[str, Any]
    dry_run: bool
    state: str
    attempt: int
    attempt_token: UUID | None
    retry_of: int | None
    worker_id: UUID | None
    host: str | None
    queued_at: datetime
    started_at: datetime | None
    beat_at: datetime | None
    finished_at: datetime | None
    stop_by: str | None
    counters: Mapping[str, int]
    progress_done: int | None
    progress_total: int | None
    error_class: str | None
    error: str | None
    trace: str | None

    @property
    def finished(self) -> bool:
        return self.finished_at is not None

    @property
    def named(self) -> Mapping[str, str | int]:
        """By what this attempt is known in logs and reports."""
        worker = {} if self.worker_id is None else {"worker": str(self.worker_id)}
        return {"run_id": self.id, "job": self.job, "attempt": self.attempt, **worker}

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None for what has not ended or never started."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log; ids rise in the order of the lines."""

    id: int
    run_id: int
    at: datetime
    level: str
    event: str
    fields: Mapping[str, Any] = field(hash=False)


MOST_QUEUED = 1000
"""Runs of one job that may wait at the same time."""

RUNS = table("runs", *(column(field.name) for field in fields(RunRow)), schema="ops")
LOGS = table("run_logs", *(column(field.name) for field in fields(LogLine)), schema="ops")


def run_of(row: Row[Any]) -> RunRow:
    """The frozen value of a row of `RUNS`."""
    return RunRow(**row._mapping)


def add_run(conn: Connection, values: Mapping[str, Any]) -> int | None:
    """Inserts a run and returns its id; None if its slot is taken."""
    return conn.execute(
        insert(RUNS).values(values).on_conflict_do_nothing(index_elements=["schedule", "slot"]).returning(RUNS.c.id)
    ).scalar_one_or_none()


def check_params(job: Job, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with their defaults, as JSON knows them; UsageError names each one that is not accepted."""
    try:
        return job.params.model_validate(dict(params)).model_dump(mode="json")
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'parameters'}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
            for problem in error.errors()
        )
        raise UsageError(f"{job.name} does not accept these parameters: {wrong}.") from error


def request_run(
    conn: Connection,
    *,
    job: str,
    params: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    trigger: str = "manual",
    actor: str,
    reason: str | None = None,
    origin: str = "dashboard",
    queued: bool = True,
    retry_of: int | None = None,
) -> int:
    """Asks for a run, with its audit row, in the caller's transaction, and returns its id.

    `retry_of` is the run that it repeats. With `queued=False` no worker is told: the caller executes it here. Raises
    NotFound for an unknown job, UsageError for parameters that it does not accept, Conflict where too many runs of the
    job wait already.
    """
    known = find_job(job)
    accepted = check_params(known, params or {})
    if queued and (full := crowded(conn, job)) is not None:
        raise Conflict(f"{full} Wait until some have run, or stop them.")
    run_id = add_run(
        conn,
        {
            "job": job,
            "trigger": trigger,
            "triggered_by": actor,
            "reason": reason,
            "params": jsonb(accepted),
            "dry_run": dry_run,
            "state": "queued",
            "retry_of": retry_of,
        },
    )
    if run_id is None:
        raise Conflict(f"The run of {job} could not be added: try again.")
    if queued:
        defer(conn, run_id)
    asked = {"run": run_id, "params": accepted, "dry_run": dry_run}
    if retry_of is not None:
        asked["retry_of"] = retry_of
    audit.record(
        conn, audit.AuditRow(actor, "job.run", "run", str(run_id), origin, new={"job": job, **asked}, reason=reason)
    )
    return run_id


def crowded(conn: Connection, job: str) -> str | None:
    """Why no further run of the job is queued; None while there is room.

    A queue that grows faster than it is worked off helps nobody: what would wait for hours is refused where it is asked
    for, and a slot leaves a skipped run.
    """
    waiting = conn.execute(
        select(func.count()).select_from(RUNS).where(RUNS.c.job == job, RUNS.c.state == "queued")
    ).scalar_one()
    return f"{waiting} runs of {job} are queued already." if waiting >= MOST_QUEUED else None


def stop_run(conn: Connection, run_id: int, actor: str, reason: str, *, origin: str = "dashboard") -> None:
    """Ends a queued run at once and asks a running one to stop at its next batch.

    Raises UsageError without a reason, NotFound, and Conflict if it has ended or is stopping already.
    """
    if not reason.strip():
        raise UsageError(f"Say why run {run_id} is stopped: a reason is needed.")
    ended = conn.execute(
        update(RUNS)
        .where(RUNS.c.id == run_id, RUNS.c.state == "queued")
        .values(
            state="stopped",
            finished_at=func.now(),
            stop_by=actor,
            error=f"Stopped by {actor} before it started: {reason}",
        )
    ).rowcount
    if ended:
        withdraw(conn, run_id)
    else:
        asked = conn.execute(
            update(RUNS)
            .where(RUNS.c.id == run_id, RUNS.c.state == "running", RUNS.c.stop_by.is_(None))
            .values(stop_by=actor)
        ).rowcount
        if not asked:
            run = find_run(conn, run_id)
            if run.finished:
                raise Conflict(f"Run {run_id} has ended already: {run.state}.")
            raise Conflict(f"Run {run_id} is stopping already: {run.stop_by} asked for it.")
        add_logs(
            conn, run_id, [{"level": "warning", "event": "stop asked for", "fields": {"by": actor, "reason": reason}}]
        )
    audit.record(conn, audit.AuditRow(actor, "run.stop", "run", str(run_id), origin, reason=reason))


def find_run(conn: Connection, run_id: int) -> RunRow:
    """One run; raises NotFound."""
    row = conn.execute(select(RUNS).where(RUNS.c.id == run_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return run_of(row)


def list_runs(
    conn: Connection,
    job: str | None = None,
    state: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RunRow]:
    """Runs, newest first; the next page is `before_id` = the last id seen."""
    query = select(RUNS).order_by(RUNS.c.id.desc()).limit(limit)
    if job is not None:
        query = query.where(RUNS.c.job == job)
    if state is not None:
        query = query.where(RUNS.c.state == state)
    if before_id is not None:
        query = query.where(RUNS.c.id < before_id)
    return [run_of(row) for row in conn.execute(query)]


def latest_runs(conn: Connection, jobs: Sequence[str]) -> dict[str, RunRow]:
    """The newest run of each job that has one."""
    names = func.unnest(cast(list(jobs), ARRAY(Text))).table_valued("name")
    newest = select(RUNS).where(RUNS.c.job == names.c.name).order_by(RUNS.c.id.desc()).limit(1).lateral()
    return {row.job: run_of(row) for row in conn.execute(select(newest).select_from(names.join(newest, true())))}


def list_logs(conn: Connection, run_id: int, after_id: int = 0, limit: int = 500) -> list[LogLine]:
    """The lines of a run later than `after_id`, in order: asked again with the last id seen, it follows the run."""
    query = select(LOGS).where(LOGS.c.run_id == run_id, LOGS.c.id > after_id).order_by(LOGS.c.id).limit(limit)
    return [LogLine(**row._mapping) for row in conn.execute(query)]


def log_tail(conn: Connection, run_id: int, limit: int) -> list[LogLine]:
    """The newest `limit` lines of a run, in order."""
    newest = select(LOGS).where(LOGS.c.run_id == run_id).order_by(LOGS.c.id.desc()).limit(limit).subquery()
    return [LogLine(**row._mapping) for row in conn.execute(select(newest).order_by(newest.c.id))]


def add_logs(conn: Connection, run_id: int, lines: Sequence[Mapping[str, Any]]) -> None:
    """Appends lines (`level`, `event`, `fields`, and `at` unless it is now) in their order."""
    if lines:
        conn.execute(
            text(
                "INSERT INTO ops.run_logs (run_id, at, level, event, fields) VALUES"
                " (:run_id, COALESCE(:at, clock_timestamp()), :level, :event, :fields)"
            ),
            [{"run_id": run_id, "at": None, **line, "fields": jsonb(line["fields"])} for line in lines],
        )
