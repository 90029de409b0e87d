"""Who did what, when, why and from where: rows that nobody changes afterwards.

A row is written in the transaction of the change itself, so there is no change without its row and no row without
its change. The database refuses UPDATE, DELETE and TRUNCATE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from jobs.core.db import jsonb


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change; `actor` is a person's e-mail, `cli:<user>`, `token:<name>`, `run:<id>` or `system`."""

    actor: str
    action: str
    entity: str
    entity_id: str
    origin: str
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    reason: str | None = None


def record(conn: Connection, row: AuditRow) -> None:
    """Appends one row in the caller's transaction."""
    record_many(conn, [row])


def record_many(conn: Connection, rows: Sequence[AuditRow]) -> None:
    """Appends many rows in the caller's transaction, as one batch."""
    if not rows:
        return
    conn.execute(
        text(
            "INSERT INTO ops.audit (actor, action, entity, entity_id, old, new, reason, origin)"
            " VALUES (:actor, :action, :entity, :entity_id, :old, :new, :reason, :origin)"
        ),
        [
            {
                "actor": row.actor,
                "action": row.action,
                "entity": row.entity,
                "entity_id": row.entity_id,
                "old": None if row.old is None else jsonb(row.old),
                "new": None if row.new is None else jsonb(row.new),
                "reason": row.reason,
                "origin": row.origin,
            }
            for row in rows
        ],
    )
