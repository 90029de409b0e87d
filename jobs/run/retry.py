"""The next attempt of a run that has ended, written in the transaction that ends it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.run.backoff import retry_after_s
from jobs.run.queue import defer
from jobs.run.store import RunRow, add_run


def retry_run(conn: Connection, run: RunRow) -> int | None:
    """Queues the next attempt of a run that has ended, if its schedule's policy gives it one more; returns its id.

    What a person runs at a shell is not tried again: the person is there.
    """
    if run.worker_id is None:
        return None
    policy = conn.execute(
        text("SELECT retries, retry_first_s AS first_s, retry_most_s AS most_s FROM ops.schedules WHERE name = :job"),
        {"job": run.job},
    ).one_or_none()
    delay_s = None if policy is None else retry_after_s(attempt=run.attempt, **policy._mapping)
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
