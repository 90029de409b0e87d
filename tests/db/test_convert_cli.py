"""Import, export and verify as they are typed, on a run that really happened."""

import zipfile
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from checklists.convert.markdown_in import read_markdown
from checklists.convert.pack import audit_rows
from checklists.convert.record import read_record
from checklists.convert.tables import record_digest
from checklists.convert.verify import DoesNotFit, verify_audit, verify_record
from checklists.demo import seed
from checklists.evidence import add_file, add_text
from checklists.load import find_template, read_definition
from checklists.reads import RunState, list_runs
from checklists.store import close_run, comment, mark_na, start_run, tick, untick
from jobs.core.db import Database
from jobs.core.errors import NexaError, NotFound, UsageError
from jobs.core.people import add_person, list_people
from jobs.core.permissions import Role
from tests.db.test_checklist_cli import refusal, shell, type_in

__all__ = ["shell"]
LIST = "# Ship\n\n## Build\n\n1. [ ] Compile\n2. [x] Pack\n\n## Ask\n\n"


@pytest.fixture
def run(shell: Database) -> int:
    """A run of the rollback with a tick, a tick taken back, an N/A, comments, and a text and a file as evidence."""
    with shell.begin() as conn:
        add_person(conn, "rita@nexafx.com", [Role.RELEASE_MANAGER], actor="system", origin="test", name="Rita")
        rita = next(person for person in list_people(conn) if person.name == "Rita")
        run_id = start_run(conn, find_template("rollback-data"), {}, rita, origin="test")
        first, second = (f"data-inconsistency/{item.id}" for item in find_template("rollback-data").phases[0].items[:2])
    for act in (
        lambda conn: tick(conn, run_id, first, 1, rita, origin="test", note="=stopped"),
        lambda conn: untick(conn, run_id, first, 2, rita, origin="test"),
        lambda conn: tick(conn, run_id, first, 3, rita, origin="test"),
        lambda conn: mark_na(conn, run_id, second, 1, rita, "No data was lost.", origin="test"),
        lambda conn: comment(conn, run_id, first, "It took\ntwo minutes.", rita, origin="test"),
        lambda conn: comment(conn, run_id, None, "All well.", rita, origin="test"),
        lambda conn: add_text(conn, run_id, first, "ticket", "OPS-12", rita, origin="test"),
        lambda conn: add_file(conn, run_id, first, "log", "stop.log", b"stopped\n", rita, origin="test"),
    ):
        with shell.begin() as conn:
            act(conn)
    return run_id


def test_a_markdown_file_becomes_a_definition_that_lint_takes(tmp_path: Path) -> None:
    source, made = tmp_path / "ship.md", tmp_path / "ship.yaml"
    source.write_text(LIST, encoding="utf-8")
    done = type_in("import", str(source), "-o", str(made))
    assert done.exit_code == 0
    assert f"{source}:6: ticked there, open here: Pack" in done.stderr
    assert f"{source}:8: a heading with nothing to keep under it: Ask" in done.stderr
    assert read_definition(made).template.title == "Ship"
    assert "# 6: ticked there, open here: Pack\n" in made.read_text(encoding="utf-8")
    assert "0 errors" in type_in("lint", str(made)).output
    assert isinstance(refusal("import", str(source), "-o", str(made)), UsageError)
    assert type_in("import", str(source)).stdout == made.read_text(encoding="utf-8")


