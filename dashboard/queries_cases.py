"""Reads of the page Cases: what waits for a person, by age or by value, and what was decided.

Open cases are few, and an index of their own holds them; closed ones are walked by their number, newest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, Row, text

from dashboard.components.compare import document
from dashboard.queries import cached

PAGE = 25


class Order(StrEnum):
    """Which cases, and which first."""

    OLDEST = "oldest"
    DEAREST = "dearest"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Case:
    """A case with what a person needs of its transaction to decide it."""

    id: int
    transaction_id: UUID
    reason: str
    details: Mapping[str, object]
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    type: str
    status: str
    amount: Decimal
    currency: str
    email: str


@dataclass(frozen=True, slots=True)
class Cases:
    """One page of cases; `older` continues it."""

    found: tuple[Case, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class Stake:
    """What open cases hold up in one currency: transactions, their sum, the oldest case."""

    currency: str
    transactions: int
    amount: Decimal
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """All open cases in sums: by currency, the most first, and how many for each reason."""

    stakes: tuple[Stake, ...]
    reasons: tuple[tuple[str, int], ...]

    @property
    def count(self) -> int:
        return sum(count for _, count in self.reasons)


@cached(ttl=3)
def cases(
    conn: Connection,
    order: Order,
    *,
    reason: str | None = None,
    older_than: timedelta | None = None,
    before: int | None = None,
) -> Cases:
    """A page of cases after the case `before`."""
    parameters = {
        "reason": reason,
        "older_than": older_than or timedelta(0),
        "before": before,
        "most": PAGE + 1,
    }
    rows = conn.execute(text(_LIST + _ORDERS[order]), parameters).all()
    found = tuple(_case(row) for row in rows[:PAGE])
    return Cases(found, found[-1].id if len(rows) > PAGE else None)


@cached(ttl=3)
def case(conn: Connection, case_id: int) -> Case | None:
    """One case, open or closed; None if there is none of this number."""
    row = conn.execute(text(_ONE), {"id": case_id}).one_or_none()
    return None if row is None else _case(row)


@cached(ttl=5)
def standing(conn: Connection) -> Standing:
    """What open cases hold up; a transaction with several cases is counted once in its currency."""
    stakes = conn.execute(text(_STAKES))
    reasons = conn.execute(
        text(
            "SELECT reason, count(*) AS n FROM ops.reconciliation_cases WHERE resolved_at IS NULL"
            " GROUP BY reason ORDER BY n DESC, reason"
        )
    )
    return Standing(tuple(Stake(**row._mapping) for row in stakes), tuple((row.reason, row.n) for row in reasons))


def _case(row: Row[tuple[object, ...]]) -> Case:
    return Case(**{**row._mapping, "details": document(row.details)})


_CASE = """
SELECT c.id, c.transaction_id, c.reason, c.details, c.opened_at, c.resolved_at, c.resolved_by, c.resolution,
       coalesce(t.type, '') AS type, t.status, coalesce(t.amount, 'NaN') AS amount,
       coalesce(t.currency, '') AS currency, coalesce(u.email, 'nobody') AS email
  FROM ops.reconciliation_cases c
  JOIN transactions t ON t.id = c.transaction_id
  LEFT JOIN users u ON u.id = t.user_id
"""

_ONE = _CASE + " WHERE c.id = :id"

_LIST = (
    _CASE
    + """
 WHERE (CAST(:reason AS text) IS NULL OR c.reason = :reason) AND c.opened_at <= now() - CAST(:older_than AS interval)
"""
)

# Amounts of different currencies cannot be compared here: currencies stand one after another, the dearest first in each.
_ORDERS: Mapping[Order, str] = {
    Order.OLDEST: """
   AND c.resolved_at IS NULL
   AND (CAST(:before AS bigint) IS NULL OR (c.opened_at, c.id) > (
        SELECT b.opened_at, b.id FROM ops.reconciliation_cases b WHERE b.id = :before))
 ORDER BY c.opened_at, c.id LIMIT :most
""",
    Order.DEAREST: """
   AND c.resolved_at IS NULL
   AND (CAST(:before AS bigint) IS NULL OR (t.currency, -t.amount, c.id) > (
        SELECT p.currency, -p.amount, b.id FROM ops.reconciliation_cases b
          JOIN transactions p ON p.id = b.transaction_id WHERE b.id = :before))
 ORDER BY t.currency, t.amount DESC, c.id LIMIT :most
""",
    Order.CLOSED: """
   AND c.resolved_at IS NOT NULL AND (CAST(:before AS bigint) IS NULL OR c.id < :before)
 ORDER BY c.id DESC LIMIT :most
""",
}

_STAKES = """
SELECT coalesce(currency, '') AS currency, count(*) AS transactions,
       coalesce(sum(amount) FILTER (WHERE amount < 'Infinity'), 0) AS amount, min(opened_at) AS oldest
  FROM (SELECT transaction_id, min(opened_at) AS opened_at
          FROM ops.reconciliation_cases WHERE resolved_at IS NULL GROUP BY transaction_id) AS c
  JOIN transactions t ON t.id = c.transaction_id
 GROUP BY coalesce(currency, '') ORDER BY count(*) DESC, currency
"""
