"""How a page changes something: the right is asked on the server, and what was done is said."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard import access
from dashboard.actions import attempt, attempt_apart
from dashboard.desk import open_desk
from jobs.core.db import Database
from jobs.core.flags import Flag, read_flags
from jobs.core.permissions import Right, Role
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


def test_what_a_page_does_one_after_another_is_asked_each_time(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that decides a hundred cases takes minutes, in which an account can be closed."""
    open_desk(settings, db)
    who = seed.person(db, Role.DEVOPS)
    monkeypatch.setattr(access.st, "user", UserInfo({"person": str(who)}))
    said: list[str] = []
    with access.looking(access.as_known_now()):
        assert attempt(Right.SET_FLAGS, lambda _conn, person: person.name, said.append) == "Devops Person"
        with db.begin() as conn:
            conn.execute(text("UPDATE ops.people SET disabled_at = now()"))
        assert access.signed_in().name == "Devops Person", "what is drawn is drawn for one person"
        assert attempt(Right.SET_FLAGS, lambda _conn, person: person.name, said.append) is None
        assert attempt_apart(Right.SET_FLAGS, lambda _db, person: person.name, said.append) is None
    assert [sentence[:22] for sentence in said] == ["Your account is closed"] * 2


class UserInfo(dict[str, str]):
    """What `st.user` has of a page's headers, where there is no page."""

    def to_dict(self) -> dict[str, str]:
        return dict(self)


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
