"""Sessions: kept on the server, so that signing out, disabling and expiry act at once.

The cookie holds 256 random bits; the database only their hash, so a copy of the table lets nobody in.

A session is continuous while somebody is there: from giving e-mail and password to ten minutes without a touch of theirs
(what a page does by itself is none). After that it still shows pages, but whoever signs gives e-mail and password again
(21 CFR 11.200: a signature within one continuous period needs the password alone).
"""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core.people import Person, person_from

IDLE_MINUTES = 10


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


def touch_session(conn: Connection, token: str) -> None:
    """Somebody did something in the session; after too long without, it is not continuous any more."""
    conn.execute(
        text(
            "UPDATE ops.sessions SET seen_at = now(),"
            " interrupted = interrupted OR seen_at < now() - make_interval(mins => :minutes)"
            " WHERE token_sha256 = :hash AND revoked_at IS NULL AND expires_at > now()"
        ),
        {"hash": _hash(token), "minutes": IDLE_MINUTES},
    )


def is_continuous(conn: Connection, session: str, person_id: UUID) -> bool:
    """Whether a session, by its name, is this person's, open, and has been one continuous period until now."""
    found = conn.execute(
        text(
            "SELECT 1 FROM ops.sessions WHERE token_sha256 = decode(:session, 'hex') AND person_id = :person"
            " AND revoked_at IS NULL AND expires_at > now() AND NOT interrupted"
            " AND seen_at >= now() - make_interval(mins => :minutes)"
        ),
        {"session": session, "person": person_id, "minutes": IDLE_MINUTES},
    )
    return found.scalar() is not None


def continue_session(conn: Connection, session: str, person_id: UUID) -> None:
    """Begins a continuous period in a session, by its name: its person has just given e-mail and password."""
    conn.execute(
        text(
            "UPDATE ops.sessions SET seen_at = now(), interrupted = false"
            " WHERE token_sha256 = decode(:session, 'hex') AND person_id = :person"
            " AND revoked_at IS NULL AND expires_at > now()"
        ),
        {"session": session, "person": person_id},
    )


def session_name(token: str) -> str:
    """By which a session can be spoken of without giving it away: the hash that the database has, in hex."""
    return _hash(token).hex()


def close_session(conn: Connection, token: str) -> None:
    """Ends a session now; one that has ended already stays as it is."""
    conn.execute(
        text("UPDATE ops.sessions SET revoked_at = now() WHERE token_sha256 = :hash AND revoked_at IS NULL"),
        {"hash": _hash(token)},
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
