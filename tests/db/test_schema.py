"""Migrations: exactly the contract's tables, by whichever process comes first, and an existing application's stay."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from jobs.core.db import Database
from jobs.core.schema import head, revision, run_sql
from jobs.upgrade import upgrade

TABLES = {
    "transactions": 18,
    "users": 4,
    "notifications": 10,
    "balances": 5,
    "ledger_entries": 10,
}


def test_several_processes_may_migrate_at_once(empty_db: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: upgrade(empty_db), range(4))) == {head()}
    with empty_db.read() as conn:
        assert revision(conn) == head()


def test_a_second_migration_changes_nothing(db: Database) -> None:
    def shape() -> list[tuple[object, ...]]:
        with db.read() as conn:
            rows = conn.execute(
                text("SELECT oid, relname FROM pg_class WHERE relnamespace::regnamespace::text = 'ops'")
            )
            return sorted(tuple(row) for row in rows)

    before = shape()
    upgrade(db)
    assert shape() == before


def test_the_application_tables_are_those_of_the_contract(db: Database) -> None:
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT table_name, count(*) FROM information_schema.columns WHERE table_schema = 'public'"
                " AND table_name = ANY(:names) GROUP BY 1"
            ),
            {"names": list(TABLES)},
        )
        assert {row[0]: row[1] for row in rows} == TABLES
        indexes = conn.execute(text("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")).scalars().all()
    assert {
        "idx_transactions_status_created",
        "idx_transactions_user_status",
        "idx_notifications_user_status",
    } <= set(indexes)


def test_an_existing_application_database_keeps_its_tables_and_rows(empty_db: Database) -> None:
    with empty_db.begin() as conn:
        run_sql(conn, "0001_application.sql")
        conn.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
        conn.execute(text("INSERT INTO users (email, nickname) VALUES ('ada@nexafx.com', 'Ada')"))
    upgrade(empty_db)
    with empty_db.read() as conn:
        assert conn.execute(text("SELECT nickname FROM users")).scalar_one() == "Ada"
        assert conn.execute(text("SELECT count(*) FROM ops.reconciliation_cases")).scalar_one() == 0


def test_a_database_that_holds_the_whole_contract_already_is_taken_as_it_is(empty_db: Database) -> None:
    with empty_db.begin() as conn:
        run_sql(conn, "0001_application.sql")
        run_sql(conn, "0001_cases.sql")
    assert upgrade(empty_db) == head()


@pytest.mark.parametrize(
    "statement", ["UPDATE ops.audit SET actor = 'x'", "DELETE FROM ops.audit", "TRUNCATE ops.audit"]
)
def test_the_audit_trail_only_grows(db: Database, statement: str) -> None:
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.audit (actor, action, entity, entity_id, origin) VALUES ('a', 'b', 'c', 'd', 'cli')")
        )
    with pytest.raises(DBAPIError, match="append-only"), db.begin() as conn:
        conn.execute(text(statement))


def test_every_package_folder_is_a_package() -> None:
    repository = Path(__file__).parents[2]
    for floor in ("jobs", "checklists", "dashboard", "tests"):
        for file in (repository / floor).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), f"{file.parent} has no __init__.py and goes unchecked"
