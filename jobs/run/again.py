"""Failures of the last while, and running a whole group of them again.

Of runs that would do the same (one job, the same parameters, dry or not) only the newest is repeated, and only if no
later one has succeeded, failed in turn, or is about to run: a job that failed thirty times at night is run once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from jobs.core.errors import Conflict, NexaError, UsageError
from jobs.core.jobs import find_job
from jobs.run.failures import Failure
from jobs.run.store import check_params, request_run

MOST_READ = 5000
"""The newest so many failures are looked at."""
MOST_AGAIN = 100
"""At most so many runs are queued at once, the newest first."""

_STATES = "('failed', 'timed_out', 'lost')"  # as the index has them: a parameter would not find it
_FAILURES = text(f"""
    SELECT id, job, state, error_class, left(error, 1000) AS error, finished_at FROM ops.runs
    WHERE state IN {_STATES} AND finished_at > now() - CAST(:window AS interval)
    ORDER BY finished_at DESC LIMIT :most
""")  # noqa: S608 - our own constant

# What comes later and does the same makes an older failure history, whichever way it went. Each failure looks along
# its own job's index and stops at the first such run; left to itself, the planner would read all runs once.
_LEFT = text(f"""
    SELECT r.id, r.job, r.params, r.dry_run FROM ops.runs r LEFT JOIN LATERAL (
        SELECT later.id FROM ops.runs later
        WHERE later.job = r.job AND later.id > r.id AND later.state NOT IN ('missed', 'skipped', 'stopped')
          AND (later.retry_of = r.id OR later.params = r.params AND later.dry_run = r.dry_run)
        ORDER BY later.id LIMIT 1
    ) AS later ON true
    WHERE r.id = ANY (CAST(:ids AS bigint[])) AND r.state IN {_STATES} AND later.id IS NULL
    ORDER BY r.id DESC
""")  # noqa: S608 - our own constant


@dataclass(frozen=True, slots=True)
class Repeat:
    """A failed run that can be run again."""

    id: int
    job: str
    params: dict[str, object]
    dry_run: bool


def recent_failures(conn: Connection, window: timedelta) -> tuple[Failure, ...]:
    """What failed within `window`, newest first; `MOST_READ` at most."""
    rows = conn.execute(_FAILURES, {"most": MOST_READ, "window": window})
    return tuple(Failure(**row) for row in rows.mappings())


def left_to_repeat(conn: Connection, run_ids: Sequence[int]) -> tuple[Repeat, ...]:
    """Those of these failed runs that nothing has replaced since and that this version can run, newest first."""
    rows = conn.execute(_LEFT, {"ids": list(run_ids)})
    found = (Repeat(**row) for row in rows.mappings())
    return tuple(repeat for repeat in found if _can_run(repeat))


def repeat_runs(
    conn: Connection, run_ids: Sequence[int], *, actor: str, reason: str, origin: str = "dashboard"
) -> list[int]:
    """Queues what is left of these failed runs, each with its audit row, in the caller's transaction.

    Returns the new runs, `MOST_AGAIN` at most. Raises UsageError without a reason, and Conflict if there is nothing
    left to repeat.
    """
    if not reason.strip():
        raise UsageError("Say why these runs are repeated: a reason is needed.")
    wanted = [repeat.id for repeat in left_to_repeat(conn, run_ids)[:MOST_AGAIN]]
    # Two people may press at once: the second waits here, and then sees what the first has queued.
    conn.execute(
        text("SELECT id FROM ops.runs WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE"), {"ids": wanted}
    )
    left = left_to_repeat(conn, wanted)
    if not left:
        raise Conflict("Nothing is left to repeat: later runs have taken their place.")
    return [
        request_run(
            conn,
            job=repeat.job,
            params=repeat.params,
            dry_run=repeat.dry_run,
            actor=actor,
            reason=reason,
            origin=origin,
            retry_of=repeat.id,
        )
        for repeat in reversed(left)
    ]


def _can_run(repeat: Repeat) -> bool:
    try:
        check_params(find_job(repeat.job), repeat.params)
    except NexaError:
        return False
    return True
