"""Sessions: kept on the server, so that signing out, disabling and expiry act at once.

The cookie holds 256 random bits; the database only their hash, so a copy of the table lets nobody in.
"""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core.people import Person, person_from


def open_session(conn: Connection, person_id: UUID, *, origin: str, hours: int) -> str:
    """A new session's token, for the cookie; ends after `hours` whatever happens."""
    token = secrets.token_urlsafe(32)
    conn.execute(
        text(
            "INSERT INTO ops.sessions (token_sha256, person_id, expires_at, origin)"
            " VALUES (:hash, :person, now() + make_interval(hours => :hours), :origin)"
        ),
        {"hash": _hash(token), "person": person_id, "hours": hours, "origin": origin},
    )
    return token


def find_session(conn: Connection, token: str) -> Person | None:
    """Whose session it is; None if it was closed, has ended, or its person was disabled."""
    row = conn.execute(
        text(
            "SELECT p.id, p.email, p.name, p.roles, p.must_change, p.disabled_at"
            " FROM ops.sessions s JOIN ops.people p ON p.id = s.person_id"
            " WHERE s.token_sha256 = :hash AND s.revoked_at IS NULL AND s.expires_at > now()"
            " AND p.disabled_at IS NULL"
        ),
        {"hash": _hash(token)},
    ).one_or_none()
    return None if row is None else person_from(row)


def close_session(conn: Connection, token: str) -> None:
    """Ends a session now; one that has ended already stays as it is."""
    conn.execute(
        text("UPDATE ops.sessions SET revoked_at = now() WHERE token_sha256 = :hash AND revoked_at IS NULL"),
        {"hash": _hash(token)},
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
