"""verify-backup: the newest backup is restored into a scratch database and compared with its manifest.

A backup that was never restored is a hope. The scratch database has one name for each database, so whatever a killed run
left is found by the next one; nobody may be connected to it then, which also keeps two runs apart.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import text

from jobs.core import audit
from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError
from jobs.core.jobs import Cron, Params, Run, job
from jobs.upkeep import files
from jobs.upkeep.backup import size_of
from jobs.upkeep.crypt import SUFFIX, key_of
from jobs.upkeep.databases import administering, create_like, drop, drop_if_idle, orphans, scratch_name
from jobs.upkeep.dump import load
from jobs.upkeep.heed import Stopped
from jobs.upkeep.manifest import BadBackup, Manifest, differences, in_one_sentence
from jobs.upkeep.survey import snapshot, survey


@job(
    name="verify-backup",
    title="Verify the newest backup",
    does="Restores the newest backup into a scratch database, compares rows and checksums of every table with its "
    "manifest, and drops it again; fails, and says what differs, if it is not what was backed up.",
    schedule=Cron("0 5 * * sun"),
    timeout_s=14_400,
    retries=1,
    params=Params,
)
def verify_backup(run: Run, _params: Params) -> None:
    """Counts `tables`, `rows` and `differing`; the verdict stands in ops.backups and in the audit trail."""
    found = files.backups_of(files.folder_of(run.settings), files.name_of(run.db))
    if not found:
        raise NexaError(f"There is no backup in {files.folder_of(run.settings)}: run the job `backup` first.")
    file = found[-1]
    run.info("verifying", file=file.name)
    if run.dry_run:
        return
    manifest, digest = None, ""
    try:
        manifest, digest = files.read_backup(file)
        told = differences(manifest, _restored(run, file, manifest))
    except Stopped:
        run.warning("stopped before the end: nothing was decided")
        return
    except BadBackup as error:
        told = [str(error).rstrip(".")]
    if manifest is not None:
        run.count("tables", len(manifest.tables))
        run.count("rows", manifest.rows)
    run.count("differing", len(told))
    problem = in_one_sentence(told) or None
    _record(run, file, digest, problem)
    if problem is not None:
        raise NexaError(f"The backup {file.name} does not restore to what was backed up: {problem}.")
    run.info("verified", file=file.name)


def _restored(run: Run, file: Path, manifest: Manifest) -> Manifest:
    """What is in the backup, once it has become a database; that database is gone afterwards, whatever happens."""
    if run.settings.embedded:
        files.require_room(run.settings.home, size_of(run.db), "A copy of the database")
    with administering(run.db) as admin:
        name = scratch_name(admin, str(run.db.url.database))
        for left in (name, *orphans(admin)):
            if not drop_if_idle(admin, left) and left == name:
                raise Conflict(f"Somebody is connected to {name}: another run verifies a backup, or look who it is.")
        create_like(admin, name, str(run.db.url.database), whole=False)
        copy = Database(run.db.url.set(database=name), pool_size=1)
        try:
            # Held open, so that a run which finds the database meanwhile cannot take it for left behind.
            with psycopg.connect(copy.conninfo):
                total, key = file.stat().st_size, key_of(run.settings)
                load(copy, file, key, owners=False, should_stop=run.should_stop, seen=lambda: run.progress(0, total))
                with snapshot(copy) as conn:
                    found = survey(conn, run.should_stop, run.progress)
        finally:
            copy.close()
            drop(admin, name)
    return found.model_copy(update={"database": manifest.database})


def _record(run: Run, file: Path, digest: str, problem: str | None) -> None:
    values = {
        "file": file.name, "made_at": datetime.fromtimestamp(file.stat().st_mtime, UTC), "bytes": file.stat().st_size,
        "sha256": digest, "encrypted": file.suffix == SUFFIX, "by": f"run:{run.id}", "problem": problem,
    }  # fmt: skip
    with run.db.begin() as conn:
        # A backup may be older than the database that it lies beside: restored from an older one.
        conn.execute(
            text(
                "INSERT INTO ops.backups (file, made_at, bytes, sha256, encrypted, made_by, verified_at, verified_by, problem)"
                " VALUES (:file, :made_at, :bytes, :sha256, :encrypted, 'unknown', now(), :by, :problem)"
                " ON CONFLICT (file) DO UPDATE SET verified_at = excluded.verified_at,"
                " verified_by = excluded.verified_by, problem = excluded.problem"
            ),
            values,
        )
        new = {"file": file.name, "problem": problem}
        audit.record(conn, audit.AuditRow(f"run:{run.id}", "backup.verified", "backup", file.name, "job", new=new))
