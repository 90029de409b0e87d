"""Puts runs into the queue inside the caller's own transaction.

The queue's SQL functions are called on the caller's connection, so that a run, its audit row and its place in the
queue commit together or not at all. Each run is queued under a lock of its own: it cannot stand there twice.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from jobs.core.db import jsonb

QUEUE = "runs"
TASK = "run"


def defer(conn: Connection, run_id: int, *, lock: str | None = None, delay_s: float = 0) -> None:
    """Queues a run, to start at once or after `delay_s`; runs that share `lock` start one after another."""
    conn.execute(
        text(
            "SELECT procrastinate.procrastinate_defer_jobs_v1(ARRAY[ROW(CAST(:queue AS text), CAST(:task AS text), 0,"
            " CAST(:lock AS text), CAST(:once AS text), CAST(:args AS jsonb),"
            " CASE WHEN :delay_s > 0 THEN now() + make_interval(secs => :delay_s) END"
            ")::procrastinate.procrastinate_job_to_defer_v1])"
        ),
        {
            "queue": QUEUE,
            "task": TASK,
            "lock": lock,
            "once": _once(run_id),
            "args": jsonb({"run_id": run_id}),
            "delay_s": float(delay_s),
        },
    )


def put_back(conn: Connection, run_id: int, *, delay_s: float) -> None:
    """Queues a run that this worker has fetched once more, behind the same lock, to be taken after `delay_s`."""
    lock = conn.execute(
        text("SELECT lock FROM procrastinate.procrastinate_jobs WHERE queueing_lock = :once AND status = 'doing'"),
        {"once": _once(run_id)},
    ).scalar()
    defer(conn, run_id, lock=lock, delay_s=delay_s)


def withdraw(conn: Connection, run_id: int) -> None:
    """Takes a run that nobody has fetched yet out of the queue."""
    conn.execute(
        text("DELETE FROM procrastinate.procrastinate_jobs WHERE queueing_lock = :once AND status = 'todo'"),
        {"once": _once(run_id)},
    )


def drop_orphans(conn: Connection, after_s: float) -> int:
    """Forgets queue workers without a beat for `after_s` and what they had fetched; returns how many places were freed.

    A place that is held by the dead would keep its lock for ever. The runs themselves are judged by their own beats.
    """
    conn.execute(
        text(
            "DELETE FROM procrastinate.procrastinate_workers"
            " WHERE last_heartbeat < clock_timestamp() - make_interval(secs => :after_s)"
        ),
        {"after_s": after_s},
    )
    return conn.execute(
        text("DELETE FROM procrastinate.procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL")
    ).rowcount


def forgotten(conn: Connection, after_s: float) -> list[int]:
    """The runs that have been queued for `after_s` without a place in the queue."""
    return list(
        conn.execute(
            text(
                "SELECT id FROM ops.runs WHERE state = 'queued'"
                " AND queued_at < clock_timestamp() - make_interval(secs => :after_s)"
                " AND NOT EXISTS (SELECT 1 FROM procrastinate.procrastinate_jobs"
                "   WHERE queueing_lock = 'run:' || runs.id AND status IN ('todo', 'doing')) ORDER BY id"
            ),
            {"after_s": after_s},
        ).scalars()
    )


def _once(run_id: int) -> str:
    return f"run:{run_id}"
