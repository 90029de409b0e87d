"""`nexaops doctor`: what would keep this installation from doing its work. It looks and changes nothing.

Wiring only: what is found here is judged in `jobs.probes.diagnosis`. What cannot be reached ends what needs it, and the
rest is looked at all the same.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy import Connection, text

from jobs.core.cli import console, print_json
from jobs.core.db import Database, open_database
from jobs.core.errors import NexaError, SettingsError
from jobs.core.jobs import load_jobs
from jobs.core.logs import configure_logging
from jobs.core.schema import head, revision, revisions
from jobs.core.settings import Settings, load_settings, unknown_settings
from jobs.horizon.health import age_s, ledger_lag
from jobs.probes.diagnosis import (
    INDEXES,
    PRIVILEGES,
    Finding,
    Line,
    judge_disk,
    judge_indexes,
    judge_jobs,
    judge_migrations,
    judge_privileges,
    judge_server,
    judge_servers,
    judge_telling,
    judge_workers,
)
from jobs.probes.facts import read_facts
from jobs.probes.horizon import look_at
from jobs.probes.indexes import read_indexes
from jobs.probes.samples import Sample, read_before
from jobs.schedule.broken import broken_jobs

_COLOURS = {Finding.OK: "green", Finding.WARN: "yellow", Finding.FAIL: "red"}

# Ours: a table that only grows takes rows and is read, every other one is also changed.
_LACKING = text("""
    SELECT wanted.name, wanted.what FROM (
        SELECT to_regclass(name) AS oid, name, what
        FROM unnest(CAST(:tables AS text[]), CAST(:whats AS text[])) AS given (name, what)
        UNION ALL
        SELECT c.oid, 'ops.' || c.relname, what
        FROM pg_class c CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS what
        WHERE c.relnamespace = to_regnamespace('ops') AND c.relkind = 'r'
          AND (what <> 'UPDATE' OR NOT EXISTS (
                SELECT 1 FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
                WHERE g.tgrelid = c.oid AND p.proname = 'refuse_change'))
    ) AS wanted
    WHERE wanted.oid IS NULL OR NOT has_table_privilege(wanted.oid, wanted.what) ORDER BY 1, 2
""")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at settings, database, Horizon, workers and disk, and say what to mend; exit code 1 if something fails."""
    lines = list(examine())
    if as_json:
        print_json(
            {
                "ok": not any(line.finding is Finding.FAIL for line in lines),
                "lines": [
                    {"finding": line.finding.value, "check": line.check, "says": line.says, "mend": line.mend}
                    for line in lines
                ],
            }
        )
    else:
        for line in lines:
            mend = f" → {line.mend}" if line.mend else ""
            head_ = (f"{line.finding.value:<5} ", _COLOURS[line.finding])
            # One line each, however narrow the terminal: scripts read it too.
            console.print(Text.assemble(head_, f"{line.check:<11} {line.says}", (mend, "bold")), soft_wrap=True)
    if any(line.finding is Finding.FAIL for line in lines):
        raise typer.Exit(1)


def examine() -> Iterator[Line]:
    """Everything, in the order in which one thing needs another."""
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Line(Finding.FAIL, "settings", str(error).rstrip("."), "See .env.example for every setting.")
        return
    configure_logging(settings, component="doctor")
    yield from _settings(settings)
    yield from judge_jobs(len(load_jobs()), broken_jobs())
    try:
        with open_database(settings) as db:
            yield from _database(settings, db)
    except NexaError as error:
        yield Line(Finding.FAIL, "database", str(error).rstrip("."))
        yield Line(Finding.WARN, "horizon", "not asked: what may be asked of it stands in the database")
    yield _disk(settings.home)


def _settings(settings: Settings) -> Iterator[Line]:
    where = "embedded PostgreSQL" if settings.embedded else f"PostgreSQL at {settings.db_host}:{settings.db_port}"
    yield Line(Finding.OK, "settings", f"network {settings.network_label}, {where}")
    for sentence in unknown_settings(os.environ):
        yield Line(Finding.WARN, "settings", sentence.rstrip("."), "Correct the name, or take it out.")
    yield judge_telling(
        len(settings.notice_urls),
        people=bool(settings.person_url.get_secret_value()),
        ping=bool(settings.ping_url.get_secret_value()),
        demo=settings.demo,
    )


def _database(settings: Settings, db: Database) -> Iterator[Line]:
    with db.read() as conn:
        version, user = conn.execute(text("SELECT current_setting('server_version'), current_user")).one()
        yield Line(Finding.OK, "database", f"PostgreSQL {version} answers")
        migrations = judge_migrations(revision(conn), head(), revisions())
        yield migrations
        if migrations.finding is not Finding.OK:
            return
        yield from judge_indexes(read_indexes(conn, {index.table for index in INDEXES}))
        yield from judge_privileges(_lacking(conn), user)
    yield from judge_servers([_server(settings, db, sample) for sample in asyncio.run(_look(settings, db))])
    with db.read() as conn:
        yield from judge_workers(read_facts(conn, settings))


def _lacking(conn: Connection) -> list[tuple[str, str]]:
    wanted = [(table, what) for table, whats in PRIVILEGES.items() for what in whats]
    rows = conn.execute(_LACKING, {"tables": [table for table, _ in wanted], "whats": [what for _, what in wanted]})
    return [(row.name, row.what) for row in rows]


async def _look(settings: Settings, db: Database) -> list[Sample]:
    return await asyncio.gather(*(look_at(db, settings, url, job="doctor") for url in settings.horizon_urls))


def _server(settings: Settings, db: Database, sample: Sample) -> Line:
    good = "answers"
    if sample.root is not None:
        age = age_s(sample.root, sample.now) or 0
        good = f"ledger {sample.root.latest_ledger:,}, {age:.0f} s old, {ledger_lag(sample.root)} behind its core"
    with db.read() as conn:
        left = read_before(conn, sample.server, settings.rate_limit_per_hour).budget_left
    budget = "no limit of requests" if left is None else f"{left:.0%} of the hour's requests left"
    return judge_server(sample.server, sample.judgement, f"{good}, {budget}")


def _disk(home: Path) -> Line:
    there = next(folder for folder in (home, *home.resolve().parents) if folder.exists())
    return judge_disk(str(home), shutil.disk_usage(there).free)
