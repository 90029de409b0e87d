"""backup: the whole database as one file that pg_restore reads, with its checksum, and old ones taken away.

It is written beside its name and gets it last, when it is whole and on the disk: so a file with the name of a backup is
one, whatever happened in between. The checksum comes before, since a checksum alone is nothing to restore from.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import text

from jobs.core import audit
from jobs.core.jobs import Cron, Params, Run, job
from jobs.upkeep.dump import dump, find_pg_dump, server_major

_LEFT_BEHIND_S = 86_400


@job(
    name="backup",
    title="Back the database up",
    does="Writes the whole database into NEXAOPS_HOME/backups with its checksum, and deletes backups that are too old.",
    schedule=Cron("0 1 * * *"),
    timeout_s=7200,
    retries=1,
    at_most=1,
    params=Params,
)
def backup(run: Run, _params: Params) -> None:
    """Counts `bytes` and `deleted`; a dry run says what it would do."""
    folder = run.settings.home / "backups"
    program = find_pg_dump(server_major(run.db))
    made = datetime.now(UTC)
    # Quoted, so that two databases never share a name and neither takes the other's backups for its own.
    name = quote(str(run.db.url.database), safe="")
    file = folder / f"{name}-{made:%Y%m%dT%H%M%SZ}.dump"
    with run.db.read() as conn:
        size = int(conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    run.count("bytes", 0)
    run.count("deleted", 0)
    if run.dry_run:
        old = _old(folder, name, file, run.settings.backup_days)
        run.info("would back up", file=file.name, database_bytes=size, would_delete=len(old))
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for left in folder.glob(f"{glob.escape(name)}-*.part"):
        # Of a run that was killed; one under way is younger than any run may become.
        if made.timestamp() - left.stat().st_mtime > _LEFT_BEHIND_S:
            left.unlink(missing_ok=True)
    draft = file.with_suffix(".part")
    began = time.monotonic()
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        whole = dump(
            run.db, program, draft, should_stop=run.should_stop,
            seen=lambda: run.progress(min(draft.stat().st_size, size), size),
        )  # fmt: skip
        if not whole:
            run.warning("stopped before the end: nothing was kept")
            return
        digest = _keep(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    run.count("bytes", file.stat().st_size)
    run.info("backed up", file=file.name, bytes=file.stat().st_size, seconds=round(time.monotonic() - began, 1))
    with run.db.begin() as conn:
        new = {"file": file.name, "bytes": file.stat().st_size, "sha256": digest}
        audit.record(conn, audit.AuditRow(f"run:{run.id}", "backup.made", "backup", file.name, "job", new=new))
    for old_file in _old(folder, name, file, run.settings.backup_days):
        old_file.unlink(missing_ok=True)
        old_file.with_name(f"{old_file.name}.sha256").unlink(missing_ok=True)
        run.count("deleted")
        run.info("deleted an old backup", file=old_file.name)


def _keep(draft: Path, file: Path) -> str:
    """Gives a whole dump its name, after its checksum; both on the disk. Returns the SHA-256."""
    with draft.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    checksum = file.with_name(f"{file.name}.sha256")
    with os.fdopen(os.open(checksum, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
        out.write(f"{digest}  {file.name}\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest


def _old(folder: Path, name: str, newest: Path, days: int) -> list[Path]:
    """This database's backups that are past their time once there is `newest`; never that one, never another's."""
    ours = re.compile(rf"{re.escape(name)}-\d{{8}}T\d{{6}}Z\.dump")
    limit = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    return sorted(
        file
        for file in folder.glob("*.dump")
        if ours.fullmatch(file.name) and file != newest and file.stat().st_mtime < limit
    )
