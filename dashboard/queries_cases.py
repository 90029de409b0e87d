"""Reads of the page Cases: what waits for a person, by age or by value, and what was decided.

Open cases are few, and an index of their own holds them; closed ones are walked by their number, newest first. A filter
that no index knows may make that walk long: it is given up after a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import OperationalError

from dashboard.components.compare import document
from dashboard.queries import cached
from jobs.core.errors import TransientError
from jobs.reconcile.cases import VERSION

PAGE = 25
EXPORTED = 10_000
"""Cases that one file holds at most."""
_CHUNK = 500
_SEARCH_MS = 3000
_CANCELED = "57014"


class Order(StrEnum):
    """Which cases, and which first."""

    OLDEST = "oldest"
    DEAREST = "dearest"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which cases: all of those given hold. `least` is of the amount, in whatever currency; `search` is the number of a
    case, an id, a hash or the start of one, or the start of an e-mail."""

    reason: str | None = None
    older_than: timedelta = timedelta(0)
    currency: str | None = None
    type: str | None = None
    least: Decimal = Decimal(0)
    search: str = ""

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Case:
    """A case with what a person needs of its transaction to decide it; `version` stands for the row as it was read."""

    id: int
    transaction_id: UUID
    reason: str
    details: Mapping[str, object]
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    decision: str | None
    quiet_until: datetime | None
    type: str
    status: str
    amount: Decimal
    currency: str
    asset_issuer: str | None
    tx_hash: str | None
    email: str
    version: str


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
    """Open cases in sums: by currency, the most first, and how many for each reason."""

    stakes: tuple[Stake, ...]
    reasons: tuple[tuple[str, int], ...]

    @property
    def count(self) -> int:
        return sum(count for _, count in self.reasons)


@cached(ttl=3)
def cases(conn: Connection, order: Order, filters: Filters, *, before: int | None = None, most: int = PAGE) -> Cases:
    """A page of cases after the case `before`.

    Raises TransientError when looking for them takes longer than three seconds.
    """
    rows = _page(conn, order, filters, before, most + 1)
    found = tuple(_case(row) for row in rows[:most])
    return Cases(found, found[-1].id if len(rows) > most else None)


@cached(ttl=3)
def case(conn: Connection, case_id: int) -> Case | None:
    """One case, open or closed; None if there is none of this number."""
    row = conn.execute(text(_CASE + " WHERE c.id = :id"), {"id": case_id}).one_or_none()
    return None if row is None else _case(row)


@cached(ttl=5)
def standing(conn: Connection, filters: Filters = Filters()) -> Standing:
    """What open cases hold up; a transaction with several cases is counted once in its currency."""
    stakes = conn.execute(text(_STAKES), _parameters(filters))
    reasons = conn.execute(text(_REASONS), _parameters(filters))
    return Standing(tuple(Stake(**row._mapping) for row in stakes), tuple((row.reason, row.n) for row in reasons))


@cached(ttl=60)
def currencies(conn: Connection) -> tuple[str, ...]:
    """The currencies of the newest closed cases; those of the open ones are known from what stands (`standing`)."""
    return tuple(conn.execute(text(_CURRENCIES), {"closed": 500}).scalars())


def all_cases(conn: Connection, order: Order, filters: Filters) -> Iterator[Case]:
    """Every case that fits, in order, page after page by key; at most `EXPORTED`."""
    before: int | None = None
    left = EXPORTED
    while left > 0:
        rows = _page(conn, order, filters, before, min(_CHUNK, left))
        yield from (_case(row) for row in rows)
        left -= len(rows)
        if len(rows) < _CHUNK:
            return
        before = rows[-1].id


def _page(
    conn: Connection, order: Order, filters: Filters, before: int | None, most: int
) -> list[Row[tuple[object, ...]]]:
    conn.execute(text(f"SET LOCAL statement_timeout = {_SEARCH_MS}"))
    parameters = _parameters(filters) | {"before": before, "most": most}
    try:
        return list(conn.execute(text(_CASE + _WHERE + _ORDERS[order]), parameters).all())
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        raise TransientError(
            f"Looking for these cases took longer than {_SEARCH_MS // 1000} s and was given up: take a filter away."
        ) from error


def _parameters(filters: Filters) -> dict[str, object]:
    search = filters.search.strip().lower()
    return asdict(filters) | {"search": search, "number": search if search.isdecimal() and len(search) < 19 else ""}


def _case(row: Row[tuple[object, ...]]) -> Case:
    return Case(**{**row._mapping, "details": document(row.details)})


_CASE = f"""
SELECT c.id, c.transaction_id, c.reason, c.details, c.opened_at, c.resolved_at, c.resolved_by, c.resolution,
       c.decision, c.quiet_until, coalesce(t.type, '') AS type, t.status, coalesce(t.amount, 'NaN') AS amount,
       coalesce(t.currency, '') AS currency, t.asset_issuer, t.tx_hash, coalesce(u.email, 'nobody') AS email,
       {VERSION} AS version
  FROM ops.reconciliation_cases c
  JOIN transactions t ON t.id = c.transaction_id
  LEFT JOIN users u ON u.id = t.user_id
"""  # noqa: S608 - a constant of the cases' own file

_WHERE = """
 WHERE (CAST(:reason AS text) IS NULL OR c.reason = :reason) AND c.opened_at <= now() - CAST(:older_than AS interval)
   AND (CAST(:currency AS text) IS NULL OR t.currency = :currency)
   AND (CAST(:type AS text) IS NULL OR t.type = :type)
   AND (:least = 0 OR t.amount >= :least)
   -- A short number is a case's: every sixteenth id begins with the same digit.
   AND (:search = '' OR c.id::text = :number OR starts_with(lower(u.email), :search)
        OR length(:search) >= 4 AND (starts_with(t.id::text, :search) OR starts_with(lower(t.tx_hash), :search)))
"""

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

_CURRENCIES = """
SELECT DISTINCT t.currency
  FROM transactions t JOIN (
       SELECT transaction_id FROM ops.reconciliation_cases WHERE resolved_at IS NOT NULL
        ORDER BY id DESC LIMIT :closed) AS c ON c.transaction_id = t.id
 WHERE t.currency <> ''
 ORDER BY 1
"""

_FITTING = f"""
FROM ops.reconciliation_cases c JOIN transactions t ON t.id = c.transaction_id LEFT JOIN users u ON u.id = t.user_id
{_WHERE} AND c.resolved_at IS NULL
"""

_STAKES = f"""
SELECT coalesce(currency, '') AS currency, count(*) AS transactions,
       coalesce(sum(amount) FILTER (WHERE amount < 'Infinity'), 0) AS amount, min(opened_at) AS oldest
  FROM (SELECT t.id, t.currency, t.amount, min(c.opened_at) AS opened_at {_FITTING}
         GROUP BY t.id, t.currency, t.amount) AS held
 GROUP BY coalesce(currency, '') ORDER BY count(*) DESC, currency
"""  # noqa: S608 - constants of this file

_REASONS = f"""
SELECT c.reason, count(*) AS n {_FITTING} GROUP BY c.reason ORDER BY n DESC, c.reason
"""
