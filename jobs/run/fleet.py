"""What runs the runs: workers, the queue in front of them, and the leases that one of them holds at a time.

Reads for whoever looks at the engine from outside; each bounded, whatever the tables hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

MOST_WORKERS = 200
DRAIN_MIN = 5
"""The drain rate is told from so many minutes."""

_WORKERS = text("""
    SELECT w.id, w.host, w.pid, w.version, w.concurrency, w.started_at, w.beat_at, w.scheduler_at, w.skew_ms,
           w.memory_bytes, w.load_1m, w.cores, coalesce(r.runs, '{}') AS runs
    FROM ops.workers w LEFT JOIN (
        SELECT worker_id, array_agg(id ORDER BY id) AS runs FROM ops.runs
        WHERE state = 'running' AND worker_id IS NOT NULL GROUP BY worker_id
    ) r ON r.worker_id = w.id
    WHERE w.stopped_at IS NULL AND w.beat_at > now() - interval '1 day'
    ORDER BY w.beat_at DESC LIMIT :most
""")

# A retry waits for its time before it waits for a worker: that is no backlog.
_QUEUE = text("""
    WITH waiting AS (
        SELECT r.job, r.queued_at, coalesce(p.scheduled_at > now(), false) AS later
        FROM ops.runs r LEFT JOIN procrastinate.procrastinate_jobs p
          ON p.queueing_lock = 'run:' || r.id AND p.status = 'todo'
        WHERE r.state = 'queued'
    ), queued AS (
        SELECT job, count(*) FILTER (WHERE NOT later) AS queued, min(queued_at) FILTER (WHERE NOT later) AS oldest,
               count(*) FILTER (WHERE later) AS later FROM waiting GROUP BY job
    )
    SELECT j.name AS job, coalesce(q.queued, 0) AS queued, q.oldest, coalesce(q.later, 0) AS later, e.ended
    FROM (SELECT unnest(CAST(:jobs AS text[])) UNION SELECT job FROM queued) AS j (name)
    LEFT JOIN queued q ON q.job = j.name
    CROSS JOIN LATERAL (
        SELECT count(*) AS ended FROM ops.runs
        WHERE job = j.name AND finished_at > now() - make_interval(mins => :minutes) AND started_at IS NOT NULL
    ) AS e
    ORDER BY job
""")


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that has not signed off; null figures: it is of a version that does not say them.

    `skew_ms` is above zero where the host's clock is ahead; `runs` are what it executes now.
    """

    id: UUID
    host: str
    pid: int
    version: str
    concurrency: int
    started_at: datetime
    beat_at: datetime
    scheduler_at: datetime | None
    skew_ms: float | None
    memory_bytes: int | None
    load_1m: float | None
    cores: int | None
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A lease, and who has it; `host` is None for a holder that has never beaten."""

    name: str
    holder: UUID
    term: int
    expires_at: datetime
    host: str | None
    pid: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """One job's runs in front of the workers.

    `queued` wait for a worker, the oldest since `oldest`; `later` wait for their time; `ended` in the last `DRAIN_MIN`.
    """

    job: str
    queued: int
    oldest: datetime | None
    later: int
    ended: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of it, read at `now` (the database's clock)."""

    now: datetime
    workers: tuple[Worker, ...]
    leases: tuple[Held, ...]
    queue: tuple[Backlog, ...]


def read_fleet(conn: Connection, jobs: Sequence[str]) -> Fleet:
    """The workers of the last day, newest beat first; the leases and the queue by name."""
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    workers = conn.execute(_WORKERS, {"most": MOST_WORKERS})
    leases = conn.execute(
        text(
            "SELECT l.name, l.holder, l.term, l.expires_at, w.host, w.pid"
            " FROM ops.leases l LEFT JOIN ops.workers w ON w.id = l.holder ORDER BY l.name"
        )
    )
    queue = conn.execute(_QUEUE, {"jobs": list(jobs), "minutes": DRAIN_MIN})
    return Fleet(
        now=now,
        workers=tuple(Worker(**{**row, "runs": tuple(row["runs"])}) for row in workers.mappings()),
        leases=tuple(Held(**row) for row in leases.mappings()),
        queue=tuple(Backlog(**row) for row in queue.mappings()),
    )


def drains_in_s(queue: Sequence[Backlog]) -> float | None:
    """Seconds until the queue is empty at the rate of the last minutes; None if nothing was ended in them."""
    ended = sum(item.ended for item in queue)
    waiting = sum(item.queued for item in queue)
    return waiting / ended * DRAIN_MIN * 60 if ended else None
