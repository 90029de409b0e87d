"""Leases: work that only one process may do at a time.

The database issues the term and judges the time; no clock of a host matters. The row is renewed in the transaction of
the work itself and stays locked until that commits: so nobody can take the lease over in between, and no session-level
lock is needed, which would die silently behind a pooler.
"""

from __future__ import annotations

import time
from uuid import UUID

from sqlalchemy import Connection, text


class Lease:
    """One process's side of a lease; not for several threads."""

    def __init__(self, name: str, holder: UUID, ttl_s: float) -> None:
        self.name = name
        self.holder = holder
        self.ttl_s = ttl_s
        self.term: int | None = None
        self._since = 0.0

    def hold(self, conn: Connection) -> bool:
        """Takes or renews the lease in the caller's transaction; False while somebody else holds it.

        The term rises with every change of holder, and also when the same holder had let it run out.
        """
        term = conn.execute(
            text(
                "INSERT INTO ops.leases AS l (name, holder, term, expires_at)"
                " VALUES (:name, :holder, 1, clock_timestamp() + make_interval(secs => :ttl_s))"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,"
                " term = l.term + CASE WHEN l.holder = :holder AND l.expires_at > clock_timestamp() THEN 0 ELSE 1 END"
                " WHERE l.holder = :holder OR l.expires_at <= clock_timestamp() RETURNING l.term"
            ),
            {"name": self.name, "holder": self.holder, "ttl_s": self.ttl_s},
        ).scalar_one_or_none()
        if term != self.term:
            self.term = term
            self._since = time.monotonic()
        return term is not None

    @property
    def held_s(self) -> float:
        """Seconds since this term began."""
        return time.monotonic() - self._since if self.term is not None else 0.0

    def release(self, conn: Connection) -> None:
        """Lets another process take over at once."""
        conn.execute(
            text("UPDATE ops.leases SET expires_at = clock_timestamp() WHERE name = :name AND holder = :holder"),
            {"name": self.name, "holder": self.holder},
        )
        self.term = None
