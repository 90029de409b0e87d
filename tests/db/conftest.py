"""What tests of the jobs begin with: a Horizon with one transaction, and a user who owns a wallet.

And a real dashboard over HTTP, as a process of its own: Streamlit allows one server a process.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from starlette.types import ASGIApp

from dashboard.doors import COOKIE
from dashboard.serve import listen, server
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.sessions import open_session
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.run.nursery import Here, Nursery, a_nursery, using
from tests.conftest import database_url
from tests.db.books import add_user, run_job
from tests.db.running import Doing
from tests.db.signing import ABOVE_THE_GATE, QA_LEAD, Floor
from tests.db.team import Team, a_team
from tests.ui import seed

ROOT = Path(__file__).parents[2]
_ADDRESSES = itertools.count(1)
COMMAND = "import typer; from dashboard.cli import dashboard; typer.run(dashboard)"


@dataclass(frozen=True)
class Site:
    """A running dashboard, its database, and the people who may sign in with seed.PASSWORD."""

    base: str
    db: Database
    people: dict[Role, UUID]

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def visitor(self, cookie: str | None = None) -> httpx.Client:
        """A browser, from an address of its own; with a cookie, one in which somebody has signed in."""
        return httpx.Client(
            base_url=self.base,
            headers={"accept": "text/html", "origin": self.base, "x-forwarded-for": f"10.0.0.{next(_ADDRESSES)}"},
            cookies={COOKIE: cookie} if cookie else None,
        )

    def sign_in(self, role: Role) -> str:
        """The cookie of a new session of somebody of this role."""
        with self.db.begin() as conn:
            return open_session(conn, self.people[role], origin="test", hours=1)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """An application without Streamlit on a real server, in a thread; its address."""
    listener = listen("127.0.0.1", 0)
    running = server(app)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_dashboard(db: Database, socket_folder: Path, port: int, **more: str) -> subprocess.Popen[bytes]:
    """`nexaops dashboard` against this database, from a directory that is not ours; waits until it answers."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DB_HOST": str(socket_folder),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:8000,https://horizon.stellar.org",
        "STELLAR_NETWORK": "CUSTOM",
        "STELLAR_NETWORK_PASSPHRASE": "NexaFX Sandbox Network ; 2026",
        "NEXAOPS_LOG_FORMAT": "json",
        **more,
    }
    process = subprocess.Popen([sys.executable, "-c", COMMAND, "--port", str(port)], env=environment, cwd="/")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200:
                return process
        except httpx.TransportError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError("the dashboard did not start")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """A Horizon that lists one transaction, so that its 404s can mean something."""
    somebody = Wallet.named("somebody")
    with SandboxServer() as server:
        server.ledger.include([somebody.payment(somebody.address, 1)])
        yield server


@pytest.fixture
def horizon(settings: Settings, sandbox: SandboxServer) -> Settings:
    """Settings that lead to the sandbox, without patience."""
    return settings.model_copy(update={"horizon_urls": (sandbox.url,), "horizon_attempts": 1, "horizon_timeout_s": 2.0})


@pytest.fixture
def team() -> Iterator[Team]:
    """The team's channels, answering over HTTP."""
    with a_team() as found:
        yield found


@pytest.fixture
def user(db: Database) -> UUID:
    """Somebody who owns the wallet `user`."""
    return add_user(db, Wallet.named("user").address)


@pytest.fixture
def books_are_proved(db: Database, horizon: Settings) -> Iterator[None]:
    """Whatever was decided, `verify-ledger` finds nothing that differs."""
    yield
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.flags SET value = (name <> 'dryRun')"))
    run = run_job(db, horizon, "verify-ledger")
    with db.read() as conn:
        found = list(
            conn.execute(text("SELECT sentence FROM ops.integrity_findings WHERE resolved_at IS NULL")).scalars()
        )
    assert (run.state, found) == ("succeeded", [])


@pytest.fixture(scope="module")
def site(admin: Database, template: str, server_socket: Path) -> Iterator[Site]:
    """One dashboard for the tests of a module, on a lively database of its own."""
    name = f"site_{os.urandom(4).hex()}"
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    db = Database(database_url(server_socket, name))
    people = seed.people(db)
    seed.living(db)
    port = free_port()
    process = start_dashboard(db, server_socket, port)
    yield Site(f"http://127.0.0.1:{port}", db, people)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=15)
    db.close()
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery | Here]:
    """Bears children that are processes; a new interpreter is enough for all tests of this process."""
    with a_nursery() as nursery:
        yield nursery


@pytest.fixture
def child_processes(nursery: Nursery | Here) -> Iterator[None]:
    """Runs are executed by processes, as a worker does it, and not by threads of this one."""
    with using(nursery):
        yield


@pytest.fixture
def run_it(db: Database, settings: Settings) -> Doing:
    """Has the job of run_jobs.py do something."""
    return Doing(db, settings)


@pytest.fixture
def floor(db: Database) -> Floor:
    """A release in hand, with the people who sign it."""
    return Floor(db)


@pytest.fixture
def signed(floor: Floor) -> Floor:
    """Worked through down to the gate, and signed there."""
    floor.tick(ABOVE_THE_GATE)
    floor.sign(QA_LEAD)
    return floor
