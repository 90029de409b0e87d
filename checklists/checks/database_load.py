"""How the database bears its load: slow statements, size and growth, vacuum, and when it was created."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, judged, unable
from checklists.checks.reach import age, plural, reading, some
from checklists.grammar import Duration
from jobs.core.logs import redact
from jobs.probes.units import size

_GROWING = {
    "transactions": "created_at",
    "ledger_entries": "created_at",
    "notifications": "created_at",
    "ops.audit": "at",
    "ops.checklist_events": "at",
    "ops.decisions": "at",
    "ops.horizon_samples": "at",
    "ops.outbox": "created_at",
    "ops.run_logs": "at",
    "ops.runs": "queued_at",
}
"""The tables that grow, and the column that says when a row came."""


class SlowParams(CheckParams):
    """What is slow, and what is asked often enough to matter."""

    most_ms: float = Field(500, gt=0, description="the longest mean time of a statement")
    calls: int = Field(20, ge=1, description="statements that ran at least so often count")
    shown: int = Field(10, ge=1, le=100, description="so many of the slowest are shown")


@check("database.slow_queries", title="Statements are fast enough", params=SlowParams)
def slow_queries(context: CheckContext, params: SlowParams) -> CheckResult:
    """Means from pg_stat_statements, and what has been running for long at this moment."""
    with reading(context) as conn:
        running = conn.execute(
            text(
                "SELECT left(query, 300) AS statement, round(1000 * extract(epoch FROM now() - query_start)) AS ms"
                " FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
                " AND pid <> pg_backend_pid() AND now() - query_start > CAST(:most AS interval) ORDER BY 2 DESC LIMIT 20"
            ),
            {"most": timedelta(milliseconds=params.most_ms)},
        ).all()
        installed = conn.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'")).scalar()
    now = [f"{row.ms:,.0f} ms: {redact(row.statement)}" for row in running]
    if not installed:
        if now:
            return failed(
                f"{plural(len(now), 'statement')} running for more than {params.most_ms:g} ms at this moment.",
                "See what they wait for.",
                running=now,
            )
        return unable(
            "Nothing slow is running now, but what ran before is not recorded.",
            "Add pg_stat_statements to shared_preload_libraries, restart PostgreSQL and CREATE EXTENSION "
            "pg_stat_statements.",
        )
    try:
        with reading(context) as conn:
            rows = conn.execute(
                text(
                    "SELECT left(query, 300) AS statement, calls, round(mean_exec_time::numeric, 1) AS mean_ms"
                    " FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname ="
                    " current_database()) AND calls >= :calls ORDER BY mean_exec_time DESC LIMIT :shown"
                ),
                {"calls": params.calls, "shown": params.shown},
            ).all()
    except ProgrammingError as error:
        raise Unable(
            "pg_stat_statements cannot be read by this user.", "GRANT pg_read_all_stats to the user of DB_USERNAME."
        ) from error
    if not rows:
        raise Unable(
            f"No statement has run {params.calls} times since the statistics began.", "Look again after some traffic."
        )
    slow = [row for row in rows if row.mean_ms > params.most_ms]
    shown = [f"{row.mean_ms:,} ms × {row.calls:,}: {redact(row.statement)}" for row in rows]
    return judged(
        not slow and not now,
        f"{plural(len(slow), 'statement')} take more than {params.most_ms:g} ms on average, {len(now)} right now."
        if slow or now
        else f"The slowest statement takes {rows[0].mean_ms:,} ms on average.",
        "EXPLAIN the slowest and give it an index, or ask it less often.",
        slowest=shown,
        running=now,
    )


class SizeParams(CheckParams):
    """How large is too large."""

    most_gib: float = Field(100, gt=0, description="the largest size of this database, in GiB")


@check("database.size", title="The database is not too large", params=SizeParams)
def database_size(context: CheckContext, params: SizeParams) -> CheckResult:
    """Size of this database and of its largest tables; the disk of a server is seen on its own host only."""
    with reading(context) as conn:
        total: int = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        rows = conn.execute(
            text(
                "SELECT c.relnamespace::regnamespace || '.' || c.relname AS name, pg_total_relation_size(c.oid) AS bytes"
                " FROM pg_class c WHERE c.relkind IN ('r', 'm', 'p') AND c.relnamespace::regnamespace::text"
                " NOT IN ('pg_catalog', 'information_schema') ORDER BY 2 DESC LIMIT 10"
            )
        ).all()
    return judged(
        total <= params.most_gib * 2**30,
        f"The database takes {size(total)}; the largest table is {rows[0].name} with {size(rows[0].bytes)}."
        if rows
        else f"The database takes {size(total)} and has no tables.",
        f"More than {params.most_gib:g} GiB is not accepted: delete what may go, or provide room and raise the limit.",
        bytes=total,
        largest=[f"{row.name}: {size(row.bytes)}" for row in rows],
    )


class GrowthParams(CheckParams):
    """How much growth is too much."""

    within: Duration = Field(timedelta(hours=1), description="over how long")
    most_mib_per_hour: float = Field(1024, gt=0, description="MiB an hour at most")


@check("database.growth", title="The database does not grow too fast", params=GrowthParams)
def growth(context: CheckContext, params: GrowthParams) -> CheckResult:
    """An estimate: each table's size by the share of its rows that are new."""
    grown: dict[str, float] = {}
    fresh = 0
    with reading(context) as conn:
        for table, column in _GROWING.items():
            row = conn.execute(
                text(
                    f"SELECT count(*) AS rows, count(*) FILTER (WHERE {column} > :since) AS fresh,"  # noqa: S608 - ours
                    f" pg_total_relation_size('{table}') AS bytes FROM {table}"
                ),
                {"since": context.now - params.within},
            ).one()
            fresh += row.fresh
            if row.fresh:
                grown[table] = row.bytes * row.fresh / row.rows
    if not fresh:
        raise Unable(
            f"No row came within the last {age(params.within)}: there is no growth to measure.",
            "Look again while the jobs run.",
        )
    hourly = sum(grown.values()) / (params.within / timedelta(hours=1))
    return judged(
        hourly <= params.most_mib_per_hour * 2**20,
        f"The database grows by about {size(hourly)} an hour, judged by the rows of the last {age(params.within)}.",
        f"More than {params.most_mib_per_hour:g} MiB an hour is not accepted: see which table grows, and why.",
        bytes_per_hour=round(hourly),
        by_table={table: size(grown[table]) for table in sorted(grown, key=lambda name: -grown[name])},
    )


