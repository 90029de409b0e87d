"""Reads of the page Audit: how the chain stands, and the trail narrowed to what is asked for, newest first.

The chain is not verified here: what is told is the last walk along it, and its age. A list walks ids downwards from a
key; what no index knows is looked for within three seconds, or given up with a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from dashboard.components.compare import document
from dashboard.queries import cached
from jobs.core.audit_read import Filters
from jobs.core.audit_seal import Unsealed, read_head, read_unsealed
from jobs.core.audit_verify import Verification, last_verification
from jobs.core.errors import TransientError

PAGE = 50
EXPORTED = 20_000
"""The newest rows that one download holds; the command line has no such bound."""
RECENT, OF_EACH = 20_000, 500
"""Rows in which actions are looked for to choose from: the newest ones, and of each person, or of each kind."""
_SEARCH_MS = 3000
_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class Chain:
    """How the chain stands now: its last link, what waits for one, and the last walk along all of it."""

    head: int
    head_hash: str
    sealed_at: datetime | None
    unsealed: Unsealed
    verified: Verification | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the trail with its link; None: it has none yet."""

    id: int
    at: datetime
    actor: str
    action: str
    entity: str
    entity_id: str
    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    reason: str | None
    origin: str | None
    seq: int | None
    sealed_at: datetime | None
    hash: bytes | None
    prev_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Entries:
    """One page of the trail; `older` continues it."""

    found: tuple[Entry, ...]
    older: int | None


@cached(ttl=5)
def chain(conn: Connection) -> Chain:
    """The state of the chain, in a few look-ups by key."""
    head = read_head(conn)
    sealed_at = conn.execute(text("SELECT sealed_at FROM ops.audit_chain WHERE seq = :seq"), {"seq": head.seq}).scalar()
    return Chain(head.seq, head.hash.hex(), sealed_at, read_unsealed(conn), last_verification(conn))


@cached(ttl=3)
def entries(conn: Connection, filters: Filters, before: int | None = None) -> Entries:
    """A page of rows that fit, before the row `before`. Raises TransientError when that takes too long."""
    conn.execute(text(f"SET LOCAL statement_timeout = {_SEARCH_MS}"))
    bounds: dict[str, object] = {"before": 2**62 if before is None else before, "most": PAGE + 1}
    try:
        rows = conn.execute(text(_ENTRIES.format(where=filters.where)), bounds | filters.parameters).all()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        raise TransientError(
            f"The search took longer than {_SEARCH_MS // 1000} s and was given up: name a person, or what it is about with"
            " its id, or a shorter time."
        ) from error
    found = tuple(map(_entry, rows[:PAGE]))
    return Entries(found, found[-1].id if len(rows) > PAGE else None)


@cached(ttl=10)
def entry(conn: Connection, audit_id: int) -> Entry | None:
    """One row; None if there is none of that number."""
    row = conn.execute(text(_ENTRIES.format(where="a.id = :id")), {"id": audit_id, "before": 2**62, "most": 1}).first()
    return None if row is None else _entry(row)


@cached(ttl=60)
def known(conn: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was done in the newest rows, in those of each person and in some of each kind; and all kinds there are."""
    row = conn.execute(text(_KNOWN), {"recent": RECENT, "of_each": OF_EACH}).one()
    return tuple(row.actions), tuple(row.entities)


def export_after(conn: Connection, filters: Filters) -> int:
    """The link after which an export of the newest EXPORTED rows that fit begins."""
    statement = text(_EXPORT_AFTER.format(where=filters.where))
    return int(conn.execute(statement, {"most": EXPORTED} | filters.parameters).scalar() or 0)


def _entry(row: object) -> Entry:
    values = dict(row._mapping)  # type: ignore[attr-defined]
    for side in ("old", "new"):
        values[side] = None if values[side] is None else document(values[side])
    return Entry(**values)


_ENTRIES = """
SELECT a.id, a.at, a.actor, a.action, a.entity, a.entity_id, a.old, a.new, a.reason, a.origin,
       c.seq, c.sealed_at, c.hash, c.prev_hash
  FROM (SELECT * FROM ops.audit a WHERE a.id < :before AND {where} ORDER BY a.id DESC LIMIT :most) AS a
  LEFT JOIN ops.audit_chain c ON c.audit_id = a.id
 ORDER BY a.id DESC
"""

# From kind to kind and from person to person along an index each, not through the table: nearly all of its rows are
# settlements, and what people did stands far behind thousands of them. No index has actions: of a kind with more rows
# than are looked through, these are any, not the newest.
_KNOWN = """
WITH RECURSIVE kinds AS (
    (SELECT entity FROM ops.audit ORDER BY entity LIMIT 1)
    UNION ALL
    SELECT (SELECT entity FROM ops.audit WHERE entity > k.entity ORDER BY entity LIMIT 1)
      FROM kinds k WHERE k.entity IS NOT NULL
), people AS (
    (SELECT actor FROM ops.audit WHERE actor NOT LIKE 'run:%' ORDER BY actor LIMIT 1)
    UNION ALL
    SELECT (SELECT actor FROM ops.audit WHERE actor NOT LIKE 'run:%' AND actor > p.actor ORDER BY actor LIMIT 1)
      FROM people p WHERE p.actor IS NOT NULL
)
SELECT ARRAY(SELECT entity FROM kinds WHERE entity IS NOT NULL ORDER BY entity) AS entities,
       ARRAY(SELECT action FROM (SELECT action FROM ops.audit ORDER BY id DESC LIMIT :recent) AS newest
             UNION
             SELECT s.action FROM people p CROSS JOIN LATERAL (
                    SELECT action FROM ops.audit WHERE actor = p.actor AND actor NOT LIKE 'run:%'
                     ORDER BY id DESC LIMIT :of_each) AS s
             UNION
             SELECT s.action FROM kinds k CROSS JOIN LATERAL (
                    SELECT action FROM ops.audit WHERE entity = k.entity
                     ORDER BY entity_id DESC, id DESC LIMIT :of_each) AS s
             ORDER BY action) AS actions
"""

_EXPORT_AFTER = """
SELECT c.seq FROM ops.audit a JOIN ops.audit_chain c ON c.audit_id = a.id
 WHERE {where} ORDER BY c.seq DESC OFFSET :most LIMIT 1
"""
