"""What every page has: a check of who is looking, the line on top, and navigation to what exists."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from dashboard.navigation import PAGES
from jobs.core.db import Database
from jobs.core.permissions import Role, allowed
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen

NAMES = [entry.name for entry in PAGES]


@pytest.mark.parametrize("name", NAMES)
def test_every_page_of_the_navigation_refuses_who_is_not_signed_in(db: Database, settings: Settings, name: str) -> None:
    for nobody in (None, uuid4()):
        page = run_page(db, settings, name, nobody)
        assert not page.exception
        assert page.error
        assert not page.get("html")


# What the pages do differently for the others is a matter of single rights, which their own tests prove.
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ON_CALL, Role.ADMINISTRATOR])
def test_every_page_opens_for_every_role_that_may_see_it(db: Database, settings: Settings, role: Role) -> None:
    settings = settings.model_copy(update={"horizon_urls": seed.SERVERS})
    person = seed.person(db, role)
    seed.living(db, trouble=True)
    for entry in PAGES:
        page = run_page(db, settings, entry.name, person)
        assert not page.exception, (entry.name, page.exception)
        if allowed([role], entry.right):
            assert not page.error, (entry.name, [error.value for error in page.error])
            assert page.get("html"), entry.name
        else:
            assert "You may not" in page.error[0].value
            assert not page.get("html"), entry.name


def test_an_account_that_was_closed_sees_nothing(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.ADMINISTRATOR)
    assert not run_page(db, settings, "app", person).error
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET disabled_at = now()"))
    assert "closed" in run_page(db, settings, "app", person).error[0].value


def test_a_page_with_all_its_tiles_asks_once_who_is_looking(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.ADMINISTRATOR)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    run_page(db, settings, "app", person)
    assert sum("FROM ops.people WHERE id" in statement for statement in asked) == 1


def test_a_one_time_password_is_not_enough_for_a_page(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.ADMINISTRATOR, must_change=True)
    assert run_page(db, settings, "app", person).error


@pytest.mark.parametrize(("network", "label"), [("PUBLIC", "nx-net-public"), ("TESTNET", "nx-net-testnet")])
def test_the_line_on_top_names_the_network(db: Database, settings: Settings, network: str, label: str) -> None:
    settings = settings.model_copy(update={"network": network, "network_passphrase": None})
    said = seen(run_page(db, settings, "app", seed.person(db, Role.VIEWER)))
    assert label in said
    assert f">{network}<" in said


def test_the_demo_says_so(db: Database, settings: Settings) -> None:
    demo = settings.model_copy(update={"demo": True})
    assert ">DEMO<" in seen(run_page(db, demo, "app", seed.person(db, Role.VIEWER)))


def test_the_line_on_top_says_what_is_switched_off_and_how_bad_it_is(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.VIEWER)
    seed.living(db, trouble=True)
    said = seen(run_page(db, settings, "app", person))
    assert "enableRetry off" in said
    assert 'data-worst="critical"' in said
    assert re.search(r'data-tab="\(\d\) critical"', said)


def test_what_comes_from_the_tables_is_never_read_as_markup(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.ADMINISTRATOR)
    seed.living(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.flags SET value = NOT value, reason = '<img src=x onerror=alert(1)>' WHERE name = 'dryRun'"
            )
        )
        conn.execute(text("UPDATE ops.people SET name = '<b>Bobby</b>'"))
    said = seen(run_page(db, settings, "app", person))
    assert "&lt;img src=x" in said
    assert "<img" not in said
    assert "<b>" not in said
