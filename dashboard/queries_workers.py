"""The Workers page's read."""

from __future__ import annotations

from sqlalchemy import Connection

from dashboard.queries import cached
from jobs.run.fleet import Fleet, read_fleet


@cached(ttl=3)
def fleet(conn: Connection, jobs: tuple[str, ...]) -> Fleet:
    """Workers, leases, and the queue of these jobs and of whatever else waits."""
    return read_fleet(conn, jobs)
