"""maintain-database: VACUUM (ANALYZE) of every table, and REINDEX CONCURRENTLY of what is measurably bloated.

Autovacuum does the daily work; this is what it leaves: tables that nobody writes any more, visibility maps, and indexes
that only ever grow. On a connection of its own, since neither statement knows a transaction; it can stop at any moment.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row
from pydantic import Field

from jobs.core import audit
from jobs.core.jobs import Cron, Params, Run, job
from jobs.upkeep.bloat import LEAST_BYTES, Index, worth_rebuilding
from jobs.upkeep.heed import Stopped, heeding

Conn = psycopg.Connection[Any]
_LOCK_S = 30
"""How long a statement waits for a lock: whoever holds it for longer is not to be disturbed."""

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
# MAINTAIN is a right since version 17; before, and also then, the owner may, and whoever owns the database.
_MAY = """pg_has_role(c.relowner, 'USAGE')
       OR EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND pg_has_role(d.datdba, 'USAGE'))"""
# Sizes by the catalogue's pages: asking for the real one would wait for whoever holds the table.
_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, greatest(c.relpages, 1) AS pages, {may} AS may
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {ours}
ORDER BY c.relpages, 1, 2
"""
_LEFT_BEHIND = """
SELECT format('%%I.%%I', n.nspname, i.relname) AS name
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace
     JOIN pg_class c ON c.oid = x.indrelid
WHERE NOT x.indisvalid AND i.relname ~ '_cc(new|old)[0-9]*$' AND {ours} AND pg_has_role(c.relowner, 'USAGE')
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.oid OR p.relid = c.oid)
ORDER BY 1
"""
_INDEXES = """
SELECT format('%%I.%%I', n.nspname, i.relname) AS name, i.relpages::bigint * current_setting('block_size')::int AS bytes,
       ceil(i.reltuples * (12 + 8 * ceil(coalesce(w.bytes, 8) / 8.0)) / 0.9)::bigint + 8192 AS needed
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
     JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN LATERAL (
        -- Of an expression the statistics stand under the index's own name.
        SELECT sum(coalesce(t.avg_width, e.avg_width)) AS bytes
        FROM pg_attribute a
        LEFT JOIN pg_attribute b ON b.attrelid = c.oid AND b.attnum = x.indkey[a.attnum - 1] AND b.attnum > 0
        LEFT JOIN pg_stats t ON t.schemaname = n.nspname AND t.tablename = c.relname AND t.attname = b.attname
                            AND NOT t.inherited
        LEFT JOIN pg_stats e ON e.schemaname = n.nspname AND e.tablename = i.relname AND e.attname = a.attname
        WHERE a.attrelid = i.oid
     ) AS w ON true
WHERE m.amname = 'btree' AND i.relkind = 'i' AND x.indisvalid AND i.reltuples >= 0 AND c.relpersistence <> 't' AND {ours}
  AND pg_has_role(c.relowner, 'USAGE') AND i.relpages::bigint * current_setting('block_size')::int >= %(least)s
"""
_BYTES = """
SELECT relpages::bigint * current_setting('block_size')::int AS bytes FROM pg_class WHERE oid = to_regclass(%s)
"""


class MaintainParams(Params):
    """How much is rebuilt at once."""

    most_reindexed: int = Field(10, ge=0, le=1000, description="at most so many indexes, the most bloated first")


@job(
    name="maintain-database",
    title="Maintain the database",
    does="Vacuums and analyses every table of the desk and the application, rebuilds indexes that are bloated without "
    "stopping anybody, and drops invalid ones that a broken rebuild left; says what it had no right to.",
    schedule=Cron("0 3 1 * *"),
    timeout_s=14_400,
    params=MaintainParams,
)
def maintain_database(run: Run, params: MaintainParams) -> None:
    """Counts `vacuumed`, `reindexed`, `dropped`, `skipped` (no right, or a lock that did not come) and `bytes` won."""
    for name in ("vacuumed", "reindexed", "dropped", "skipped", "bytes"):
        run.count(name, 0)
    with psycopg.connect(run.db.conninfo, autocommit=True, row_factory=namedtuple_row) as conn:
        conn.execute(f"SET lock_timeout = '{_LOCK_S}s'".encode())
        conn.execute("SET statement_timeout = 0")
        try:
            with heeding(conn, run.should_stop):
                _vacuum(run, conn)
                _drop_left_behind(run, conn)
                _reindex(run, conn, params.most_reindexed)
        except Stopped:
            run.warning("stopped before the end: what is done stays done")
            # Cut in the middle, a rebuild leaves its half: it is known by its name.
            _drop_left_behind(run, conn)


