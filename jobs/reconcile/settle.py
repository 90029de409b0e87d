"""What follows from proof, all or none: one statement moves status, ledger, balance, notification and event together.

The statement takes proved rows as one JSON document and settles those that are still what they were when they were
read and that nobody but this attempt holds, as long as the attempt is the run's own; it says for each row what became
of it. Three things make it *once*, whatever
is killed and however many work at the same time: the status is changed only from the status that was judged, an
operation on the chain is claimed under a primary key, and the ledger has a unique key for every posting. A conflict
costs the one row, never the batch, and a balance moves only by the ledger entries that were really written.

Postings (the user's leg first): DEPOSIT_CREDIT +user −PLATFORM_ASSET, WITHDRAW_REFUND +user −PLATFORM_LIABILITY,
REFUND_REVERSAL −user +PLATFORM_LIABILITY.

A person's decision on a case takes the same way, under a lock of its own transaction. A payment that was accepted as
found settles its row with what arrived: `amount`, `currency` and `asset_issuer` become what the chain shows, what was
expected stays in the audit row's old value, and the books follow what arrived. A deposit is credited with it, a refund
comes back in its height; a withdrawal was debited with the expected amount when it was requested, so the difference is
posted as WITHDRAW_ADJUSTMENT: to the user where less was paid out, from them where it was more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.reconcile.picture import Decision, Row, Verdict


class Outcome(StrEnum):
    """What became of a proved row."""

    SETTLED = "settled"
    REUSED = "reused"  # another row holds the operation: case HASH_REUSED
    REFUND_SPENT = "refund_spent"  # the balance does not cover what has to be taken from it
    HELD = "held"  # money may not move now: enableBalanceUpdates is off
    LOST = "lost"  # no longer ours, or no longer what was judged


@dataclass(frozen=True, slots=True)
class Proved:
    """A row and the decision, success or failed, that its proof led to."""

    row: Row
    decision: Decision


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who settles, and the name under which the rows are locked: a run, or a person with a reason."""

    run_id: int | None
    owner: str
    passphrase: str
    person: str | None = None
    why: str | None = None
    origin: str = "job"

    @property
    def actor(self) -> str:
        return self.person or f"run:{self.run_id}"

    @property
    def network(self) -> str:
        return sha256(self.passphrase.encode()).hexdigest()


def settle(
    conn: Connection, attempt: Attempt, proved: Sequence[Proved], *, notify: bool, move_balances: bool
) -> Mapping[UUID, Outcome]:
    """Settles what is proved in the caller's transaction; `notify` and `move_balances` are the flags of that name."""
    outcomes: dict[UUID, Outcome] = {}
    for wave in _waves(proved):
        parameters = {
            "rows": jsonb([_document(item) for item in wave]),
            "ids": [item.row.id for item in wave],
            "owner": attempt.owner,
            "run_id": attempt.run_id,
            "person": attempt.person,
            "why": attempt.why,
            "origin": attempt.origin,
            "actor": attempt.actor,
            "network": attempt.network,
            "notify": notify,
            "move": move_balances,
        }
        for row in conn.execute(text(_SETTLE), parameters):
            outcomes[row.id] = Outcome(row.outcome)
    return outcomes


def _waves(proved: Sequence[Proved]) -> Iterable[list[Proved]]:
    """Credits first, then refunds that come back, one for each balance at a time, so that each sees what is left."""
    waves: list[list[Proved]] = [[]]
    depth: dict[tuple[UUID | None, str | None, str], int] = {}
    for item in proved:
        row = item.row
        if row.type != "WITHDRAW" or row.status != "FAILED":
            waves[0].append(item)
            continue
        key = (row.user_id, row.currency, row.asset_issuer or "")
        depth[key] = depth.get(key, 0) + 1
        if depth[key] == len(waves):
            waves.append([])
        waves[depth[key]].append(item)
    return [wave for wave in waves if wave]


