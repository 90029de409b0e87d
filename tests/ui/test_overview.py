"""The overview answers: is all well, and if not, what and since when."""

from __future__ import annotations

import re

import pytest

from jobs.core.audit import AuditRow, record_many
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"horizon_urls": seed.SERVERS})


def test_a_quiet_day_is_one_sentence(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    assert "<h1>All is well</h1>" in said
    assert "nx-problems" not in said


def test_the_worst_comes_first_and_leads_to_its_run(db: Database, settings: Settings) -> None:
    seed.living(db, trouble=True)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    head = said[said.index("<h1>") : said.index("</h1>")]
    assert "reconcile-pending has failed 3 times since" in head
    assert "Horizon answers 503" in head
    assert 'href="/run?id=' in head
    assert "enableRetry is off" in said
    assert "cleanup-notifications is paused until it is resumed by ada@nexafx.com" in said


def test_pending_money_is_told_by_currency_with_its_oldest(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    assert "312.50" in said
    assert "5 waiting" in said
    assert "250.00" in said


def test_the_strip_has_a_bar_for_each_of_the_last_fifty_runs(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    assert said.count("nx-bar") == 50 * len(seed.JOBS)
    assert "failed, " in said


def test_what_runs_did_is_one_row_and_ticks_are_lines_of_their_checklist(db: Database, settings: Settings) -> None:
    seed.living(db)
    rows = [
        AuditRow(actor=actor, action=action, entity=entity, entity_id=id_, origin="test")
        for actor, action, entity, id_ in (
            ("run:901", "transaction.settled", "transaction", "a"),
            ("run:902", "transaction.settled", "transaction", "b"),
            ("mei@nexafx.com", "item.ticked", "checklist_run", "3"),
            ("mei@nexafx.com", "item.ticked", "checklist_run", "3"),
            ("mei@nexafx.com", "item.ticked", "checklist_run", "4"),
        )
    ]
    with db.begin() as conn:
        record_many(conn, rows)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.ADMINISTRATOR)))
    assert re.search(r"\d runs</td>", said)
    assert said.count("transactions settled") == 1
    assert '2 lines ticked in <a href="/checklist?id=3" class="nx-link">checklist run 3</a>' in said
    assert "1 line ticked in" in said


def test_what_changed_is_shown_to_those_who_may_read_the_audit(db: Database, settings: Settings) -> None:
    seed.living(db)
    auditor, viewer = seed.person(db, Role.PROJECT_MANAGER), seed.person(db, Role.VIEWER)
    said = seen(run_page(db, settings, "overview", auditor))
    assert "What changed in the last hour" in said
    assert "14 transactions settled" in said
    assert "the notification table is being moved" in said
    assert "What changed" not in seen(run_page(db, settings, "overview", viewer))


def test_an_empty_desk_says_what_will_stand_where(db: Database, settings: Settings) -> None:
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.ADMINISTRATOR)))
    assert "No worker runs" in said
    assert "will stand here" in said
