"""Lists that open by themselves: each occurrence once, the latest only after a silence, each escalation once."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from checklists.contacts import list_contacts, save_contact, verify_contact
from checklists.mentions import unseen
from checklists.opening import Opened, escalate, open_due
from checklists.reads import RunState, load_run
from checklists.reviews import last_reviews, next_review, review
from checklists.schema import Template
from checklists.store import close_run, start_run
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, UsageError
from jobs.core.people import Person, add_person
from jobs.core.permissions import Role

WEEKLY = Template.model_validate(
    {
        "schema": 1,
        "id": "hourly",
        "title": "Every hour",
        "kind": "maintenance",
        "retain": "1d",
        "review": {"last": "2026-01-01", "every": "90d", "owner": "devops"},
        "contacts": [{"role": "Database Team", "verify": "90d"}],
        "fields": {"day": {"type": "date", "required": True}},
        "phases": [{"id": "all", "items": ["One"]}],
        "schedule": {
            "rrule": "FREQ=HOURLY",
            "due": "1h",
            "escalate": [{"after": "1h", "to": "devops"}, {"after": "5h", "to": "release_manager"}],
        },
    }
)
assert WEEKLY.schedule is not None
SCHEDULE = WEEKLY.schedule
REFUSED = WEEKLY.model_copy(update={"id": "needs", "fields": Template.model_validate(
    {**WEEKLY.canonical(), "fields": {"who": {"type": "user", "required": True}}}).fields})  # fmt: skip


def somebody(db: Database, name: str, *roles: Role) -> Person:
    email = f"{name.lower()}@nexafx.com"
    with db.begin() as conn:
        add_person(conn, email, roles, actor="system", origin="test", name=name)
    return Person(uuid4(), email, name, frozenset(roles))


def open_now(db: Database, template: Template = WEEKLY) -> list[Opened]:
    with db.begin() as conn:
        return open_due(conn, template, SCHEDULE)


def look_back(db: Database, hours: int, template: Template = WEEKLY) -> None:
    open_now(db, template)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.checklist_schedules SET looked_at = now() - make_interval(hours => :hours)"),
            {"hours": hours},
        )


def test_a_new_schedule_opens_nothing_of_the_past(db: Database) -> None:
    assert open_now(db) == []
    assert open_now(db) == []


def test_after_a_silence_the_latest_opens_and_the_others_are_recorded_as_missed(db: Database) -> None:
    look_back(db, 3)
    *missed, opened = open_now(db)
    assert [one.state for one in (*missed, opened)] == ["missed", "missed", "opened"]
    with db.read() as conn:
        assert opened.run_id is not None
        run = load_run(conn, opened.run_id)
    assert run.fields == {"day": f"{opened.occurs_at:%Y-%m-%d}"}
    assert run.due_at is not None
    assert (run.due_at - opened.occurs_at).total_seconds() == 3600
    assert run.started_by == "system"
    assert open_now(db) == []


def test_two_workers_at_once_open_one_run(db: Database) -> None:
    look_back(db, 1)
    with ThreadPoolExecutor(4) as pool:
        outcomes = [one for found in pool.map(lambda _n: open_now(db), range(4)) for one in found]
    assert [one.state for one in outcomes] == ["opened"]


def test_a_list_that_cannot_start_by_itself_says_why(db: Database) -> None:
    look_back(db, 1, REFUSED)
    (one,) = open_now(db, REFUSED)
    assert (one.state, one.run_id) == ("refused", None)
    assert "who is missing" in (one.note or "")


def test_what_is_overdue_goes_to_the_next_in_line_once(db: Database) -> None:
    tom = somebody(db, "Tom", Role.DEVOPS)
    grace = somebody(db, "Grace", Role.RELEASE_MANAGER)
    look_back(db, 1)
    (opened,) = open_now(db)
    with db.begin() as conn:
        assert escalate(conn, {"hourly": SCHEDULE}) == 0
        conn.execute(text("UPDATE ops.checklist_runs SET due_at = now() - interval '2 hours'"))
        assert [escalate(conn, {"hourly": SCHEDULE}), escalate(conn, {"hourly": SCHEDULE})] == [1, 0]
        assert [(mention.run_id, mention.by) for mention in unseen(conn, tom.email)] == [(opened.run_id, "system")]
        assert unseen(conn, grace.email) == []


def test_a_closed_run_is_kept_until_its_retention_has_passed(db: Database) -> None:
    grace = somebody(db, "Grace", Role.RELEASE_MANAGER)
    with db.begin() as conn:
        run_id = start_run(conn, WEEKLY, {"day": "2026-11-25"}, grace, origin="test")
    for words in ("kept until it is closed", "kept until 20"):
        with pytest.raises(DBAPIError, match=words), db.begin() as conn:
            conn.execute(text("DELETE FROM ops.checklist_runs WHERE id = :id"), {"id": run_id})
        with db.begin() as conn:
            if words.endswith("closed"):
                close_run(conn, run_id, grace, outcome=RunState.ABANDONED, reason="a test", origin="test")
    with db.read() as conn:
        days = conn.execute(text("SELECT retain_until - closed_at FROM ops.checklist_runs")).scalar_one().days
    assert days == 1


def test_a_contact_is_made_sure_of_anew_when_its_number_changes(db: Database) -> None:
    tom = somebody(db, "Tom", Role.DEVOPS)
    entry = {"name": "DBA desk", "phone": "+49 30 1", "email": "", "notes": "", "origin": "test"}
    with db.begin() as conn:
        (empty,) = list_contacts(conn, [WEEKLY])
        assert (empty.role, empty.version, empty.reachable) == ("Database Team", 0, False)
        with pytest.raises(UsageError, match="cannot be reached"):
            save_contact(conn, "Database Team", 0, tom, **{**entry, "phone": ""})
        save_contact(conn, "Database Team", 0, tom, **entry)
        verify_contact(conn, "Database Team", 1, tom, origin="test")
        assert list_contacts(conn, [WEEKLY])[0].verifier == "Tom"
        save_contact(conn, "Database Team", 1, tom, **{**entry, "notes": "at night"})
        assert list_contacts(conn, [WEEKLY])[0].verified_at is not None
        save_contact(conn, "Database Team", 2, tom, **{**entry, "phone": "+49 30 2"})
        assert list_contacts(conn, [WEEKLY])[0].verified_at is None
        with pytest.raises(Conflict):
            verify_contact(conn, "Database Team", 2, tom, origin="test")


def test_a_review_is_recorded_by_its_owner_and_moves_the_date(db: Database) -> None:
    tom, eve = somebody(db, "Tom", Role.DEVOPS), somebody(db, "Eve", Role.VIEWER)
    with db.begin() as conn:
        with pytest.raises(Forbidden):
            review(conn, WEEKLY, eve, "fine", origin="test")
        before = next_review(WEEKLY, last_reviews(conn))
        review(conn, WEEKLY, tom, "Nothing to change.", origin="test")
        after = next_review(WEEKLY, last_reviews(conn))
    assert before is not None
    assert after is not None
    assert (str(before), after > before) == ("2026-04-01", True)
