"""The reads of the pages Flags and People."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from dashboard.queries import cached
from jobs.core.flags import FlagState, list_flags
from jobs.core.people import Person, person_from

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
def accounts(conn: Connection) -> tuple[Account, ...]:
    """Everybody: open accounts first, by address."""
    rows = conn.execute(
        text(
            "SELECT p.*, CASE WHEN p.locked_until > now() THEN p.locked_until END AS locked, s.seen_at,"
            "       coalesce(s.sessions, 0) AS sessions"
            "  FROM ops.people p LEFT JOIN LATERAL ("
            "       SELECT max(seen_at) AS seen_at,"
            "              count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > now()) AS sessions"
            "         FROM ops.sessions WHERE person_id = p.id) AS s ON true"
            " ORDER BY p.disabled_at IS NOT NULL, p.email"
        )
    )
    return tuple(Account(person_from(row), row.created_at, row.locked, row.seen_at, row.sessions) for row in rows)
