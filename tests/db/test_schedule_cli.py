"""`nexaops schedules` as somebody at a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.schedule import cli, store

NAME = "backup"


@pytest.fixture(autouse=True)
def _shell(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell on this database."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
    }.items():
        monkeypatch.setenv(name, value)


def schedules(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), input=answer)


def refusal(*arguments: str) -> NexaError:
    """The error that the command line prints as its one line."""
    error = schedules(*arguments).exception
    assert isinstance(error, NexaError)
    assert error.exit_code == 2
    return error


def expression(db: Database) -> str:
    with db.read() as conn:
        return store.find_schedule(conn, NAME).expression


def test_an_edit_shows_what_it_means_and_is_kept_with_its_reason(db: Database) -> None:
    done = schedules(
        "edit", NAME, "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--timeout", "20min", "--reason", "at night",
        "--yes",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "when: 0 1 * * * → 30 2 * * *" in said
    assert "Runs daily at 02:30 Europe/Berlin. That is once a day." in said
    assert "Mind: On Sunday" in said
    assert said.count(" UTC = ") == 5
    assert "backup runs daily at 02:30 Europe/Berlin." in said
    (edited, *_) = json.loads(schedules("history", NAME, "--json").output)
    assert (edited["reason"], edited["new"]["timeout_s"]) == ("at night", 1200)
    assert edited["actor"].startswith("cli:")
    assert "0 1 * * * → 30 2 * * *" in schedules("history", NAME).output
    undone = schedules("undo", NAME, "--reason", "after all not", "--yes")
    assert undone.exit_code == 0, undone.output
    assert expression(db) == "0 1 * * *"


def test_at_a_terminal_it_asks_and_without_one_it_does_not_guess(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = ("edit", NAME, "--every", "6h", "--anchor", "2026-01-01 03:00", "--reason", "more often")
    assert "say --yes" in str(refusal(*edit))
    monkeypatch.setattr(cli, "_at_a_terminal", lambda: True)
    assert "Nothing was saved." in schedules(*edit, answer="n\n").output
    assert expression(db) == "0 1 * * *"
    assert schedules(*edit, answer="y\n").exit_code == 0
    assert expression(db) == "21600"
    shown = schedules("show", NAME).output
    assert "every 6 hours, counted from 2026-01-01 03:00 UTC" in shown


def test_wrong_words_are_one_sentence_and_exit_two(db: Database) -> None:
    why = ("--reason", "a test", "--yes")
    assert "Say one of --cron" in str(refusal("edit", NAME, "--cron", "0 1 * * *", "--every", "1h", *why))
    assert "not a length of time" in str(refusal("edit", NAME, "--grace", "a while", *why))
    assert "name it, as in 'mon'" in str(refusal("edit", NAME, "--cron", "0 1 * * 1", *why))
    assert "extra inputs" in str(refusal("edit", NAME, "--param", "colour=red", *why))
    assert "would change" in str(refusal("edit", NAME, *why))
    assert "has not been edited" in str(refusal("undo", NAME, *why))
    assert schedules("edit", NAME, "--cron", "0 1 * * *").exit_code == 2  # no reason
    assert "There is no schedule gone" in str(schedules("show", "gone").exception)


def test_listing_and_showing_say_it_in_words_and_as_json(db: Database) -> None:
    listed = {row["name"]: row for row in json.loads(schedules("list", "--json").output)}
    assert listed[NAME]["words"] == "daily at 01:00 UTC"
    assert "daily at 01:00 UTC" in schedules("list").output
    with db.begin() as conn:
        store.pause(conn, NAME, actor="ada@example.org", reason="[disk] is full")
    assert "paused until somebody resumes it by ada@example.org: [disk] is full." in schedules("show", NAME).output
    shown = json.loads(schedules("show", NAME, "--json").output)
    assert (len(shown["next"]), shown["how_often"], shown["overlap"]) == (5, "That is once a day.", "skip")
