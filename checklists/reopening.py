"""Opening many lines of a run again at once, where it is the run that asks for it and not a person at one line."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from checklists.history import keep
from checklists.lines import State
from jobs.core.people import Person

_REOPEN = (
    "UPDATE ops.checklist_items i SET version = i.version + 1, state = 'open', reason = :reason, choice = NULL,"
    " performed_at = NULL, changed_at = now(), changed_by = :actor, verified_by = NULL, verified_at = NULL"
    " FROM (SELECT item_id, state FROM ops.checklist_items WHERE run_id = :run_id AND item_id = ANY(:ids)"
    "   AND state <> 'open') was WHERE i.run_id = :run_id AND i.item_id = was.item_id"
    " RETURNING i.item_id, i.position, i.version, was.state AS was"
)


def reopen(conn: Connection, run_id: int, items: Sequence[str], actor: Person, reason: str, *, origin: str) -> None:
    """Opens those of the lines again that are done or N/A, each with the reason in its history.

    For whoever holds the run's lock alone: nobody's version is asked for.
    """
    rows = conn.execute(
        text(_REOPEN), {"run_id": run_id, "ids": list(items), "actor": actor.email, "reason": reason}
    ).all()
    for row in sorted(rows, key=lambda row: row.position):
        keep(
            conn, run_id, actor, "unticked", origin, item_id=row.item_id,
            old={"state": row.was, "version": row.version - 1},
            new={"state": State.OPEN.value, "version": row.version}, note=reason, was=row.was, became=State.OPEN.value,
        )  # fmt: skip
