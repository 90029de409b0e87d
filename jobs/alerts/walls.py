"""Links to the wall view, which asks for no login: whoever holds one sees how things stand, and no more.

A link's secret is 256 random bits, shown once, of which the database holds the SHA-256 (so much chance needs no slow
hash). All links that are open are read at once and remembered by whoever serves the view: a wrong secret then costs no
look at the database, and how long it takes to refuse one tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.core import audit
from jobs.core.errors import Conflict, NotFound, UsageError

LONGEST_NAME = 80
_COLUMNS = "id, name, digest, created_at, created_by, seen_at, revoked_at, revoked_by"


@dataclass(frozen=True, slots=True)
class WallLink:
    """A link without its secret; `name` says where the screen hangs, times are UTC."""

    id: int
    name: str
    digest: str
    created_at: datetime
    created_by: str
    seen_at: datetime | None = None
    """When it was last looked at, to the minute."""
    revoked_at: datetime | None = None
    revoked_by: str | None = None


def add_link(conn: Connection, name: str, *, actor: str, origin: str) -> str:
    """Adds a link and returns its secret: this is the only time that it is seen. UsageError for a name that is none."""
    named = " ".join(name.split())
    if not 0 < len(named) <= LONGEST_NAME:
        raise UsageError(
            f"Say where the screen hangs, in at most {LONGEST_NAME} characters, as in “Office, 2nd floor”."
        )
    secret = secrets.token_urlsafe(32)
    link_id = conn.execute(
        text("INSERT INTO ops.wall_links (name, digest, created_by) VALUES (:name, :digest, :actor) RETURNING id"),
        {"name": named, "digest": _digest(secret), "actor": actor},
    ).scalar_one()
    audit.record(conn, audit.AuditRow(actor, "wall.added", "wall_link", str(link_id), origin, new={"name": named}))
    return secret


def revoke_link(conn: Connection, link_id: int, *, actor: str, origin: str, reason: str | None = None) -> str:
    """Ends a link and returns its name; NotFound, or Conflict if it was revoked before."""
    name: str | None = conn.execute(
        text(
            "UPDATE ops.wall_links SET revoked_at = now(), revoked_by = :actor"
            " WHERE id = :id AND revoked_at IS NULL RETURNING name"
        ),
        {"id": link_id, "actor": actor},
    ).scalar()
    if name is None:
        known = conn.execute(text("SELECT 1 FROM ops.wall_links WHERE id = :id"), {"id": link_id}).scalar()
        if known is None:
            raise NotFound(f"There is no wall link {link_id}: `nexaops wall list` shows those there are.")
        raise Conflict(f"The wall link {link_id} has been revoked already.")
    row = audit.AuditRow(actor, "wall.revoked", "wall_link", str(link_id), origin, old={"name": name}, reason=reason)
    audit.record(conn, row)
    return name


def list_links(conn: Connection, *, most: int = 100) -> list[WallLink]:
    """Every open link, and after them the newest of those that were revoked."""
    rows = conn.execute(
        text(
            f"(SELECT {_COLUMNS} FROM ops.wall_links WHERE revoked_at IS NULL ORDER BY name, id) UNION ALL"  # noqa: S608 - constants
            f" (SELECT {_COLUMNS} FROM ops.wall_links WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC LIMIT :most)"
        ),
        {"most": most},
    )
    return [WallLink(**row._mapping) for row in rows]


def find_link(links: Iterable[WallLink], secret: str) -> WallLink | None:
    """The open link with this secret; looks at all of them, so that the time it takes is always the same."""
    digest, found = _digest(secret), None
    for link in links:
        if hmac.compare_digest(link.digest, digest) and link.revoked_at is None:
            found = link
    return found


def note_seen(conn: Connection, link_id: int) -> None:
    """Keeps that a link is in use, once a minute: a screen renews itself every few seconds."""
    conn.execute(
        text(
            "UPDATE ops.wall_links SET seen_at = now()"
            " WHERE id = :id AND coalesce(seen_at < now() - interval '1 minute', true)"
        ),
        {"id": link_id},
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
