"""A schedule is edited by one person at a time, with who, why, old and new; and every edit can be taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError, NotFound, UsageError
from jobs.schedule import store
from jobs.schedule.editing import edit, history, propose, undo, undo_of, undoable
from jobs.schedule.model import Schedule

NAME = "reconcile-pending"
ADA = "ada@example.org"


def read(db: Database, name: str = NAME) -> Schedule:
    with db.read() as conn:
        return store.find_schedule(conn, name)


def change(db: Database, changes: dict[str, Any], *, version: int | None = None, name: str = NAME) -> Schedule:
    expected = read(db, name).version if version is None else version
    with db.begin() as conn:
        return edit(conn, name, changes, expected_version=expected, actor=ADA, reason="a test", origin="cli")


def take_back(db: Database, number: int) -> Schedule:
    with db.begin() as conn:
        return undo(
            conn, NAME, number, expected_version=store.find_schedule(conn, NAME).version, actor="bob", reason="no"
        )


def test_an_edit_says_who_why_old_and_new_and_is_announced(db: Database) -> None:
    before = read(db)
    with psycopg.connect(db.conninfo, autocommit=True) as listener:
        listener.execute(f"LISTEN {store.CHANNEL}")
        after = change(db, {"expression": "5min", "jitter_s": 30, "overlap": "skip"})
        assert [note.payload for note in listener.notifies(timeout=2, stop_after=1)] == [NAME]
    assert (after.expression, after.jitter_s, after.version) == ("300", 30, before.version + 1)
    with db.read() as conn:
        newest = history(conn, NAME)[0]
        origin = conn.execute(text("SELECT origin FROM ops.audit WHERE id = :id"), {"id": newest.id}).scalar()
    assert (newest.actor, newest.action, newest.reason, origin) == (ADA, "schedule.edited", "a test", "cli")
    assert (newest.old, newest.new) == ({"expression": "120", "jitter_s": 0}, {"expression": "300", "jitter_s": 30})


def test_of_two_people_who_edit_at_once_one_is_told_who_was_faster(db: Database) -> None:
    version = read(db).version

    def attempt(seconds: int) -> NexaError | None:
        try:
            change(db, {"expression": str(seconds)}, version=version)
        except NexaError as error:
            return error
        return None

    with ThreadPoolExecutor(4) as pool:
        errors = [error for error in pool.map(attempt, (61, 62, 63, 64)) if error is not None]
    assert [type(error) for error in errors] == [Conflict] * 3
    assert all(f"was changed meanwhile, by {ADA}" in str(error) for error in errors)
    assert read(db).version == version + 1
    with db.read() as conn:
        assert [undoable(past) for past in history(conn, NAME, limit=2)] == [True, False]


def test_what_is_refused_changes_nothing(db: Database) -> None:
    before = read(db)
    for changes, sentence in (
        ({"expression": "soon"}, "not a length of time"),
        ({"params": {"limit": -3}}, "does not accept these parameters: limit"),
        ({"params": {"colour": "red"}}, "colour: extra inputs are not permitted"),
        ({"timeout_s": before.timeout_s}, "Nothing of reconcile-pending would change"),
        ({}, "Nothing of reconcile-pending would change"),
    ):
        with pytest.raises(UsageError, match=sentence):
            change(db, changes)
    with pytest.raises(UsageError, match="a reason is needed"), db.begin() as conn:
        edit(conn, NAME, {"retries": 9}, expected_version=before.version, actor=ADA, reason=" ")
    with pytest.raises(NotFound, match="There is no job gone"), db.begin() as conn:
        edit(conn, "gone", {"retries": 9}, expected_version=1, actor=ADA, reason="why not")
    assert read(db) == before


def test_parameters_that_are_left_out_go_on_following_the_job(db: Database) -> None:
    assert change(db, {"params": {"limit": 5}}).params == {"limit": 5}
    assert change(db, {"params": {}}).params == {}


def test_only_an_edit_of_when_begins_anew_so_that_no_missed_slot_is_forgotten(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET updated_at = now() - interval '1 hour'"))
    since = read(db).live_since
    assert change(db, {"timeout_s": 30, "misfire": "all", "params": {"limit": 5}}).live_since == since
    assert change(db, {"zone": "Europe/Berlin"}).live_since > since


def test_what_a_setting_switches_is_switched_by_nobody_else(db: Database) -> None:
    with pytest.raises(UsageError, match="deliver-events is switched by NEXAOPS_WEBHOOK_URL"):
        change(db, {"enabled": True}, name="deliver-events")
    assert change(db, {"retries": 7, "enabled": False}, name="deliver-events").retries == 7
    assert not change(db, {"enabled": False}).enabled


def test_an_edit_is_taken_back_by_a_new_edit_and_that_one_too(db: Database) -> None:
    before = read(db)
    change(db, {"kind": "calendar", "expression": "FREQ=DAILY;BYHOUR=3", "anchor": "2026-02-01"})
    with db.read() as conn:
        first = history(conn, NAME)[0].id
    after = take_back(db, first)
    assert (after.kind, after.expression, after.anchor) == (before.kind, before.expression, None)
    with db.read() as conn:
        second = history(conn, NAME)[0]
        assert (second.actor, second.reason) == ("bob", f"no (undoes change {first})")
        with pytest.raises(Conflict, match="changed again since"):
            undo_of(conn, NAME, first)
    again = take_back(db, second.id)
    assert (again.kind, again.anchor) == ("calendar", datetime(2026, 2, 1, tzinfo=UTC))


def test_an_earlier_edit_can_be_taken_back_while_its_values_still_stand(db: Database) -> None:
    before = read(db)
    change(db, {"retries": 4})
    with db.read() as conn:
        first = history(conn, NAME)[0].id
    change(db, {"timeout_s": 99})
    after = take_back(db, first)
    assert (after.retries, after.timeout_s) == (before.retries, 99)


def test_only_edits_of_this_schedule_can_be_taken_back(db: Database) -> None:
    change(db, {"retries": 4})
    with db.begin() as conn:
        store.pause(conn, NAME, actor=ADA, reason="a pause")
        paused, edited_, added = history(conn, NAME)
        assert [undoable(past) for past in (paused, edited_, added)] == [False, True, False]
        for number in (paused.id, added.id, 10**12):
            with pytest.raises(NotFound, match="is no edit of reconcile-pending"):
                undo_of(conn, NAME, number)
        with pytest.raises(NotFound, match="is no edit of retry-failed"):
            undo_of(conn, "retry-failed", edited_.id)


def test_a_paused_schedule_can_be_edited_and_stays_paused(db: Database) -> None:
    with db.begin() as conn:
        store.pause(conn, NAME, actor=ADA, reason="a pause", until=datetime.now(UTC) + timedelta(hours=1))
    assert change(db, {"expression": "60"}).paused(datetime.now(UTC))


def test_a_proposal_changes_nothing(db: Database) -> None:
    before = read(db)
    with db.read() as conn:
        proposal = propose(conn, NAME, {"expression": "60"})
    assert (proposal.seen, proposal.draft.expression, proposal.new) == (before, "60", {"expression": "60"})
    assert read(db) == before
