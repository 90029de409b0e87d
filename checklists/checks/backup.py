"""Backups, archives and incident bundles as files: `NAME.dump` or, encrypted, `NAME.dump.age` in NEXAOPS_HOME/backups,
`NAME` in its archives or bundles.

Beside each stands `NAME.sha256` with the checksum, as `sha256sum` writes it. A file without one, or with another, proves
nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from sqlalchemy import text

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, passed
from checklists.checks.reach import age
from checklists.grammar import Duration
from jobs.core.kept_files import checksums_of, sha256_of
from jobs.probes.units import size


class LatestParams(CheckParams):
    """How old and how small a backup may be."""

    within: Duration = Field(timedelta(hours=24), description="made within")
    least_kib: int = Field(1, ge=1, description="KiB at least")


@check("backup.latest", title="There is a fresh, whole backup", params=LatestParams, timeout_s=900)
def latest(context: CheckContext, params: LatestParams) -> CheckResult:
    """The newest backup: its age, its size, and its checksum counted again."""
    folder = context.settings.home / "backups"
    newest = _newest(folder, "*.dump", "*.dump.age")
    if newest is None:
        return failed(
            f"There is no backup in {folder}.",
            "Make one with pg_dump --format=custom, and its NAME.dump.sha256 with sha256sum, before going on.",
        )
    return _judge(newest, context, params.least_kib * 1024, context.now - params.within, f"within {age(params.within)}")


class VerifiedParams(CheckParams):
    """How long ago a backup may have been restored to prove it."""

    within: Duration = Field(timedelta(days=8), description="verified within")


@check("backup.verified", title="A backup was restored and compared", params=VerifiedParams)
def verified(context: CheckContext, params: VerifiedParams) -> CheckResult:
    """The last verification by the job `verify-backup`, and when the backup that it proved was made."""
    with context.db.read() as conn:
        row = conn.execute(
            text(
                "SELECT file, made_at, verified_at, problem FROM ops.backups WHERE verified_at IS NOT NULL"
                " ORDER BY verified_at DESC LIMIT 1"
            )
        ).one_or_none()
    if row is None:
        return failed("No backup was ever restored to prove it.", "Run the job verify-backup.")
    seen = f"{row.file} of {row.made_at:%Y-%m-%d %H:%M} UTC, restored {row.verified_at:%Y-%m-%d %H:%M} UTC"
    if row.problem is not None:
        return failed(f"{seen}: {row.problem}.", "Run the job backup, then verify-backup.")
    if row.verified_at < context.now - params.within:
        return failed(f"{seen}: not within {age(params.within)}.", "Run the job verify-backup.")
    return passed(f"{seen}, with the same rows and checksums.", file=row.file, made_at=row.made_at.isoformat())


class ArchiveParams(CheckParams):
    """Which archive."""

    pattern: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._*-]*$", max_length=100, description="its name, with *")
    folder: Literal["archives", "bundles"] = Field("archives", description="in which folder of NEXAOPS_HOME")
    within: Duration | None = Field(None, description="made within; empty: since this checklist's run began")


@check("backup.archive", title="The archive exists and is whole", params=ArchiveParams, timeout_s=900)
def archive(context: CheckContext, params: ArchiveParams) -> CheckResult:
    """The newest file of that name, and its checksum counted again."""
    folder = context.settings.home / params.folder
    newest = _newest(folder, params.pattern)
    if newest is None:
        return failed(
            f"There is no {params.pattern} in {folder}.",
            "Run the job incident-bundle."
            if params.folder == "bundles"
            else "Put it there with its checksum: sha256sum FILE > FILE.sha256.",
        )
    since = context.started_at if params.within is None else context.now - params.within
    return _judge(newest, context, 1, since, f"since {since:%Y-%m-%d %H:%M} UTC")


def _newest(folder: Path, *patterns: str) -> Path | None:
    found = [
        file for pattern in patterns for file in folder.glob(pattern) if file.is_file() and file.suffix != ".sha256"
    ]
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def _judge(file: Path, context: CheckContext, least: int, since: datetime, when: str) -> CheckResult:
    stat = file.stat()
    made = datetime.fromtimestamp(stat.st_mtime, UTC)
    seen = f"{file.name} of {made:%Y-%m-%d %H:%M} UTC, {size(stat.st_size)}"
    if stat.st_size < least:
        return failed(f"{seen}: too small to be whole.", "Make another one, and see why this one is not whole.")
    if made > context.now + timedelta(minutes=5):
        return failed(f"{seen}: its time lies in the future.", "Set the clock of the host that wrote it right.")
    if made < since:
        return failed(f"{seen}: the newest is not made {when}.", "Make a new one.")
    try:
        written = checksums_of(file).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise Unable(
            f"{seen}: its checksum cannot be read.", f"Write {file.name}.sha256 when the file is made."
        ) from error
    expected = re.match(r"[0-9a-fA-F]{64}\b", written)
    if expected is None:
        raise Unable(f"{seen}: {file.name}.sha256 holds no checksum.", "Write it as `sha256sum` does.")
    counted = sha256_of(file)
    if counted != expected[0].lower():
        return failed(
            f"{seen}: its checksum is not the one beside it.", "Do not use it: make another one.", sha256=counted
        )
    return passed(f"{seen}, with the right checksum.", file=file.name, bytes=stat.st_size, sha256=counted)
