"""Backups as files: DATABASE-TIME.dump, or .dump.age where it is encrypted, each with two files beside it.

NAME.json is its manifest, NAME.sha256 holds the checksums of both, as `sha256sum --check` reads them. A backup gets its
name last, when all of it is on the disk: so a file with the name of a backup is one, whatever happened in between.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.core.kept_files import checksums_of, draft_of, name_draft, sha256_of, write_whole
from jobs.core.settings import Settings
from jobs.upkeep.crypt import SUFFIX
from jobs.upkeep.manifest import BadBackup, Manifest

_MIB = 1 << 20


def folder_of(settings: Settings) -> Path:
    """Where backups lie."""
    return settings.home / "backups"


def name_of(db: Database) -> str:
    """The database's name as files bear it: quoted, so that neither of two takes the other's backups for its own."""
    return quote(str(db.url.database), safe="")


def backups_of(folder: Path, database: str) -> list[Path]:
    """The backups of one database, the oldest first."""
    ours = re.compile(rf"{re.escape(database)}-\d{{8}}T\d{{6}}Z\.dump({re.escape(SUFFIX)})?")
    return sorted(file for file in folder.glob("*.dump*") if ours.fullmatch(file.name))


def new_name(folder: Path, database: str, now: datetime, *, encrypted: bool) -> Path:
    """The name of a backup that begins now; a second later for each that has the name already."""
    while True:
        plain = folder / f"{database}-{now:%Y%m%dT%H%M%SZ}.dump"
        sealed = plain.with_name(f"{plain.name}{SUFFIX}")
        if not any(one.exists() for name in (plain, sealed) for one in (name, draft_of(name))):
            return sealed if encrypted else plain
        now += timedelta(seconds=1)


def require_room(folder: Path, needed: int, what: str) -> None:
    """NexaError if the disk cannot take so many bytes: one that is filled is also the embedded database's."""
    free = shutil.disk_usage(folder).free
    if free < needed * 1.1:
        raise NexaError(
            f"{what} needs {needed // _MIB:,} MiB, and the disk of {folder} has {free // _MIB:,} MiB free: make room, or "
            "keep fewer backups with NEXAOPS_BACKUP_DAYS."
        )


def delete(file: Path) -> None:
    """Takes a backup away with what lies beside it; itself first, because alone the rest claims nothing."""
    for one in (file, _manifest_of(file), checksums_of(file)):
        one.unlink(missing_ok=True)


def keep(file: Path, manifest: Manifest) -> str:
    """Gives a whole draft its name, after its manifest and the checksums of both. Returns its SHA-256."""
    digest, said = sha256_of(draft_of(file)), manifest.model_dump_json(indent=1).encode()
    write_whole(_manifest_of(file), said)
    beside = f"{digest}  {file.name}\n{hashlib.sha256(said).hexdigest()}  {_manifest_of(file).name}\n"
    name_draft(file, beside.encode())
    return digest


def read_backup(file: Path) -> tuple[Manifest, str]:
    """The manifest and the SHA-256 of a whole backup; BadBackup if it is not whole or was made by something else."""
    try:
        said = _manifest_of(file).read_bytes()
        beside = checksums_of(file).read_text(encoding="utf-8")
        digest = sha256_of(file)
    except OSError as error:
        raise BadBackup(
            f"{error.filename} cannot be read ({error.strerror}): a backup is three files, NAME.dump, NAME.dump.json and "
            "NAME.dump.sha256 (with .dump.age where it is encrypted), in one folder."
        ) from error
    for name, counted in ((file.name, digest), (_manifest_of(file).name, hashlib.sha256(said).hexdigest())):
        if f"{counted}  {name}" not in beside.splitlines():
            raise BadBackup(f"{name} is not what it was: its checksum is not the one in {checksums_of(file).name}.")
    try:
        return Manifest.model_validate_json(said), digest
    except ValidationError as error:
        raise BadBackup(f"{_manifest_of(file).name} is not the manifest of a backup: take another backup.") from error


def _manifest_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")
