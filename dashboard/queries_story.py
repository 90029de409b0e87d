"""Reads of the page Transaction: everything that is known about one, in a fixed number of statements by key.

The signed envelope is never read, only whether one is kept. The balance around an entry is summed from the user's own
entries, found through their transactions; for a user with very many it is left out, and the balance of now is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, Row, text

from dashboard.components.compare import document
from dashboard.queries import cached

MOST = 100
"""Rows of each kind that a story shows, the newest: no transaction has a reason for more."""
SUMMED = 2000
"""Transactions of a user up to which the balance around an entry is summed."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The row itself; `receiver` is its destination, or the user's wallet where it names none."""

    id: UUID
    type: str
    status: str
    amount: Decimal
    currency: str
    asset_issuer: str | None
    tx_hash: str | None
    signed: bool
    destination: str | None
    receiver: str | None
    memo_type: str | None
    memo: str | None
    failure_reason: str | None
    created_at: datetime
    updated_at: datetime
    user_id: UUID | None
    email: str
    balance: Decimal | None


@dataclass(frozen=True, slots=True)
class Look:
    """What `times` looks found on one server, of which the last tells detail, request, ledger and run."""

    outcome: str
    server: str | None
    times: int
    first_at: datetime
    last_at: datetime
    detail: str
    request: str | None
    ledger: int | None
    run_id: int | None


@dataclass(frozen=True, slots=True)
class Check:
    """The last look at it and when the next one is due; `attempts` looks in a row had this outcome, on any server."""

    look: Look
    attempts: int
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One leg in the books; `before` and `after` are the user's balance around it, where that could be summed."""

    id: int
    kind: str
    account_type: str
    direction: str
    amount: Decimal
    currency: str
    created_at: datetime
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True, slots=True)
class Decided:
    """What a run, or a person (`decided_by`), decided, and by what proof."""

    id: int
    run_id: int | None
    job: str | None
    decided_by: str | None
    at: datetime
    dry_run: bool
    verdict: str
    reason: str
    proof: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Told:
    """A notification to the user."""

    title: str
    message: str
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Announced:
    """An event for another system: delivered at `sent_at`, given up at `dead_at`, else it waits until `next_at`."""

    kind: str
    created_at: datetime
    attempts: int
    sent_at: datetime | None
    dead_at: datetime | None
    next_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A case of this transaction."""

    id: int
    reason: str
    details: Mapping[str, object]
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    quiet_until: datetime | None


@dataclass(frozen=True, slots=True)
class Audited:
    """A row of the audit trail about the transaction or one of its cases."""

    id: int
    at: datetime
    actor: str
    action: str
    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    reason: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """All of it, each kind in the order of its time."""

    transaction: Transaction
    check: Check | None
    looks: tuple[Look, ...]
    """What looks before the last one found otherwise, or on another server."""
    entries: tuple[Entry, ...]
    decisions: tuple[Decided, ...]
    notifications: tuple[Told, ...]
    events: tuple[Announced, ...]
    cases: tuple[Opened, ...]
    audit: tuple[Audited, ...]

    @property
    def open_cases(self) -> tuple[Opened, ...]:
        return tuple(case for case in self.cases if case.resolved_at is None)

    @property
    def settled(self) -> Decided | None:
        """The decision that its status stands on; None while nothing is proved, or when this desk did not settle it."""
        ending = ("success", "failed", "rescue", "accepted", "marked_failed")
        proved = [it for it in self.decisions if not it.dry_run and it.verdict in ending]
        return proved[-1] if proved and self.transaction.status in ("SUCCESS", "FAILED") else None


@cached(ttl=2)
def story(conn: Connection, transaction_id: UUID) -> Story | None:
    """The story of one transaction; None if there is none of this id."""
    one = {"id": transaction_id, "most": MOST}
    row = conn.execute(text(_TRANSACTION), one).one_or_none()
    if row is None:
        return None
    found = Transaction(**row._mapping)
    check = conn.execute(text(_CHECK), one).one_or_none()
    cases = tuple(
        Opened(**{**case._mapping, "details": document(case.details)}) for case in conn.execute(text(_CASES), one)
    )
    mine = one | {
        "user": found.user_id,
        "currency": found.currency,
        "issuer": found.asset_issuer or "",
        "summed": SUMMED,
    }
    return Story(
        found,
        None if check is None else Check(_look(check), check.attempts, check.next_at),
        tuple(_look(look) for look in conn.execute(text(_LOOKS), one)),
        tuple(Entry(**entry._mapping) for entry in conn.execute(text(_ENTRIES), mine)),
        tuple(Decided(**{**it._mapping, "proof": document(it.proof)}) for it in conn.execute(text(_DECISIONS), one)),
        tuple(Told(**told._mapping) for told in conn.execute(text(_NOTIFICATIONS), mine)),
        tuple(Announced(**event._mapping) for event in conn.execute(text(_EVENTS), one)),
        cases,
        tuple(
            Audited(**audited._mapping)
            for audited in conn.execute(
                text(_AUDIT), {"id": str(transaction_id), "cases": [str(case.id) for case in cases], "most": MOST}
            )
        ),
    )


def _look(row: Row[tuple[object, ...]]) -> Look:
    return Look(
        row.outcome, row.server, row.times, row.first_at, row.last_at, row.detail, row.request, row.ledger, row.run_id
    )


_TRANSACTION = """
SELECT t.id, coalesce(t.type, '') AS type, t.status, coalesce(t.amount, 'NaN') AS amount,
       coalesce(t.currency, '') AS currency, t.asset_issuer, nullif(trim(t.tx_hash), '') AS tx_hash,
       coalesce(t.envelope_xdr, '') <> '' AS signed, nullif(t.destination, '') AS destination,
       coalesce(nullif(t.destination, ''), u.wallet_public_key) AS receiver, t.memo_type, t.memo, t.failure_reason,
       coalesce(t.created_at, t.updated_at) AS created_at, t.updated_at, t.user_id,
       coalesce(u.email, 'nobody') AS email, b.amount AS balance
  FROM transactions t
  LEFT JOIN users u ON u.id = t.user_id
  LEFT JOIN balances b ON b.user_id = t.user_id AND b.currency = t.currency
                      AND b.asset_issuer = coalesce(t.asset_issuer, '')
 WHERE t.id = :id
