"""Puts a backup in the place of the database, so that whatever fails on the way leaves the old one as it was.

The backup becomes a database of its own beside the old one, is compared with its manifest and migrated; only then both
are renamed in one transaction. The old database stays under another name, so that nothing is lost even by the right
decision: what was written between the safety copy and the renaming is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import text

from jobs.core import audit
from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError
from jobs.core.schema import head, revisions
from jobs.core.settings import Settings
from jobs.probes.attention import BEAT_LOST_S
from jobs.upgrade import upgrade
from jobs.upkeep import files
from jobs.upkeep.backup import size_of
from jobs.upkeep.crypt import key_of
from jobs.upkeep.databases import administering, create_like, drop, drop_if_idle, scratch_name, swap
from jobs.upkeep.dump import load
from jobs.upkeep.manifest import BadBackup, Manifest, changed, differences, in_one_sentence
from jobs.upkeep.programs import server_major
from jobs.upkeep.survey import snapshot, survey

_LONGEST_NAME = 63  # bytes

_SINCE = {
    "runs": "SELECT count(*) FROM ops.runs WHERE queued_at > %s AND queued_at <= %s",
    "settled transactions": "SELECT count(*) FROM ops.decisions WHERE at > %s AND at <= %s AND NOT dry_run"
    " AND verdict NOT IN ('keep', 'case')",
    "rows of the audit trail": "SELECT count(*) FROM ops.audit WHERE at > %s AND at <= %s",
}
# When a row came: the first column that a new row fills with the time by itself.
_CAME = """
SELECT a.attname FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(%s) AND a.atttypid = 'timestamptz'::regtype
  AND pg_get_expr(d.adbin, d.adrelid) IN ('now()', 'clock_timestamp()', 'CURRENT_TIMESTAMP')
ORDER BY a.attnum LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Loss:
    """One table that is not what it was: rows in the backup and now, and how many of these came since (None: unknown)."""

    table: str
    then: int
    now: int
    newer: int | None


@dataclass(frozen=True, slots=True)
class Losses:
    """What the database would lose."""

    since: datetime
    tables: Sequence[Loss]
    of_note: dict[str, int]
    """Runs, settled transactions and the like since the backup; only what there is."""


def require_restorable(db: Database, manifest: Manifest) -> None:
    """NexaError if this version of the desk or the server cannot work with what is in the backup."""
    if manifest.revision is not None and manifest.revision not in revisions():
        raise NexaError(
            f"The backup is of a newer version of nexaops (revision {manifest.revision}, this one knows {head()}): "
            "upgrade first."
        )
    if manifest.server > (major := server_major(db)):
        raise NexaError(
            f"The backup is of PostgreSQL {manifest.server}, and the server is {major}: restore it on a newer one."
        )


def require_no_workers(db: Database) -> None:
    """Conflict as long as a worker beats: it would go on with what it read from the old database."""
    with db.read() as conn:
        if conn.execute(text("SELECT to_regclass('ops.workers')")).scalar() is None:
            return
        hosts = conn.execute(
            text(
                "SELECT DISTINCT host FROM ops.workers"
                " WHERE stopped_at IS NULL AND beat_at > now() - make_interval(secs => :lost) ORDER BY host"
            ),
            {"lost": BEAT_LOST_S},
        ).scalars()
        if beating := list(hosts):
            raise Conflict(
                f"A worker runs on {', '.join(beating)}: stop it first (Ctrl-C in `nexaops up` or `nexaops worker`; one "
                f"that was killed counts as gone after {BEAT_LOST_S} s)."
            )


def is_empty(db: Database) -> bool:
    """Whether there is nothing to lose: no table at all."""
    with db.read() as conn:
        return not conn.execute(
            text(
                "SELECT EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND CAST(relnamespace::regnamespace AS text)"
                " NOT IN ('pg_catalog', 'information_schema'))"
            )
        ).scalar_one()


def losses(db: Database, backup: Manifest, now: Manifest) -> Losses:
    """What is in the database and not in the backup, table by table."""
    tables, of_note = [], {}
    between = (backup.made_at, now.made_at)
    with snapshot(db) as conn:
        for name, (then, there) in changed(backup, now).items():
            schema, _, plain = name.rpartition(".")
            tables.append(Loss(name, then, there, _newer(conn, schema or "public", plain, between)))
        for what, statement in _SINCE.items():
            try:
                with conn.transaction():
                    row = conn.execute(statement.encode(), between).fetchone()
            except psycopg.errors.UndefinedTable:
                continue
            if row and row[0]:
                of_note[what] = int(row[0])
    return Losses(backup.made_at, tables, of_note)


def _newer(
    conn: psycopg.Connection[tuple[Any, ...]], schema: str, table: str, between: tuple[datetime, datetime]
) -> int | None:
    named = sql.Identifier(schema, table)
    column = conn.execute(_CAME, (named.as_string(conn),)).fetchone()
    if column is None:
        return None
    counted = conn.execute(
        sql.SQL("SELECT count(*) FROM ONLY {0} WHERE {1} > %s AND {1} <= %s").format(named, sql.Identifier(column[0])),
        between,
    ).fetchone()
    return int(counted[0]) if counted else None


@dataclass(frozen=True, slots=True)
class Restored:
    """How a restore ended: the name that the old database has now, and how many rows were compared."""

    kept: str
    rows: int


def restore(
    db: Database,
    settings: Settings,
    file: Path,
    manifest: Manifest,
    *,
    actor: str,
    safety_copy: str | None,
    say: Callable[[str], None],
) -> Restored:
    """Restores a backup beside the database, compares, migrates and swaps. `say` is told what is being done.

    Raises BadBackup if the copy is not what was backed up, Conflict if workers or others do not let go of the old one;
    that is untouched then. To be called with nobody else's connection of `db` open.
    """
    name = str(db.url.database)
    if settings.embedded:
        files.require_room(settings.home, size_of(db), "The restored database beside the old one")
    with administering(db) as admin:
        new = f"{scratch_name(admin, name)}_new"
        if not drop_if_idle(admin, new):
            raise Conflict(f"Somebody is connected to {new}: another restore is under way, or look who it is.")
        create_like(admin, new, name, whole=True)
        copy = Database(db.url.set(database=new), pool_size=1)
        try:
            say("Restoring beside the database …")
            load(copy, file, key_of(settings), owners=True, should_stop=lambda: False, seen=lambda: None)
            say("Comparing every table with the backup's manifest …")
            with snapshot(copy) as conn:
                found = survey(conn, lambda: False)
            if told := differences(manifest, found):
                raise BadBackup(f"What was restored is not what was backed up: {in_one_sentence(told)}.")
            upgrade(copy)
            _record(copy, file, manifest, actor, safety_copy)
            with copy.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as statistics:
                statistics.execute(text("ANALYZE"))  # a dump brings no statistics; without them plans are bad for hours
            copy.close()
            require_no_workers(db)
            kept = f"{name.encode()[: _LONGEST_NAME - 24].decode(errors='ignore')}_before_{datetime.now(UTC):%Y%m%d_%H%M%S}"
            db.close()
            say("Swapping the two …")
            swap(admin, name, new=new, kept=kept)
        except BaseException:
            copy.close()
            drop(admin, new)
            raise
    return Restored(kept, found.rows)


def _record(copy: Database, file: Path, manifest: Manifest, actor: str, safety_copy: str | None) -> None:
    new = {"file": file.name, "made_at": manifest.made_at.isoformat(), "safety_copy": safety_copy}
    with copy.begin() as conn:
        audit.record(conn, audit.AuditRow(actor, "database.restored", "backup", file.name, "cli", new=new))
