"""The next attempt of a run that has ended, written in the transaction that ends it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.core.jobs import load_jobs
from jobs.run.backoff import FIRST_S, MOST_S, retry_after_s
from jobs.run.queue import defer
from jobs.run.store import RunRow, add_run


def retry_run(conn: Connection, run: RunRow) -> int | None:
    """Queues the next attempt of a run that has ended, if its policy gives it one more; returns its id.

    The policy is its schedule's; of a job without one, the job's own. What a person runs at a shell is not tried again: the person is there.
    """
    if run.worker_id is None:
        return None
    policy = conn.execute(
        text("SELECT retries, retry_first_s AS first_s, retry_most_s AS most_s FROM ops.schedules WHERE name = :job"),
        {"job": run.job},
    ).one_or_none()
    if policy is not None:
        delay_s = retry_after_s(attempt=run.attempt, **policy._mapping)
    else:
        known = load_jobs().get(run.job)  # another version's job gets no further attempt from this one
        retries = known.retries if known is not None else 0
        delay_s = retry_after_s(attempt=run.attempt, retries=retries, first_s=FIRST_S, most_s=MOST_S)
    if delay_s is None:
        return None
    retry = add_run(
        conn,
        {
            "job": run.job,
            "trigger": "retry",
            "triggered_by": f"run:{run.id}",
            "reason": f"Run {run.id} ended as {run.state}: {run.error}",
            "params": jsonb(run.params),
            "dry_run": run.dry_run,
            "state": "queued",
            "attempt": run.attempt,
            "retry_of": run.id,
        },
    )
    if retry is not None:
        defer(conn, retry, delay_s=delay_s)
    return retry
