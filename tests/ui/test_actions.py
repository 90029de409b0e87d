"""How a page changes something: the right is asked on the server, and what was done is said."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.desk import open_desk
from jobs.core.db import Database
from jobs.core.flags import Flag, read_flags
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed


@pytest.fixture
def page(db: Database, settings: Settings) -> AppTest:
    open_desk(settings, db)
    return AppTest.from_file(str(Path(__file__).with_name("actions_page.py")))


def as_somebody(page: AppTest, person: UUID) -> AppTest:
    page.user = {"person": str(person)}
    return page.run()


def is_on(db: Database) -> bool:
    with db.read() as conn:
        return read_flags(conn)[Flag.CLEANUP]


def test_what_was_done_is_said_once(db: Database, page: AppTest) -> None:
    page = as_somebody(page, seed.person(db, Role.DEVOPS))
    page.button[0].click().run()
    assert not is_on(db)
    assert [toast.value for toast in page.toast] == ["Devops Person switched it off."]
    assert not page.run().toast


def test_who_may_not_is_refused_by_the_server(db: Database, page: AppTest) -> None:
    page = as_somebody(page, seed.person(db, Role.VIEWER))
    page.button[0].click().run()
    assert is_on(db)
    assert "You may not switch feature flags" in page.error[0].value


def test_a_conflict_is_a_sentence(db: Database, page: AppTest) -> None:
    page = as_somebody(page, seed.person(db, Role.DEVOPS))
    page.button[0].click().run()
    page.button[0].click().run()
    assert page.error[0].value == "It is off already."


def test_the_dialog_names_the_consequence_and_asks_why(db: Database, page: AppTest) -> None:
    page = as_somebody(page, seed.person(db, Role.DEVOPS))
    page.button[1].click().run()
    assert "It stays off." in page.get("html")[0].proto.body
    assert page.text_area[0].label == "Why"
    assert is_on(db)
