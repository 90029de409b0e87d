"""The list of checklists: what is in hand and how far, what can be started and by whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from checklists import load
from checklists.reads import RunState, list_runs, load_run
from checklists.store import close_run, start_run, tick
from jobs.core.db import Database
from jobs.core.permissions import Right, Role, allowed
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.checklist_runs import SMALL, deployment, started, who
from tests.ui.desk import run_page, seen


@pytest.mark.parametrize("role", list(Role))
def test_only_who_may_start_a_checklist_is_offered_to(db: Database, settings: Settings, role: Role) -> None:
    person = seed.person(db, role)
    may = allowed([role], Right.START_CHECKLIST)
    page = run_page(db, settings, "checklists", person)
    assert not page.exception
    assert not page.error
    assert (">Start<" in seen(page)) is may
    assert "Maintenance Windows - Weekly" in seen(page)
    inside = run_page(db, settings, "checklists", person, template="deployment")
    assert bool(inside.button) is may
    assert "15 phases, 142 lines" in seen(inside)
    assert "<code>npm run lint</code>" in seen(inside)


def test_a_run_in_hand_says_how_far_it_is_and_who_touched_it_last(db: Database, settings: Settings) -> None:
    run_id = deployment(db)
    mei = seed.person(db, Role.QA_LEAD)
    with db.begin() as conn:
        tick(conn, run_id, "testing/unit", 1, who(db, mei), origin="test")
    said = seen(run_page(db, settings, "checklists", mei))
    assert "One checklist is in hand" in said
    assert "2.4.0" in said
    assert "1 of 142 lines done" in said
    assert "Qa Lead Person ticked" in said
    assert f'href="/checklist?id={run_id}"' in said


def test_the_state_shown_stands_in_the_address(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    with db.begin() as conn:
        close_run(conn, run_id, who(db, person), outcome=RunState.ABANDONED, origin="test", reason="Not today")
    assert "A small list" not in seen(run_page(db, settings, "checklists", person))
    said = seen(run_page(db, settings, "checklists", person, state="abandoned"))
    assert "A small list" in said
    assert "Devops Person abandoned the run" in said


def test_a_run_is_started_with_its_summary_and_leads_to_its_page(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.RELEASE_MANAGER)
    page = run_page(db, settings, "checklists", person, template="deployment")
    assert "nobody with an open account can sign as Developer, QA Lead, DevOps and Project Manager" in seen(page)
    seed.signers(db)
    page = run_page(db, settings, "checklists", person, template="deployment")
    assert "cannot start" not in seen(page)
    page.text_input[0].input("2.5.0")
    _start(page)
    with db.read() as conn:
        (run,) = list_runs(conn)
        fields = load_run(conn, run.id).fields
    assert fields["version"] == "2.5.0"
    assert fields["deployed_by"] == "release_manager@nexafx.test"
    assert f'href="/checklist?id={run.id}"' in seen(page)
    assert not page.button


def test_what_is_wrong_with_the_summary_is_told_in_a_sentence(db: Database, settings: Settings) -> None:
    page = run_page(db, settings, "checklists", seed.person(db, Role.DEVOPS), template="deployment")
    page.text_area[0].input("kept while it is mended")
    _start(page)
    assert "version is missing: it is the Deployment Version" in seen(page)
    assert page.text_area[0].value == "kept while it is mended"
    with db.read() as conn:
        assert not list_runs(conn)


def test_a_right_that_was_taken_meanwhile_starts_nothing(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.DEVOPS)
    page = run_page(db, settings, "checklists", person, template="maintenance-weekly")
    with db.begin() as conn:
        conn.exec_driver_sql("UPDATE ops.people SET roles = '{viewer}'")
    _start(page)
    with db.read() as conn:
        assert not list_runs(conn)


def test_a_broken_definition_is_listed_with_file_line_and_mend(
    db: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("weekly.yaml").write_text("schema: 1\nid: weekly\ntitel: Weekly\nkind: maintenance\nphases: []\n")
    monkeypatch.setattr(load.definition_files, "__defaults__", (tmp_path,))
    monkeypatch.setattr(load.load_templates, "__defaults__", (tmp_path,))
    person = seed.person(db, Role.VIEWER)
    said = seen(run_page(db, settings, "checklists", person))
    assert "weekly.yaml:3" in said
    assert "did you mean `title`?" in said
    assert "can be started when its file is mended" in seen(
        run_page(db, settings, "checklists", person, template="weekly")
    )


@pytest.mark.parametrize("wrong", ["nothing", "<script>"])
def test_an_unknown_definition_in_the_address_is_told_in_a_sentence(
    db: Database, settings: Settings, wrong: str
) -> None:
    said = seen(run_page(db, settings, "checklists", seed.person(db, Role.VIEWER), template=wrong))
    assert "There is no such checklist" in said
    assert "<script>" not in said


def test_an_empty_list_says_what_will_stand_here_and_how(db: Database, settings: Settings) -> None:
    assert "A release manager, devops or on-call starts them." in seen(
        run_page(db, settings, "checklists", seed.person(db, Role.VIEWER))
    )


def test_long_lists_come_in_pages_at_the_same_number_of_questions(db: Database, settings: Settings) -> None:
    started(db)
    viewer = seed.person(db, Role.VIEWER)
    starter = who(db, seed.person(db, Role.ADMINISTRATOR))

    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _k, statement, *_: statements.append(statement))

    def asked(**query: str) -> tuple[int, str]:
        statements.clear()
        said = seen(run_page(db, settings, "checklists", viewer, **query))
        return len(statements), said

    few, _ = asked()
    with db.begin() as conn:
        runs = [start_run(conn, SMALL, {}, starter, origin="test") for _ in range(25)]
    many, said = asked()
    assert said.count('class="nx-link nx-strong"') == 20
    assert "Older" in said
    _, older = asked(before=str(runs[5]))
    assert older.count('class="nx-link nx-strong"') == 6
    assert "Newest" in older
    assert many == few


def _start(page: AppTest) -> None:
    next(button for button in page.button if button.label == "Start the run").click().run()
