"""The reads of the pages Flags and People."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text

from dashboard.queries import cached
from jobs.core.flags import FlagState, list_flags
from jobs.core.people import Person, person_from
from jobs.core.permissions import Role

PAGE = 20
SWITCHES = 20
"""Rows of the history of flags that the page shows, the newest."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A flag that somebody switched."""

    id: int
    flag: str
    value: bool
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """A person with what is known of their account; `locked_until` is in the future, `seen_at` of any session."""

    person: Person
    created_at: datetime
    locked_until: datetime | None
    seen_at: datetime | None
    sessions: int


@dataclass(frozen=True, slots=True)
class People:
    """A page of accounts, `older` continues it; with how many may sign in at all, and how many of those manage people."""

    may_sign_in: int
    administrators: int
    found: tuple[Account, ...]
    older: UUID | None


@cached(ttl=2)
def flags(conn: Connection) -> tuple[FlagState, ...]:
    """All flags as they stand."""
    return tuple(list_flags(conn))


@cached(ttl=5)
def switches(conn: Connection) -> tuple[Switch, ...]:
    """Who switched what lately, the newest first."""
    rows = conn.execute(
        text(
            "SELECT id, entity_id AS flag, CAST(new ->> 'value' AS boolean) AS value, at, actor, reason FROM ops.audit"
            " WHERE entity = 'flag' AND action = 'flag.set' ORDER BY id DESC LIMIT :most"
        ),
        {"most": SWITCHES},
    )
    return tuple(Switch(**row._mapping) for row in rows)


@cached(ttl=5)
def people(conn: Connection, search: str = "", before: UUID | None = None) -> People:
    """Those in whose address or name this stands, after the account `before`: open accounts first, by address."""
    counted = conn.execute(text(_COUNTED), {"administrator": Role.ADMINISTRATOR}).one()
    asked = {"search": search.lower(), "before": before, "id": None, "most": PAGE + 1}
    found = tuple(map(_account, conn.execute(text(_ACCOUNTS), asked)))
    older = found[PAGE - 1].person.id if len(found) > PAGE else None
    return People(counted.may_sign_in, counted.administrators, found[:PAGE], older)


@cached(ttl=5)
def account(conn: Connection, person_id: UUID) -> Account | None:
    """One account, open or closed; None if there is none."""
    asked = {"search": "", "before": None, "id": person_id, "most": 1}
    row = conn.execute(text(_ACCOUNTS), asked).one_or_none()
    return None if row is None else _account(row)


def _account(row: Row[tuple[object, ...]]) -> Account:
    return Account(person_from(row), row.created_at, row.locked, row.seen_at, row.sessions)


_COUNTED = """
SELECT count(*) AS may_sign_in, count(*) FILTER (WHERE :administrator = ANY (roles)) AS administrators
  FROM ops.people WHERE disabled_at IS NULL
"""

_ACCOUNTS = """
SELECT p.*, CASE WHEN p.locked_until > now() THEN p.locked_until END AS locked, s.seen_at, s.sessions
  FROM (SELECT * FROM ops.people p
         WHERE (CAST(:id AS uuid) IS NULL OR p.id = :id) AND position(:search IN lower(p.email || ' ' || p.name)) > 0
           AND (CAST(:before AS uuid) IS NULL OR (p.disabled_at IS NOT NULL, p.email) > (
                SELECT b.disabled_at IS NOT NULL, b.email FROM ops.people b WHERE b.id = :before))
         ORDER BY p.disabled_at IS NOT NULL, p.email LIMIT :most) AS p
 CROSS JOIN LATERAL (
       SELECT max(seen_at) AS seen_at, count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > now()) AS sessions
         FROM ops.sessions WHERE person_id = p.id) AS s
 ORDER BY p.disabled_at IS NOT NULL, p.email
"""
