"""Reads of the page Transactions: each bounded, whatever the table holds.

A list walks the index (status, created_at), one stretch a status, by key and never by number. What no index knows (a
currency, a memo) is looked for among the newest `REACH` rows of each status from there on; the page says how far that
reached, and goes on from that row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from dashboard.queries import cached
from jobs.core.errors import TransientError

PAGE = 50
REACH = 5000
"""How many rows of each status one page looks through for what no index knows."""
STATUSES = ("PENDING", "SUCCESS", "FAILED", "CANCELLED")
_OFFERED = 2000
"""How many rows of each status are looked through for the currencies to choose from: some milliseconds."""
_SEARCH_MS = 3000
_USERS = 20
_CANCELED = "57014"
_LAST = UUID(int=2**128 - 1)
_FAR_BACK = datetime(2000, 1, 1, tzinfo=UTC)
_HEX = re.compile(r"[0-9a-f]{8,64}")

Key = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which transactions: all of those given hold. `since` and `until` bound when they were created."""

    status: str | None = None
    type: str | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A transaction as a list shows it, with the last look at it and its oldest open case."""

    id: UUID
    type: str
    status: str
    amount: Decimal
    currency: str
    email: str
    created_at: datetime
    updated_at: datetime
    failure_reason: str | None
    outcome: str | None
    detail: str | None
    attempts: int | None
    checked_at: datetime | None
    ledger: int | None
    case_id: int | None
    case_reason: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: `older` continues it, `reached` is how far back was looked when that was not to the end."""

    lines: tuple[Line, ...]
    older: UUID | None = None
    reached: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Hits:
    """What a search means: rows, users, and a text to look for among the newest rows."""

    ids: tuple[UUID, ...] = ()
    users: tuple[UUID, ...] = ()
    text: str | None = None


@cached(ttl=3)
def transactions(conn: Connection, filters: Filters, anchor: datetime, before: UUID | None = None) -> Page:
    """A page of transactions, newest first, created at `anchor` or earlier and before the row `before`.

    Raises TransientError when a search takes longer than three seconds.
    """
    key = _key(conn, before) or (min(anchor, filters.until or anchor), _LAST)
    if not filters.search:
        edge: Key | None = None
        if filters.type is None and filters.currency is None:
            keys = _keys(conn, _NEWEST, _parameters(filters, key))
        else:
            keys, edge = _within_reach(conn, filters, key, None)
        return _page(conn, keys, edge)
    conn.execute(text(f"SET LOCAL statement_timeout = {_SEARCH_MS}"))
    try:
        return _searched(conn, filters, key)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        raise TransientError(
            f"The search took longer than {_SEARCH_MS // 1000} s and was given up: search by the whole id or e-mail, or"
            " choose a status and an age."
        ) from error


@cached(ttl=1)
def this_moment(conn: Connection) -> datetime:
    """The database's clock, which gives transactions their times."""
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    return now


@cached(ttl=5)
def newer(conn: Connection, filters: Filters, anchor: datetime) -> int:
    """How many transactions came after `anchor`, counted up to a hundred."""
    return int(conn.execute(text(_NEWER), _parameters(filters, (anchor, _LAST))).scalar_one())


@cached(ttl=60)
def currencies(conn: Connection) -> tuple[str, ...]:
    """The currencies of the newest transactions of each status in which nothing waits; what waits, the facts count."""
    ended = [status for status in STATUSES if status != "PENDING"]
    return tuple(conn.execute(text(_CURRENCIES), {"statuses": ended, "reach": _OFFERED}).scalars())


def _searched(conn: Connection, filters: Filters, key: Key) -> Page:
    hits = _understand(conn, filters.search)
    keys: list[Key] = []
    edge: Key | None = None
    if hits.ids or hits.users:
        known = {"ids": list(hits.ids), "users": list(hits.users)}
        keys = _keys(conn, _AMONG, _parameters(filters, key) | known)
    if hits.text is not None:
        more, edge = _within_reach(conn, filters, key, hits.text)
        keys = sorted({*keys, *more}, reverse=True)[: PAGE + 1]
    return _page(conn, keys, edge)


