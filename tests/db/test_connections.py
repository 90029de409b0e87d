"""What a pool of connections does when the server has gone away meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from jobs.core import db as room
from jobs.core.db import Database


@pytest.fixture
def pool(db: Database) -> Iterator[Database]:
    """Two connections of its own, opened and at rest."""
    found = Database(db.url, pool_size=2)
    with found.read(), found.read():
        pass
    yield found
    found.close()


def cut(db: Database, pool: Database) -> None:
    """Ends the server's side of what the pool has."""
    with pool.read() as first, pool.read() as second:
        ids = [conn.execute(text("SELECT pg_backend_pid()")).scalar_one() for conn in (first, second)]
    with db.read() as conn:
        gone = conn.execute(
            text("SELECT bool_and(pg_terminate_backend(id, 5000)) FROM unnest(:ids) AS id"), {"ids": ids}
        )
        assert gone.scalar_one()


def answers(pool: Database) -> bool:
    with pool.read() as conn:
        return bool(conn.execute(text("SELECT true")).scalar_one())


def test_whoever_comes_after_a_rest_does_not_notice_that_the_server_was_away(
    db: Database, pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REST_S", 0.0)
    cut(db, pool)
    assert answers(pool)


def test_whoever_comes_in_the_same_moment_is_told_and_the_next_one_is_served(
    db: Database, pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REST_S", 60.0)
    cut(db, pool)
    with pytest.raises(OperationalError):
        answers(pool)
    assert answers(pool)
