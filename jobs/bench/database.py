"""The throw-away databases that are measured: migrated like any other, and for reconciliation filled by sets.

What is filled is the table that reconciliation works on, with as many settled rows as asked for, of users that exist. The
books of these rows are left out: no statement of a run reads them. Scenarios that share a database find it as it was
filled: what the one before has added is taken out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text

from jobs.core.db import Database, open_database
from jobs.core.settings import Settings
from jobs.upgrade import upgrade

ROWS_AT_ONCE = 500_000
JOB = "reconcile-pending"

_ADDED = "ledger_entries, notifications, balances, ops.claims, ops.checks, ops.decisions, ops.outbox, ops.audit"
"""What a run writes beside its transactions."""
_USERS = """
WITH made AS (INSERT INTO users (email) SELECT 'user' || n || '@example.org' FROM generate_series(1, CAST(:accounts AS integer)) AS n
              RETURNING id)
INSERT INTO bench_users SELECT row_number() OVER (), id FROM made
"""
# Older than a day, so that nobody's pages reach back to them.
_HISTORY = """
INSERT INTO transactions (user_id, type, amount, currency, status, tx_hash, destination, memo_type, memo, created_at,
                          updated_at)
SELECT u.id, CASE WHEN s.n % 3 = 0 THEN 'WITHDRAW' ELSE 'DEPOSIT' END, 1 + s.n % 100000 / 100.0, 'XLM', 'SUCCESS',
       encode(sha256(CAST(CAST(s.n AS text) AS bytea)), 'hex'), rpad('G', 56, 'A'), 'id', CAST(s.n AS text), at, at
  FROM (SELECT n, now() - interval '1 day' - n * interval '3 seconds' AS at
          FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n) AS s
  JOIN bench_users u ON u.n = 1 + s.n % :accounts
"""
_PENDING = """
INSERT INTO transactions (user_id, type, amount, currency, tx_hash, destination, memo_type, memo, created_at, updated_at)
SELECT u.id, 'DEPOSIT', amount, 'XLM', tx_hash, receiver, 'id', memo, closed_at - interval '2 seconds', closed_at
  FROM bench_payments p JOIN bench_users u ON u.n = 1 + CAST(p.memo AS bigint) % :accounts
"""


@contextmanager
def filled_database(
    settings: Settings, rows: int, accounts: int, progress: Callable[[int], None]
) -> Iterator[Database]:
    """A migrated database with that many settled rows and users, dropped afterwards; `progress` is told rows."""
    with throwaway_database(settings) as db:
        with db.begin() as conn:
            conn.execute(text("CREATE UNLOGGED TABLE bench_users (n bigint PRIMARY KEY, id uuid NOT NULL)"))
            conn.execute(text(_USERS), {"accounts": accounts})
        _fill(db, rows, accounts, progress)
        yield db


@contextmanager
def throwaway_database(settings: Settings) -> Iterator[Database]:
    """A migrated database, dropped afterwards."""
    with open_database(settings) as db:
        upgrade(db)
        yield db
    with open_database(settings.model_copy(update={"db_name": "postgres"})) as admin:
        alone(admin, f'DROP DATABASE "{settings.db_name}" WITH (FORCE)')


def add_pending(db: Database, payments: Path, accounts: int, *, timeout_s: int) -> None:
    """A pending row for each line of `payments`, nothing else but the history, and a time limit for the job."""
    with db.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))  # audit rows refuse to go otherwise
        conn.exec_driver_sql(f"TRUNCATE {_ADDED}")
        conn.execute(text("DELETE FROM transactions WHERE created_at > now() - interval '1 day'"))
    with db.begin() as conn:
        conn.execute(
            text(
                "CREATE TEMPORARY TABLE bench_payments (tx_hash text, receiver text, amount numeric, memo text,"
                " closed_at timestamptz) ON COMMIT DROP"
            )
        )
        with conn.connection.cursor() as cursor, cursor.copy("COPY bench_payments FROM STDIN") as copy:  # type: ignore[attr-defined]  # psycopg's
            copy.write(payments.read_bytes())
        conn.execute(text(_PENDING), {"accounts": accounts})
        conn.execute(text("UPDATE ops.schedules SET timeout_s = :s WHERE name = :job"), {"s": timeout_s, "job": JOB})
        conn.execute(text("DELETE FROM ops.horizon_servers"))  # each scenario has a Horizon and a budget of its own
    alone(db, "VACUUM (ANALYZE) transactions")
    alone(db, "CHECKPOINT")


def _fill(db: Database, rows: int, accounts: int, progress: Callable[[int], None]) -> None:
    with db.begin() as conn:
        again = drop_keys(conn, "transactions") + drop_indexes(conn, "transactions")
    for first in range(1, rows + 1, ROWS_AT_ONCE):
        last = min(rows, first + ROWS_AT_ONCE - 1)
        with db.begin() as conn:
            conn.execute(text("SET LOCAL session_replication_role = replica"))  # the users are known to exist
            conn.execute(text("SET LOCAL synchronous_commit = off"))
            conn.execute(text(_HISTORY), {"first": first, "last": last, "accounts": accounts})
        progress(last)
    with db.begin() as conn:
        conn.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        for definition in again:
            conn.exec_driver_sql(definition)
    alone(db, "VACUUM (ANALYZE) transactions")
    alone(db, "VACUUM (ANALYZE) users")


def drop_keys(conn: Connection, table: str) -> list[str]:
    """Takes the table's key away, with what refers to it, and returns how to make them again, the key first."""
    found = conn.execute(
        text(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', CAST(conrelid AS regclass), conname),"
            " format('ALTER TABLE %s ADD CONSTRAINT %I %s', CAST(conrelid AS regclass), conname, pg_get_constraintdef(oid))"
            " FROM pg_constraint WHERE confrelid = CAST(:table AS regclass)"
            " OR (conrelid = CAST(:table AS regclass) AND contype = 'p') ORDER BY contype = 'p'"
        ),
        {"table": table},
    ).all()
    for drop, _ in found:
        conn.exec_driver_sql(drop)
    return [add for _, add in reversed(found)]


def drop_indexes(conn: Connection, table: str) -> list[str]:
    """Takes the table's indexes away, but for those of constraints, and returns how to make them again: it fills several
    times as fast."""
    found = conn.execute(
        text(
            "SELECT CAST(indexrelid AS regclass), pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = CAST(:table AS regclass)"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        ),
        {"table": table},
    ).all()
    for name, _ in found:
        conn.exec_driver_sql(f"DROP INDEX {name}")
    return [definition for _, definition in found]


def alone(db: Database, statement: str) -> None:
    """A statement that stands in no transaction."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql(statement)
