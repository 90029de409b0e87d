"""A real PostgreSQL for every test that touches data: one server a test process, one database a test.

The database is cloned from a template that was migrated once (about 40 ms), so tests share nothing and may commit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from hypothesis import settings as examples
from sqlalchemy import URL, text

from jobs.core import jobs, people
from jobs.core.db import Database
from jobs.core.embedded import embedded_server
from jobs.core.settings import Settings
from jobs.run.nursery import Here, using
from jobs.upgrade import upgrade

ENOUGH_MEMORY = 4 << 30
# CI has two cores and a quarter of an hour; whoever works here has hypothesis's usual hundred examples.
examples.register_profile("ci", max_examples=40)
if os.environ.get("CI"):
    examples.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def _plain_environment() -> None:
    """Settings of the person who runs the tests must not change what they prove."""
    for name in list(os.environ):
        if name.startswith(("NEXAOPS_", "STELLAR_", "DB_")) or name in ("NODE_ENV", "APP_ENV"):
            del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> None:
    """The cheapest argon2 there is: what the tests prove is not its cost, and most of them add people."""
    people._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session")
def server_socket() -> Iterator[Path]:
    """The folder of the test server's socket."""
    # Cloning a database writes 700 files: 15 ms in memory, 300 ms on a disk.
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ENOUGH_MEMORY
    with tempfile.TemporaryDirectory(prefix="nexaops-test-", dir=memory if roomy else None) as folder:
        Path(folder).chmod(0o755)
        with embedded_server(Path(folder)) as socket:
            yield socket


def database_url(socket: Path, name: str) -> URL:
    return URL.create("postgresql+psycopg", username="postgres", database=name, query={"host": str(socket)})


@pytest.fixture(scope="session")
def admin(server_socket: Path) -> Iterator[Database]:
    """The server's own database, to create and drop the others from."""
    database = Database(database_url(server_socket, "postgres"))
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        # A test's data need not outlive the machine; a killed server still finds it.
        _outside_transaction(database, f"ALTER SYSTEM SET {setting} = off")
    _outside_transaction(database, "SELECT pg_reload_conf()")
    yield database
    database.close()


def _outside_transaction(admin: Database, statement: str) -> None:
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(statement))


@pytest.fixture(autouse=True)
def _children_are_threads() -> Iterator[None]:
    """What a job does is tested in this process, where a test may replace parts of it; see `child_processes`."""
    with using(Here()):
        yield


def _shipped_jobs() -> dict[str, jobs.Job]:
    jobs.load_jobs()
    return {name: job for name, job in jobs._REGISTRY.items() if not job.function.__module__.startswith("tests.")}


@pytest.fixture(autouse=True)
def _only_its_own_jobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees the shipped jobs and those of its own module (or its `JOBS`), whatever else was collected."""
    module = request.module
    theirs = {
        name: job
        for name, job in jobs._REGISTRY.items()
        if job.function.__module__ == module.__name__ or name in getattr(module, "JOBS", ())
    }
    monkeypatch.setattr(jobs, "_REGISTRY", _shipped_jobs() | theirs)


@pytest.fixture(scope="session")
def template(admin: Database, server_socket: Path) -> str:
    """A migrated database that nobody connects to any more."""
    _outside_transaction(admin, "CREATE DATABASE migrated")
    database = Database(database_url(server_socket, "migrated"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "_REGISTRY", _shipped_jobs())
        upgrade(database)
    database.close()
    return "migrated"


@pytest.fixture
def db(admin: Database, template: str, server_socket: Path) -> Iterator[Database]:
    """A migrated database of this test's own."""
    name = f"test_{uuid4().hex[:12]}"
    _outside_transaction(admin, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY WAL_LOG")
    database = Database(database_url(server_socket, name), pool_size=10)
    yield database
    database.close()
    _outside_transaction(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_db(admin: Database, server_socket: Path) -> Iterator[Database]:
    """A database of this test's own without any table."""
    name = f"test_{uuid4().hex[:12]}"
    _outside_transaction(admin, f"CREATE DATABASE {name}")
    database = Database(database_url(server_socket, name), pool_size=10)
    yield database
    database.close()
    _outside_transaction(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a quiet day on a custom network; `model_copy(update=…)` for another one."""
    monkeypatch.chdir(tmp_path)
    return Settings.model_validate(
        {
            "STELLAR_HORIZON_URL": ("http://127.0.0.1:9",),
            "STELLAR_NETWORK": "CUSTOM",
            "STELLAR_NETWORK_PASSPHRASE": "NexaFX Sandbox Network ; 2026",
            "STELLAR_RATE_LIMIT_PER_HOUR": 0,
            "NEXAOPS_HOME": tmp_path / "home",
        }
    )
