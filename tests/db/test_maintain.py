"""Maintenance: tables are vacuumed, bloated indexes rebuilt, what a broken rebuild left is dropped, lacking rights told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.upkeep import bloat, maintain
from tests.db.books import run_job


def value(db: Database, statement: str, **parameters: object) -> Any:
    with db.read() as conn:
        return conn.execute(text(statement), parameters).scalar_one()


def logged(db: Database, run_id: int, event: str) -> list[dict[str, Any]]:
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT fields FROM ops.run_logs WHERE run_id = :id AND event = :event ORDER BY id"),
            {"id": run_id, "event": event},
        )
        return list(rows.scalars())


@pytest.fixture
def bloated(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Nine of ten rows of an indexed table are gone, and its index has the pages of all of them."""
    monkeypatch.setattr(maintain, "LEAST_BYTES", 100_000)
    monkeypatch.setattr(bloat, "LEAST_BYTES", 100_000)
    with db.begin() as conn:
        conn.execute(
            text("CREATE TABLE churned AS SELECT i AS n, md5(i::text) AS word FROM generate_series(1, 20000) i")
        )
        conn.execute(text('CREATE INDEX "Churned words" ON churned (word)'))
        conn.execute(text("CREATE INDEX churned_numbers ON churned ((n * 2))"))
        conn.execute(text("DELETE FROM churned WHERE n % 10 <> 0"))
    return db


def test_a_bloated_index_is_rebuilt_and_a_sound_one_is_not(bloated: Database, settings: Settings) -> None:
    size = "SELECT pg_relation_size('\"Churned words\"')"
    before = value(bloated, size)
    run = run_job(bloated, settings, "maintain-database")
    assert (run.state, run.error) == ("succeeded", None)
    assert value(bloated, size) < before / 3
    assert run.counters["reindexed"] == 2
    assert run.counters["bytes"] > before / 2
    assert run.counters["skipped"] == 0
    assert (
        value(
            bloated,
            "SELECT count(*) FROM pg_stat_user_tables WHERE last_vacuum IS NULL AND relname NOT IN ('rollups', 'horizon_request_sums')",
        )
        == 0
    )
    assert (
        value(
            bloated,
            "SELECT count(*) FROM ops.audit WHERE action = 'index.rebuilt' AND entity_id LIKE '%Churned words%'",
        )
        == 1
    )
    again = run_job(bloated, settings, "maintain-database")
    assert (again.state, again.counters["reindexed"]) == ("succeeded", 0)


def test_a_dry_run_names_what_it_would_rebuild(bloated: Database, settings: Settings) -> None:
    with bloated.begin() as conn:
        conn.execute(text("ANALYZE churned"))
    run = run_job(bloated, settings, "maintain-database", dry_run=True)
    (one, _) = logged(bloated, run.id, "would rebuild")
    assert one["index"] == 'public."Churned words"'
    assert value(bloated, "SELECT last_vacuum IS NULL FROM pg_stat_user_tables WHERE relname = 'churned'")


def test_as_many_are_rebuilt_as_was_asked_for(bloated: Database, settings: Settings) -> None:
    run = run_job(bloated, settings, "maintain-database", most_reindexed=1)
    assert (run.state, run.counters["reindexed"]) == ("succeeded", 1)


def test_what_a_broken_rebuild_left_is_dropped_and_other_invalid_indexes_are_not(
    db: Database, settings: Settings
) -> None:
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE doubled AS SELECT 1 AS n FROM generate_series(1, 2)"))
        conn.execute(text("CREATE INDEX doubled_n ON doubled (n)"))
    with psycopg.connect(db.conninfo, autocommit=True) as conn:
        for name in ("doubled_n_ccnew", "doubled_n_ccold1", "doubled_other"):
            with pytest.raises(psycopg.errors.UniqueViolation):
                conn.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON doubled (n)".encode())
    run = run_job(db, settings, "maintain-database")
    assert (run.state, run.counters["dropped"]) == ("succeeded", 2)
    with db.read() as conn:
        left = set(conn.execute(text("SELECT indexname FROM pg_indexes WHERE tablename = 'doubled'")).scalars())
    assert left == {"doubled_n", "doubled_other"}


@contextmanager
def somebody_with_little(db: Database) -> Iterator[Database]:
    """The same database as a user who may write what the jobs write, and owns nothing."""
    role = f"desk_{uuid4().hex[:8]}"
    with db.begin() as conn:
        conn.execute(text(f"CREATE ROLE {role} LOGIN"))
        conn.execute(text(f"GRANT USAGE ON SCHEMA ops TO {role}"))
        conn.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA ops, public TO {role}"))
        conn.execute(text(f"GRANT MAINTAIN ON notifications TO {role}"))
        conn.execute(text(f"REVOKE MAINTAIN ON ops.runs FROM {role}"))
    poor = Database(db.url.set(username=role))
    yield poor
    poor.close()
    with db.begin() as conn:
        conn.execute(text(f"DROP OWNED BY {role}"))
        conn.execute(text(f"DROP ROLE {role}"))


def test_what_it_has_no_right_to_is_said(db: Database, settings: Settings) -> None:
    with somebody_with_little(db) as poor:
        run = run_job(poor, settings, "maintain-database")
    assert run.state == "succeeded", run.error
    (line,) = logged(db, run.id, "no right to vacuum")
    assert "ops.runs" in line["tables"]
    assert "public.notifications" not in line["tables"]
    assert line["mend"].startswith("GRANT MAINTAIN ON … TO desk_")
    assert run.counters["skipped"] == len(line["tables"])
    assert run.counters["vacuumed"] > 0


def test_a_table_that_is_locked_is_passed_over(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "_LOCK_S", 0.2)
    with db.begin() as conn:
        conn.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
        run = run_job(db, settings, "maintain-database")
    assert (run.state, run.counters["skipped"]) == ("succeeded", 1)
    assert "users" in logged(db, run.id, "passed over")[0]["statement"]


def test_it_stops_between_two_tables(db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter([False] * 5)
    monkeypatch.setattr("jobs.run.context.RunContext.should_stop", lambda _self: next(asked, True))
    run = run_job(db, settings, "maintain-database")
    assert 0 < run.counters["vacuumed"] <= 5
    assert logged(db, run.id, "stopped before the end: what is done stays done")
