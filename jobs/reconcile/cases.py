"""Cases: rows beside a transaction that say what a person must decide, and never a status of their own.

A reason is open at most once for a transaction. Proof closes its cases in the settlement itself (settle.py), and so does
a person's decision that changes the transaction (deciding.py). A case that a person lets wait is closed until a time that
they choose, before which the same reason does not ask again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.reconcile.picture import Decision, Row
from jobs.reconcile.settle import Attempt


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case as whoever decides it has to know it; `version` stands for its row as it was read."""

    id: int
    transaction_id: UUID
    reason: str
    details: dict[str, object]
    resolved_at: datetime | None
    resolved_by: str | None
    version: str


def open_cases(conn: Connection, attempt: Attempt, judged: Sequence[tuple[Row, Decision]]) -> set[UUID]:
    """Opens what is not open yet, with its decision and audit row; the transactions whose case is new."""
    if not judged:
        return set()
    document = [
        {
            "id": row.id,
            "status": row.status,
            "reason": decision.reason,
            "sentence": decision.sentence,
            "details": decision.proof | {"sentence": decision.sentence},
            "proof": decision.proof,
        }
        for row, decision in judged
    ]
    parameters = {
        "rows": jsonb(document),
        "owner": attempt.owner,
        "actor": attempt.actor,
        "run_id": attempt.run_id,
    }
    return set(conn.execute(text(_OPEN), parameters).scalars())


def read_cases(conn: Connection, ids: Sequence[int]) -> dict[int, Waiting]:
    """The cases of these numbers with the version of their rows, by number."""
    statement = text(_WAITING.format(version=VERSION))
    return {row.id: Waiting(**row._mapping) for row in conn.execute(statement, {"ids": list(ids)})}


def lock_case(conn: Connection, case_id: int) -> Waiting | None:
    """The same for one case, which nobody else decides until the caller's transaction ends."""
    row = conn.execute(text(_WAITING.format(version=VERSION) + " FOR UPDATE OF c"), {"ids": [case_id]}).one_or_none()
    return None if row is None else Waiting(**row._mapping)


def close_cases(
    conn: Connection, cases: Sequence[int], *, actor: str, decision: str, why: str, until: datetime | None = None
) -> None:
    """Closes cases that the caller has locked, or whose transaction it has; the audit rows are the caller's."""
    conn.execute(
        text(
            "UPDATE ops.reconciliation_cases SET resolved_at = now(), resolved_by = :actor, decision = :decision,"
            " resolution = :why, quiet_until = :until WHERE id = ANY(CAST(:ids AS bigint[])) AND resolved_at IS NULL"
        ),
        {"ids": list(cases), "actor": actor, "decision": decision, "why": why, "until": until},
    )


# What a person was shown of the row: everything that a decision depends on. Locks are no part of it.
VERSION = """md5(ROW(t.type, t.status, t.amount, t.currency, t.asset_issuer, t.tx_hash, t.destination, t.memo_type,
           t.memo, t.updated_at)::text)"""

_WAITING = """
SELECT c.id, c.transaction_id, c.reason, c.details, c.resolved_at, c.resolved_by, {version} AS version
  FROM ops.reconciliation_cases c JOIN transactions t ON t.id = c.transaction_id
 WHERE c.id = ANY(CAST(:ids AS bigint[]))
"""

_OPEN = """
WITH asked AS (
    SELECT * FROM jsonb_to_recordset(:rows) AS a(
        id uuid, status text, reason text, sentence text, details jsonb, proof jsonb)
), ours AS (
    -- OFFSET 0: by key, row by row, whatever the planner thinks of the lock.
    SELECT a.* FROM asked a CROSS JOIN LATERAL (SELECT * FROM transactions WHERE id = a.id OFFSET 0) AS t
     WHERE t.processing_locked_by = :owner AND t.status = a.status
       AND NOT EXISTS (SELECT FROM ops.reconciliation_cases c
                        WHERE c.transaction_id = a.id AND c.reason = a.reason
                          AND (c.resolved_at IS NULL
                               OR c.quiet_until > now()))
), opened AS (
    INSERT INTO ops.reconciliation_cases (transaction_id, reason, details)
    SELECT id, reason, details FROM ours ORDER BY id
        ON CONFLICT (transaction_id, reason) WHERE resolved_at IS NULL DO NOTHING
    RETURNING id, transaction_id, reason
), decided AS (
    INSERT INTO ops.decisions (run_id, transaction_id, dry_run, verdict, reason, proof)
    SELECT :run_id, o.id, false, 'case', o.reason, o.proof FROM ours o JOIN opened p ON p.transaction_id = o.id
), audited AS (
    INSERT INTO ops.audit (actor, action, entity, entity_id, new, reason, origin)
    SELECT :actor, 'case.opened', 'case', p.id::text,
           jsonb_build_object('reason', p.reason, 'transaction_id', p.transaction_id), o.sentence, 'job'
      FROM opened p JOIN ours o ON o.id = p.transaction_id
)
SELECT transaction_id FROM opened
"""
