"""Releases, Calendar and Contacts: what holds a release, what falls due, whom to call."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from checklists.contacts import save_contact
from checklists.load import find_template
from checklists.reads import RunState
from checklists.releases import ItemTime, Skipped, item_times, saw_version, usually_skipped, versions
from checklists.schema import Template
from checklists.store import assign, close_run, start_run, tick
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.probes.facts import read_facts
from tests.ui import seed
from tests.ui.checklist_runs import started, who
from tests.ui.desk import run_page, seen

SIGNED = Template.model_validate(
    {
        "schema": 1,
        "id": "signed",
        "title": "Signed",
        "kind": "deployment",
        "phases": [{"id": "all", "title": "All", "items": ["Build it"]}],
        "signoff": [
            {"role": "qa_lead", "title": "QA Lead", "meaning": "verified"},
            {"role": "project_manager", "title": "Project Manager", "meaning": "approved", "after": ["qa_lead"]},
        ],
    }
)
FIELDS = {"date": "2026-11-30", "version": "2.4.0", "deployed_by": "oda@nexafx.test"}


def test_a_release_says_what_is_open_who_is_on_it_and_what_is_overdue(db: Database, settings: Settings) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    seed.signers(db)
    actor = who(db, grace)
    with db.begin() as conn:
        run_id = start_run(conn, find_template("deployment"), FIELDS, actor, origin="test")
        tick(conn, run_id, "code-review/lint", 1, actor, origin="test")
        late = datetime.now(UTC) - timedelta(hours=1)
        assign(conn, run_id, "code-review/types", actor, assignee=actor.email, due_at=late, origin="test")
    words = seen(run_page(db, settings, "releases", grace))
    assert "It is held up." in words
    assert "is overdue" in words
    assert f"{actor.name}: 1 open" in words
    assert "1 of 142 lines done" in words


def test_a_signature_that_could_be_given_holds_the_release_and_the_later_ones_say_after_what(
    db: Database, settings: Settings
) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    run_id = started(db, SIGNED)
    words = seen(run_page(db, settings, "releases", grace))
    assert "Nothing holds it up." in words
    assert "QA Lead</a><span" in words.replace("\n", "")
    assert "after “Build it”" in words
    with db.begin() as conn:
        tick(conn, run_id, "all/build-it", 1, who(db, grace), origin="test")
    words = seen(run_page(db, settings, "releases", grace))
    assert "It is held up." in words
    assert ">QA Lead has not signed</a>: nothing else must come first" in words
    assert f"/signing?id={run_id}" in words
    assert "after the signature of QA Lead" in words


def test_what_earlier_releases_took_longest_for_and_skipped_is_told(db: Database, settings: Settings) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    seed.signers(db)
    actor = who(db, grace)
    with db.begin() as conn:
        for minutes, open_ in ((20, "open"), (40, "na"), (30, "na")):
            run_id = start_run(conn, find_template("deployment"), FIELDS, actor, origin="test")
            steps = {"code-review/lint": 5, "code-review/types": 5 + minutes}
            for item, after in steps.items():
                conn.execute(
                    text(
                        "INSERT INTO ops.checklist_events (run_id, item_id, at, actor, kind) SELECT id, :item,"
                        " started_at + make_interval(mins => :after), 'x', 'ticked' FROM ops.checklist_runs WHERE id = :id"
                    ),
                    {"item": item, "after": after, "id": run_id},
                )
            conn.execute(
                text(
                    "UPDATE ops.checklist_items SET state = CASE WHEN item_id = 'code-review/types' THEN :state"
                    " ELSE 'done' END WHERE run_id = :id"
                ),
                {"state": open_, "id": run_id},
            )
            conn.execute(
                text("UPDATE ops.checklist_runs SET state = 'done', closed_at = now() WHERE id = :id"), {"id": run_id}
            )
        assert item_times(conn, "deployment") == (
            ItemTime("code-review/types", timedelta(minutes=30), 3),
            ItemTime("code-review/lint", timedelta(minutes=5), 3),
        )
        assert usually_skipped(conn, "deployment") == (Skipped("code-review/types", na=2, left_open=1, runs=3),)
    words = seen(run_page(db, settings, "releases", grace))
    assert "What releases have taught" in words
    assert "30 min" in words


def test_a_version_that_nobody_released_is_named(db: Database, settings: Settings) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    seed.signers(db)
    for version, news in (("2.4.0", True), ("2.4.0", False), ("2.3.9", True)):
        with db.begin() as conn:
            assert saw_version(conn, version) is news
    with db.begin() as conn:
        run_id = start_run(conn, find_template("deployment"), FIELDS, who(db, grace), origin="test")
        assert {one.version: one.run_id for one in versions(conn)} == {"2.4.0": run_id, "2.3.9": None}
        saw_version(conn, "2.6.0")
        named = read_facts(conn, settings).unreleased
        assert named is not None
        assert named.version == "2.6.0"
    assert "without a release" in seen(run_page(db, settings, "releases", grace))


@pytest.mark.parametrize("month", ["2026-13", "<script>", "9999-99", ""])
def test_the_calendar_shows_what_is_overdue_whatever_the_address_says(
    db: Database, settings: Settings, month: str
) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    with db.begin() as conn:
        run_id = start_run(conn, find_template("maintenance-weekly"), {}, who(db, grace), origin="test")
        conn.execute(text("UPDATE ops.checklist_runs SET due_at = date_trunc('month', now())"))
    words = seen(run_page(db, settings, "calendar", grace, month=month))
    assert f"run {run_id} is due" in words
    with db.read() as conn:
        assert [(one.run_id, one.review) for one in read_facts(conn, settings).overdue.runs] == [(run_id, False)]
    assert "nobody is entered" in words
    assert f"{datetime.now(UTC):%B %Y}" in words


def test_a_contact_shows_how_to_reach_it_and_only_those_who_may_can_change_it(db: Database, settings: Settings) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    viewer = seed.person(db, Role.VIEWER)
    with db.begin() as conn:
        save_contact(conn, "DevOps Lead", 0, who(db, grace), name="<b>Tom</b>", phone="+49 (30) 1", email="", notes="",
                     origin="test")  # fmt: skip
    mine, theirs = run_page(db, settings, "contacts", grace), run_page(db, settings, "contacts", viewer)
    assert "&lt;b&gt;Tom&lt;/b&gt;" in seen(mine)
    assert [button.label for button in mine.button].count("I called, it is right") == 1
    assert [button.label for button in theirs.button] == []


def test_a_release_that_has_ended_stands_below_with_who_ended_it(db: Database, settings: Settings) -> None:
    grace = seed.person(db, Role.ADMINISTRATOR)
    seed.signers(db)
    actor = who(db, grace)
    with db.begin() as conn:
        run_id = start_run(conn, find_template("deployment"), FIELDS, actor, origin="test")
        close_run(conn, run_id, actor, outcome=RunState.ABANDONED, reason="Not today.", origin="test")
        weekly = start_run(conn, find_template("maintenance-weekly"), {}, actor, origin="test")
        close_run(conn, weekly, actor, outcome=RunState.ABANDONED, reason="Not today.", origin="test")
    page = run_page(db, settings, "releases", grace)
    assert not page.exception
    assert not page.error
    words = seen(page)
    assert "No release is under way" in words
    assert "2.4.0" in words
    assert words.count("abandoned") == 1
