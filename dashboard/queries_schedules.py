"""The reads of the page Schedule: one schedule, its history, and what taking an edit back would make of it."""

from __future__ import annotations

from sqlalchemy import Connection

from dashboard.queries import cached
from jobs.core.audit_read import Happened
from jobs.schedule import editing
from jobs.schedule.editing import Proposal
from jobs.schedule.model import Schedule
from jobs.schedule.store import find_schedule

SHOWN = 30
"""So many changes of a schedule stand on its page; the audit trail has them all."""


@cached(ttl=2)
def schedule(conn: Connection, name: str) -> Schedule:
    """One schedule; raises NotFound."""
    return find_schedule(conn, name)


@cached(ttl=2)
def history(conn: Connection, name: str) -> tuple[Happened, ...]:
    """What was done to a schedule lately, newest first."""
    return tuple(editing.history(conn, name, limit=SHOWN))


@cached(ttl=2)
def undoing(conn: Connection, name: str, change: int) -> Proposal:
    """What taking an edit back would make of the schedule; raises NotFound, and Conflict where it cannot be."""
    return editing.propose(conn, name, editing.undo_of(conn, name, change))
