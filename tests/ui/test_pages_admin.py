"""Flags and People: what is switched off, and who may do what."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard.queries_admin import PAGE
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.people import authenticate
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen

PROBLEM = "nx-people-problem"
ONCE = "nx-people-shown-once"


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def audit(db: Database, action: str) -> Any:
    with db.read() as conn:
        return conn.execute(text("SELECT * FROM ops.audit WHERE action = :action"), {"action": action}).one()


def test_a_flag_is_switched_with_a_reason_and_its_consequence_is_named(db: Database, settings: Settings) -> None:
    page = run_page(db, settings, "flags", seed.person(db, Role.ON_CALL))
    assert "Every flag stands as on a quiet day" in seen(page)
    page = press(page, "flag-enableReconciliation")
    assert "deposits and withdrawals wait" in seen(page)
    page.text_area(key="flag-enableReconciliation-off-why").set_value("Horizon answers nonsense")
    page = press(page, "flag-enableReconciliation-off-confirm")
    assert audit(db, "flag.set").reason == "Horizon answers nonsense"
    said = seen(run_page(db, settings, "flags", seed.person(db, Role.VIEWER)))
    assert "enableReconciliation is off" in said
    assert "Horizon answers nonsense" in said


def test_a_flag_without_a_reason_stays_as_it_is(db: Database, settings: Settings) -> None:
    page = press(run_page(db, settings, "flags", seed.person(db, Role.DEVOPS)), "flag-dryRun")
    page = press(page, "flag-dryRun-on-confirm")
    assert "Say why" in page.session_state["flag-dryRun-on-problem"]
    assert "Every flag stands as on a quiet day" in seen(run_page(db, settings, "flags", seed.person(db, Role.VIEWER)))


def test_of_two_who_switch_a_flag_the_second_is_told(db: Database, settings: Settings) -> None:
    page = press(run_page(db, settings, "flags", seed.person(db, Role.DEVOPS)), "flag-enableCleanup")
    with db.begin() as conn:
        set_flag(conn, Flag.CLEANUP, False, actor="ada@nexafx.com", reason="faster", origin="test")
    page.text_area(key="flag-enableCleanup-off-why").set_value("me too")
    page = press(page, "flag-enableCleanup-off-confirm")
    assert "somebody was faster" in page.session_state["flag-enableCleanup-off-problem"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER, Role.RELEASE_MANAGER])
def test_who_may_not_switch_sees_no_switch(db: Database, settings: Settings, role: Role) -> None:
    page = run_page(db, settings, "flags", seed.person(db, role))
    assert not page.exception
    assert not page.button


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_people_are_the_administrators_page(db: Database, settings: Settings, role: Role) -> None:
    page = run_page(db, settings, "people", seed.person(db, role))
    assert "You may not manage people" in seen(page)
    assert not page.button


@pytest.fixture
def boss(db: Database) -> UUID:
    return seed.person(db, Role.ADMINISTRATOR)


def test_a_person_is_added_and_signs_in_with_the_password_that_was_shown_once(
    db: Database, settings: Settings, boss: UUID
) -> None:
    page = run_page(db, settings, "people", boss)
    page = next(button for button in page.button if button.label == "Add a person").click().run()
    page.text_input(key="person-email").set_value("Lin@nexafx.com")
    page.multiselect(key="person-roles").set_value([Role.DEVOPS])
    page = press(page, "person-add-confirm")
    assert authenticate(db, "lin@nexafx.com", page.session_state[ONCE], origin="test").must_change
    assert "has not chosen a password yet" in seen(run_page(db, settings, "people", boss))


def test_what_is_no_address_is_told_beside_the_field(db: Database, settings: Settings, boss: UUID) -> None:
    page = run_page(db, settings, "people", boss)
    page = next(button for button in page.button if button.label == "Add a person").click().run()
    page.text_input(key="person-email").set_value("lin")
    page.multiselect(key="person-roles").set_value([Role.VIEWER])
    page = press(page, "person-add-confirm")
    assert "is not an e-mail address" in page.session_state[PROBLEM]


def test_roles_are_changed_and_the_last_administrator_stays_one(db: Database, settings: Settings, boss: UUID) -> None:
    other = seed.person(db, Role.VIEWER)
    page = press(run_page(db, settings, "people", boss, person=str(other)), f"roles-{other}")
    page.multiselect(key=f"roles-of-{other}").set_value([Role.ON_CALL, Role.QA_LEAD])
    press(page, f"roles-of-{other}-sent-confirm")
    assert audit(db, "person.roles").new == {"roles": ["on-call", "qa_lead"]}
    page = press(run_page(db, settings, "people", boss, person=str(boss)), f"roles-{boss}")
    page.multiselect(key=f"roles-of-{boss}").set_value([Role.VIEWER])
    page = press(page, f"roles-of-{boss}-sent-confirm")
    assert "is the last administrator" in page.session_state[PROBLEM]


def test_a_lost_password_is_replaced_and_an_account_closed(db: Database, settings: Settings, boss: UUID) -> None:
    other = seed.person(db, Role.VIEWER)
    page = press(run_page(db, settings, "people", boss, person=str(other)), f"reset-{other}")
    page = press(page, f"reset-sent-{other}-confirm")
    with db.read() as conn:
        email = conn.execute(text("SELECT email FROM ops.people WHERE id = :id"), {"id": other}).scalar_one()
    assert authenticate(db, email, page.session_state[ONCE], origin="test").must_change
    page = press(run_page(db, settings, "people", boss, person=str(other)), f"close-{other}")
    page.text_area(key=f"closing-{other}-why").set_value("has left")
    press(page, f"closing-{other}-confirm")
    assert audit(db, "person.disabled").reason == "has left"
    assert "closed" in seen(run_page(db, settings, "people", boss))


def test_many_people_are_walked_by_key_and_found_by_a_part_of_the_name(
    db: Database, settings: Settings, boss: UUID
) -> None:
    for n in range(PAGE + 2):
        seed.person(db, Role.VIEWER, name=f"Person {n:02}")
    gone = seed.person(db, Role.VIEWER, name="Zoe Gone")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET disabled_at = now() WHERE id = :id"), {"id": gone})
    walked: list[str] = []
    key: dict[str, str] = {}
    for last in (False, True):
        said = seen(run_page(db, settings, "people", boss, **key))
        assert f"{PAGE + 3} people may sign in" in said
        walked += re.findall(r"person=([0-9a-f-]{36})", said)
        assert (">More<" not in said) is last
        key = {"before": said.rpartition("before=")[2].partition('"')[0]}
    assert len(walked) == len(set(walked)) == PAGE + 4
    assert walked[-1] == str(gone)
    found = seen(run_page(db, settings, "people", boss, q="zoe"))
    assert "Zoe Gone" in found
    assert "Person 01" not in found
    assert "Nobody is called so" in seen(run_page(db, settings, "people", boss, q="%"))


@pytest.mark.parametrize("given", ["0", "<b>", "00000000-0000-0000-0000-000000000000"])
def test_an_address_of_nobody_says_so(db: Database, settings: Settings, boss: UUID, given: str) -> None:
    page = run_page(db, settings, "people", boss, person=given)
    assert "There is no such account" in seen(page)
    assert not page.button
