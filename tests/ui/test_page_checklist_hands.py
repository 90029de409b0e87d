"""What hands do to a line besides ticking it: enter it late, give it to somebody, press its button."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from checklists.lines import State
from checklists.reads import load_run
from checklists.schema import Template
from jobs.core.db import Database
from jobs.core.flags import Flag, read_flags
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.checklist_runs import line, started
from tests.ui.desk import run_page, seen

LIST = Template.model_validate(
    {
        "schema": 1,
        "id": "hands",
        "title": "Hands",
        "kind": "deployment",
        "fields": {"version": {"title": "Version", "required": True}},
        "phases": [
            {
                "id": "all",
                "title": "All of it",
                "items": [
                    {"id": "backup", "do": "Back up", "role": "devops"},
                    {"id": "stop", "do": "Stop", "action": {"flag": "enableRetry", "to": "false"}},
                    {
                        "id": "tell",
                        "do": "Tell them",
                        "action": {"notice": {"title": "Version {version} comes", "body": "Today."}},
                    },
                    {"id": "gather", "do": "Gather", "action": {"job": "incident-bundle"}},
                ],
            }
        ],
    }
)


@pytest.fixture
def run_id(db: Database) -> int:
    return started(db, LIST, version="2.4.0")


@pytest.fixture
def devops(db: Database) -> UUID:
    return seed.person(db, Role.DEVOPS)


def page_of(db: Database, settings: Settings, person: UUID, run_id: int, item: str) -> AppTest:
    return run_page(db, settings, "checklist", person, id=str(run_id), item=f"all/{item}")


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()


def words(page: AppTest, label: str, said: str) -> None:
    next(area for area in page.text_area if area.label == label).input(said)


def test_what_was_done_before_is_entered_late_with_its_time_and_why(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id, "backup")
    press(page, "Enter it late")
    assert line(db, run_id, "all/backup").mark.state is State.OPEN, "not without a reason"
    words(page, "Why it is entered late", "The desk was down.")
    press(page, "Enter it late")
    mark = line(db, run_id, "all/backup").mark
    assert (mark.state, mark.reason) == (State.DONE, "The desk was down.")
    assert mark.performed_at is not None
    assert mark.at is not None
    assert mark.performed_at < mark.at
    assert "The desk was down." in seen(page)


def test_a_line_is_given_to_somebody_who_may_tick_it(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id, "backup")
    who = next(box for box in page.selectbox if box.label == "Who does it")
    assert "Quentin" not in who.options, "a QA lead could not tick it"
    who.select("oda@nexafx.test")
    press(page, "Give it")
    assert line(db, run_id, "all/backup").mark.assignee == "oda@nexafx.test"
    assert "Oda" in seen(page)
    with db.read() as conn:
        assert "Oda" in str(load_run(conn, run_id).phases[0].items[0].mark.assigned)


def test_the_button_of_a_line_says_what_it_does_wants_a_reason_and_does_it(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id, "stop")
    assert "Within a second this stops" in seen(page)
    press(page, "Switch enableRetry off")
    with db.read() as conn:
        assert read_flags(conn)[Flag.RETRY], "not without a reason"
    words(page, "Why", "It rescues the wrong ones.")
    press(page, "Switch enableRetry off")
    with db.read() as conn:
        assert not read_flags(conn)[Flag.RETRY]
    assert "enableRetry is off" in seen(page)


def test_the_team_is_told_by_whoever_leads_the_release_though_they_run_no_jobs(
    db: Database, settings: Settings, run_id: int
) -> None:
    manager = seed.person(db, Role.PROJECT_MANAGER)
    page = page_of(db, settings, manager, run_id, "tell")
    assert "“Version 2.4.0 comes” Today." in seen(page)
    words(page, "Why", "The window opens.")
    press(page, "Tell the team")
    with db.read() as conn:
        row = conn.execute(text("SELECT job, trigger, params, reason FROM ops.runs")).one()
    assert (row.job, row.trigger, row.reason) == ("send-notice", "checklist", "The window opens.")
    assert row.params["title"] == "Version 2.4.0 comes"
    assert "Run 1 tells the team" in seen(page)
    assert "You may not run jobs" in seen(page_of(db, settings, manager, run_id, "gather"))


def test_a_button_that_is_pressed_by_somebody_who_may_not_any_more_does_nothing(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id, "gather")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{qa_lead}' WHERE id = :id"), {"id": devops})
    words(page, "Why", "What happened?")
    press(page, "Run incident-bundle")
    assert "You may not run jobs" in seen(page)
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.runs")).scalar_one() == 0


def test_the_trail_says_from_which_address_a_line_was_ticked(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id, "backup")
    page.user = {"person": str(devops), "address": "10.1.2.3"}
    page.run()
    next(box for box in page.checkbox if box.label == "Back up").check().run()
    with db.read() as conn:
        rows = conn.execute(text("SELECT origin FROM ops.audit WHERE action = 'item.ticked' OR action = 'ticked'"))
        assert rows.scalars().all() == ["dashboard 10.1.2.3"]
