"""The checklists' commands, as they are typed: what they print, and their exit codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from checklists.cli import app
from checklists.reads import load_run
from checklists.store import tick
from jobs.core.db import Database
from jobs.core.errors import NexaError, NotFound, UsageError
from jobs.core.people import add_person, list_people
from jobs.core.permissions import Role
from tests.ui import seed

FIELDS = ("--field", "date=2026-11-30", "--field", "version=1.4.0", "--field", "deployed_by=ana@nexafx.com")


def type_in(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def refusal(*arguments: str) -> NexaError:
    """The error that the command line prints as its one line."""
    error = type_in(*arguments).exception
    assert isinstance(error, NexaError)
    return error


@pytest.fixture
def shell(db: Database, server_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A shell whose settings name this test's database, with one person in it."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DB_HOST": str(server_socket),
        "DB_NAME": db.url.database,
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
    }.items():
        monkeypatch.setenv(name, str(value))
    with db.begin() as conn:
        add_person(conn, "ana@nexafx.com", [Role.DEVOPS], actor="system", origin="test", name="Ana [red]B[/]")
    return db


def test_a_run_is_started_listed_and_shown_with_who_and_when(shell: Database) -> None:
    assert "No run yet" in type_in("list").output
    assert "can sign as Developer, QA Lead and Project Manager" in str(refusal("start", "deployment", *FIELDS))
    seed.signers(shell)
    seed.person(shell, Role.RELEASE_MANAGER)
    started = type_in("start", "deployment", *FIELDS, "--urgent", "Withdrawals fail")
    assert (started.exit_code, started.output) == (
        0,
        "Run 1 of Scheduled Jobs Module - Deployment is open: nexaops checklists show 1\n",
    )
    with shell.begin() as conn:
        ana = next(person for person in list_people(conn) if person.email == "ana@nexafx.com")
        tick(conn, 1, "database/backup", 1, ana, origin="test", note="[bold]dump[/] 12")
        assert load_run(conn, 1).started_by.startswith("cli:")
    listed = type_in("list").output
    assert "rollback-critical" in listed
    assert "1 of 142" in listed
    assert "1.4.0" in listed
    shown = type_in("show", "1").output
    assert "Deployed By: ana@nexafx.com" in shown
    assert "expedited: Withdrawals fail" in shown
    assert "QA Lead, verified: not signed yet" in shown
    assert "[x] Backup production database  Ana [red]B[/]" in shown
    assert "UTC: [bold]dump[/] 12" in shown
    assert "[ ] Check application logs every hour (24 of 24)" in shown
    assert "waits for Code Review, Testing, Database" in shown


def test_a_wrong_summary_is_wrong_usage_and_starts_nothing(shell: Database) -> None:
    error = refusal("start", "deployment", "--field", "versoin=1")
    assert (type(error), error.exit_code) == (UsageError, 2)
    assert "there is no field 'versoin', did you mean version?; date is missing" in str(error)
    assert "is not key=value" in str(refusal("start", "deployment", "--field", "version"))
    assert "given twice" in str(refusal("start", "deployment", *FIELDS, "--field", "version=2"))
    assert "No run yet" in type_in("list").output


def test_what_is_not_there_is_named(shell: Database) -> None:
    assert isinstance(refusal("show", "9"), NotFound)
    assert "did you mean deployment?" in str(refusal("start", "deploymnet", *FIELDS))


def test_lint_passes_the_shipped_definitions() -> None:
    result = type_in("lint")
    assert (result.exit_code, result.output) == (0, "10 definitions, 0 errors, 0 warnings.\n")


def test_lint_prints_a_line_for_each_mistake_and_fails(tmp_path: Path) -> None:
    broken, long = tmp_path / "broken.yaml", tmp_path / "long.yaml"
    broken.write_text("schema: 1\nid: broken\ntitel: A [red]list[/]\nkind: recovery\nphases: []\n", encoding="utf-8")
    long.write_text(
        "{schema: 1, id: long, title: L, kind: recovery, phases: [{id: p, title: P, items: [Do it]}]}", encoding="utf-8"
    )
    result = CliRunner().invoke(app, ["lint", str(tmp_path)], env={"COLUMNS": "40"})
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"error: {broken}:1: `title` is missing — add `title:`",
        f"error: {broken}:3: `titel` is not a key here — did you mean `title`?",
        f"error: {broken}:5: there is nothing here — add at least one",
        f"warning: {long}:1: “Do it” is nobody's — give it or its phase a `role`",
        "2 definitions, 3 errors, 1 warning.",
    ]


def test_lint_of_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert refusal("lint", str(tmp_path / "nowhere")).exit_code == 2
