"""The commands of the engine, mostly as processes: what they print and how they exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from jobs.core.db import Database
from jobs.core.errors import Conflict
from jobs.run.cli import app
from jobs.run.store import find_run

Command = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = """
import sys
from jobs.core.errors import NexaError
from jobs.run.cli import app
try:
    app()
except NexaError as error:
    sys.exit(sys.stderr.write(f"error: {error}") and error.exit_code)
"""


@pytest.fixture
def environment(db: Database, tmp_path: Path) -> dict[str, str]:
    """Of a machine that uses the test's database."""
    return {
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
        "NEXAOPS_HOME": str(tmp_path),
        "COLUMNS": "200",
    }


@pytest.fixture
def nexaops_jobs(environment: dict[str, str], tmp_path: Path) -> Command:
    """`nexaops jobs …` on the test's database."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**os.environ, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return command


@pytest.fixture
def here(environment: dict[str, str]) -> Callable[..., Result]:
    """The same without a process of its own, each of which takes a second to start."""

    def command(*arguments: str) -> Result:
        return CliRunner(env=environment).invoke(app, list(arguments))

    return command


def test_running_and_waiting_needs_no_worker_and_prints_one_object(db: Database, nexaops_jobs: Command) -> None:
    done = nexaops_jobs("run", "cleanup-notifications", "--wait", "--json", "--dry-run", "--reason", "to see")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert {"id", "job", "state", "counters", "duration_s", "error"} <= printed.keys()
    assert (printed["state"], printed["dry_run"], printed["counters"]) == ("succeeded", True, {"read": 0, "unread": 0})
    with db.read() as conn:
        run = find_run(conn, printed["id"])
        assert conn.execute(text("SELECT count(*) FROM procrastinate.procrastinate_jobs")).scalar() == 0
    assert run.triggered_by.startswith("cli:")
    assert (run.reason, run.worker_id, run.trigger) == ("to see", None, "manual")


def test_what_does_not_succeed_exits_with_one(db: Database, nexaops_jobs: Command) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.flags SET value = false WHERE name = 'enableCleanup'"))
    done = nexaops_jobs("run", "cleanup-notifications", "--wait")
    assert done.returncode == 1
    assert "skipped" in done.stdout
    assert "The flag enableCleanup is off." in done.stdout


def test_wrong_words_are_one_line_and_exit_two(nexaops_jobs: Command) -> None:
    for arguments, sentence in (
        (("run", "cleanup-notifications", "--param", "x=1"), "x: extra inputs are not permitted"),
        (("run", "cleanup-notifications", "--param", "x"), "say it as name=value"),
        (("pause", "cleanup-notifications", "--reason", "r", "--until", "soon"), "is not a time"),
    ):
        done = nexaops_jobs(*arguments)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_pausing_listing_queueing_and_stopping(here: Callable[..., Result]) -> None:
    assert here("pause", "cleanup-notifications", "--reason", "quiet, please").exit_code == 0
    listed = {row["job"]: row for row in json.loads(here("list", "--json").stdout)}
    row = listed["cleanup-notifications"]
    assert (row["schedule"], row["paused"], row["paused_reason"], row["next"]) == (
        "daily at 02:00 UTC",
        True,
        "quiet, please",
        None,
    )
    assert here("resume", "cleanup-notifications").exit_code == 0
    queued = json.loads(here("run", "cleanup-notifications", "--json").stdout)
    assert queued["state"] == "queued"
    assert here("stop", str(queued["id"]), "--reason", "not now").exit_code == 0
    second = here("stop", str(queued["id"]), "--reason", "not now").exception
    assert isinstance(second, Conflict)
    assert second.exit_code == 1
    (run,) = json.loads(here("runs", "cleanup-notifications", "--json").stdout)
    assert run["state"] == "stopped"
    assert "cleanup-notifications" in here("runs").stdout
    assert "daily at 02:00 UTC" in here("list").stdout


def test_brackets_in_a_reason_are_brackets(nexaops_jobs: Command) -> None:
    assert nexaops_jobs("pause", "cleanup-notifications", "--reason", "[/see] [bold]ticket[7]").returncode == 0
    listed = nexaops_jobs("list")
    assert listed.returncode == 0, listed.stderr
    assert "[/see] [bold]ticket[7]" in " ".join(listed.stdout.split())


def test_what_cannot_be_reported_is_said_before_there_is_a_run(
    db: Database, nexaops_jobs: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRY_DSN", "https://sentry.example/no-key")
    done = nexaops_jobs("run", "cleanup-notifications", "--wait")
    assert "SENTRY_DSN is not accepted" in done.stderr
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.runs")).scalar() == 0
