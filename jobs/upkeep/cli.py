"""`nexaops restore`: shows what would be lost, copies it, asks, restores, and says where the old one is."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import psycopg
import typer
from rich.table import Table

from jobs.core.audit_anchor import AnchorFile
from jobs.core.cli import acting_user, console
from jobs.core.db import Database, open_database
from jobs.core.errors import NexaError, UsageError
from jobs.core.logs import configure_logging
from jobs.core.schema import head, revision
from jobs.core.settings import Settings, load_settings
from jobs.upkeep import files
from jobs.upkeep.backup import make_backup
from jobs.upkeep.crypt import SUFFIX, key_of
from jobs.upkeep.manifest import Manifest
from jobs.upkeep.restore import Losses, is_empty, losses, require_no_workers, require_restorable
from jobs.upkeep.restore import restore as put_in_place
from jobs.upkeep.survey import snapshot, survey


def restore(
    file: Annotated[
        Path, typer.Argument(help="The backup: NAME.dump or NAME.dump.age, as a path or as named in backups.")
    ],
    database: Annotated[
        str | None, typer.Option(help="The database's name, typed here instead of when asked; with --yes.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; --database must name the database.")] = False,
    no_safety_copy: Annotated[
        bool, typer.Option("--no-safety-copy", help="For a database that is too damaged to be backed up.")
    ] = False,
) -> None:
    """Put a backup in the place of the database: shows what is lost, takes a safety copy, asks for the database's name."""
    settings = load_settings()
    configure_logging(settings, component="restore")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    asked = at_a_terminal() and not yes
    if not asked and not (yes and database):
        raise UsageError("Nobody can be asked here: give --database NAME and --yes, if that is what is meant.")
    file = _found(file, settings)
    manifest, _ = files.read_backup(file)
    if file.suffix == SUFFIX and key_of(settings) is None:
        raise UsageError(f"{file.name} is encrypted: set NEXAOPS_BACKUP_KEY to the key that it was made with.")
    with open_database(settings) as db:
        name = str(db.url.database)
        if database not in (None, name):
            raise UsageError(f"The database is called {name}, not {database}: nothing was changed.")
        require_restorable(db, manifest)
        require_no_workers(db)
        console.print(
            f"{file.name}: {manifest.database} as it was at {_at(manifest.made_at)}, {_ago(manifest.made_at)} ago; "
            f"{len(manifest.tables)} tables, {manifest.rows:,} rows."
        )
        console.print(
            f"It is to replace {name} {'in ' + str(settings.home) if settings.embedded else 'on ' + str(db.url.host)}."
        )
        safety_copy = _safety_copy(db, settings, manifest, skip=no_safety_copy)
        if asked and database is None and typer.prompt(f"Type the database's name ({name}) to restore it") != name:
            raise UsageError("That is not its name: nothing was changed.")
        ended = put_in_place(
            db, settings, file, manifest, actor=acting_user(), safety_copy=safety_copy, say=console.print
        )
        _look_again(db)
        console.print(f"{name} is restored: {ended.rows:,} rows, each table as it was backed up.")
        console.print(f"The old database stays as {ended.kept}: drop it when nobody misses anything.")
        if safety_copy is not None:
            console.print(f"Its safety copy is {files.folder_of(settings) / safety_copy}.")
        anchors = AnchorFile.of(settings).path
        if anchors.exists():
            console.print(
                f"Move {anchors} aside and keep it: it anchors rows of the audit trail that came after the backup."
            )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """What is half done is taken away on the way out, also where somebody ends this from afar."""
    raise KeyboardInterrupt


def at_a_terminal() -> bool:
    """Whether there is somebody who can be asked."""
    return sys.stdin.isatty()


def _found(file: Path, settings: Settings) -> Path:
    inside = files.folder_of(settings) / file
    if not file.exists() and inside.exists():
        return inside
    if not file.exists():
        raise UsageError(f"There is no {file}: see {files.folder_of(settings)}.")
    return file


def _safety_copy(db: Database, settings: Settings, manifest: Manifest, *, skip: bool) -> str | None:
    """Copies what is there and shows what of it is lost; the name of the copy, None where there is none."""
    if is_empty(db):
        console.print("There is nothing in it that could be lost.")
        return None
    if skip:
        try:
            with snapshot(db) as conn:
                _show(losses(db, manifest, survey(conn, lambda: False)))
        except psycopg.Error as error:
            console.print(f"What is lost cannot be read: {str(error).splitlines()[0]}")
        return None
    console.print("Taking a safety copy …")
    try:
        made = make_backup(
            db, settings, actor=acting_user(), origin="cli", should_stop=lambda: False, seen=lambda *_: None
        )
    except (NexaError, psycopg.Error) as error:
        raise NexaError(
            f"The database cannot be backed up before it is replaced ({str(error).splitlines()[0].rstrip('.')}): nothing "
            "was changed. If it is damaged, --no-safety-copy goes on without one; the old database stays under another name."
        ) from error
    console.print(f"Safety copy: {made.file}")
    _show(losses(db, manifest, made.manifest))
    return made.file.name


def _show(lost: Losses) -> None:
    if not lost.tables:
        console.print("The database is exactly as in the backup: nothing is lost.")
        return
    console.print(f"Lost is what came or changed since {_at(lost.since)}:")
    table = Table("table", "rows then", "rows now", "of these since", box=None)
    for one in lost.tables:
        table.add_row(
            one.table, f"{one.then:,}", f"{one.now:,}", "not known" if one.newer is None else f"{one.newer:,}"
        )
    console.print(table)
    if lost.of_note:
        console.print("Among it: " + ", ".join(f"{what} {count:,}" for what, count in lost.of_note.items()) + ".")


def _look_again(db: Database) -> None:
    """The database under its own name, over a new connection: it answers, and is the one that was compared."""
    with db.read() as conn:
        if (found := revision(conn)) != head():
            raise NexaError(f"The restored database is at revision {found} instead of {head()}: run `nexaops migrate`.")


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(moment: datetime) -> str:
    minutes = max(0, int((datetime.now(UTC) - moment).total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
