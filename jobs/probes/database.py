"""probe-database: how PostgreSQL does, in numbers that become charts and in short lists of what to look at.

Everything is read from its own statistics and catalogues, so a look costs milliseconds whatever the tables hold, and
waits for no lock: not even for that of a size. Texts of queries may hold anything, a customer's address or the password of
ALTER ROLE: before they are kept their literals are taken out, and what looks like a secret.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from jobs.core.db import jsonb
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.logs import redact_value
from jobs.core.settings import Settings
from jobs.probes.diagnosis import INDEXES, missing_indexes
from jobs.probes.disk import usage
from jobs.probes.indexes import read_indexes
from jobs.probes.series import read_hours, read_last, write_samples
from jobs.probes.trend import NEVER_D, per_day

SUBJECT = "database"
_QUERY = 300  # characters of a query that say which one it is
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|$)")  # the last one may have been cut off

_NUMBERS = text("""
SELECT pg_database_size(current_database()) AS size_bytes,
       (SELECT count(*) FROM pg_locks WHERE NOT granted) AS locks_waiting,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
       CAST(current_setting('max_connections') AS integer)
         - CAST(current_setting('superuser_reserved_connections') AS integer)
         - CAST(coalesce(current_setting('reserved_connections', true), '0') AS integer) AS connections_limit,
       (SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
           AND backend_type = 'client backend') AS oldest_transaction_s,
       (SELECT sum(n_dead_tup) FROM pg_stat_user_tables) AS dead_rows,
       (SELECT sum(n_live_tup) FROM pg_stat_user_tables) AS live_rows,
       (SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication) AS replication_lag_s,
       d.blks_hit AS blocks_hit, d.blks_read AS blocks_read, d.xact_commit + d.xact_rollback AS transactions,
       d.deadlocks
FROM pg_stat_database d WHERE d.datname = current_database()
""")
_STATEMENTS = """
SELECT left(query, :length) AS query, calls, round(CAST(mean_exec_time AS numeric), 1) AS mean_ms,
       round(CAST(total_exec_time AS numeric)) AS total_ms, rows, 'pg_stat_statements' AS source
FROM {schema}.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
ORDER BY total_exec_time DESC LIMIT 20
"""
_RUNNING = """
SELECT left(query, :length) AS query, pid, application_name AS application, client_addr AS client,
       round(extract(epoch FROM now() - query_start) * 1000) AS running_ms, 'pg_stat_activity' AS source
FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND query_start < now() - interval '1 second'
ORDER BY query_start LIMIT 20
"""
_LISTS: Mapping[str, str] = {
    "waiting": """
SELECT pid, pg_blocking_pids(pid) AS blocked_by, application_name AS application, left(query, :length) AS query,
       round(extract(epoch FROM clock_timestamp() - state_change)) AS waits_s
FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY state_change LIMIT 20
""",
    "vacuum": """
SELECT schemaname || '.' || relname AS "table", n_dead_tup AS dead_rows, n_live_tup AS live_rows,
       greatest(last_vacuum, last_autovacuum) AS last_vacuum, greatest(last_analyze, last_autoanalyze) AS last_analyze
FROM pg_stat_user_tables ORDER BY n_dead_tup DESC, 1 LIMIT 20
""",
    # A unique index does its work without ever being scanned.
    "unused_indexes": """
SELECT s.schemaname || '.' || s.relname AS "table", s.indexrelname AS index, pg_get_indexdef(s.indexrelid) AS definition,
       CAST(i.relpages AS bigint) * CAST(current_setting('block_size') AS integer) AS bytes,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS since
FROM pg_stat_user_indexes s JOIN pg_index x ON x.indexrelid = s.indexrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE s.idx_scan = 0 AND NOT x.indisunique AND i.relpages > 128 ORDER BY 4 DESC, 1, 2 LIMIT 20
""",
    # A foreign key whose columns no valid index begins with, in any order: every DELETE over there reads this whole table.
    # Of our own tables only what has its index is ever deleted from.
    "missing_indexes": """
SELECT CAST(CAST(k.conrelid AS regclass) AS text) AS "table", c.reltuples AS rows, k.conname AS foreign_key,
       ARRAY(SELECT quote_ident(a.attname) FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place) AS columns
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND c.relkind = 'r'
  AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('ops', 'procrastinate')) AND NOT EXISTS (
    SELECT FROM pg_index x WHERE x.indrelid = k.conrelid AND x.indisvalid AND x.indpred IS NULL
       AND (CAST(x.indkey AS smallint[]))[0:cardinality(k.conkey) - 1] @> k.conkey)
ORDER BY c.reltuples DESC, 1, 3 LIMIT 20
""",
    "replicas": """
SELECT application_name AS name, client_addr AS client, state, round(extract(epoch FROM replay_lag), 1) AS lag_s,
       pg_wal_lsn_diff(sent_lsn, replay_lsn) AS lag_bytes
