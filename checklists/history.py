"""The history of a run: one event that everybody reads on the page, and one row of the audit trail, always together."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, text

from jobs.core import audit
from jobs.core.permissions import Actor


def keep(
    conn: Connection,
    run_id: int,
    actor: Actor,
    kind: str,
    origin: str,
    *,
    item_id: str | None = None,
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    note: str | None = None,
    was: str | None = None,
    became: str | None = None,
) -> int:
    """Adds an event of this kind and its audit row in the caller's transaction; returns the event's id.

    `old` and `new` are what the audit trail keeps, `was` and `became` what the event shows of them in a word; `note` is
    the reason, or what somebody wrote.
    """
    event_id: int = conn.execute(
        text(
            "INSERT INTO ops.checklist_events (run_id, item_id, actor, kind, old, new, note)"
            " VALUES (:run_id, :item_id, :actor, :kind, :was, :became, :note) RETURNING id"
        ),
        {
            "run_id": run_id,
            "item_id": item_id,
            "actor": actor.email,
            "kind": kind,
            "was": was,
            "became": became,
            "note": note,
        },
    ).scalar_one()
    action = f"{'checklist' if item_id is None else 'item'}.{kind}"
    before = {"item": item_id, **(old or {})} if item_id is not None and old is not None else old
    after = {"item": item_id, **(new or {})} if item_id is not None else new
    row = audit.AuditRow(
        actor.email, action, "checklist_run", str(run_id), origin, old=before, new=after, reason=note
    )  # fmt: skip
    audit.record(conn, row)
    return event_id
