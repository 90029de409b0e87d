"""Signing on the page: what is signed lies open, the password is asked for and kept nowhere, and refusals are sentences."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from checklists import moving
from checklists.lines import State, leaves
from checklists.schema import Template
from checklists.store import untick
from dashboard import queries_checklists
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.db.signing import ABOVE_THE_GATE, DEFINITION, DEVELOPER, HERE, MANAGER, QA_LEAD, Floor
from tests.ui import seed
from tests.ui.desk import run_page, seen


@pytest.fixture
def floor(db: Database) -> Floor:
    floor = Floor(db)
    floor.tick(ABOVE_THE_GATE)
    return floor


def open_page(floor: Floor, settings: Settings, role: Role, *, name: str = "signing") -> AppTest:
    page = run_page(floor.db, settings, name, floor.people[role].id, id=str(floor.run_id), role=role.value)
    assert not page.exception
    return page


def fill_in(page: AppTest, label: str, value: str, *, last: bool = False) -> None:
    fields = [field for field in [*page.text_area, *page.text_input] if field.label == label]
    fields[-1 if last else 0].input(value)


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()


def test_what_is_signed_lies_open_and_a_signature_shows_name_time_and_meaning(floor: Floor, settings: Settings) -> None:
    page = open_page(floor, settings, QA_LEAD)
    said = seen(page)
    assert floor.digest(QA_LEAD) in said
    assert "It answers for Build, Test: 3 lines done, 1 open." in said
    assert "It was left open" in said
    assert "notes: Settles twice as fast." in said
    fill_in(page, "Your e-mail address", "quentin@nexafx.test")
    fill_in(page, "Your password", seed.PASSWORD)
    press(page, "Sign: verified")
    assert not page.error
    (kept,) = floor.run().signatures
    for shown in (seen(page), seen(open_page(floor, settings, MANAGER, name="checklist"))):
        assert "<b>Quentin</b>, verified, " in shown
        assert f"{kept.signed_at:%H:%M:%S} UTC" in shown


def test_a_wrong_password_is_a_sentence_and_no_password_stays_in_the_session(floor: Floor, settings: Settings) -> None:
    page = open_page(floor, settings, QA_LEAD)
    fill_in(page, "Your e-mail address", "quentin@nexafx.test")
    fill_in(page, "Your password", "a wrong guess")
    press(page, "Sign: verified")
    assert "password is wrong" in page.error[0].value
    assert not floor.run().signatures
    assert "a wrong guess" not in repr(page.session_state)


def test_what_changed_after_it_was_shown_is_not_signed(floor: Floor, settings: Settings) -> None:
    page = open_page(floor, settings, QA_LEAD)
    with floor.db.begin() as conn:
        untick(conn, floor.run_id, "build/compile", 2, floor.people[DEVELOPER], **HERE)
    floor.tick(("build/compile",))
    fill_in(page, "Your e-mail address", "quentin@nexafx.test")
    fill_in(page, "Your password", seed.PASSWORD)
    press(page, "Sign: verified")
    assert "has changed since you looked" in page.error[0].value
    assert floor.digest(QA_LEAD) in seen(page)


def test_a_rejection_is_made_here_and_the_void_signature_stays_struck(floor: Floor, settings: Settings) -> None:
    floor.sign(QA_LEAD)
    page = open_page(floor, settings, QA_LEAD)
    fill_in(page, "Why", "The suite skipped refunds")
    fill_in(page, "Your e-mail address", "quentin@nexafx.test", last=True)
    fill_in(page, "Your password", seed.PASSWORD, last=True)
    press(page, "Reject")
    said = seen(page)
    assert "<s><b>Quentin</b>" in said
    assert "QA Lead rejected: The suite skipped refunds" in said
    assert {line.id for line in leaves(floor.run().phases) if line.mark.state is State.DONE} == {
        "build/compile", "build/notes"
    }  # fmt: skip


def test_who_may_not_sign_is_told_why_and_gets_no_form(floor: Floor, settings: Settings) -> None:
    page = run_page(floor.db, settings, "signing", floor.people[DEVELOPER].id, id=str(floor.run_id), role=QA_LEAD.value)
    assert "that takes the role qa_lead" in seen(page)
    assert "It can be signed by Quentin." in seen(page)
    assert not page.text_input
    assert "the signature of QA Lead" in seen(open_page(floor, settings, MANAGER))


def test_a_run_is_moved_on_a_page_that_shows_the_difference(
    floor: Floor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = Template.model_validate({**DEFINITION, "phases": DEFINITION["phases"][:2]})  # type: ignore[index]
    monkeypatch.setattr(queries_checklists, "templates", lambda: (newest,))
    monkeypatch.setattr(moving, "find_template", lambda _name: newest)
    page = run_page(floor.db, settings, "move", floor.starter.id, id=str(floor.run_id))
    assert "Removed lines, kept to read" in seen(page)
    press(page, "Move the run")
    assert "with a reason" in seen(page)
    fill_in(page, "Why", "Shipping has a list of its own")
    press(page, "Move the run")
    assert floor.run().template_version == newest.version
    assert "Lines that earlier moves took out" in seen(page)
