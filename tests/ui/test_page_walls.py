"""Wall links: made and shown once, revoked with a reason, by those who may share the view."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from jobs.alerts.walls import add_link, find_link, list_links, revoke_link
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen

ONCE = "nx-wall-shown-once"


@pytest.fixture
def ada(db: Database) -> UUID:
    return seed.person(db, Role.ON_CALL, name="Ada")


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def test_a_link_is_made_and_shown_once(db: Database, settings: Settings, ada: UUID) -> None:
    page = run_page(db, settings, "walls", ada)
    assert "No wall link is open" in seen(page)
    page.button[0].click().run()
    page.text_input(key="wall-name").set_value("Office")
    page = press(page, "wall-add-confirm")
    secret = page.session_state[ONCE]
    with db.read() as conn:
        found = find_link(list_links(conn), secret)
    assert found is not None
    assert (found.name, found.created_by) == ("Office", "ada@nexafx.test")
    later = run_page(db, settings, "walls", ada)
    assert "1 wall link is open" in seen(later)
    assert secret not in seen(later)
    assert ONCE not in later.session_state


def test_a_link_without_a_place_is_refused_in_words(db: Database, settings: Settings, ada: UUID) -> None:
    page = run_page(db, settings, "walls", ada)
    page.button[0].click().run()
    page.text_input(key="wall-name").set_value("  ")
    page = press(page, "wall-add-confirm")
    assert "where the screen hangs" in page.session_state["nx-wall-problem"]
    assert ONCE not in page.session_state


def test_a_link_is_revoked_with_its_reason_and_of_two_the_second_is_told(
    db: Database, settings: Settings, ada: UUID
) -> None:
    with db.begin() as conn:
        secrets = [add_link(conn, name, actor="system", origin="test") for name in ("Kitchen", "Office")]
    page = press(run_page(db, settings, "walls", ada), "wall-revoke-1")
    page.text_area(key="wall-revoking-1-why").set_value("the screen was sold")
    press(page, "wall-revoking-1-confirm")
    with db.read() as conn:
        assert [find_link(list_links(conn), secret) is None for secret in secrets] == [True, False]
        assert conn.execute(text("SELECT reason FROM ops.audit WHERE action = 'wall.revoked'")).all() == [
            ("the screen was sold",)
        ]
    page = press(run_page(db, settings, "walls", ada), "wall-revoke-2")
    with db.begin() as conn:
        revoke_link(conn, 2, actor="oda@nexafx.test", origin="test")
    page.text_area(key="wall-revoking-2-why").set_value("me too")
    page = press(page, "wall-revoking-2-confirm")
    assert "revoked already" in page.session_state["wall-revoking-2-problem"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER, Role.RELEASE_MANAGER])
def test_who_may_not_share_the_wall_sees_no_link(db: Database, settings: Settings, role: Role) -> None:
    page = run_page(db, settings, "walls", seed.person(db, role))
    assert "You may not share the wall view" in seen(page)
    assert not page.button