def _vacuum(run: Run, conn: Conn) -> None:
    may = _MAY
    if conn.info.server_version >= 170_000:
        may += " OR has_table_privilege(c.oid, 'MAINTAIN')"
    tables = conn.execute(_TABLES.format(may=may, ours=_OURS).encode()).fetchall()
    total, done, forbidden = sum(table.pages for table in tables), 0, []
    for table in tables:
        if run.should_stop():
            raise Stopped
        if not table.may:
            forbidden.append(f"{table.schema}.{table.name}")
        elif run.dry_run or _do(
            run, conn, sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table.schema, table.name))
        ):
            run.count("vacuumed")
        done += table.pages
        run.progress(done, total)
    if forbidden:
        run.count("skipped", len(forbidden))
        right = "GRANT MAINTAIN ON … TO" if conn.info.server_version >= 170_000 else "make their owner's role a role of"
        run.warning("no right to vacuum", tables=forbidden, mend=f"{right} {conn.info.user}")


def _reindex(run: Run, conn: Conn, most: int) -> None:
    chosen = worth_rebuilding(_indexes(run, conn), most)
    for index in chosen:
        if run.should_stop():
            raise Stopped
        seen = {"index": index.name, "bytes": index.bytes, "waste": f"{index.waste:.0%}", "measured": index.measured}
        run.info("would rebuild" if run.dry_run else "rebuilding", **seen)
        # The name came quoted from the database's own catalogue.
        rebuild = sql.SQL("REINDEX INDEX CONCURRENTLY ") + sql.SQL(index.name)
        if run.dry_run:
            run.count("reindexed")
            continue
        if not _do(run, conn, rebuild):
            _drop_left_behind(run, conn)
            continue
        after = conn.execute(_BYTES, (index.name,)).fetchone()
        won = index.bytes - int(after.bytes if after else 0)
        run.count("reindexed")
        run.count("bytes", max(0, won))
        _record(run, "index.rebuilt", index.name, {"bytes": index.bytes}, {"bytes": index.bytes - won})


def _indexes(run: Run, conn: Conn) -> list[Index]:
    """The large B-trees, measured where that can be done; measuring reads an index once."""
    rows = conn.execute(_INDEXES.format(ours=_OURS).encode(), {"least": LEAST_BYTES}).fetchall()
    where = conn.execute(
        "SELECT format('%I.pgstatindex', n.nspname) AS name FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'pgstattuple'"
    ).fetchone()
    found = []
    for row in rows:
        needed, measured = row.needed, False
        if where is not None and not run.should_stop():
            try:
                density = conn.execute(
                    f"SELECT avg_leaf_density AS density FROM {where.name}(%s::regclass)".encode(),  # noqa: S608 - quoted
                    (row.name,),
                ).fetchone()
            except psycopg.errors.InsufficientPrivilege:
                where = None
            else:
                needed, measured = int(row.bytes * min(1.0, float(density.density if density else 90) / 90)), True
        found.append(Index(row.name, row.bytes, needed, measured))
    return found


def _drop_left_behind(run: Run, conn: Conn) -> None:
    """Invalid indexes with the names that REINDEX CONCURRENTLY gives, of which none is being built."""
    for row in conn.execute(_LEFT_BEHIND.format(ours=_OURS).encode(), {}).fetchall():
        run.info("would drop" if run.dry_run else "dropping what a broken rebuild left", index=row.name)
        if run.dry_run or _do(run, conn, sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS ") + sql.SQL(row.name)):
            run.count("dropped")
            if not run.dry_run:
                _record(run, "index.dropped", row.name, {"valid": False}, None)


def _do(run: Run, conn: Conn, statement: sql.Composed) -> bool:
    """Whether it could be done; a lock that does not come and a right that lacks are told and passed over."""
    try:
        conn.execute(statement)
    except (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedTable,
    ) as error:
        run.count("skipped")
        run.warning("passed over", statement=statement.as_string(conn), reason=error.diag.message_primary)
        return False
    return True


def _record(run: Run, action: str, index: str, old: dict[str, Any], new: dict[str, Any] | None) -> None:
    with run.db.begin() as conn:
        audit.record(conn, audit.AuditRow(f"run:{run.id}", action, "index", index, "job", old=old, new=new))
