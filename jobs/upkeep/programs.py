"""PostgreSQL's own programs as we use them: the right version, no password on a command line, ended with all they start.

A program that is older than the server refuses it, and a much newer one writes what an older server does not read: so
of all that are installed the nearest that is not older is taken.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.embedded import programs
from jobs.core.errors import NexaError
from jobs.core.logs import redact
from jobs.upkeep.heed import LOOK_S, Stopped

_DEBIAN = Path("/usr/lib/postgresql")
_STOPPED_S = 5


def find_program(name: str, server: int) -> Path:
    """The program that fits a server of this major version; NexaError says what to install if there is none."""
    found = nearest(((_major(path), path) for path in _installed(name)), server)
    if found is None:
        raise NexaError(
            f"There is no {name} for PostgreSQL {server} here: install its client programs"
            f" (Debian: postgresql-client-{server})."
        )
    return found


def nearest(candidates: Iterable[tuple[int, Path]], server: int) -> Path | None:
    """Of programs with their major versions the nearest that is not older than the server; of equals the first."""
    return min((one for one in candidates if one[0] >= server), key=lambda one: one[0], default=(0, None))[1]


def server_major(db: Database) -> int:
    """The major version of the server."""
    with db.read() as conn:
        return int(conn.execute(text("SELECT current_setting('server_version_num')::int / 10000")).scalar_one())


def environment(db: Database) -> Mapping[str, str]:
    """How a program reaches the database; it trusts the server as the desk itself does, and no more easily."""
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
    trust = {name: value for name, value in os.environ.items() if name.startswith(("PGSSL", "PGREQUIRE", "PGCHANNEL"))}
    return trust | {name: value for name, value in known.items() if value}


class Child:
    """One program under way. Leaving the block ends it, if it has not ended by itself.

    `pump` is what moves bytes between it and a file in a thread of its own; when it fails, so does the program.
    """

    def __init__(
        self, db: Database, command: Sequence[str], *, stdin: int | IO[bytes], stdout: int | IO[bytes]
    ) -> None:
        self.name = Path(command[0]).name
        # A file, because a pipe that nobody empties would hold a talkative program up.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the block is left
        self.process = subprocess.Popen(
            command,
            env=environment(db),
            stdin=stdin,
            stdout=stdout,
            stderr=self._said,
            start_new_session=True,
        )
        self._pump: threading.Thread | None = None
        self._failed: list[Exception] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        if self.process.poll() is None:
            self._end()
        if self._pump is not None:
            self._pump.join(_STOPPED_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._said.close()

    def pump(self, move: Callable[[], None], end: IO[bytes]) -> None:
        """Moves bytes until they end, and then closes `end`, our end of the pipe, so that the program ends too."""

        def work() -> None:
            try:
                move()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told by whoever waits for the program
                self._failed.append(error)
            finally:
                with suppress(OSError):
                    end.close()

        self._pump = threading.Thread(target=work, name=f"pump-{self.name}", daemon=True)
        self._pump.start()

    def wait(self, should_stop: Callable[[], bool], seen: Callable[[], None]) -> list[str]:
        """Waits for its end and returns the lines it wrote; `seen` is called about twice a second.

        Raises Stopped, the pump's error, or NexaError where a signal ended it. Its exit code is left to the caller.
        """
        while True:
            try:
                code = self.process.wait(timeout=LOOK_S)
                break
            except subprocess.TimeoutExpired:
                seen()
                if should_stop():
                    raise Stopped from None
        if self._pump is not None:
            self._pump.join()
        # A program that ends first breaks the pipe: then its own words say why.
        if self._failed and not (code and "Broken pipe" in str(self._failed[0])):
            raise self._failed[0]
        if code < 0:
            raise NexaError(
                f"{self.name} was ended by {signal.Signals(-code).name}: see whether memory or disk is full."
            )
        self._said.seek(0)
        return [redact(line) for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=_STOPPED_S)
                return


def _installed(name: str) -> list[Path]:
    """Where it may be: Debian's folders first, since its /usr/bin holds a script that chooses for itself."""
    folders = [*sorted(_DEBIAN.glob("*/bin")), *_wheels()]
    folders += [Path(part) for part in os.get_exec_path() if part]
    return [path for folder in folders if os.access(path := folder / name, os.X_OK)]


def _wheels() -> list[Path]:
    try:
        return [programs()]
    except ImportError:
        return []


def _major(program: Path) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\b(\d+)(?:\.\d+|beta|rc|devel)", said)
    return int(found[1]) if found else 0
