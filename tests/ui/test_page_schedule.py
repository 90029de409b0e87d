"""Schedule: what it means, what another would mean, saving it with a reason, and taking it back; if one may."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.schedule import store
from jobs.schedule.editing import edit, history
from jobs.schedule.model import Schedule
from tests.ui import seed
from tests.ui.desk import run_page, seen

NAME = "reconcile-pending"
LOOK = "Show what it would do"


def plan(db: Database, name: str = NAME) -> Schedule:
    with db.read() as conn:
        return store.find_schedule(conn, name)


def open_page(db: Database, settings: Settings, person: UUID, name: str = NAME) -> AppTest:
    page = run_page(db, settings, "schedule", person, name=name)
    assert not page.exception
    return page


def field(db: Database, name: str) -> str:
    return f"schedule-{NAME}-{plan(db).version}-{name}"


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def change(db: Database, changes: dict[str, Any]) -> int:
    with db.begin() as conn:
        edit(conn, NAME, changes, expected_version=store.find_schedule(conn, NAME).version, actor="ada@nexafx.com",
             reason="too often")  # fmt: skip
        return history(conn, NAME, limit=1)[0].id


def test_who_may_only_look_sees_what_it_means_and_who_changed_it(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    change(db, {"expression": "300", "timeout_s": 400})
    page = open_page(db, settings, viewer)
    said = seen(page)
    assert "reconcile-pending runs every 5 minutes" in said
    assert "That is 288 times a day." in said
    assert "A run may take 400 s, but slots are only 300 s apart" in said
    assert "ada@nexafx.com" in said
    assert "too often" in said
    assert "seconds that a run may take" in said
    assert not page.button
    assert not page.text_input


@pytest.mark.parametrize("name", ["", "gone", "<script>"])
def test_an_address_without_a_schedule_says_so(db: Database, settings: Settings, viewer: UUID, name: str) -> None:
    page = open_page(db, settings, viewer, name)
    assert "There is no such schedule" in seen(page)
    assert "<script>" not in seen(page)


def test_a_look_at_what_it_would_do_comes_before_saving_and_changes_nothing(db: Database, settings: Settings) -> None:
    before = plan(db)
    page = open_page(db, settings, seed.person(db, Role.ON_CALL))
    page.segmented_control(key=field(db, "kind")).set_value("cron").run()
    page.text_input(key=field(db, "cron")).set_value("30 2 * * *")
    page.selectbox(key=field(db, "zone")).set_value("Europe/Berlin")
    press(page, LOOK)
    said = seen(page)
    assert "It would run daily at 02:30 Europe/Berlin." in said
    assert "comes twice, and runs twice" in said
    assert "Europe/Berlin</th>" in said
    assert plan(db) == before


def test_saving_takes_a_reason_and_the_history_tells_it(db: Database, settings: Settings) -> None:
    key = field(db, "save")
    page = open_page(db, settings, seed.person(db, Role.DEVOPS))
    page.number_input(key=field(db, "jitter_s")).set_value(20)
    page.number_input(key=field(db, "param-limit")).set_value(50)
    press(page, LOOK)
    press(page, "Save")
    page.button(key=f"{key}-confirm").click().run()
    assert "Say why" in page.session_state[f"{key}-problem"]
    press(page, "Save")
    page.text_area(key=f"{key}-why").set_value("all at once was too much")
    page.button(key=f"{key}-confirm").click().run()
    after = plan(db)
    assert (after.jitter_s, after.params) == (20, {"limit": 50})
    with db.read() as conn:
        newest = history(conn, NAME)[0]
    assert (newest.actor, newest.reason, newest.new) == (
        "devops@nexafx.test", "all at once was too much", {"jitter_s": 20, "params": {"limit": 50}}
    )  # fmt: skip


def test_a_value_that_is_not_accepted_is_a_sentence(db: Database, settings: Settings) -> None:
    page = open_page(db, settings, seed.person(db, Role.DEVOPS))
    page.text_input(key=field(db, "interval")).set_value("now and then")
    press(page, LOOK)
    assert "not a length of time" in page.error[0].value
    assert "Save" not in [button.label for button in page.button]


def test_who_was_slower_is_told_so_and_loses_nothing(db: Database, settings: Settings) -> None:
    key = field(db, "save")
    page = open_page(db, settings, seed.person(db, Role.DEVOPS))
    page.number_input(key=field(db, "retries")).set_value(3)
    press(page, LOOK)
    press(page, "Save")
    change(db, {"retries": 5})
    page.text_area(key=f"{key}-why").set_value("more patience")
    page.button(key=f"{key}-confirm").click().run()
    assert "was changed meanwhile, by ada@nexafx.com" in page.session_state[f"{key}-problem"]
    assert plan(db).retries == 5


def test_who_lost_the_right_meanwhile_is_refused_by_the_server(db: Database, settings: Settings) -> None:
    key, before = field(db, "save"), plan(db)
    page = open_page(db, settings, seed.person(db, Role.DEVOPS))
    page.number_input(key=field(db, "retries")).set_value(3)
    press(page, LOOK)
    press(page, "Save")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.text_area(key=f"{key}-why").set_value("more patience")
    page.button(key=f"{key}-confirm").click().run()
    assert "You may not pause jobs or change when they run" in page.session_state[f"{key}-problem"]
    assert plan(db) == before


def test_an_edit_is_undone_from_the_history(db: Database, settings: Settings) -> None:
    number = change(db, {"expression": "300"})
    key = f"undo-{number}-{plan(db).version}"
    page = open_page(db, settings, seed.person(db, Role.ON_CALL))
    page.button(key=f"undo-{number}").click().run()
    assert "From now on it runs every 2 minutes." in seen(page)
    page.text_area(key=f"{key}-why").set_value("deposits hang")
    page.button(key=f"{key}-confirm").click().run()
    assert plan(db).expression == "120"


def test_an_edit_whose_values_were_changed_again_says_what_to_do(db: Database, settings: Settings) -> None:
    number = change(db, {"expression": "300"})
    change(db, {"expression": "600"})
    page = open_page(db, settings, seed.person(db, Role.ON_CALL))
    page.button(key=f"undo-{number}").click().run()
    assert "undo the later edits first" in page.error[0].value


def test_it_is_paused_and_resumed_here_too(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.ON_CALL)
    page = open_page(db, settings, person)
    press(page, "Pause")
    page.text_area(key=f"pause-form-{NAME}-why").set_value("the chain stands still")
    page.button(key=f"pause-form-{NAME}-confirm").click().run()
    assert plan(db).paused_reason == "the chain stands still"
    page = open_page(db, settings, person)
    assert "the chain stands still" in seen(page)
    press(page, "Resume")
    page.text_area(key=f"resume-form-{NAME}-why").set_value("it goes on")
    page.button(key=f"resume-form-{NAME}-confirm").click().run()
    assert plan(db).paused_at is None


def test_what_a_setting_switches_has_no_switch_here(db: Database, settings: Settings) -> None:
    page = open_page(db, settings, seed.person(db, Role.DEVOPS), "deliver-events")
    assert "On: its slots run" not in [box.label for box in page.checkbox]


def test_a_schedule_without_its_job_can_be_read(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.schedules (name, kind, expression, timeout_s)"
                          " VALUES ('gone-job', 'interval', '60', 10)"))  # fmt: skip
    page = open_page(db, settings, seed.person(db, Role.ADMINISTRATOR), "gone-job")
    assert "No installed package brings this job" in seen(page)
    assert not page.button


def test_one_that_cannot_be_read_says_so_and_is_mended_here(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET expression = 'whenever' WHERE name = :name"), {"name": NAME})
    person = seed.person(db, Role.ON_CALL)
    assert "'whenever' in UTC cannot be read" in seen(run_page(db, settings, "jobs", person)).replace("&#x27;", "'")
    page = open_page(db, settings, person)
    page.text_input(key=field(db, "interval")).set_value("2min")
    press(page, LOOK)
    assert "It would run every 2 minutes." in seen(page)


def test_the_page_jobs_leads_here(db: Database, settings: Settings, viewer: UUID) -> None:
    assert f'href="/schedule?name={NAME}"' in seen(run_page(db, settings, "jobs", viewer))
