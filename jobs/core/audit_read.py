"""Reads the audit trail with its chain: in the order of the chain, bounded in memory, narrowed to what is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from jobs.core.audit_chain import Link, Record
from jobs.core.db import Database

CHUNK = 5_000
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows: all of those given hold. `reason` is a part of its text, `until` is not included."""

    actor: str | None = None
    action: str | None = None
    entity: str | None = None
    entity_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None

    def __bool__(self) -> bool:
        return self != Filters()

    @property
    def where(self) -> str:
        """The condition on a row `a` of `ops.audit`, with the parameters of `parameters`."""
        # Only what is asked for, so that the planner sees which index serves; the second half of the first condition is
        # that of the index over what people did.
        conditions = {
            "actor": "a.actor = :actor" + ("" if _is_run(self.actor) else " AND a.actor NOT LIKE 'run:%'"),
            "action": "a.action = :action",
            "entity": "a.entity = :entity",
            "entity_id": "a.entity_id = :entity_id",
            "since": "a.at >= :since",
            "until": "a.at < :until",
            "reason": "position(lower(:reason) IN lower(a.reason)) > 0",
        }
        return " AND ".join(sql for name, sql in conditions.items() if getattr(self, name) is not None) or "true"

    @property
    def parameters(self) -> dict[str, object]:
        """What is bound in `where`."""
        names = ("actor", "action", "entity", "entity_id", "since", "until", "reason")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Happened:
    """One row of what was done to a thing, by its number in the trail; `old` and `new` as that holds them."""

    id: int
    at: datetime
    actor: str
    action: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    reason: str | None


def read_history(
    conn: Connection, entity: str, entity_id: str, *, limit: int, only: int | None = None
) -> list[Happened]:
    """What was done to a thing, the newest first; of it the row `only` where that is given."""
    rows = conn.execute(
        text(
            "SELECT id, at, actor, action, coalesce(old, '{}') AS old, coalesce(new, '{}') AS new, reason FROM ops.audit"
            " WHERE entity = :entity AND entity_id = :entity_id AND (CAST(:only AS bigint) IS NULL OR id = :only)"
            " ORDER BY id DESC LIMIT :limit"
        ),
        {"entity": entity, "entity_id": entity_id, "limit": limit, "only": only},
    )
    return [Happened(**row._mapping) for row in rows]


def _is_run(actor: str | None) -> bool:
    return actor is not None and actor.startswith("run:")


def read_links(
    db: Database, filters: Filters | None = None, *, after: int = 0, last: int | None = None
) -> Iterator[Link]:
    """The links in their order, after the link `after` and up to `last`, a transaction for some thousands of them.

    A link whose row is gone has none; filters leave such links out.
    """
    filters = filters or Filters()
    statement = text(_FITTING.format(where=filters.where) if filters else _ALL)
    while True:
        bounds = {"after": after, "last": _LAST if last is None else last, "most": CHUNK}
        with db.read() as conn:
            rows = conn.execute(statement, bounds | filters.parameters).all()
        yield from map(_link, rows)
        if len(rows) < CHUNK:
            return
        after = rows[-1].seq


def find_unlinked(conn: Connection) -> int | None:
    """The first row that has no link and that no sealer would look for: put in where the chain had passed already."""
    found: int | None = conn.execute(text(_UNLINKED)).scalar()
    return found


def _link(row: Row[Any]) -> Link:
    seq, audit_id, prev_hash, hash_, sealed_at, *values = tuple(row)
    return Link(seq, audit_id, prev_hash, hash_, sealed_at, None if values[0] is None else Record(*values))


# The texts that are hashed, written here once more: what verifies does not lean on a function of the database.
_TEXTS = """
SELECT c.seq, c.audit_id, c.prev_hash, c.hash, to_jsonb(c.sealed_at AT TIME ZONE 'UTC') #>> '{}' AS sealed_at,
       a.id, to_jsonb(a.at AT TIME ZONE 'UTC') #>> '{}' AS at, a.actor, a.action, a.entity, a.entity_id,
       a.old::text AS old, a.new::text AS new, a.reason, a.origin
"""

# OFFSET 0: by key, row by row, also while nobody has counted the tables for the planner yet.
_ALL = f"""{_TEXTS}
  FROM (SELECT * FROM ops.audit_chain WHERE seq > :after AND seq <= :last ORDER BY seq LIMIT :most) AS c
  LEFT JOIN LATERAL (SELECT * FROM ops.audit WHERE id = c.audit_id OFFSET 0) AS a ON true
 ORDER BY c.seq
"""  # noqa: S608 - a part of this file

_FITTING = f"""{_TEXTS.replace("{}", "{{}}")}
  FROM ops.audit a JOIN ops.audit_chain c ON c.audit_id = a.id
 WHERE c.seq > :after AND c.seq <= :last AND {{where}}
 ORDER BY c.seq LIMIT :most
"""

_UNLINKED = """
SELECT a.id
  FROM ops.audit a LEFT JOIN ops.audit_chain c ON c.audit_id = a.id
 WHERE c.seq IS NULL AND NOT a.id <@ (SELECT ids FROM ops.audit_unsealed)
 ORDER BY a.id LIMIT 1
"""
