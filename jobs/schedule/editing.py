"""Schedules are edited here: looked at first, saved by one conditional update, kept in the audit trail, taken back.

The history of a schedule is its rows of the audit trail: old and new values, who, when and why stand there already, and
nobody can change them. So an edit is taken back by a new edit with the old values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, text, update

from jobs.core.audit_read import Happened, read_history
from jobs.core.db import jsonb
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.jobs import find_job
from jobs.core.settings import Settings, variables
from jobs.run.store import check_params
from jobs.schedule.edits import TIMING, difference, edited, undone
from jobs.schedule.model import Schedule
from jobs.schedule.store import SCHEDULES, changed, find_schedule

EDITED = "schedule.edited"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A schedule as it stands and as it would stand, with old and new values of what differs."""

    seen: Schedule
    draft: Schedule
    old: Mapping[str, Any]
    new: Mapping[str, Any]


def undoable(past: Happened) -> bool:
    """Whether it was an edit of when the schedule runs and how, which can be taken back."""
    return past.action == EDITED


def propose(conn: Connection, name: str, changes: Mapping[str, Any]) -> Proposal:
    """What an edit would make of the schedule; changes nothing.

    Raises NotFound, and UsageError for the first value that is not accepted or if nothing would differ.
    """
    job, seen = find_job(name), find_schedule(conn, name)
    if changes.get("enabled", seen.enabled) != seen.enabled and job.needs is not None:
        setting = variables(Settings.model_fields[job.needs])[0]
        raise UsageError(f"{name} is switched by {setting}: set it or take it away, and start the worker again.")
    if "params" in changes:
        accepted = check_params(job, changes["params"])
        # Those left out follow the job's defaults, also when these change.
        changes = {**changes, "params": {key: accepted[key] for key in changes["params"]}}
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    draft = edited(seen, changes, now)
    old, new = difference(seen, draft)
    if not new:
        raise UsageError(f"Nothing of {name} would change.")
    return Proposal(seen, draft, old, new)


def edit(
    conn: Connection,
    name: str,
    changes: Mapping[str, Any],
    *,
    expected_version: int,
    actor: str,
    reason: str,
    origin: str = "dashboard",
) -> Schedule:
    """Changes a schedule that still stands at `expected_version`, with its audit row, and returns it as it stands now.

    Raises what `propose` raises, UsageError without a reason, and Conflict if somebody else was faster.
    """
    if not reason.strip():
        raise UsageError(f"Say why {name} is changed: a reason is needed.")
    proposal = propose(conn, name, changes)
    values: dict[str, Any] = {field: getattr(proposal.draft, field) for field in proposal.new}
    if "params" in values:
        values["params"] = jsonb(dict(values["params"]))
    if values.keys() & TIMING:
        values["updated_at"] = func.now()
    done = conn.execute(
        update(SCHEDULES)
        .where(SCHEDULES.c.name == name, SCHEDULES.c.version == expected_version)
        .values(**values, version=SCHEDULES.c.version + 1)
    )
    if not done.rowcount:
        last = next(iter(history(conn, name, limit=1)), None)
        by = "" if last is None else f", by {last.actor}"
        raise Conflict(f"{name} was changed meanwhile{by}: look at it again before you change it.")
    changed(conn, name, EDITED, actor, proposal.new, reason, origin, old=proposal.old)
    return find_schedule(conn, name)


def undo(
    conn: Connection,
    name: str,
    change: int,
    *,
    expected_version: int,
    actor: str,
    reason: str,
    origin: str = "dashboard",
) -> Schedule:
    """Takes one edit back by a new edit; raises what `edit` and `undo_of` raise."""
    if not reason.strip():
        raise UsageError(f"Say why the edit of {name} is undone: a reason is needed.")
    return edit(
        conn,
        name,
        undo_of(conn, name, change),
        expected_version=expected_version,
        actor=actor,
        reason=f"{reason} (undoes change {change})",
        origin=origin,
    )


def undo_of(conn: Connection, name: str, change: int) -> dict[str, Any]:
    """The changes that would take an edit back.

    Raises NotFound if it is no edit of this schedule, Conflict where its values were changed again since.
    """
    found = next((past for past in history(conn, name, change=change, limit=1) if undoable(past)), None)
    if found is None:
        raise NotFound(f"Change {change} is no edit of {name}: see `nexaops schedules history {name}`.")
    return undone(find_schedule(conn, name), found.old, found.new)


def history(conn: Connection, name: str, *, change: int | None = None, limit: int = 50) -> list[Happened]:
    """What was done to a schedule, newest first; only the one `change` where it is given."""
    return read_history(conn, "schedule", name, limit=limit, only=change)