def _document(item: Proved) -> dict[str, object]:
    row, decision = item.row, item.decision
    received = decision.received
    new_status = _STATUS[decision.verdict]
    rescued = decision.verdict is Verdict.SUCCESS and row.status == "FAILED"
    return {
        "id": row.id,
        "old_status": row.status,
        "new_status": new_status,
        "amount": str(row.amount),
        "currency": row.currency,
        "asset_issuer": row.asset_issuer or "",
        "tx_hash": row.tx_hash,
        "canonical": decision.canonical,
        "operation": decision.operation,
        "failure": None if new_status == "SUCCESS" else decision.sentence,
        "verdict": "rescue" if rescued else decision.verdict.value,
        "reason": decision.reason,
        "sentence": decision.sentence,
        "proof": decision.proof,
        "paid_amount": str(row.amount if received is None else received.amount),
        "paid_currency": row.currency if received is None else received.asset.code,
        "paid_issuer": (row.asset_issuer if received is None else received.asset.issuer) or "",
    }


_STATUS = {
    Verdict.SUCCESS: "SUCCESS",
    Verdict.ACCEPTED: "SUCCESS",
    Verdict.FAILED: "FAILED",
    Verdict.MARKED_FAILED: "FAILED",
    Verdict.CANCELLED: "CANCELLED",
}

