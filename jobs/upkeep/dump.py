"""pg_dump as we use it: the right version, no password on a command line, stopped with all that it started.

The program of the embedded server's wheel also dumps older servers; for a newer one the newest on PATH is taken.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.embedded import programs
from jobs.core.errors import NexaError
from jobs.core.logs import redact

LOOK_S = 0.5
_STOPPED_S = 5


def find_pg_dump(server_major: int) -> Path:
    """A pg_dump that is not older than the server; NexaError says what to install if there is none."""
    candidates = [path for path in (_wheels(), shutil.which("pg_dump")) if path is not None]
    for candidate in candidates:
        if _major(candidate) >= server_major:
            return Path(candidate)
    raise NexaError(
        f"There is no pg_dump that can dump PostgreSQL {server_major} here: install its client programs"
        f" (Debian: postgresql-client-{server_major})."
    )


def server_major(db: Database) -> int:
    """The major version of the server."""
    with db.read() as conn:
        return int(conn.execute(text("SELECT current_setting('server_version_num')::int / 10000")).scalar_one())


def dump(db: Database, program: Path, file: Path, *, should_stop: Callable[[], bool], seen: Callable[[], None]) -> bool:
    """Writes the whole database into `file` in pg_dump's custom format; False if it was stopped before the end.

    `seen` is called about twice a second. Raises NexaError with pg_dump's own first words.
    """
    command = [str(program), "--format=custom", "--no-password", f"--file={file}"]
    process = subprocess.Popen(
        command,
        env=_environment(db),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while True:
            try:
                _, said = process.communicate(timeout=LOOK_S)
                break
            except subprocess.TimeoutExpired:
                seen()
                if should_stop():
                    return False
    finally:
        if process.poll() is None:
            _end(process)
    if process.returncode != 0:
        words = redact(said.decode(errors="replace").strip().splitlines()[0] if said.strip() else "it said nothing")
        raise NexaError(f"pg_dump failed ({process.returncode}): {words}")
    return True


def _environment(db: Database) -> Mapping[str, str]:
    url = db.url
    known = {
        "PGHOST": str(url.query["host"]) if "host" in url.query else url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None,
        "PGDATABASE": url.database,
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "nexaops backup",
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", ""),
    }
    # How the desk itself trusts the server: libpq reads these, and the dump must not trust it more easily.
    trust = {name: value for name, value in os.environ.items() if name.startswith(("PGSSL", "PGREQUIRE", "PGCHANNEL"))}
    return trust | {name: value for name, value in known.items() if value}


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_STOPPED_S)
            return


def _wheels() -> str | None:
    try:
        program = programs() / "pg_dump"
    except ImportError:
        return None
    return str(program) if program.is_file() else None


def _major(program: str) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\b(\d+)(?:\.\d+|beta|rc|devel)", said)
    return int(found[1]) if found else 0