class VacuumParams(CheckParams):
    """How old a vacuum may be."""

    within: Duration = Field(timedelta(days=31), description="vacuumed and analysed within")
    rows: int = Field(1, ge=1, description="tables with at least so many rows count")


@check("database.vacuum", title="Tables are vacuumed and analysed", params=VacuumParams)
def vacuum(context: CheckContext, params: VacuumParams) -> CheckResult:
    """By hand or by autovacuum, every table with rows in it."""
    with reading(context) as conn:
        rows = conn.execute(
            text(
                "SELECT schemaname || '.' || relname AS name, n_live_tup AS live, n_dead_tup AS dead,"
                " greatest(last_vacuum, last_autovacuum) AS vacuumed, greatest(last_analyze, last_autoanalyze) AS analysed"
                " FROM pg_stat_user_tables ORDER BY n_live_tup DESC"
            )
        ).all()
    counted = [row for row in rows if row.live >= params.rows]
    if not counted:
        raise Unable("No table has rows by PostgreSQL's own count.", "Run VACUUM (ANALYZE), then look again.")
    since = context.now - params.within
    late = [row.name for row in counted if min(row.vacuumed or _NEVER, row.analysed or _NEVER) < since]
    return judged(
        not late,
        f"Not vacuumed or analysed within {age(params.within)}: {some(late)}."
        if late
        else f"All {len(counted)} tables with rows were vacuumed and analysed within {age(params.within)}.",
        "Run VACUUM (ANALYZE) on them, or on the whole database.",
        tables=[
            f"{row.name}: {row.live:,} live, {row.dead:,} dead, vacuumed {_day(row.vacuumed)}" for row in rows[:20]
        ],
    )


_NEVER = datetime(1, 1, 1, tzinfo=UTC)


def _day(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d}"


@check("database.restored", title="The database was restored since the run began", params=NoParams)
def restored(context: CheckContext, params: NoParams) -> CheckResult:
    """A restore into a new database leaves its date in PostgreSQL's own files, which only a superuser may look at."""
    with reading(context) as conn:
        name = conn.execute(text("SELECT current_database()")).scalar_one()
        able = conn.execute(
            text("SELECT has_function_privilege('pg_stat_file(text)', 'EXECUTE')")
        ).scalar_one()  # fmt: skip
        if not able:
            raise Unable(
                "This user may not see when the database was created.",
                "GRANT EXECUTE ON FUNCTION pg_stat_file(text) to it, or judge by hand: say which backup was restored.",
            )
        created = conn.execute(
            text(
                "SELECT (pg_stat_file('base/' || oid || '/PG_VERSION')).modification"
                " FROM pg_database WHERE datname = current_database()"
            )
        ).scalar_one()
    return judged(
        created >= context.started_at,
        f"The database {name} was created at {created:%Y-%m-%d %H:%M} UTC, "
        f"{'after' if created >= context.started_at else 'before'} this checklist began.",
        "Restore the backup into a new database and set DB_NAME to it; a restore over the old one cannot be seen here.",
        created_at=created.isoformat(),
    )