_SETTLE = """
WITH asked AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:rows) AS a(
        id uuid, old_status text, new_status text, amount numeric, currency text, asset_issuer text, tx_hash text,
        canonical text, operation integer, failure text, verdict text, reason text, sentence text, proof jsonb,
        paid_amount numeric, paid_currency text, paid_issuer text)
), locked AS MATERIALIZED (
    -- By their keys alone: a condition on the lock looks so rare to the planner that it would compare every row with every other.
    SELECT * FROM transactions WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
), ours AS MATERIALIZED (
    -- Still ours, and still exactly what was judged. What follows counts what was paid.
    SELECT t.id, t.user_id, t.type, a.paid_amount AS amount, a.paid_currency AS currency, a.paid_issuer AS asset_issuer,
           t.created_at, t.amount AS expected_amount, t.currency AS expected_currency,
           coalesce(t.asset_issuer, '') AS expected_issuer,
           (a.paid_amount, a.paid_currency, a.paid_issuer) <> (t.amount, t.currency, coalesce(t.asset_issuer, ''))
           AS differs,
           a.old_status, a.new_status, a.canonical, a.operation, a.failure, a.verdict, a.reason, a.sentence, a.proof,
           -- A refund comes back only if it was given.
           CASE WHEN t.type = 'DEPOSIT' AND a.new_status = 'SUCCESS' THEN 'DEPOSIT_CREDIT'
                WHEN t.type = 'WITHDRAW' AND a.new_status IN ('FAILED', 'CANCELLED') THEN 'WITHDRAW_REFUND'
                WHEN t.type = 'WITHDRAW' AND a.old_status = 'FAILED' AND EXISTS (
                     SELECT FROM ledger_entries e WHERE e.transaction_id = t.id AND e.kind = 'WITHDRAW_REFUND')
                THEN 'REFUND_REVERSAL'
                WHEN t.type = 'WITHDRAW' AND a.paid_amount <> t.amount THEN 'WITHDRAW_ADJUSTMENT' END AS posting
      FROM locked t JOIN asked a ON a.id = t.id JOIN users u ON u.id = t.user_id  -- nothing is posted to nobody
     WHERE (t.processing_locked_by = :owner OR t.processing_locked_by IS NULL)
       AND (CAST(:run_id AS bigint) IS NULL OR EXISTS (
            SELECT FROM ops.runs r WHERE r.id = CAST(:run_id AS bigint) AND r.state = 'running'
                                     AND concat('run:', r.id, ':', r.attempt_token) = :owner))
       AND t.status = a.old_status AND t.amount = a.amount
       AND t.currency = a.currency AND coalesce(t.asset_issuer, '') = a.asset_issuer
       AND t.tx_hash IS NOT DISTINCT FROM a.tx_hash
), weighed AS MATERIALIZED (
    -- What is still to be posted: nothing twice.
    SELECT l.*, CASE WHEN NOT EXISTS (SELECT FROM ledger_entries e WHERE e.transaction_id = l.id AND e.kind = l.posting)
                     THEN l.posting END AS kind,
           CASE l.posting WHEN 'WITHDRAW_ADJUSTMENT' THEN abs(l.amount - l.expected_amount) ELSE l.amount END AS posted,
           l.posting = 'REFUND_REVERSAL' OR (l.posting = 'WITHDRAW_ADJUSTMENT' AND l.amount > l.expected_amount) AS takes
      FROM ours l
), covered AS MATERIALIZED (
    SELECT w.id
      FROM weighed w JOIN balances b USING (user_id, currency, asset_issuer)
     WHERE w.kind IS NOT NULL AND w.takes AND b.amount >= w.posted
     ORDER BY b.user_id, b.currency, b.asset_issuer
       FOR UPDATE OF b
), payable AS MATERIALIZED (
    SELECT * FROM weighed
     WHERE kind IS NULL
        OR (:move AND (NOT takes OR id IN (SELECT id FROM covered)))
), claimed AS (
    INSERT INTO ops.claims (network, tx_hash, operation_index, transaction_id)
    SELECT :network, canonical, operation, id FROM payable WHERE new_status = 'SUCCESS'
     ORDER BY canonical, operation, created_at, id
        ON CONFLICT DO NOTHING
    RETURNING transaction_id
), settling AS MATERIALIZED (
    SELECT p.* FROM payable p
     WHERE p.new_status <> 'SUCCESS'
        OR p.id IN (SELECT transaction_id FROM claimed)
        OR EXISTS (SELECT FROM ops.claims c
                    WHERE c.network = :network AND c.tx_hash = p.canonical AND c.operation_index = p.operation
                      AND c.transaction_id = p.id)
), updated AS (
    UPDATE transactions t
       SET status = s.new_status, failure_reason = s.failure, updated_at = now(),
           amount = s.amount, currency = s.currency,
           asset_issuer = CASE WHEN s.differs THEN nullif(s.asset_issuer, '') ELSE t.asset_issuer END,
           processing_locked_at = NULL, processing_locked_by = NULL
      FROM settling s
     WHERE t.id = s.id
), legs AS (
    INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency, asset_issuer)
    SELECT s.id, s.kind, leg.account_type, leg.user_id, leg.direction, s.posted, s.currency, s.asset_issuer
      FROM settling s CROSS JOIN LATERAL (VALUES
           ('USER', s.user_id, CASE WHEN s.takes THEN 'DEBIT' ELSE 'CREDIT' END),
           (CASE s.kind WHEN 'DEPOSIT_CREDIT' THEN 'PLATFORM_ASSET' ELSE 'PLATFORM_LIABILITY' END, CAST(NULL AS uuid),
            CASE WHEN s.takes THEN 'CREDIT' ELSE 'DEBIT' END)) AS leg(account_type, user_id, direction)
     WHERE s.kind IS NOT NULL
     ORDER BY s.id
        ON CONFLICT DO NOTHING
    RETURNING account_type, user_id, direction, amount, currency, asset_issuer
), moved AS MATERIALIZED (
    SELECT user_id, currency, asset_issuer, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS delta
      FROM legs WHERE account_type = 'USER' GROUP BY user_id, currency, asset_issuer
), credited AS (
    -- The order keeps two workers that credit the same users from waiting for each other in a circle.
    INSERT INTO balances AS b (user_id, currency, asset_issuer, amount)
    SELECT user_id, currency, asset_issuer, delta FROM moved WHERE delta > 0
     ORDER BY user_id, currency, asset_issuer
        ON CONFLICT (user_id, currency, asset_issuer)
        DO UPDATE SET amount = b.amount + EXCLUDED.amount, updated_at = now()
), debited AS (
    UPDATE balances b SET amount = b.amount + m.delta, updated_at = now()
      FROM moved m
     WHERE m.delta < 0 AND b.user_id = m.user_id AND b.currency = m.currency AND b.asset_issuer = m.asset_issuer
), notified AS (
    INSERT INTO notifications (user_id, type, title, message, related_id)
    SELECT user_id, 'TRANSACTION',
           CASE type WHEN 'DEPOSIT' THEN 'Deposit ' ELSE 'Withdrawal ' END
           || CASE new_status WHEN 'SUCCESS' THEN 'confirmed' ELSE lower(new_status) END,
           'Your ' || CASE type WHEN 'DEPOSIT' THEN 'deposit' ELSE 'withdrawal' END || ' of ' || trim_scale(amount) || ' '
           || currency || CASE new_status WHEN 'SUCCESS' THEN ' has been confirmed' WHEN 'FAILED' THEN ' has failed'
                                          ELSE ' has been cancelled' END
           || CASE kind WHEN 'WITHDRAW_REFUND' THEN ', and the amount was refunded' ELSE '' END,
           id
      FROM settling WHERE :notify
), announced AS (
    INSERT INTO ops.outbox (kind, transaction_id, payload)
    SELECT CASE WHEN new_status = 'FAILED' THEN 'transaction.failed'
                WHEN new_status = 'CANCELLED' THEN 'transaction.cancelled'
                WHEN old_status = 'FAILED' THEN 'transaction.rescued' ELSE 'transaction.succeeded' END,
           id,
           jsonb_build_object('transaction_id', id, 'user_id', user_id, 'type', type, 'status', new_status,
                              'previous_status', old_status, 'amount', trim_scale(amount)::text, 'currency', currency,
                              'asset_issuer', nullif(asset_issuer, ''), 'posting', kind, 'hash', canonical,
                              'operation', operation, 'failure_reason', failure, 'run_id', CAST(:run_id AS bigint))
      FROM settling
        ON CONFLICT DO NOTHING
), resolved AS (
    UPDATE ops.reconciliation_cases c
       SET resolved_at = now(), resolved_by = :actor,
           decision = CASE WHEN CAST(:person AS text) IS NOT NULL THEN s.verdict END,
           resolution = coalesce(:why, CASE s.new_status WHEN 'SUCCESS' THEN 'Proof of success arrived: '
                                                         ELSE 'Proof of failure arrived: ' END || s.sentence)
      FROM settling s
     WHERE c.transaction_id = s.id AND c.resolved_at IS NULL
    RETURNING c.id, c.reason, c.decision, c.resolution
), decided AS (
    INSERT INTO ops.decisions (run_id, decided_by, transaction_id, dry_run, verdict, reason, proof)
    SELECT CAST(:run_id AS bigint), CAST(:person AS text), id, false, verdict, reason, proof
      FROM settling ORDER BY created_at, id
), audited AS (
    INSERT INTO ops.audit (actor, action, entity, entity_id, old, new, reason, origin)
    SELECT :actor, 'transaction.settled', 'transaction', id::text,
           jsonb_build_object('status', old_status)
           || CASE WHEN differs THEN jsonb_build_object('amount', expected_amount::text, 'currency', expected_currency,
                                                        'asset_issuer', nullif(expected_issuer, '')) ELSE '{}' END,
           jsonb_build_object('status', new_status, 'posting', kind)
           || CASE WHEN differs THEN jsonb_build_object('amount', amount::text, 'currency', currency,
                                                        'asset_issuer', nullif(asset_issuer, '')) ELSE '{}' END,
           coalesce(:why, sentence), :origin
      FROM settling
    UNION ALL
    SELECT :actor, 'case.resolved', 'case', id::text, jsonb_build_object('reason', reason),
           CASE WHEN decision IS NOT NULL THEN jsonb_build_object('decision', decision) END, resolution, :origin
      FROM resolved
)
SELECT a.id, CASE WHEN s.id IS NOT NULL THEN 'settled'
                  WHEN w.id IS NULL THEN 'lost'
                  WHEN w.kind IS NOT NULL AND NOT :move THEN 'held'
                  WHEN w.kind IS NOT NULL AND w.takes AND w.id NOT IN (SELECT id FROM covered) THEN 'refund_spent'
                  ELSE 'reused' END AS outcome
  FROM asked a LEFT JOIN weighed w ON w.id = a.id LEFT JOIN settling s ON s.id = a.id
"""
