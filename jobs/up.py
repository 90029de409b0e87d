"""`nexaops up`: everything on one machine, started in order and stopped in the reverse one.

Wiring only: each part is a process of its own, the same one that several hosts would run. If this process is killed
outright its children end with it (Linux); a part that dies is started again, and one that keeps dying ends it all.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Annotated

import typer

from jobs.core.cli import acting_user, console
from jobs.core.db import Database, open_database
from jobs.core.embedded import embedded_server
from jobs.core.errors import NexaError
from jobs.core.logs import configure_logging, get_logger
from jobs.core.people import add_person, list_people, renew_one_time_password
from jobs.core.permissions import Role
from jobs.core.settings import Settings, load_settings
from jobs.run.nursery import end_with_parent
from jobs.upgrade import upgrade

ADMINISTRATOR = "admin@nexafx.local"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 45.0  # longer than a worker lets its runs end, and then stop
DATABASE_LOOK_S = 5.0
MOST_DEATHS = 5
DEATHS_WITHIN_S = 60.0
log = get_logger(__name__)


@dataclass(slots=True)
class Part:
    """One child process and how often it died lately."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    deaths: list[float] = field(default_factory=list)


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Run on a sandbox Horizon with living data, whatever is configured.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="The dashboard's port.", min=1, max=65535)] = None,
) -> None:
    """Start everything on this machine: PostgreSQL, a worker, the dashboard; Ctrl-C stops it all."""
    if demo:
        os.environ["NEXAOPS_DEMO"] = "true"
    settings = load_settings()
    configure_logging(settings, component="up")
    if "log_level" not in settings.model_fields_set:
        # What the parts do stands on the pages; this terminal is for the address and for what is wrong.
        os.environ["NEXAOPS_LOG_LEVEL"] = "warning"
    port = port or settings.dashboard_port
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell that starts this in the background has SIGINT ignored
        signal.signal(number, _interrupt)
    with ExitStack() as stack:
        stack.enter_context(_only_one(settings.home))
        _require_free(settings.dashboard_address, port)
        if settings.embedded:
            # Held for as long as we run: it stops last.
            stack.enter_context(embedded_server(settings.home))
        db = stack.enter_context(open_database(settings))
        upgrade(db)
        password = _administrator(db)
        parts: list[Part] = []
        stack.callback(_stop, parts)
        try:
            if settings.demo:
                settings.demo_file.unlink(missing_ok=True)
                parts.append(_start("sandbox", [sys.executable, "-m", "jobs.demo"]))
                _wait(settings.demo_file.exists, parts, "the sandbox Horizon")
            parts.append(_start("worker", [sys.executable, "-m", "jobs", "worker"]))
            parts.append(_start("dashboard", [sys.executable, "-m", "jobs", "dashboard", "--port", str(port)]))
            url = f"http://{_reachable(settings.dashboard_address)}:{port}"
            _wait(lambda: _answers(f"{url}/health"), parts, "the dashboard")
            _greet(settings, url, password)
            _watch(parts, settings)
        except KeyboardInterrupt:
            console.print("Stopping …")


def _greet(settings: Settings, url: str, password: str | None) -> None:
    if settings.demo:
        console.print(
            "[black on yellow] DEMO [/] sandbox Horizon, sandbox money, a database of its own. For the real network set "
            "STELLAR_HORIZON_URL and STELLAR_NETWORK.",
            markup=True,
        )
    else:
        console.print(f"Network {settings.network_label}.")
    console.print(f"Dashboard  {url}", style="bold")
    if password:
        console.print(f"Sign in    {ADMINISTRATOR} with the one-time password {password}", style="bold")
    console.print("Ctrl-C stops everything.")


def _administrator(db: Database) -> str | None:
    """The one-time password to print: of a new administrator, or of one who has never signed in."""
    with db.begin() as conn:
        if any(Role.ADMINISTRATOR in person.roles for person in list_people(conn) if person.email != ADMINISTRATOR):
            return None
        if any(person.email == ADMINISTRATOR for person in list_people(conn)):
            return renew_one_time_password(conn, ADMINISTRATOR, actor=acting_user(), origin="up")
        return add_person(
            conn, ADMINISTRATOR, [Role.ADMINISTRATOR], actor=acting_user(), origin="up", name="Administrator"
        )


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Holds the folder for this process; the lock goes with the process, so a crash leaves none."""
    import fcntl  # noqa: PLC0415 — not on every system that can run a worker

    try:
        home.mkdir(parents=True, exist_ok=True)
        handle: IO[str] = (home / "up.lock").open("a+")
    except OSError as error:
        raise NexaError(f"{home} cannot be written ({error.strerror}): set NEXAOPS_HOME to another folder.") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NexaError(
                f"nexaops is already running on {home}: use that one, or set NEXAOPS_HOME to another folder."
            ) from None
        yield


def _require_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise NexaError(
                f"Port {port} on {address} cannot be used ({error.strerror}): stop what uses it, or choose another with "
                "--port."
            ) from error


def _reachable(address: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, address)  # noqa: S104 — compared, not bound


def _start(name: str, command: list[str]) -> Part:
    return Part(name, command, _spawn(command))


def _spawn(command: list[str]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches only us, and we stop the parts in order.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(end_with_parent, signal.SIGTERM),  # noqa: PLW1509 — no threads yet
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait(ready: Callable[[], bool], parts: list[Part], what: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready():
        for part in parts:
            if part.process.poll() is not None:
                raise NexaError(f"{part.name} ended before {what} was ready: its reason stands above.")
        if time.monotonic() > deadline:
            raise NexaError(f"{what} was not ready after {READY_TIMEOUT_S:.0f} s: see the log above.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 — our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _watch(parts: list[Part], settings: Settings) -> None:
    """Starts again what died; raises NexaError when one part keeps dying, or the database does not come back."""
    looked = time.monotonic()
    while True:
        time.sleep(0.5)
        if settings.embedded and time.monotonic() - looked > DATABASE_LOOK_S:
            with embedded_server(settings.home):
                looked = time.monotonic()
        for part in parts:
            code = part.process.poll()
            if code is None:
                continue
            now = time.monotonic()
            part.deaths = [death for death in part.deaths if now - death < DEATHS_WITHIN_S] + [now]
            if len(part.deaths) >= MOST_DEATHS:
                raise NexaError(f"{part.name} ended {MOST_DEATHS} times within a minute: see the log above.")
            log.warning("part ended, starting it again", part=part.name, code=code)
            time.sleep(len(part.deaths))
            part.process = _spawn(part.command)


def _stop(parts: list[Part]) -> None:
    """Ends the parts, the last one first: politely, and after a while not; Ctrl-C once more asks for haste."""
    for part in reversed(parts):
        part.process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for part in reversed(parts):
        while part.process.poll() is None:
            try:
                part.process.wait(max(0.1, deadline - time.monotonic()))
            except KeyboardInterrupt:
                part.process.terminate()
            except subprocess.TimeoutExpired:
                log.warning("part did not stop in time and was killed", part=part.name)
                part.process.kill()
