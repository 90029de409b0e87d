"""backup: the whole database as one file that pg_restore reads, with what proves it later; old ones are taken away.

One snapshot is dumped and counted at the same time: so the manifest beside the dump says exactly what is in it, however
busy the database was, and `verify-backup` and `nexaops restore` have something to compare a restored copy with.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import SecretStr
from sqlalchemy import text

from jobs.core import audit
from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.core.jobs import Cron, Params, Run, job
from jobs.core.kept_files import draft_of, drop_drafts, past_time
from jobs.core.settings import Settings
from jobs.upkeep import files
from jobs.upkeep.crypt import key_of
from jobs.upkeep.dump import dumping, finish_dump
from jobs.upkeep.heed import Stopped
from jobs.upkeep.manifest import Manifest
from jobs.upkeep.survey import export, snapshot, survey


@dataclass(frozen=True, slots=True)
class Backup:
    """One that was made just now."""

    file: Path
    manifest: Manifest
    sha256: str

    @property
    def bytes(self) -> int:
        return self.file.stat().st_size


@job(
    name="backup",
    title="Back the database up",
    does="Writes the whole database into NEXAOPS_HOME/backups with its checksum and a manifest of its tables, encrypted if "
    "NEXAOPS_BACKUP_KEY is set, and deletes backups that are too old.",
    schedule=Cron("0 1 * * *"),
    timeout_s=7200,
    retries=1,
    at_most=1,
    params=Params,
)
def backup(run: Run, _params: Params) -> None:
    """Counts `bytes`, `rows` and `deleted`; a dry run says what it would do."""
    folder, name = files.folder_of(run.settings), files.name_of(run.db)
    for counter in ("bytes", "rows", "deleted"):
        run.count(counter, 0)
    if run.dry_run:
        old = past_time(files.backups_of(folder, name), datetime.now(UTC), run.settings.backup_days)
        run.info("would back up", database_bytes=size_of(run.db), would_delete=len(old))
        return
    began = time.monotonic()
    try:
        made = make_backup(
            run.db, run.settings, actor=f"run:{run.id}", origin="job", should_stop=run.should_stop, seen=run.progress
        )
    except Stopped:
        run.warning("stopped before the end: nothing was kept")
        return
    run.count("bytes", made.bytes)
    run.count("rows", made.manifest.rows)
    run.info("backed up", file=made.file.name, bytes=made.bytes, seconds=round(time.monotonic() - began, 1))
    for old_file in past_time(files.backups_of(folder, name), datetime.now(UTC), run.settings.backup_days):
        files.delete(old_file)
        run.count("deleted")
        run.info("deleted an old backup", file=old_file.name)


def make_backup(
    db: Database,
    settings: Settings,
    *,
    actor: str,
    origin: str,
    should_stop: Callable[[], bool],
    seen: Callable[[int, int], None],
) -> Backup:
    """Makes one backup and records it; `seen` is told bytes done, of how many at most.

    Whatever goes wrong, no half file remains. Raises Stopped, or NexaError with what PostgreSQL or the disk says.
    """
    folder, name, now, key = files.folder_of(settings), files.name_of(db), datetime.now(UTC), key_of(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        drop_drafts(folder, f"{glob.escape(name)}-*", now)
        if before := files.backups_of(folder, name):
            files.require_room(folder, before[-1].stat().st_size, "A backup as large as the last")
        file = files.new_name(folder, name, now, encrypted=key is not None)
        draft = draft_of(file)
        # If somebody else has begun one of that name since, this fails, and theirs is not ours to take away.
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as target:
                manifest = _write(db, target, key, should_stop, seen)
            made = Backup(file, manifest, files.keep(file, manifest))
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NexaError(f"The backup cannot be written into {folder}: {error.strerror}. Nothing was kept.") from error
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.backups (file, made_at, bytes, sha256, encrypted, made_by)"
                " VALUES (:file, :made_at, :bytes, :sha256, :encrypted, :made_by)"
            ),
            {
                "file": file.name, "made_at": manifest.made_at, "bytes": made.bytes, "sha256": made.sha256,
                "encrypted": key is not None, "made_by": actor,
            },
        )  # fmt: skip
        new = {"file": file.name, "bytes": made.bytes, "sha256": made.sha256}
        audit.record(conn, audit.AuditRow(actor, "backup.made", "backup", file.name, origin, new=new))
    return made


def _write(
    db: Database,
    target: IO[bytes],
    key: SecretStr | None,
    should_stop: Callable[[], bool],
    seen: Callable[[int, int], None],
) -> Manifest:
    """Dumps and counts one snapshot at the same time."""
    size = size_of(db)

    def tell(*_tables: int) -> None:
        seen(min(os.fstat(target.fileno()).st_size, size), size)

    with snapshot(db) as conn, dumping(db, target, export(conn), key) as child:
        manifest = survey(conn, should_stop, tell)
        finish_dump(child, should_stop, tell)
    return manifest


def size_of(db: Database) -> int:
    """The database's bytes on the server's disk."""
    with db.read() as conn:
        return int(conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
