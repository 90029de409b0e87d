"""Reads a manifest: every table once, one after another, in one snapshot.

A row's checksum is the first half of the MD5 of its text, a table's is their sum: it needs no order, no memory, and is
the same on every version of PostgreSQL. It finds what was lost or damaged, not what somebody forged: for that the whole
file has its SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from jobs.core.db import Database
from jobs.upkeep.heed import Stopped, heeding
from jobs.upkeep.manifest import Manifest, Table

# What an extension brings is restored by creating the extension, in whatever version there is.
_OURS = """n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {0}.oid AND d.classid = {0}.tableoid AND d.deptype = 'e')"""
_TABLES = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_OURS.format("c")} ORDER BY 1, 2
"""  # noqa: S608 - constants, here and below
_OBJECTS = f"""
SELECT kind, count(*) FROM (
    SELECT CASE WHEN c.relkind IN ('i', 'I') THEN 'indexes' WHEN c.relkind = 'S' THEN 'sequences'
                WHEN c.relkind IN ('v', 'm') THEN 'views' ELSE 'tables' END AS kind
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'i', 'I', 'S', 'v', 'm') AND c.relpersistence <> 't' AND {_OURS.format("c")}
    UNION ALL
    SELECT 'functions' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS.format("p")}
    UNION ALL
    SELECT 'triggers' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND {_OURS.format("c")}
    UNION ALL
    -- Since version 18 also NOT NULL is one: what no version before has is not counted.
    SELECT 'constraints' FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
     WHERE k.contype <> 'n' AND {_OURS.format("k")}
) AS o GROUP BY kind ORDER BY kind
"""  # noqa: S608
_SUM = """
SELECT count(*), coalesce(sum(('x' || left(md5((of_row.*)::text), 16))::bit(64)::bigint), 0)::text
FROM ONLY {} AS of_row
"""


@contextmanager
def snapshot(db: Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """One read-only look at everything as it is now, for as long as the block takes, on a connection of its own."""
    with psycopg.connect(db.conninfo) as conn:
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        # A value's text must not depend on anybody's settings; nothing is named without its schema.
        conn.execute("SELECT set_config('search_path', 'pg_catalog', true), set_config('DateStyle', 'ISO', true),"
                     " set_config('IntervalStyle', 'iso_8601', true), set_config('bytea_output', 'hex', true),"
                     " set_config('extra_float_digits', '1', true), set_config('statement_timeout', '0', true)")  # fmt: skip
        yield conn


def export(conn: psycopg.Connection[tuple[Any, ...]]) -> str:
    """The name under which others see this snapshot, while it lasts."""
    return str(_value(conn, "SELECT pg_export_snapshot()"))


def survey(
    conn: psycopg.Connection[tuple[Any, ...]],
    should_stop: Callable[[], bool],
    seen: Callable[[int, int], None] = lambda _done, _total: None,
) -> Manifest:
    """The manifest of a `snapshot`; raises Stopped. `seen` is told how many tables are done, of how many."""
    tables: dict[str, Table] = {}
    with heeding(conn, should_stop):
        named = conn.execute(_TABLES.encode()).fetchall()
        for done, (schema, name) in enumerate(named):
            seen(done, len(named))
            if should_stop():
                raise Stopped
            counted = conn.execute(sql.SQL(_SUM).format(sql.Identifier(schema, name))).fetchone() or (0, "0")
            tables[name if schema == "public" else f"{schema}.{name}"] = Table(rows=counted[0], checksum=counted[1])
        migrated = _value(conn, "SELECT to_regclass('ops.alembic_version') IS NOT NULL")
        return Manifest(
            database=str(_value(conn, "SELECT current_database()")),
            made_at=_value(conn, "SELECT now()"),
            revision=_value(conn, "SELECT max(version_num) FROM ops.alembic_version") if migrated else None,
            server=int(_value(conn, "SELECT current_setting('server_version_num')::int / 10000")),
            objects=dict(conn.execute(_OBJECTS.encode()).fetchall()),
            tables=tables,
        )


def _value(conn: psycopg.Connection[tuple[Any, ...]], statement: str) -> Any:
    row = conn.execute(statement.encode()).fetchone()
    return row[0] if row else None