def _understand(conn: Connection, search: str) -> _Hits:
    """What somebody may have typed: an id, a hash or the start of one, an e-mail, else a memo, a wallet, a name."""
    if "@" in search:
        exact = conn.execute(text(_USER_BY_EMAIL), {"emails": [search, search.lower()]}).scalars().all()
        start = {"wallet": None, "start": search.lower(), "most": _USERS}
        return _Hits(users=tuple(exact or conn.execute(text(_USERS_BY_NAME), start).scalars()))
    compact = search.lower().replace("-", "")
    if _HEX.fullmatch(compact):
        ids: Sequence[UUID] = ()
        if len(compact) <= 32:
            between = {"low": UUID(compact.ljust(32, "0")), "high": UUID(compact.ljust(32, "f")), "most": PAGE}
            ids = conn.execute(text(_BY_ID), between).scalars().all()
        if not ids:
            ids = conn.execute(text(_BY_HASH), {"low": compact, "high": compact + "g", "most": PAGE}).scalars().all()
        if ids:
            return _Hits(ids=tuple(ids))
    someone = {"wallet": search, "start": search.lower(), "most": _USERS}
    return _Hits(users=tuple(conn.execute(text(_USERS_BY_NAME), someone).scalars()), text=search)


def _within_reach(conn: Connection, filters: Filters, key: Key, wanted: str | None) -> tuple[list[Key], Key | None]:
    """Keys among the newest rows, and the key down to which that was complete; None: to the end."""
    parameters = _parameters(filters, key) | {"reach": REACH, "text": wanted}
    rows = conn.execute(text(_WITHIN_REACH), parameters).all()
    edge = next(((row.created_at, row.id) for row in rows if row.edge), None)
    return [(row.created_at, row.id) for row in rows if not row.edge], edge


def _page(conn: Connection, keys: list[Key], edge: Key | None) -> Page:
    if len(keys) > PAGE and (edge is None or keys[PAGE - 1] >= edge):
        keys, older, edge = keys[:PAGE], keys[PAGE - 1][1], None
    elif edge is not None:
        keys, older = [key for key in keys if key >= edge], edge[1]
    else:
        older = None
    ids = [key[1] for key in keys]
    lines = [Line(**row._mapping) for row in conn.execute(text(_LINES), {"ids": ids})] if ids else []
    return Page(tuple(lines), older, edge[0] if edge else None)


def _keys(conn: Connection, statement: str, parameters: Mapping[str, object]) -> list[Key]:
    return [(row.created_at, row.id) for row in conn.execute(text(statement), parameters)]


def _key(conn: Connection, row: UUID | None) -> Key | None:
    if row is None:
        return None
    found = conn.execute(text("SELECT created_at FROM transactions WHERE id = :id"), {"id": row}).scalar()
    return None if found is None else (found, row)


def _parameters(filters: Filters, key: Key) -> dict[str, object]:
    # Bounds instead of nulls: a plan that is kept must know that the index serves both.
    return {
        "statuses": [filters.status] if filters.status else list(STATUSES),
        "type": filters.type,
        "currency": filters.currency,
        "since": filters.since or _FAR_BACK,
        "at": key[0],
        "id": key[1],
        "most": PAGE + 1,
    }


_NEWEST = """
SELECT t.created_at, t.id
  FROM unnest(CAST(:statuses AS text[])) AS s (status)
 CROSS JOIN LATERAL (
       SELECT id, created_at FROM transactions
        WHERE status = s.status AND created_at >= :since AND (created_at, id) < (:at, CAST(:id AS uuid))
        ORDER BY created_at DESC, id DESC LIMIT :most) AS t
 ORDER BY t.created_at DESC, t.id DESC LIMIT :most
"""

