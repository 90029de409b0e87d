"""The links to the wall view: read for every look at it, and for the page Wall links."""

from __future__ import annotations

from sqlalchemy import Connection

from dashboard.queries import cached
from jobs.alerts.walls import WallLink, list_links


@cached(ttl=5)
def links(conn: Connection) -> tuple[WallLink, ...]:
    """The open links, and the newest of those that were revoked."""
    return tuple(list_links(conn))
