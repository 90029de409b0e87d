"""What items take, on the page: checks, reasons, evidence, a second person, decisions, and who has the run."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from checklists.lines import Standing, State, TrackedItem
from checklists.mentions import unseen
from checklists.reads import load_run
from checklists.schema import Template
from checklists.store import comment, tick
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.checklist_runs import line, started, who
from tests.ui.desk import run_page, seen

LIST = Template.model_validate(
    {
        "schema": 1,
        "id": "takes",
        "title": "Takes",
        "kind": "deployment",
        "fields": {"version": {"title": "Version", "required": True}},
        "phases": [
            {
                "id": "all",
                "title": "All of it",
                "items": [
                    {"id": "answers", "do": "It answers", "check": {"use": "database.connection", "effect": "block"}},
                    {
                        "id": "off",
                        "do": "It is off",
                        "check": {"use": "flags.equals", "with": {"flag": "enableReconciliation", "value": False}},
                    },
                    {
                        "id": "pay",
                        "do": "Pay",
                        "evidence": [{"type": "text", "label": "hash", "pattern": "[0-9a-f]{4}"}],
                    },
                    {"id": "pair", "do": "Compare", "verify_by": "second-person"},
                    {
                        "id": "go",
                        "do": "Go on?",
                        "decide": {"continue": "next", "back": {"start": "rollback-critical"}},
                    },
                    {"id": "note", "do": "Write it down", "when": {"field": "version", "is": "3"}},
                ],
            },
            {"id": "later", "title": "Later", "gate": {"checks": "green"}, "items": ["Go home"]},
        ],
    }
)


@pytest.fixture
def run_id(db: Database) -> int:
    return started(db, LIST, version="2")


@pytest.fixture
def devops(db: Database) -> UUID:
    return seed.person(db, Role.DEVOPS)


def page_of(db: Database, settings: Settings, person: UUID, run_id: int, **more: str) -> AppTest:
    return run_page(db, settings, "checklist", person, id=str(run_id), **more)


def press(page: AppTest, label: str, number: int = 0) -> None:
    [button for button in page.button if button.label == label][number].click().run()


def after_checks(db: Database, page: AppTest, run_id: int, item: str) -> TrackedItem:
    """The line when its check, which runs beside the page, has said something."""
    for _ in range(100):
        found = line(db, run_id, item)
        if found.check is not None:
            page.run()
            return found
        time.sleep(0.1)
    raise AssertionError("the check has said nothing")


def test_a_line_that_must_be_proven_has_no_box_to_click_until_its_check_ticks_it(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id)
    assert next(box for box in page.checkbox if box.label == "It answers").disabled
    assert "Check not run yet, it must pass" in seen(page)
    press(page, "Run the check")
    proven = after_checks(db, page, run_id, "all/answers")
    assert (proven.mark.state, proven.standing) == (State.DONE, Standing.PASSED)
    assert "by its check" in seen(page)


def test_against_a_failing_check_the_tick_asks_why_in_its_place(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id)
    press(page, "Run all checks (2)")
    assert after_checks(db, page, run_id, "all/off").standing is Standing.FAILED
    next(box for box in page.checkbox if box.label == "It is off").check().run()
    assert line(db, run_id, "all/off").mark.state is State.OPEN
    assert "say why you tick it all the same" in seen(page)
    next(area for area in page.text_area if area.label == "Why").input("staging keeps it on")
    press(page, "Tick it all the same")
    mark = line(db, run_id, "all/off").mark
    assert (mark.state, mark.reason) == (State.DONE, "staging keeps it on")
    assert "say why you tick it all the same" not in seen(page)


def test_evidence_that_is_asked_for_opens_the_line(db: Database, settings: Settings, devops: UUID, run_id: int) -> None:
    page = page_of(db, settings, devops, run_id, item="all/pay")
    assert "Takes evidence first: hash" in seen(page)
    field = next(field for field in page.text_input if field.label == "hash")
    field.input("xyz")
    press(page, "Leave it here")
    assert "must look like" in seen(page)
    next(field for field in page.text_input if field.label == "hash").input("abcd")
    press(page, "Leave it here")
    assert not next(box for box in page.checkbox if box.label == "Pay").disabled
    assert "SHA-256" in seen(page)


def test_whoever_ticked_is_not_offered_to_verify_and_somebody_else_is(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    with db.begin() as conn:
        tick(conn, run_id, "all/pair", 1, who(db, devops), origin="test")
    mine = page_of(db, settings, devops, run_id)
    assert "a second person must verify it" in seen(mine)
    assert not [button for button in mine.button if button.label == "Verify"]
    theirs = page_of(db, settings, seed.person(db, Role.QA_LEAD), run_id)
    press(theirs, "Verify")
    assert line(db, run_id, "all/pair").mark.verifier == "Qa Lead Person"


def test_a_decision_says_what_follows_and_links_what_it_started(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    page = page_of(db, settings, devops, run_id)
    assert "Go on?" not in [box.label for box in page.checkbox]
    press(page, "Back: starts “Rollback Procedures - Critical Issue (Stop Immediately)” for you")
    with db.read() as conn:
        child = load_run(conn, run_id).children["all/go"]
    assert f'href="/checklist?id={child}"' in seen(page)
    assert "it was decided to back" in seen(page)


def test_a_gate_and_what_does_not_apply_are_told_in_words(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    assert "It is only for runs whose Version is 3." in seen(page_of(db, settings, devops, run_id))
    later = page_of(db, settings, devops, run_id, phase="later")
    assert "Later has a gate" in seen(later)
    assert "a green check of “It answers” (it has not run)" in seen(later)
    assert later.checkbox[0].disabled


def test_lines_are_found_by_what_the_address_says(db: Database, settings: Settings, devops: UUID, run_id: int) -> None:
    page = page_of(db, settings, devops, run_id, q="go")
    assert "2 lines found" in seen(page)
    assert [box.label for box in page.checkbox] == ["Go home"]
    mine = page_of(db, settings, devops, run_id, show="mine")
    assert "6 lines found" in seen(mine)


def test_a_run_is_handed_over_corrected_and_says_who_named_whom(
    db: Database, settings: Settings, devops: UUID, run_id: int
) -> None:
    with db.begin() as conn:
        comment(conn, run_id, "all/pay", "@devops is it paid?", who(db, seed.person(db, Role.QA_LEAD)), origin="test")
    page = page_of(db, settings, devops, run_id)
    assert "named you in" in seen(page)
    press(page, "Seen (1)")
    with db.read() as conn:
        assert unseen(conn, "devops@nexafx.test") == []
    next(box for box in page.selectbox if box.label == "To whom").select("devops@nexafx.test")
    next(area for area in page.text_area if area.label == "What they need to know").input("All quiet.")
    press(page, "Hand it over")
    assert "You have it" in seen(page)
    next(field for field in page.text_input if field.label == "Version").input("2.1")
    press(page, "Correct it")
    assert "needs a reason" in seen(page)
    next(field for field in page.text_input if field.label == "What was wrong").input("a typing error")
    press(page, "Correct it")
    with db.read() as conn:
        assert load_run(conn, run_id).fields["version"] == "2.1"
