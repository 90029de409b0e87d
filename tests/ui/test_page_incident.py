"""Incidents and Incident: who has it, what was done, and doing it; if one may."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard.components.incident_words import as_markdown
from jobs.alerts import incidents as room
from jobs.alerts.incident_story import timeline
from jobs.alerts.incidents import Incident
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.alerts import SENTENCE, a_rule, an_alert, an_incident, someone
from tests.ui.desk import run_page, seen


@pytest.fixture
def ada(db: Database) -> UUID:
    return seed.person(db, Role.ON_CALL, name="Ada")


def stands(db: Database, number: int) -> Incident:
    with db.read() as conn:
        return room.get_incident(conn, number)


def open_page(db: Database, settings: Settings, person: UUID, number: object) -> AppTest:
    page = run_page(db, settings, "incident", person, id=str(number))
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def written(db: Database, number: int) -> list[str | None]:
    with db.read() as conn:
        return [moment.said for moment in timeline(conn, room.get_incident(conn, number)) if moment.said]


def test_without_any_the_page_says_what_will_stand_there(db: Database, settings: Settings, viewer: UUID) -> None:
    page = run_page(db, settings, "incidents", viewer)
    assert "No incident is open" in seen(page)
    assert "Incidents that have ended will stand here" in seen(page)
    assert not page.button


def test_one_is_opened_by_hand_and_has_a_lead(db: Database, settings: Settings, ada: UUID) -> None:
    page = run_page(db, settings, "incidents", ada)
    press(page, "Open an incident")
    page.text_input(key="open-form-title").set_value("Deposits <b>hang</b>")
    page.button(key="open-form-confirm").click().run()
    assert not page.exception
    with db.read() as conn:
        (found,) = room.open_incidents(conn)
    assert (found.title, found.lead, found.severity) == ("Deposits <b>hang</b>", "ada@nexafx.test", "critical")
    said = seen(run_page(db, settings, "incidents", ada))
    assert "One incident is open" in said
    assert "Deposits &lt;b&gt;hang" in said
    assert "Ada</span> has it" in said


def test_who_may_only_look_sees_the_timeline_and_no_button(
    db: Database, settings: Settings, ada: UUID, viewer: UUID
) -> None:
    a_rule(db)
    number = an_incident(db, ada, alerts=(an_alert(db),))
    with db.begin() as conn:
        room.add_note(conn, number, "<script>it answers 503</script>", someone(db, ada), origin="test")
    page = open_page(db, settings, viewer, number)
    said = seen(page)
    assert "&lt;script&gt;it answers 503" in said
    assert SENTENCE in said
    assert "Ada</span> has it" in said
    assert not page.button


@pytest.mark.parametrize("name", ["", "999", "<script>", "9" * 30])
def test_an_address_without_an_incident_says_so(db: Database, settings: Settings, viewer: UUID, name: str) -> None:
    page = run_page(db, settings, "incident", viewer, **({"id": name} if name else {}))
    assert not page.exception
    assert "There is no such incident" in seen(page)
    assert "<script>" not in seen(page)


def test_a_note_goes_into_the_timeline_and_leaves_room_for_the_next(
    db: Database, settings: Settings, ada: UUID
) -> None:
    number = an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    page.text_area[0].set_value("Horizon answers 503")
    press(page, "Add it to the timeline")
    assert written(db, number) == ["Horizon answers 503"]
    assert not page.text_area[0].value


def test_it_is_handed_over_with_what_the_next_one_needs_to_know(db: Database, settings: Settings, ada: UUID) -> None:
    seed.person(db, Role.DEVOPS, name="Grace")
    number = an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    press(page, "Hand over")
    key = f"handover-{number}-1"
    page.selectbox(key=f"{key}-lead").set_value("grace@nexafx.test")
    page.button(key=f"{key}-confirm").click().run()
    assert "Say what the next one needs to know" in page.session_state[f"{key}-problem"]
    press(page, "Hand over")
    page.selectbox(key=f"{key}-lead").set_value("grace@nexafx.test")
    page.text_area(key=f"{key}-why").set_value("their disk is full")
    page.button(key=f"{key}-confirm").click().run()
    assert stands(db, number).lead == "grace@nexafx.test"
    assert "Grace</span> has it" in seen(open_page(db, settings, ada, number))


def test_it_is_resolved_reviewed_and_found_again(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    press(page, "Resolve")
    page.text_area(key=f"resolve-{number}-why").set_value("Horizon is back")
    page.button(key=f"resolve-{number}-confirm").click().run()
    assert stands(db, number).resolution == "Horizon is back"
    page = open_page(db, settings, ada, number)
    assert "Hand over" not in [button.label for button in page.button]
    press(page, "Start the post-incident review")
    run = stands(db, number).review_run
    assert f'href="/checklist?id={run}"' in seen(open_page(db, settings, ada, number))
    assert f'href="/incident?id={number}"' in seen(run_page(db, settings, "checklist", ada, id=str(run)))
    listed = seen(run_page(db, settings, "incidents", ada))
    assert "No incident is open" in listed
    assert "Horizon is back" in listed


def test_who_was_slower_is_told_who_resolved_it(db: Database, settings: Settings, ada: UUID) -> None:
    grace = seed.person(db, Role.DEVOPS, name="Grace")
    number = an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    press(page, "Resolve")
    with db.begin() as conn:
        room.resolve(conn, number, "over", someone(db, grace), origin="test")
    page.text_area(key=f"resolve-{number}-why").set_value("over")
    page.button(key=f"resolve-{number}-confirm").click().run()
    assert "grace@nexafx.test resolved incident" in page.session_state[f"resolve-{number}-problem"]


def test_who_lost_the_right_meanwhile_is_refused_by_the_server(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    press(page, "Resolve")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.text_area(key=f"resolve-{number}-why").set_value("over")
    page.button(key=f"resolve-{number}-confirm").click().run()
    assert stands(db, number).open


def test_alerts_are_added_and_taken_out(db: Database, settings: Settings, ada: UUID) -> None:
    a_rule(db)
    alert, number = an_alert(db), an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    press(page, "Add alerts")
    page.multiselect(key=f"addalerts-{number}-which").set_value([alert])
    page.button(key=f"addalerts-{number}-confirm").click().run()
    page = open_page(db, settings, ada, number)
    assert f'href="/alert?id={alert}"' in seen(page)
    press(page, "Take out")
    page.text_area(key=f"takeout-{number}-{alert}-why").set_value("another matter")
    page.button(key=f"takeout-{number}-{alert}-confirm").click().run()
    with db.read() as conn:
        assert room.incidents_of(conn, [alert]) == {}


def test_the_bundle_takes_the_time_of_the_incident(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_incident(db, ada)
    page = open_page(db, settings, ada, number)
    press(page, "Bundle")
    press(page, "Run incident-bundle")
    with db.read() as conn:
        params = conn.execute(text("SELECT params FROM ops.runs WHERE job = 'incident-bundle'")).scalar_one()
        began = stands(db, number).began_at
    assert params["since"] < began.isoformat() < params["until"]


def test_as_markdown_what_people_wrote_stays_text(db: Database, ada: UUID) -> None:
    number = an_incident(db, ada, title="# It *hangs*")
    with db.begin() as conn:
        room.add_note(conn, number, "first\n# second <script>\n1. third", someone(db, ada), origin="test")
    with db.read() as conn:
        found = room.get_incident(conn, number)
        document = as_markdown(found, timeline(conn, found), {"ada@nexafx.test": "Ada"})
    assert document.startswith(f"# Incident {number}: # It \\*hangs\\*\n")
    assert "  > first\n" in document
    assert "  > \\# second \\<script>\n  > 1\\. third\n" in document
    assert "**Ada (ada@nexafx.test)** noted" in document
