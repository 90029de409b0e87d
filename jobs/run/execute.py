"""Executes one run: the one code path, for workers and for `jobs run --wait`.

The job's function has a thread of its own, and the caller's thread watches over it: it saves counters and lines, beats,
looks whether the run is to stop, and leaves a function behind that does not. Whatever such a function returns later is
refused by its attempt's token, and so is the result of an attempt that was declared lost meanwhile.
"""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import DBAPIError

from jobs.core.db import Database, first_line, jsonb
from jobs.core.errors import NexaError, NotFound, TransientError, UsageError
from jobs.core.flags import Flag, read_flags
from jobs.core.jobs import Job, find_job
from jobs.core.logs import get_logger, redact
from jobs.core.settings import Settings
from jobs.run.context import RunContext, Stop, printable
from jobs.run.loop import DATABASE_AWAY
from jobs.run.retry import retry_run
from jobs.run.store import RUNS, RunRow, add_logs, check_params, find_run, run_of

log = get_logger(__name__)

TICK_S = 0.8  # a switch or a stop acts within a second
BEAT_S = 10.0
STOP_GRACE_S = 10.0  # for a function that has been told to stop
SAVE_S = 60.0  # for the result, while the database is away
_TRACE = 20_000


@dataclass(frozen=True, slots=True)
class _Claim:
    """A run that is ours now."""

    row: RunRow
    token: UUID
    job: Job
    timeout_s: int


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ends; `again`: another attempt may end better.

    That is what failed for a reason that may pass, and what was cut short by its process. Not what ran out of time: its
    thread may still be alive, and the next slot goes on where it left off.
    """

    state: str
    error_class: str | None = None
    error: str | None = None
    trace: str | None = None
    again: bool = False


def execute(
    db: Database,
    settings: Settings,
    run_id: int,
    *,
    worker_id: UUID | None,
    shutdown: threading.Event | None = None,
    watch: Callable[[RunContext], None] | None = None,
) -> RunRow:
    """Executes a queued run here and returns it as it ended; if it is not queued any more, it is returned as it is.

    `worker_id` is None where a person waits for it: then nothing is tried again. Once `shutdown` is set the run is
    asked to stop. `watch` is called about once a second, for a progress bar. Raises NotFound; no error of the job.
    """
    claim = _claim(db, run_id, worker_id)
    if isinstance(claim, RunRow):
        return claim
    log.info("run started", run=run_id, job=claim.job.name, dry_run=claim.row.dry_run)
    context = RunContext(claim.row, claim.token, db, settings)
    end = _supervise(claim, context, shutdown, watch)
    row = _save(db, claim, context, end)
    log.info("run ended", run=run_id, job=claim.job.name, state=row.state, seconds=row.duration_s, error=row.error)
    return row


def _claim(db: Database, run_id: int, worker_id: UUID | None) -> _Claim | RunRow:
    """Takes a queued run, or ends it where it must not start: an unknown job, wrong parameters, a flag that is off."""
    with db.begin() as conn:
        found = conn.execute(select(RUNS).where(RUNS.c.id == run_id).with_for_update()).one_or_none()
        if found is None:
            raise NotFound(f"There is no run {run_id}.")
        row = run_of(found)
        if row.state != "queued":
            return row
        refused: _End | None = None
        try:
            job = find_job(row.job)
            check_params(job, row.params)
        except (NotFound, UsageError) as error:
            refused = _End("failed", type(error).__name__, str(error))
        else:
            flags = read_flags(conn)
            if job.flag is not None and not flags.get(job.flag, True):
                refused = _End("skipped", error=f"The flag {job.flag.value} is off.")
        if refused is not None:
            values = {"state": refused.state, "error_class": refused.error_class, "error": refused.error}
            return _leave_queue(conn, run_id, {**values, "finished_at": func.clock_timestamp()})
        timeout_s = conn.execute(
            text("SELECT timeout_s FROM ops.schedules WHERE name = :job"), {"job": row.job}
        ).scalar_one_or_none()
        token = uuid4()
        row = _leave_queue(
            conn,
            run_id,
            {
                "state": "running",
                "attempt": RUNS.c.attempt + 1,
                "attempt_token": token,
                "worker_id": worker_id,
                "host": socket.gethostname(),
                "dry_run": row.dry_run or flags.get(Flag.DRY_RUN, False),
                "started_at": func.clock_timestamp(),
                "beat_at": func.clock_timestamp(),
            },
        )
        return _Claim(row, token, job, timeout_s or job.timeout_s)


def _leave_queue(conn: Connection, run_id: int, values: dict[str, Any]) -> RunRow:
    return run_of(
        conn.execute(
            update(RUNS).where(RUNS.c.id == run_id, RUNS.c.state == "queued").values(values).returning(*RUNS.c)
        ).one()
    )


def _supervise(
    claim: _Claim,
    context: RunContext,
    shutdown: threading.Event | None,
    watch: Callable[[RunContext], None] | None,
) -> _End:
    """Runs the function and returns how it ended, or how it was left behind."""
    done = threading.Event()
    ends: list[_End] = []

    def work() -> None:
        try:
            claim.job.function(context, claim.job.params.model_validate(dict(claim.row.params)))
            ends.append(_End("succeeded"))
        except BaseException as error:  # noqa: BLE001 - the job's code may raise anything, and must not take the worker along
            ends.append(_failure(error))
        finally:
            done.set()

    threading.Thread(target=work, name=f"run-{context.id}", daemon=True).start()
    started = beaten = time.monotonic()
    limit = started + claim.timeout_s
    must_end: float | None = None
    away = False
    while not done.wait(TICK_S):
        now = time.monotonic()
        beat = now - beaten >= BEAT_S
        try:
            wish = _pulse(claim, context, beat=beat)
        except DATABASE_AWAY as error:
            # The database is away: the run goes on, and whether it is lost is decided when it is back.
            if not away:
                log.warning("a run cannot beat", run=context.id, reason=first_line(error))
            away, wish = True, None
        else:
            away = False
            beaten = now if beat else beaten
        if watch is not None:
            watch(context)
        leaving = shutdown is not None and shutdown.is_set()
        if wish is None and leaving:
            wish = Stop("stopped", "Its process was shut down.", again=True)
        # It is told a little before its time is up, so that it can end properly.
        if wish is None and now >= limit - min(5.0, claim.timeout_s / 10):
            wish = Stop("timed_out", f"Its time limit of {claim.timeout_s} s was reached.")
        context.stop = context.stop or wish
        if must_end is None and (leaving or now >= limit):
            must_end = now + STOP_GRACE_S
        if must_end is not None and now >= must_end:
            return _left_behind(claim, timed_out=now >= limit)
    end = ends[0]
    if end.state == "succeeded" and context.stop is not None and context.heeded:
        return _End(context.stop.state, error=context.stop.sentence, again=context.stop.again)
    return end


def _left_behind(claim: _Claim, *, timed_out: bool) -> _End:
    if timed_out:
        sentence = f"Its time limit of {claim.timeout_s} s was reached, and it did not stop when told: left behind."
        return _End("timed_out", error=sentence)
    return _End("lost", error="Its process was shut down, and it did not stop when told.", again=True)


def _failure(error: BaseException) -> _End:
    if isinstance(error, ValidationError):
        message = f"{error.error_count()} values are not as expected in {error.title}"
    elif isinstance(error, DBAPIError):
        message = first_line(error)  # its own text repeats the whole statement, and that stands in the trace
    else:
        message = str(error).strip() or "no message"
    return _End(
        "failed",
        error_class=type(error).__name__,
        error=printable(redact(message)),
        trace=printable(redact("".join(traceback.format_exception(error))))[-_TRACE:],
        again=isinstance(error, TransientError) or not isinstance(error, NexaError),
    )


def _pulse(claim: _Claim, context: RunContext, *, beat: bool) -> Stop | None:
    """Saves what is new, beats, and returns the wish to stop if there is one."""
    unsaved = context.take()
    try:
        with context.db.begin() as conn:
            add_logs(conn, context.id, unsaved.lines)
            ours = (
                RUNS.c.id == context.id,
                RUNS.c.state == "running",
                RUNS.c.attempt_token == context.token,
            )
            if unsaved.changed or beat:
                statement = (
                    update(RUNS)
                    .where(*ours)
                    .values(
                        counters=jsonb(dict(unsaved.counters)),
                        progress_done=unsaved.done,
                        progress_total=unsaved.total,
                        beat_at=func.clock_timestamp(),
                    )
                    .returning(RUNS.c.stop_by)
                )
                row = conn.execute(statement).one_or_none()
            else:
                row = conn.execute(select(RUNS.c.stop_by).where(*ours)).one_or_none()
            flags = read_flags(conn)
    except DATABASE_AWAY:
        context.give_back(unsaved)
        raise
    if row is None:
        return Stop("lost", "The run was given up: it had not beaten for too long.")
    if row.stop_by is not None:
        return Stop("stopped", f"Stopped by {row.stop_by}.")
    if claim.job.flag is not None and not flags.get(claim.job.flag, True):
        return Stop("stopped", f"The flag {claim.job.flag.value} was switched off.")
    if flags.get(Flag.DRY_RUN, False) and not context.dry_run:
        return Stop("stopped", "The flag dryRun was switched on while this run was writing.")
    return None


def _save(db: Database, claim: _Claim, context: RunContext, end: _End) -> RunRow:
    """Writes the end and what follows from it, if the attempt is still ours; waits for a database that is away."""
    unsaved = context.take()
    deadline = time.monotonic() + SAVE_S
    while True:
        try:
            with db.begin() as conn:
                add_logs(conn, context.id, unsaved.lines)
                saved = conn.execute(
                    update(RUNS)
                    .where(RUNS.c.id == context.id, RUNS.c.state == "running", RUNS.c.attempt_token == context.token)
                    .values(
                        state=end.state,
                        error_class=end.error_class,
                        error=end.error,
                        trace=end.trace,
                        counters=jsonb(dict(unsaved.counters)),
                        progress_done=unsaved.done,
                        progress_total=unsaved.total,
                        finished_at=func.clock_timestamp(),
                    )
                    .returning(*RUNS.c)
                ).one_or_none()
                if saved is None:
                    log.warning("a result came too late and is refused", run=context.id, result=end.state)
                    return find_run(conn, context.id)
                row = run_of(saved)
                if end.again:
                    retry_run(conn, row)
                return row
        except DATABASE_AWAY:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