_WITHIN_REACH = """
WITH reach AS MATERIALIZED (
    SELECT t.*, row_number() OVER (PARTITION BY s.status ORDER BY t.created_at DESC, t.id DESC) AS place
      FROM unnest(CAST(:statuses AS text[])) AS s (status)
     CROSS JOIN LATERAL (
           SELECT id, created_at, type, currency, memo, destination FROM transactions
            WHERE status = s.status AND created_at >= :since AND (created_at, id) < (:at, CAST(:id AS uuid))
            ORDER BY created_at DESC, id DESC LIMIT :reach) AS t
)
(SELECT created_at, id, false AS edge FROM reach
  WHERE (CAST(:type AS text) IS NULL OR type = :type)
    AND (CAST(:currency AS text) IS NULL OR currency = :currency)
    AND (CAST(:text AS text) IS NULL OR memo = :text OR destination = :text)
  ORDER BY created_at DESC, id DESC LIMIT :most)
UNION ALL
(SELECT created_at, id, true FROM reach WHERE place = :reach ORDER BY created_at DESC, id DESC LIMIT 1)
ORDER BY edge, created_at DESC, id DESC
"""

_AMONG = """
SELECT created_at, id FROM transactions
 WHERE (id = ANY (CAST(:ids AS uuid[])) OR user_id = ANY (CAST(:users AS uuid[])))
   AND status = ANY (CAST(:statuses AS text[])) AND created_at >= :since
   AND (created_at, id) < (:at, CAST(:id AS uuid))
   AND (CAST(:type AS text) IS NULL OR type = :type) AND (CAST(:currency AS text) IS NULL OR currency = :currency)
 ORDER BY created_at DESC, id DESC LIMIT :most
"""

_NEWER = """
SELECT least(count(*), 100)
  FROM unnest(CAST(:statuses AS text[])) AS s (status)
 CROSS JOIN LATERAL (
       SELECT 1 FROM transactions
        WHERE status = s.status AND created_at > :at AND created_at >= :since
          AND (CAST(:type AS text) IS NULL OR type = :type)
          AND (CAST(:currency AS text) IS NULL OR currency = :currency)
        LIMIT 100) AS t
"""

_CURRENCIES = """
SELECT DISTINCT t.currency
  FROM unnest(CAST(:statuses AS text[])) AS s (status)
 CROSS JOIN LATERAL (
       SELECT currency FROM transactions WHERE status = s.status ORDER BY created_at DESC LIMIT :reach) AS t
 WHERE t.currency <> ''
 ORDER BY 1
"""

_BY_ID = "SELECT id FROM transactions WHERE id BETWEEN :low AND :high ORDER BY id LIMIT :most"

# A range of lower-case hex digits, so that an index on lower(tx_hash) serves a whole hash and the start of one alike.
_BY_HASH = """
SELECT id FROM transactions WHERE lower(tx_hash) >= :low AND lower(tx_hash) < :high LIMIT :most
"""

_USER_BY_EMAIL = "SELECT id FROM users WHERE email = ANY (CAST(:emails AS text[]))"

_USERS_BY_NAME = """
(SELECT id FROM users WHERE wallet_public_key = CAST(:wallet AS text) LIMIT :most)
UNION (SELECT id FROM users WHERE starts_with(lower(email), :start) LIMIT :most)
"""

_LINES = """
SELECT t.id, coalesce(t.type, '') AS type, t.status, coalesce(t.amount, 'NaN') AS amount,
       coalesce(t.currency, '') AS currency, coalesce(u.email, 'nobody') AS email,
       coalesce(t.created_at, t.updated_at) AS created_at, t.updated_at, t.failure_reason,
       c.outcome, c.detail, c.attempts, c.last_at AS checked_at, s.ledger, k.id AS case_id, k.reason AS case_reason
  FROM transactions t
  LEFT JOIN users u ON u.id = t.user_id
  LEFT JOIN ops.checks c ON c.transaction_id = t.id
  LEFT JOIN LATERAL (
       SELECT id, reason FROM ops.reconciliation_cases
        WHERE transaction_id = t.id AND resolved_at IS NULL ORDER BY id LIMIT 1) AS k ON true
  LEFT JOIN LATERAL (
       SELECT CASE jsonb_typeof(proof -> 'ledger') WHEN 'number' THEN CAST(proof ->> 'ledger' AS bigint) END AS ledger
         FROM ops.decisions
        WHERE transaction_id = t.id AND t.status = 'SUCCESS' AND NOT dry_run AND verdict IN ('success', 'rescue', 'accepted')
        ORDER BY id DESC LIMIT 1) AS s ON true
 WHERE t.id = ANY (CAST(:ids AS uuid[]))
 ORDER BY t.created_at DESC, t.id DESC
"""
