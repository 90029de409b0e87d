"""Executes one run: the one code path, for workers, for `jobs run --wait` and for checks that need a run.

It is claimed here, executed by a child process (child.py) under a supervisor (supervise.py), and its end is written
here. The result of an attempt that was declared lost meanwhile is refused by its token.

Two versions may run at the same time. A worker that does not know a job, or not these parameters, puts the run back for
one that does, and only after LEFT_S says that nobody knows it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, column, func, select, table, text, update
from structlog.contextvars import bound_contextvars

from jobs.core import traces
from jobs.core.db import Database
from jobs.core.errors import NotFound, UsageError
from jobs.core.flags import Flag, read_flags
from jobs.core.jobs import Job, find_job
from jobs.core.logs import get_logger
from jobs.core.settings import Settings
from jobs.run.children import Children, children_of
from jobs.run.context import News
from jobs.run.ends import End
from jobs.run.loop import DATABASE_AWAY
from jobs.run.queue import put_back
from jobs.run.report import ILL_ENDS, report_run
from jobs.run.retry import retry_run
from jobs.run.store import RUNS, RunRow, add_logs, check_params, find_run, run_of
from jobs.run.supervise import Claim, Supervisor, progress

log = get_logger(__name__)

SAVE_S = 60.0  # for the result, while the database is away
AGAIN_S = 2.0  # until a run that was put back may be taken again
LEFT_S = 600.0
_SCHEDULES = table("schedules", column("name"), column("timeout_s"), schema="ops")
_TIMEOUT_S = select(_SCHEDULES.c.timeout_s).where(_SCHEDULES.c.name == RUNS.c.job).scalar_subquery()


def execute(
    db: Database,
    settings: Settings,
    run_id: int,
    *,
    worker_id: UUID | None,
    children: Children | None = None,
    shutdown: threading.Event | None = None,
    follow: Callable[[News], None] | None = None,
) -> RunRow:
    """Executes a queued run here and returns it as it ended; if it is not queued any more, it is returned as it is.

    `worker_id` is None where a person waits for it: then nothing is tried again, and nothing waits for its turn. Without
    `children` it gets a child of its own. Once `shutdown` is set the run is asked to stop. `follow` is called about once
    a second, for a progress bar. Raises NotFound, and NurseryGone while the run is still queued; no error of the job.
    """
    with ExitStack() as stack:
        if children is None:
            children = stack.enter_context(children_of(db, settings))
        child = stack.enter_context(children.lend())
        claim = _claim(db, settings, run_id, worker_id)
        if isinstance(claim, RunRow):
            return claim
        stack.enter_context(bound_contextvars(**claim.row.named))
        span = stack.enter_context(traces.span("run", _attributes(claim.row)))
        log.info("run started", dry_run=claim.row.dry_run)
        supervisor = Supervisor(db, claim, child)
        end = supervisor.watch(shutdown, follow)
        row = _save(db, claim.row, supervisor.news, end)
        log.info("run ended", state=row.state, seconds=row.duration_s, error=row.error)
        span.set({"nexaops.state": row.state})
        if row.state in ILL_ENDS:
            span.fail(row.error_class or row.state)
    if row.state != "lost":  # whoever called it lost has reported that
        report_run(row)
    return row


def _attributes(row: RunRow) -> traces.Attributes:
    return {f"nexaops.{name}": value for name, value in row.named.items()} | {"nexaops.dry_run": row.dry_run}


def _claim(db: Database, settings: Settings, run_id: int, worker_id: UUID | None) -> Claim | RunRow:
    """Takes a queued run; ends it where it must not start, and puts it back where it cannot start here and now."""
    with db.begin() as conn:
        found = conn.execute(select(RUNS).where(RUNS.c.id == run_id).with_for_update()).one_or_none()
        if found is None:
            raise NotFound(f"There is no run {run_id}.")
        row = run_of(found)
        if row.state != "queued":
            return row
        try:
            job = find_job(row.job)
            check_params(job, row.params)
        except (NotFound, UsageError) as error:
            if worker_id is not None and _waited_s(conn, row) < LEFT_S:
                return _not_here(conn, row, f"left to another version by this worker: {error}")
            return _refuse(conn, row, End("failed", type(error).__name__, str(error)))
        flags = read_flags(conn)
        if job.flag is not None and not flags.get(job.flag, True):
            return _refuse(conn, row, End("skipped", error=f"The flag {job.flag.value} is off."))
        if (others := _in_the_way(conn, job)) is not None:
            if worker_id is not None:
                return _not_here(conn, row, others)
            return _refuse(conn, row, End("skipped", error=others))
        values = {
            "state": "running",
            "attempt": RUNS.c.attempt + 1,
            "attempt_token": uuid4(),
            "worker_id": worker_id,
            "host": socket.gethostname(),
            "dry_run": row.dry_run or flags.get(Flag.DRY_RUN, False),
            "started_at": func.clock_timestamp(),
            "beat_at": func.clock_timestamp(),
        }
        row, timeout_s = _leave_queue(conn, run_id, values)
        return Claim(row, job, timeout_s or job.timeout_s, settings.run_memory_mb)


def _in_the_way(conn: Connection, job: Job) -> str | None:
    """Why this job may not run now: as many of its runs as may run at the same time do, on whatever workers."""
    if job.at_most is None:
        return None
    # One claim of this job at a time, until its transaction ends: two could count the same.
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('job:' || :job, 0))"), {"job": job.name})
    running = conn.execute(
        text("SELECT id FROM ops.runs WHERE job = :job AND state = 'running' ORDER BY id"), {"job": job.name}
    ).scalars()
    ids = list(running)
    if len(ids) < job.at_most:
        return None
    return f"At most {job.at_most} of {job.name} may run at the same time, and run {ids[0]} does."


def _waited_s(conn: Connection, row: RunRow) -> float:
    """By the database's clock."""
    now = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    waited: float = (now - row.queued_at).total_seconds()
    return waited