def test_a_run_is_exported_in_every_format_and_verifies(shell: Database, run: int, tmp_path: Path) -> None:
    for ending in ("md", "csv", "json", "pdf", "pack"):
        done = type_in("export", str(run), "--format", ending, "-o", str(tmp_path / f"run.{ending}"))
        assert (done.exit_code, done.output) == (0, f"{tmp_path / f'run.{ending}'} is written.\n")
    assert read_markdown((tmp_path / "run.md").read_text(encoding="utf-8"), "x").template == find_template(
        "rollback-data"
    )
    with zipfile.ZipFile(tmp_path / "run.pack") as pack:
        assert pack.read("record.json") == (tmp_path / "run.json").read_bytes()
        assert [row["action"] for row in orjson.loads(pack.read("audit.json"))] == [
            *("checklist.started", "item.ticked", "item.unticked", "item.ticked", "item.na"),
            *("item.comment", "checklist.comment", "item.evidence", "item.evidence"),
        ]
        assert [pack.read(name) for name in pack.namelist() if name.startswith("evidence/")] == [b"stopped\n"]
    with shell.read() as conn:
        digest = record_digest(read_record(conn, run))
    for what in ((str(run),), ("--file", str(tmp_path / "run.pack")), ("--file", str(tmp_path / "run.json"))):
        proved = type_in("verify", *what)
        assert proved.exit_code == 0
        assert f"Run {run} of “" in proved.output
        assert f"SHA-256 of the record: {digest}\n" in proved.output


def test_a_closed_run_verifies_too(shell: Database, run: int) -> None:
    with shell.begin() as conn:
        rita = next(person for person in list_people(conn) if person.name == "Rita")
        close_run(conn, run, rita, outcome=RunState.ABANDONED, reason="A drill.", origin="test")
    assert type_in("verify", str(run)).exit_code == 0


def test_every_run_of_the_demo_verifies(db: Database) -> None:
    seed(db)
    with db.read() as conn:
        numbers = [run.id for run in list_runs(conn)]
    assert len(numbers) >= 3
    for number in numbers:
        with db.read() as conn:
            record = read_record(conn, number)
            verify_audit(record, audit_rows(conn, number))
        verify_record(record)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "SET LOCAL session_replication_role = replica; UPDATE ops.checklist_evidence SET body = 'OPS-13' WHERE id = 1",
            "the evidence “ticket” on data-inconsistency/stop is not the text that was left there",
        ),
        (
            "UPDATE ops.checklist_items SET state = 'na', reason = 'x' WHERE position = 5",
            "or its state does not follow",
        ),
        ("UPDATE ops.checklist_items SET state = 'done' WHERE position = 4", "which is not what its history leads to"),
        (
            "UPDATE ops.checklist_items SET changed_by = 'x@nexafx.com' WHERE position = 1",
            "is not what its history leads",
        ),
        ("UPDATE ops.checklist_runs SET state = 'done', closed_at = now()", "which is not how its history ends"),
        (
            "UPDATE ops.checklist_runs SET definition = jsonb_set(definition, '{title}', '\"T\"')",
            "the definition is not the one with the version that the run was started from",
        ),
        (
            "INSERT INTO ops.checklist_events (run_id, actor, kind, note) VALUES (1, 'x@nexafx.com', 'comment', 'fine')",
            "has no row in the audit trail",
        ),
    ],
)
def test_what_is_changed_behind_the_desks_back_is_named(shell: Database, run: int, statement: str, said: str) -> None:
    with shell.begin() as conn:
        conn.execute(text(statement))
    error = refusal("verify", str(run))
    assert isinstance(error, DoesNotFit)
    assert said in str(error)


def test_a_definition_is_exported_as_markdown(tmp_path: Path) -> None:
    assert read_markdown(type_in("export", "compliance").stdout, "x").template == find_template("compliance")
    assert "is exported as md, not as pdf" in str(refusal("export", "compliance", "--format", "pdf"))


@pytest.mark.parametrize(
    ("typed", "kind", "said"),
    [
        (("export", "9"), NotFound, "There is no checklist run 9"),
        (("export", "complience"), NotFound, "did you mean compliance?"),
        (("verify",), UsageError, "Name one thing to verify"),
        (("verify", "1", "--file", "x"), UsageError, "Name one thing to verify"),
        (("verify", "one"), UsageError, "'one' is not the number of a run"),
        (("verify", "99999999999999999999"), UsageError, "is not the number of a run"),
        (("import", "no.md"), NotFound, "no.md cannot be imported. There is no such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    shell: Database, typed: tuple[str, ...], kind: type[NexaError], said: str
) -> None:
    error = refusal(*typed)
    assert type(error) is kind
    assert said in str(error)
