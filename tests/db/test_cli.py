"""The command line as an operator meets it: one line for an error, an exit code, and no trace unless asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from jobs.core.db import Database


def nexaops(*arguments: str, cwd: Path, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=cwd,
        env={**os.environ, "NEXAOPS_HOME": str(cwd / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def server(db: Database, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that uses a PostgreSQL server."""
    return {
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": db.url.database or "",
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
    }


@pytest.mark.parametrize(
    ("environment", "arguments", "code", "says"),
    [
        ({"DB_HOST": "db.example"}, ["flags", "list"], 2, "STELLAR_HORIZON_URL is not set"),
        ({"NODE_ENV": "production"}, ["up"], 2, "STELLAR_HORIZON_URL is not set"),
        ({"STELLAR_NETWORK": "MAIN"}, ["jobs", "list"], 2, "STELLAR_NETWORK is not accepted"),
        (
            {
                "DB_HOST": "127.0.0.1",
                "DB_PORT": "9",
                "DB_PASSWORD": "hunter2",
                "STELLAR_HORIZON_URL": "http://h",
                "STELLAR_NETWORK": "PUBLIC",
            },
            ["jobs", "list"],
            1,
            "PostgreSQL at 127.0.0.1:9 cannot be used",
        ),
        ({"NEXAOPS_HOME": "/proc/nowhere"}, ["flags", "list"], 1, "NEXAOPS_HOME"),
    ],
)
def test_an_error_is_one_line_with_what_to_do(
    environment: dict[str, str], arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    done = nexaops(*arguments, cwd=tmp_path, **environment)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "hunter2" not in done.stderr


def test_a_trace_comes_only_with_debug(tmp_path: Path) -> None:
    done = nexaops("flags", "list", "--debug", cwd=tmp_path, DB_HOST="db.example")
    assert "Traceback" in done.stderr


def test_wrong_usage_is_exit_code_two(tmp_path: Path) -> None:
    assert nexaops("jobs", "run", cwd=tmp_path).returncode == 2
    assert nexaops("no-such-command", cwd=tmp_path).returncode == 2


def test_a_database_that_was_never_migrated_says_so(empty_db: Database, server: dict[str, str], tmp_path: Path) -> None:
    environment = {**server, "DB_NAME": empty_db.url.database or ""}
    done = nexaops("flags", "list", cwd=tmp_path, **environment)
    assert (done.returncode, "run `nexaops migrate`" in done.stderr) == (1, True)
    assert nexaops("migrate", cwd=tmp_path, **environment).returncode == 0
    assert nexaops("flags", "list", cwd=tmp_path, **environment).returncode == 0


def test_flags_and_people_from_the_shell_are_on_record(db: Database, server: dict[str, str], tmp_path: Path) -> None:
    done = nexaops("flags", "set", "enableRetry", "off", "--reason", "INC-7", cwd=tmp_path, **server)
    assert (done.returncode, done.stdout.strip()) == (0, "enableRetry is off.")
    added = nexaops("users", "add", "ada@nexafx.com", "--role", "on-call", "--role", "viewer", cwd=tmp_path, **server)
    assert "one-time password" in " ".join(added.stdout.split())
    assert nexaops("users", "disable", "ada@nexafx.com", cwd=tmp_path, **server).returncode == 0
    assert nexaops("users", "add", "ada@nexafx.com", "--role", "viewer", cwd=tmp_path, **server).returncode == 1
    with db.read() as conn:
        rows = conn.execute(text("SELECT action, origin FROM ops.audit WHERE origin = 'cli' ORDER BY id")).all()
    assert [row.action for row in rows] == ["flag.set", "person.added", "person.disabled"]


def test_a_slip_in_a_settings_name_is_told(server: dict[str, str], tmp_path: Path) -> None:
    done = nexaops("flags", "list", cwd=tmp_path, NEXAOPS_BATCHSIZE="5", **server)
    assert "did you mean NEXAOPS_BATCH_SIZE?" in done.stderr
    assert done.returncode == 0
