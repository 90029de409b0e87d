"""Rule: what it says, what it would have done, changing it with the consequence before one's eyes; if one may."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from jobs.alerts import store
from jobs.alerts.editing import switch_rule
from jobs.alerts.model import Rule
from jobs.core.db import Database
from jobs.core.errors import NotFound
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.alerts import a_rule
from tests.ui.desk import run_page, seen

NAME = "job-failing"
KEY = f"rule-{NAME}-1"


@pytest.fixture
def ada(db: Database) -> UUID:
    return seed.person(db, Role.ON_CALL, name="Ada")


@pytest.fixture(autouse=True)
def _week(db: Database) -> None:
    """A week in which a job failed four times in a row, once, for half an hour."""
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.alert_watches (began_at, until) VALUES (now() - interval '7 days', now())"))
        conn.execute(
            text("INSERT INTO ops.alert_readings (signal, subject, at, value) VALUES"
                 " ('job.failures', 'cleanup-notifications', now() - interval '7 days', 0),"
                 " ('job.failures', 'cleanup-notifications', now() - interval '60 minutes', 4),"
                 " ('job.failures', 'cleanup-notifications', now() - interval '30 minutes', 0)")
        )  # fmt: skip


def open_page(db: Database, settings: Settings, person: UUID, **query: str) -> AppTest:
    page = run_page(db, settings, "rule", person, **(query or {"name": NAME}))
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def rule(db: Database, name: str = NAME) -> Rule:
    with db.read() as conn:
        return store.get_rule(conn, name)


def test_who_may_only_look_sees_what_it_says_and_what_it_would_have_done(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    page = open_page(db, settings, viewer)
    said = seen(page)
    assert "A job keeps failing" in said
    assert "as it came with the desk" in said
    assert "Would have fired once" in said
    assert "cleanup-notifications" in said
    assert "the team at once, whoever is on call at once" in said
    assert not page.button
    assert not page.text_input


@pytest.mark.parametrize("name", ["", "gone", "<script>"])
def test_an_address_without_a_rule_says_so(db: Database, settings: Settings, viewer: UUID, name: str) -> None:
    for query in ({"name": name}, {"new": "1"}):
        said = seen(open_page(db, settings, viewer, **query))
        assert "There is no such rule" in said
        assert "<script>" not in said


def test_the_preview_follows_the_fields_and_nothing_is_saved(db: Database, settings: Settings, ada: UUID) -> None:
    page = open_page(db, settings, ada)
    assert "Nothing is changed yet" in seen(page)
    page.number_input(key=f"{KEY}-job.failures-threshold").set_value(5.0).run()
    assert "Would not have fired" in seen(page)
    page.number_input(key=f"{KEY}-job.failures-threshold").set_value(2.0)
    page.number_input(key=f"{KEY}-for").set_value(10.0).run()
    assert "Would have fired once" in seen(page)
    assert "20 min in all" in seen(page)
    assert rule(db).version == 1


def test_a_change_is_confirmed_with_its_consequence_and_stands_in_the_history(
    db: Database, settings: Settings, ada: UUID
) -> None:
    page = open_page(db, settings, ada)
    page.number_input(key=f"{KEY}-job.failures-threshold").set_value(5.0).run()
    press(page, "Save")
    assert "From the next evaluation on it alerts when" in seen(page)
    page.text_area(key=f"{KEY}-save-why").set_value("three is usual here")
    page.button(key=f"{KEY}-save-confirm").click().run()
    assert (rule(db).threshold, rule(db).version) == (5.0, 2)
    said = seen(open_page(db, settings, ada))
    assert "changed here" in said
    assert "three is usual here" in said


def test_who_was_slower_is_told_so(db: Database, settings: Settings, ada: UUID) -> None:
    page = open_page(db, settings, ada)
    page.number_input(key=f"{KEY}-job.failures-threshold").set_value(5.0).run()
    press(page, "Save")
    with db.begin() as conn:
        switch_rule(conn, NAME, False, "grace@nexafx.test", reason="too loud")
    page.text_area(key=f"{KEY}-save-why").set_value("three is usual here")
    page.button(key=f"{KEY}-save-confirm").click().run()
    assert "was changed meanwhile, by grace@nexafx.test" in page.session_state[f"{KEY}-save-problem"]
    assert rule(db).threshold == 3.0


def test_what_is_not_accepted_is_one_sentence(db: Database, settings: Settings, ada: UUID) -> None:
    page = open_page(db, settings, ada)
    page.number_input(key=f"{KEY}-after-0").set_value(5.0).run()
    press(page, "Save")
    page.text_area(key=f"{KEY}-save-why").set_value("later")
    page.button(key=f"{KEY}-save-confirm").click().run()
    assert "The first step tells somebody at once" in page.session_state[f"{KEY}-save-problem"]


def test_a_rule_of_ones_own_is_made_switched_and_deleted(db: Database, settings: Settings, ada: UUID) -> None:
    page = open_page(db, settings, ada, new="1")
    page.text_input(key="rule--0-name").set_value("cleanup-fails")
    page.text_input(key="rule--0-title").set_value("The clean-up fails")
    page.text_input(key="rule--0-subject").set_value("cleanup-*").run()
    assert "Would have fired once" in seen(page)
    press(page, "Save")
    page.text_area(key="rule--0-save-why").set_value("it fills the disk")
    page.button(key="rule--0-save-confirm").click().run()
    assert rule(db, "cleanup-fails").subject == "cleanup-*"
    page = open_page(db, settings, ada, name="cleanup-fails")
    press(page, "Switch off")
    page.text_area(key="switch-cleanup-fails-off-why").set_value("not now")
    page.button(key="switch-cleanup-fails-off-confirm").click().run()
    assert not rule(db, "cleanup-fails").enabled
    page = open_page(db, settings, ada, name="cleanup-fails")
    press(page, "Delete")
    page.text_area(key="delete-cleanup-fails-why").set_value("never needed")
    page.button(key="delete-cleanup-fails-confirm").click().run()
    with pytest.raises(NotFound):
        rule(db, "cleanup-fails")


def test_a_shipped_one_is_reset(db: Database, settings: Settings, ada: UUID) -> None:
    with db.begin() as conn:
        switch_rule(conn, NAME, False, "grace@nexafx.test", reason="too loud")
    page = open_page(db, settings, ada)
    press(page, "Reset")
    key = f"reset-{NAME}-2"
    page.text_area(key=f"{key}-why").set_value("it was right")
    page.button(key=f"{key}-confirm").click().run()
    assert rule(db).enabled
    assert "Reset" not in [button.label for button in open_page(db, settings, ada).button]


def test_who_lost_the_right_meanwhile_is_refused_by_the_server(db: Database, settings: Settings, ada: UUID) -> None:
    page = open_page(db, settings, ada)
    press(page, "Switch off")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.text_area(key=f"switch-{NAME}-off-why").set_value("too loud")
    page.button(key=f"switch-{NAME}-off-confirm").click().run()
    assert rule(db).enabled


def test_one_with_a_signal_that_is_gone_can_still_be_read(db: Database, settings: Settings, viewer: UUID) -> None:
    a_rule(db, "old-one", signal="gone.signal")
    assert "Old one" in seen(open_page(db, settings, viewer, name="old-one"))
