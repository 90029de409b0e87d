"""Leases: work that only one process may do at a time.

The database issues the term and judges the time; no clock of a host matters. A lease is renewed in the transaction of
the work itself, and its row stays locked until that commits: nobody takes it over in between, and what is written
without holding it is not written. A holder that is paused in the middle would keep everybody waiting behind that lock
for as long as it likes, so the database ends its session once it has been idle for a term, and its writes with it.

No session-level lock is needed, which would die silently behind a pooler. The rules, and the names of the races in the
tests, are those of River's leader election.
"""

from __future__ import annotations

import threading
import time
from uuid import UUID

from sqlalchemy import Connection, text


class Lease:
    """One process's side of a lease. One thread works under it; any may resign."""

    def __init__(self, name: str, holder: UUID, ttl_s: float) -> None:
        self.name = name
        self.holder = holder
        self.ttl_s = ttl_s
        self.term: int | None = None
        self._since = 0.0
        self._asking = threading.Lock()
        self._resigned = False

    def hold(self, conn: Connection) -> bool:
        """Takes or renews the lease in the caller's transaction, which is to commit within `ttl_s`.

        False while somebody else holds it, and after `resign`. The term rises with every change of holder, and also when
        the same holder had let it run out.
        """
        with self._asking:
            term = None if self._resigned else self._ask(conn)
        if term != self.term:
            self.term = term
            self._since = time.monotonic()
        return term is not None

    def _ask(self, conn: Connection) -> int | None:
        conn.execute(
            text("SELECT set_config('idle_in_transaction_session_timeout', :ms, true)"),
            {"ms": f"{round(max(1.0, self.ttl_s) * 1000)}ms"},
        )
        term: int | None = conn.execute(
            text(
                "INSERT INTO ops.leases AS l (name, holder, term, expires_at)"
                " VALUES (:name, :holder, 1, clock_timestamp() + make_interval(secs => :ttl_s))"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,"
                " term = l.term + CASE WHEN l.holder = :holder AND l.expires_at > clock_timestamp() THEN 0 ELSE 1 END"
                " WHERE l.holder = :holder OR l.expires_at <= clock_timestamp() RETURNING l.term"
            ),
            {"name": self.name, "holder": self.holder, "ttl_s": self.ttl_s},
        ).scalar_one_or_none()
        return term

    @property
    def held_s(self) -> float:
        """Seconds since this term began."""
        return time.monotonic() - self._since if self.term is not None else 0.0

    def resign(self, conn: Connection) -> None:
        """Lets another process take over at once; this one never holds it again, also if it is just renewing it."""
        with self._asking:
            self._resigned = True
        # A renewal under way has the row locked, or is just adding it: this waits for it.
        conn.execute(
            text(
                "INSERT INTO ops.leases AS l (name, holder, term, expires_at)"
                " VALUES (:name, :holder, 1, clock_timestamp())"
                " ON CONFLICT (name) DO UPDATE SET expires_at = clock_timestamp() WHERE l.holder = :holder"
            ),
            {"name": self.name, "holder": self.holder},
        )
