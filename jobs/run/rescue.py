"""Finds the runs whose worker is gone, and those that the queue forgot. Done by the holder of one lease.

A run beats every 10 seconds and is lost after 30. In a database outage nobody can beat: so whoever has just taken the
lease waits for longer than one beat before it calls anything lost, and an outage of any length loses no run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, func, update

from jobs.core.logs import get_logger
from jobs.run.lease import Lease
from jobs.run.queue import defer, drop_orphans, forgotten
from jobs.run.report import report_run
from jobs.run.retry import retry_run
from jobs.run.store import RUNS, RunRow, run_of
from jobs.run.supervise import BEAT_S

log = get_logger(__name__)

LOST_AFTER_S = 30.0
SETTLE_S = BEAT_S + 2.0  # one beat and its delay
LEASE_S = 20.0


@dataclass(frozen=True, slots=True)
class Rescued:
    """What one look has found: the ids of runs."""

    lost: tuple[int, ...] = ()
    retried: tuple[int, ...] = ()
    queued_again: tuple[int, ...] = ()


def rescue_lease(worker_id: UUID) -> Lease:
    """The lease that a rescuer holds."""
    return Lease("rescue", worker_id, ttl_s=LEASE_S)


def rescue(conn: Connection, lease: Lease) -> Rescued:
    """One look, in one transaction; finds nothing unless `lease` is held, and has been for longer than a beat."""
    if not lease.hold(conn) or lease.held_s < SETTLE_S:
        return Rescued()
    drop_orphans(conn, LOST_AFTER_S)
    lost = mark_lost(conn, LOST_AFTER_S)
    retried = [retry for run in lost if (retry := retry_run(conn, run)) is not None]
    again = forgotten(conn, LOST_AFTER_S)
    for run_id in again:
        defer(conn, run_id)
    found = Rescued(tuple(run.id for run in lost), tuple(retried), tuple(again))
    for run in lost:
        report_run(run)
    if found != Rescued():
        log.warning("runs rescued", lost=found.lost, retried=found.retried, queued_again=found.queued_again)
    return found


def mark_lost(conn: Connection, after_s: float) -> list[RunRow]:
    """Ends the running runs that have not beaten for `after_s`; a result that comes later is refused."""
    rows = conn.execute(
        update(RUNS)
        .where(
            RUNS.c.state == "running",
            RUNS.c.beat_at < func.clock_timestamp() - timedelta(seconds=after_s),
        )
        .values(
            state="lost",
            finished_at=func.now(),
            error=f"Its worker has given no sign of life for {after_s:.0f} s: killed, or cut off from the database.",
        )
        .returning(*RUNS.c)
    )
    return [run_of(row) for row in rows]
