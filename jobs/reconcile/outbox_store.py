"""The outbox table: who may send which event, and what became of it.

An event is claimed for some seconds by the database's clock, so a sender that is killed holds it up no longer than
that. Only the earliest undelivered event of a transaction can be claimed, also while that one waits or was given up:
"failed" must never reach a receiver after "rescued".
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.reconcile.outbox import Event, Fate, Result

CLAIM_S = 30
"""Longer than the sending of all that is claimed at once may take."""


def claim(conn: Connection, claimant: UUID, *, transaction_id: UUID | None, most: int) -> list[Event]:
    """Takes the next events that are due, oldest first, and counts the try before it is made."""
    rows = conn.execute(
        text(_CLAIM), {"claimant": claimant, "transaction": transaction_id, "most": most, "claim_s": CLAIM_S}
    )
    return sorted((Event(**row._mapping) for row in rows), key=lambda event: event.id)


def count_due(conn: Connection, *, transaction_id: UUID | None) -> int:
    """How many events could be sent now, whatever order they have to keep."""
    due = text(f"SELECT count(*) FROM ops.outbox o WHERE {_DUE}")  # noqa: S608 - a part of this file
    return int(conn.execute(due, {"transaction": transaction_id}).scalar_one())


def conclude(conn: Connection, claimant: UUID, results: Sequence[tuple[Event, Result]]) -> None:
    """Writes what became of the tries; an event that another claimant has taken over is left to that one."""
    document = [
        {
            "id": event.id,
            "sent": result.fate is Fate.DELIVERED,
            "dead": result.fate is Fate.DEAD,
            "wait_s": result.wait_s,
            "error": result.sentence or None,
        }
        for event, result in results
    ]
    conn.execute(text(_CONCLUDE), {"rows": jsonb(document), "claimant": claimant})


def revive(conn: Connection, *, transaction_id: UUID | None, actor: str) -> int:
    """Lets events that were given up wait again from now on, with their audit rows; how many there were."""
    return conn.execute(text(_REVIVE), {"transaction": transaction_id, "actor": actor}).rowcount


_DUE = """o.sent_at IS NULL AND o.dead_at IS NULL AND o.next_at <= now()
   AND (o.claimed_until IS NULL OR o.claimed_until <= clock_timestamp())
   AND (CAST(:transaction AS uuid) IS NULL OR o.transaction_id = :transaction)"""

_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT o.id FROM ops.outbox o
     WHERE {_DUE}
       AND NOT EXISTS (SELECT FROM ops.outbox e
                        WHERE e.transaction_id = o.transaction_id AND e.sent_at IS NULL AND e.id < o.id)
     ORDER BY o.id LIMIT :most
       FOR UPDATE OF o SKIP LOCKED
)
UPDATE ops.outbox o
   SET claimed_by = :claimant, claimed_until = clock_timestamp() + make_interval(secs => :claim_s),
       attempts = o.attempts + 1, first_at = coalesce(o.first_at, now())
  FROM due WHERE o.id = due.id
RETURNING o.id, o.event_id, o.kind, o.transaction_id, o.payload, o.created_at, o.attempts, o.first_at
"""  # noqa: S608 - a part of this file

_CONCLUDE = """
UPDATE ops.outbox o
   SET sent_at = CASE WHEN a.sent THEN clock_timestamp() END, dead_at = CASE WHEN a.dead THEN clock_timestamp() END,
       next_at = clock_timestamp() + make_interval(secs => a.wait_s), error = a.error,
       claimed_by = NULL, claimed_until = NULL
  FROM jsonb_to_recordset(:rows) AS a(id bigint, sent boolean, dead boolean, wait_s double precision, error text)
 WHERE o.id = a.id AND o.claimed_by = :claimant AND o.sent_at IS NULL
"""

_REVIVE = """
WITH revived AS (
    UPDATE ops.outbox SET dead_at = NULL, first_at = NULL, next_at = now()
     WHERE dead_at IS NOT NULL AND (CAST(:transaction AS uuid) IS NULL OR transaction_id = :transaction)
    RETURNING id, kind, transaction_id, error
)
INSERT INTO ops.audit (actor, action, entity, entity_id, old, reason, origin)
SELECT :actor, 'event.revived', 'transaction', transaction_id::text, jsonb_build_object('event', kind), error, 'job'
  FROM revived
"""
