"""Until something has come about in the database, for tests of two sessions that meet."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from jobs.core.db import Database


def wait_for_a_lock(db: Database) -> None:
    """Until one connection of this database waits for another's lock."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for _ in range(500):
            waiting = conn.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
            if waiting.scalar_one():
                return
            conn.execute(text("SELECT pg_sleep(0.01)"))
    pytest.fail("nobody waits for a lock")
