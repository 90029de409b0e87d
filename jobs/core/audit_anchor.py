"""The head of the audit chain, written down where the database cannot reach: truncation and rewriting show there.

Whoever can rewrite the whole database can rewrite the chain with it, but not a file on another host. Each host that runs
a worker, or verifies, keeps its own, `NEXAOPS_HOME/audit-anchor.jsonl`: a line whenever the chain has grown, one a minute
at most. A line names its database as the settings do, so that several databases may share the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from jobs.core.audit_chain import Anchor, Head
from jobs.core.errors import NexaError
from jobs.core.logs import get_logger
from jobs.core.settings import Settings

log = get_logger(__name__)
EVERY = timedelta(minutes=1)
_TAIL_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """The file in which one host writes down the heads of one database's chain."""

    path: Path
    database: str

    @classmethod
    def of(cls, settings: Settings) -> AnchorFile:
        """This host's own, for the database of the settings."""
        where = "embedded" if settings.embedded else f"{settings.db_host}:{settings.db_port}"
        return cls(settings.home / "audit-anchor.jsonl", f"{where}/{settings.db_name}")

    def write(self, head: Head, *, last: Anchor | None) -> bool:
        """Writes the head down, and logs it, if it has moved since the `last` line and that is a minute old."""
        now = datetime.now(UTC)
        if head.seq == (last.seq if last else 0) or (last and now - datetime.fromisoformat(last.at) < EVERY):
            return False
        at = now.isoformat(timespec="seconds")
        line = orjson.dumps({"database": self.database, "seq": head.seq, "hash": head.hash.hex(), "at": at})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Appended in one write: another process of this host may do the same at this moment.
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        log.info("audit trail anchored", seq=head.seq, hash=head.hash.hex())
        return True

    def last(self) -> Anchor | None:
        """The newest line about this database, of the last ones in the file."""
        try:
            with self.path.open("rb") as file:
                start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
                file.seek(start)
                lines = file.read().split(b"\n")[1 if start else 0 : -1]
        except FileNotFoundError:
            return None
        found = [anchor for line in lines if (anchor := _anchor(line, self.path, self.database)) is not None]
        return found[-1] if found else None

    def read(self) -> list[Anchor]:
        """Every line about this database; none where there is no file yet."""
        return list(read_anchors(self.path, self.database)) if self.path.exists() else []


def read_anchors(path: Path, database: str | None = None) -> Iterator[Anchor]:
    """The lines of a file, those about one database or all.

    A last line without its end was cut short when the power went, and is left out. Raises NexaError for a line that
    cannot be read, and for a file that cannot.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n") and (anchor := _anchor(line, path, database)) is not None:
                    yield anchor
    except OSError as error:
        raise NexaError(f"The anchors in {path} cannot be read: {error.strerror}.") from error


def _anchor(line: bytes, path: Path, database: str | None) -> Anchor | None:
    try:
        value = orjson.loads(line)
        anchor = Anchor(int(value["seq"]), bytes.fromhex(value["hash"]), str(value["at"]), path.name)
        datetime.fromisoformat(anchor.at)
    except (ValueError, KeyError, TypeError):
        raise NexaError(
            f"A line of {path} is no anchor: {line[:60].decode(errors='replace')!r}. Nobody but the sealer writes there: "
            "ask who has changed it."
        ) from None
    return anchor if database is None or value.get("database") == database else None
