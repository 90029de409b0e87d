"""The database as it stands: it answers, has the shape that the code needs, and lets the jobs do their work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from checklists import indexes as index
from checklists.checks.model import CheckContext, CheckParams, CheckResult, check, failed, judged, passed
from checklists.checks.reach import plural, reading, some
from checklists.checks.shape import APPLICATION
from jobs.core.db import first_line
from jobs.core.schema import head, revision

NEEDED: Mapping[str, tuple[str, ...]] = {
    "users": ("SELECT",),
    "transactions": ("SELECT", "UPDATE"),
    "notifications": ("SELECT", "INSERT", "DELETE"),
    "balances": ("SELECT", "INSERT", "UPDATE"),
    "ledger_entries": ("SELECT", "INSERT"),
}
"""What the jobs do with the application's tables."""
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
Word = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class ConnectionParams(CheckParams):
    """How fast is well."""

    most_ms: float = Field(500, gt=0, le=60_000, description="the slowest of five answers that is accepted")


@check("database.connection", title="PostgreSQL answers", params=ConnectionParams)
def connection(context: CheckContext, params: ConnectionParams) -> CheckResult:
    """Five round trips."""
    times = []
    try:
        with reading(context) as conn:
            server = conn.execute(text("SHOW server_version")).scalar_one()
            for _ in range(5):
                began = time.perf_counter()
                conn.execute(text("SELECT 1"))
                times.append(round((time.perf_counter() - began) * 1000, 2))
    except SQLAlchemyError as error:
        return failed(
            f"PostgreSQL does not answer ({first_line(error)}).",
            "Check that it runs and that DB_HOST, DB_PORT, DB_USERNAME, DB_PASSWORD and DB_NAME are right.",
        )
    slowest = max(times)
    return judged(
        slowest <= params.most_ms,
        f"PostgreSQL {server} answers; the slowest of five took {slowest:g} ms.",
        f"Find out what slows it down: more than {params.most_ms:g} ms is not accepted.",
        answers_ms=times,
    )


class NoParams(CheckParams):
    """Nothing to choose."""


@check("database.migrations", title="The migrations are up to date", params=NoParams)
def migrations(context: CheckContext, params: NoParams) -> CheckResult:
    """The revision of the database is the one that this code needs."""
    needed = head()
    with reading(context) as conn:
        has = revision(conn)
    return judged(
        has == needed,
        f"The database is at revision {has or 'none'}" + (f", this version needs {needed}." if has != needed else "."),
        "Run `nexaops migrate` with the version that is deployed, and look again.",
        has=has,
        needs=needed,
    )


class IndexParams(CheckParams):
    """Which indexes."""

    wanted: dict[Word, list[list[Word]]] = Field(
        default_factory=dict, description="more of them than the essential three: by table, the columns of each"
    )


@check("database.indexes", title="The indexes exist and are valid", params=IndexParams)
def indexes(context: CheckContext, params: IndexParams) -> CheckResult:
    """By columns and validity, whatever their names."""
    more = [
        index.Wanted(table, tuple(columns), f"idx_{table}_{'_'.join(columns)}"[:63])
        for table, each in params.wanted.items()
        for columns in each
    ]
    wanted = [*index.ESSENTIAL, *more]
    with reading(context) as conn:
        found = index.read_indexes(conn, [want.table for want in wanted])
        lacks = index.lacking(wanted, found)
        names = [each.name for each in found]
        create = [index.create_statement(conn, lack.wanted, set(names) - set(lack.broken)) for lack in lacks]
        drop = [index.drop_statement(conn, name) for lack in lacks for name in lack.broken]
    seen = [
        f"{each.name}: {each.table} ({', '.join(each.columns)}){'' if each.valid else ' INVALID'}" for each in found
    ]
    if not lacks:
        return passed(f"All {len(wanted)} indexes are there and valid.", found=seen)
    named = some([f"{lack.wanted.table} ({', '.join(lack.wanted.columns)})" for lack in lacks])
    under_way = any(lack.building for lack in lacks)
    return failed(
        f"{len(lacks)} of {len(wanted)} indexes are missing or not valid: {named}.",
        "One is being built right now: look again when it is done."
        if under_way
        else "Run the job create-indexes, or the statements of the output.",
        statements=[*drop, *create],
        found=seen,
    )


class PrivilegeParams(CheckParams):
    """How strict."""

    exact: bool = Field(False, description="also fail when the user may do more than the jobs need")


