"""Files that are kept for some days, each with its checksum beside it: backups and incident bundles.

A file gets its name last, when it and its checksum are on the disk: so one with its name is whole, whatever happened in
between. What a process that was killed has left is a draft, and goes with the next file that is made.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

_LEFT_BEHIND = timedelta(days=1)


def draft_of(file: Path) -> Path:
    """What a file is called until it is whole."""
    return file.with_name(f"{file.name}.part")


def checksums_of(file: Path) -> Path:
    """Where its checksum stands, as `sha256sum --check` reads it."""
    return file.with_name(f"{file.name}.sha256")


def sha256_of(file: Path) -> str:
    """The SHA-256 of what is in a file; raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(file: Path, content: bytes) -> None:
    """Writes a small file that only its owner reads, to the disk."""
    with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def name_draft(file: Path, checksums: bytes) -> None:
    """Gives a whole draft its name, after its checksums, all on the disk."""
    draft = draft_of(file)
    _to_disk(draft)
    write_whole(checksums_of(file), checksums)
    draft.replace(file)
    _to_disk(file.parent)


def drop_drafts(folder: Path, pattern: str, now: datetime) -> None:
    """Takes away drafts that were left behind; one under way is younger than any run may become."""
    for left in folder.glob(f"{pattern}.part"):
        if left.stat().st_mtime < (now - _LEFT_BEHIND).timestamp():
            left.unlink(missing_ok=True)


def past_time(files: Sequence[Path], now: datetime, days: int) -> list[Path]:
    """Those of these files, the oldest first, that are past their time; never the newest."""
    limit = (now - timedelta(days=days)).timestamp()
    return [file for file in files[:-1] if file.stat().st_mtime < limit]


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