"""

_CHECK = """
SELECT outcome, server, times, first_at, last_at, detail, request, ledger, run_id, attempts, next_at FROM ops.checks
 WHERE transaction_id = :id
"""

_LOOKS = """
SELECT outcome, nullif(server, '') AS server, times, first_at, last_at, detail, request, ledger, run_id FROM ops.looks
 WHERE transaction_id = :id ORDER BY first_at LIMIT :most
"""

_CASES = """
SELECT id, reason, details, opened_at, resolved_at, resolved_by, resolution, quiet_until FROM ops.reconciliation_cases
 WHERE transaction_id = :id ORDER BY id DESC LIMIT :most
"""

_ENTRIES = """
WITH mine AS MATERIALIZED (
    SELECT id FROM transactions WHERE user_id = :user LIMIT :summed
), own AS (
    SELECT e.id, CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END AS moved,
           sum(CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END) OVER (ORDER BY e.id) AS after
      FROM mine JOIN ledger_entries e ON e.transaction_id = mine.id AND e.account_type = 'USER'
     WHERE e.currency = :currency AND e.asset_issuer = :issuer
)
SELECT e.id, e.kind, e.account_type, e.direction, e.amount, e.currency, e.created_at, own.after - own.moved AS before,
       own.after
  FROM ledger_entries e LEFT JOIN own ON own.id = e.id AND (SELECT count(*) FROM mine) < :summed
 WHERE e.transaction_id = :id ORDER BY e.id LIMIT :most
"""

_DECISIONS = """
SELECT * FROM (
    SELECT d.id, d.run_id, r.job, d.decided_by, d.at, d.dry_run, d.verdict, d.reason, d.proof
      FROM ops.decisions d LEFT JOIN ops.runs r ON r.id = d.run_id
     WHERE d.transaction_id = :id ORDER BY d.id DESC LIMIT :most) AS newest
 ORDER BY id
"""

# The index knows the user; the row it belongs to is looked for among theirs.
_NOTIFICATIONS = """
SELECT title, message, created_at, read_at FROM notifications
 WHERE user_id = :user AND related_id = :id ORDER BY created_at LIMIT :most
"""

_EVENTS = """
SELECT kind, created_at, attempts, sent_at, dead_at, next_at, error FROM ops.outbox
 WHERE transaction_id = :id ORDER BY id LIMIT :most
"""

_AUDIT = """
SELECT id, at, actor, action, old, new, reason, origin FROM ops.audit
 WHERE (entity = 'transaction' AND entity_id = :id)
    OR (entity = 'case' AND entity_id = ANY (CAST(:cases AS text[])))
 ORDER BY id DESC LIMIT :most
"""