@check("database.privileges", title="The jobs' user may do what it must", params=PrivilegeParams)
def privileges(context: CheckContext, params: PrivilegeParams) -> CheckResult:
    """What is missing fails; so does a superuser on a server that others use too."""
    with reading(context) as conn:
        who = conn.execute(
            text("SELECT current_user AS name, rolsuper FROM pg_roles WHERE rolname = current_user")
        ).one()
        rows = conn.execute(
            text(
                "SELECT t.name AS of, p.name AS privilege,"
                " to_regclass('public.' || t.name) IS NOT NULL"
                " AND has_table_privilege(to_regclass('public.' || t.name), p.name) AS held"
                " FROM unnest(CAST(:tables AS text[])) AS t (name), unnest(CAST(:privileges AS text[])) AS p (name)"
            ),
            {"tables": list(NEEDED), "privileges": list(_PRIVILEGES)},
        ).all()
        ours = conn.execute(text("SELECT has_schema_privilege('ops', 'USAGE')")).scalar_one()
    missing = [f"{row.privilege} on {row.of}" for row in rows if row.privilege in NEEDED[row.of] and not row.held]
    missing += [] if ours else ["USAGE on the schema ops"]
    more = [f"{row.privilege} on {row.of}" for row in rows if row.privilege not in NEEDED[row.of] and row.held]
    output = {"user": who.name, "superuser": who.rolsuper, "missing": missing, "more_than_needed": more}
    if missing:
        return failed(f"{who.name} may not do {some(missing)}.", f"GRANT it to {who.name}.", **output)
    if who.rolsuper and not context.settings.embedded:
        return failed(
            f"{who.name} is a superuser: a fault in one job could change anything.",
            "Give the jobs a user of their own, and set DB_USERNAME to it.",
            **output,
        )
    if more and params.exact:
        return failed(f"{who.name} may do more than the jobs need: {some(more)}.", "REVOKE it.", **output)
    also = f", and {len(more)} more" if more else ""
    return passed(f"{who.name} may do all that the jobs do{also}.", **output)


@check("database.schema", title="The tables have the columns that the code uses", params=NoParams)
def schema(context: CheckContext, params: NoParams) -> CheckResult:
    """The application's tables against what the jobs read and write; what else a table has is its owner's business."""
    with reading(context) as conn:
        rows = conn.execute(
            text(
                "SELECT table_name, column_name, data_type, is_nullable = 'YES' AS nullable FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = ANY (CAST(:tables AS text[]))"
            ),
            {"tables": list(APPLICATION)},
        ).all()
    found = {(row.table_name, row.column_name): row.data_type for row in rows}
    wrong = []
    for table, columns in APPLICATION.items():
        for column, wanted in columns.items():
            have = found.get((table, column))
            if have is None:
                wrong.append(f"{table}.{column} is missing")
            elif have != wanted:
                wrong.append(f"{table}.{column} is {have}, not {wanted}")
    return judged(
        not wrong,
        f"{some(wrong)}."
        if wrong
        else f"All {sum(map(len, APPLICATION.values()))} columns are there, of the right type.",
        "Bring the application's tables and this version together: migrate the one that is behind.",
        differences=wrong,
    )


class SessionParams(CheckParams):
    """Whose sessions."""

    application: str | None = Field(None, max_length=63, description="only sessions that give this application_name")


@check("database.sessions", title="Nobody else is connected to the database", params=SessionParams)
def sessions(context: CheckContext, params: SessionParams) -> CheckResult:
    """Sessions of the application on this database; our own do not count."""
    with reading(context) as conn:
        rows = conn.execute(
            text(
                "SELECT coalesce(nullif(application_name, ''), 'no name') AS application, usename::text AS who, count(*) AS n"
                " FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL"
                # Of other users' sessions an ordinary one sees no backend_type.
                " AND coalesce(backend_type, 'client backend') = 'client backend'"
                " AND application_name IS DISTINCT FROM 'nexaops'"
                " AND (CAST(:application AS text) IS NULL OR application_name = :application) GROUP BY 1, 2 ORDER BY 3 DESC"
            ),
            {"application": params.application},
        ).all()
    named = [f"{row.application} ({row.who}): {row.n}" for row in rows]
    return judged(
        not rows,
        f"{plural(sum(row.n for row in rows), 'session')} still connected: {some(named)}."
        if rows
        else "No session of the application is connected.",
        "Stop the application everywhere, then look again.",
        sessions=named,
    )
