"""One database into one file and back, through pg_dump and pg_restore, encrypted on the way if there is a key."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from jobs.core.db import Database
from jobs.core.errors import NexaError, UsageError
from jobs.upkeep import crypt
from jobs.upkeep.manifest import BadBackup
from jobs.upkeep.programs import Child, find_program, server_major

# Of a pg_restore that is newer than the server; everything that it restores is compared afterwards anyway.
_HARMLESS = 'unrecognized configuration parameter "transaction_timeout"'


@contextmanager
def dumping(db: Database, target: IO[bytes], snapshot: str, key: SecretStr | None) -> Iterator[Child]:
    """pg_dump of an exported snapshot under way into `target`; to be waited for by `finish_dump`."""
    program = find_program("pg_dump", server_major(db))
    command = [str(program), "--format=custom", "--no-password", f"--snapshot={snapshot}"]
    with Child(db, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if key else target) as child:
        if key and (source := child.process.stdout):
            child.pump(lambda: crypt.seal(source, target, key), source)
        yield child


def finish_dump(child: Child, should_stop: Callable[[], bool], seen: Callable[[], None]) -> None:
    """Waits for the whole dump; raises Stopped, or NexaError with pg_dump's own first words."""
    said = child.wait(should_stop, seen)
    if code := child.process.returncode:
        raise NexaError(f"pg_dump failed ({code}): {said[0] if said else 'it said nothing'}")


def load(
    db: Database,
    file: Path,
    key: SecretStr | None,
    *,
    owners: bool,
    should_stop: Callable[[], bool],
    seen: Callable[[], None],
) -> None:
    """Restores a backup into an empty database; with `owners` as it was, without them only what a comparison needs.

    Raises Stopped, UsageError if the file is encrypted and there is no key, or BadBackup with pg_restore's own words.
    """
    program = find_program("pg_restore", server_major(db))
    command = [str(program), "--no-password", f"--dbname={make_conninfo(dbname=db.url.database)}"]
    if not owners:
        # A publication or subscription must not come to life in a database that is only looked at.
        command += ["--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-security-labels"]
    encrypted = file.suffix == crypt.SUFFIX
    if encrypted and key is None:
        raise UsageError(f"{file.name} is encrypted: set NEXAOPS_BACKUP_KEY to the key that it was made with.")
    with file.open("rb") as source, Child(
        db, command, stdin=subprocess.PIPE if encrypted else source, stdout=subprocess.DEVNULL
    ) as child:  # fmt: skip
        if encrypted and key and (target := child.process.stdin):
            child.pump(lambda: crypt.unseal(source, target, key), target)
        said = child.wait(should_stop, seen)
        wrong = [line for line in said if "error:" in line and _HARMLESS not in line]
        if child.process.returncode and (wrong or not any(_HARMLESS in line for line in said)):
            raise BadBackup(f"pg_restore failed: {(wrong or said or ['it said nothing'])[0]}")