def _not_here(conn: Connection, row: RunRow, why: str) -> RunRow:
    """Leaves the run queued, and says so once in its log."""
    put_back(conn, row.id, delay_s=AGAIN_S)
    said = conn.execute(
        text("SELECT 1 FROM ops.run_logs WHERE run_id = :id AND event = :why LIMIT 1"), {"id": row.id, "why": why}
    ).scalar()
    if said is None:
        add_logs(conn, row.id, [{"level": "warning", "event": why, "fields": {}}])
    return row


def _refuse(conn: Connection, row: RunRow, end: End) -> RunRow:
    values = {"state": end.state, "error_class": end.error_class, "error": end.error}
    refused, _ = _leave_queue(conn, row.id, {**values, "finished_at": func.clock_timestamp()})
    return refused


def _leave_queue(conn: Connection, run_id: int, values: dict[str, Any]) -> tuple[RunRow, int | None]:
    """The run as it is now, and the time limit that its schedule has."""
    statement = update(RUNS).where(RUNS.c.id == run_id, RUNS.c.state == "queued").values(values)
    *run, timeout_s = conn.execute(statement.returning(*RUNS.c, _TIMEOUT_S)).one()
    return RunRow(*run), timeout_s


def _save(db: Database, run: RunRow, news: News, end: End) -> RunRow:
    """Writes the end and what follows from it, if the attempt is still ours; waits for a database that is away."""
    deadline = time.monotonic() + SAVE_S
    while True:
        try:
            with db.begin() as conn:
                add_logs(conn, run.id, news.lines)
                saved = conn.execute(
                    update(RUNS)
                    .where(RUNS.c.id == run.id, RUNS.c.state == "running", RUNS.c.attempt_token == run.attempt_token)
                    .values(
                        **progress(news),
                        state=end.state,
                        error_class=end.error_class,
                        error=end.error,
                        trace=end.trace,
                        finished_at=func.clock_timestamp(),
                    )
                    .returning(*RUNS.c)
                ).one_or_none()
                if saved is None:
                    log.warning("a result came too late and is refused", result=end.state)
                    return find_run(conn, run.id)
                row = run_of(saved)
                if end.again:
                    retry_run(conn, row)
                return row
        except DATABASE_AWAY:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