FROM pg_stat_replication ORDER BY replay_lag DESC NULLS LAST LIMIT 20
""",
}
_STATEMENTS_AT = text("""
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
""")
_KEEP = text("""
INSERT INTO ops.database_lists AS l (kind, at, entries) VALUES (:kind, now(), :entries)
ON CONFLICT (kind) DO UPDATE SET at = excluded.at, entries = excluded.entries
""")


@job(
    name="probe-database",
    title="Probe PostgreSQL",
    does="Records connection time, size, growth and days until full, connections, locks, cache hits, dead rows and replication lag, and lists "
    "slow queries, who waits for whom, tables to vacuum, unused and missing indexes.",
    schedule=Every(seconds=30),
    timeout_s=20,
    params=Params,
)
def probe_database(run: Run, _params: Params) -> None:
    """Counts `numbers` and `entries`. A dry run keeps them too: they are measurements."""
    connect_ms = _connect_ms(run.db.conninfo)
    with run.db.begin() as conn:
        # On a server in trouble its own statistics can be slow; better no look than one more query that hangs.
        conn.execute(text("SELECT set_config('statement_timeout', '5s', true)"))
        values = {**_numbers(conn), "database.connect_ms": connect_ms}
        values |= _room(run.settings, values["database.size_bytes"], values["database.growth_bytes_per_day"])
        write_samples(conn, SUBJECT, values)
        lists = {"queries": _queries(conn)}
        for kind, statement in _LISTS.items():
            lists[kind] = _rows(conn, statement)
        lists["missing_indexes"] = [*_missing(conn), *lists["missing_indexes"]]
        for kind, entries in lists.items():
            conn.execute(_KEEP, {"kind": kind, "entries": jsonb(entries)})
    run.count("numbers", sum(value is not None for value in values.values()))
    run.count("entries", sum(len(entries) for entries in lists.values()))


def _connect_ms(conninfo: str) -> float:
    """How long somebody new waits for a first answer, in milliseconds."""
    began = time.perf_counter()
    with psycopg.connect(conninfo) as conn:
        conn.execute("SELECT 1")
        return (time.perf_counter() - began) * 1000


def _numbers(conn: Connection) -> dict[str, float | None]:
    row = {
        name: None if value is None else float(value) for name, value in conn.execute(_NUMBERS).one()._mapping.items()
    }
    hit, read = (_since_last(conn, row, name) for name in ("blocks_hit", "blocks_read"))
    dead, live = row["dead_rows"] or 0, row.pop("live_rows") or 0
    limit = row.pop("connections_limit") or 1
    return {f"database.{name}": value for name, value in row.items()} | {
        "database.connections_ratio": (row["connections"] or 0) / limit,
        "database.dead_ratio": dead / (dead + live) if dead + live else 0.0,
        "database.cache_hit_ratio": hit / (hit + read) if hit is not None and read is not None and hit + read else None,
        "database.growth_bytes_per_day": per_day(read_hours(conn, SUBJECT, "database.size_bytes")),
    }


def _room(settings: Settings, size: float | None, growth: float | None) -> dict[str, float | None]:
    """Bytes that are left to it and days until they are filled, as far as anybody can know that."""
    room: float | None = None
    if settings.embedded:
        room = float(usage(settings.home).free)
    elif settings.db_space_gb is not None and size is not None:
        room = max(0.0, settings.db_space_gb * 1e9 - size)
    full = room / growth if room is not None and growth is not None and growth > 0 else None
    return {"database.room_bytes": room, "database.full_days": full if full is not None and full < NEVER_D else None}


def _missing(conn: Connection) -> list[dict[str, Any]]:
    """Indexes that the jobs live on and the application's tables have not, whatever they are called."""
    found = read_indexes(conn, {index.table for index in INDEXES})
    return [
        {"table": one.table, "columns": list(one.columns), "used_for": one.used_for} for one in missing_indexes(found)
    ]


def _since_last(conn: Connection, row: Mapping[str, float | None], name: str) -> float | None:
    """What a counter of the server has grown by since the last look; None at the first, or where it began anew."""
    before, now = read_last(conn, SUBJECT, f"database.{name}"), row[name]
    return None if before is None or now is None or now < before else now - before


def _queries(conn: Connection) -> list[dict[str, Any]]:
    """What takes most time: of all that ran where the server keeps that, of what runs now where it does not."""
    schema = conn.execute(_STATEMENTS_AT).scalar()
    if schema is not None:
        # The extension may be there and the server not have loaded it, or this user not be allowed to read it.
        with suppress(DBAPIError), conn.begin_nested():
            return _rows(conn, _STATEMENTS.format(schema=schema))
    return _rows(conn, _RUNNING)


def _rows(conn: Connection, statement: str) -> list[dict[str, Any]]:
    rows = conn.execute(text(statement), {"length": _QUERY} if ":length" in statement else {})
    return [{name: _plain(name, value) for name, value in row._mapping.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    if name == "query" and isinstance(value, str):
        value = _LITERAL.sub("'…'", value)
    return float(value) if isinstance(value, Decimal) else redact_value(name, value)
