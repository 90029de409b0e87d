"""cleanup-notifications: what is old goes, in batches; what is young stays; a dry run only counts."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.run.execute import execute
from jobs.run.store import RunRow, request_run, stop_run
from jobs.upkeep import walk

USER = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def inbox(db: Database) -> Database:
    """30 read long ago, 20 unread for long, 7 that are young or nearly old enough, over many pages."""
    with db.begin() as conn:
        conn.execute(text("INSERT INTO users (id, email) VALUES (:user, 'ada@example.org')"), {"user": USER})
        for count, status, created, read in (
            (15, "READ", "200 days", "31 days"),
            (15, "READ", "31 days", None),
            (20, "UNREAD", "91 days", None),
            (2, "READ", "200 days", "29 days"),  # read late
            (2, "READ", "29 days", None),
            (3, "UNREAD", "89 days", None),
        ):
            conn.execute(
                text(
                    "INSERT INTO notifications (user_id, type, title, message, status, created_at, read_at)"
                    " SELECT :user, 'SYSTEM', 't', repeat('x', 1500), :status, now() - CAST(:created AS interval),"
                    " now() - CAST(:read AS interval) FROM generate_series(1, :count)"
                ),
                {"user": USER, "count": count, "status": status, "created": created, "read": read},
            )
    return db


def clean_up(db: Database, settings: Settings, *, dry_run: bool = False) -> RunRow:
    with db.begin() as conn:
        run_id = request_run(conn, job="cleanup-notifications", dry_run=dry_run, actor="ada@example.org")
    return execute(db, settings, run_id, worker_id=None)


def left(db: Database) -> int:
    with db.read() as conn:
        return int(conn.execute(text("SELECT count(*) FROM notifications")).scalar_one())


def test_the_old_go_and_the_young_stay(inbox: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "BATCH_PAGES", 3)
    run = clean_up(inbox, settings)
    assert (run.state, run.counters) == ("succeeded", {"read": 30, "unread": 20})
    assert run.progress_done == run.progress_total
    assert left(inbox) == 7
    assert clean_up(inbox, settings).counters == {"read": 0, "unread": 0}


def test_a_dry_run_counts_the_same_and_deletes_nothing(inbox: Database, settings: Settings) -> None:
    run = clean_up(inbox, settings, dry_run=True)
    assert (run.state, run.counters) == ("succeeded", {"read": 30, "unread": 20})
    assert left(inbox) == 57


def test_the_ages_are_settings(inbox: Database, settings: Settings) -> None:
    patient = settings.model_copy(update={"read_notifications_days": 400, "unread_notifications_days": 400})
    clean_up(inbox, patient)
    assert left(inbox) == 57


def test_an_empty_table_is_clean(db: Database, settings: Settings) -> None:
    assert clean_up(db, settings).state == "succeeded"


def test_it_stops_between_two_batches(inbox: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "BATCH_PAGES", 1)
    with inbox.begin() as conn:
        run_id = request_run(conn, job="cleanup-notifications", actor="ada@example.org")
    # Another transaction holds the rows of the last page, until the wish to stop has arrived.
    with inbox.engine.connect() as other:
        other.execute(text("SELECT 1 FROM notifications WHERE ctid >= '(2,0)' FOR UPDATE"))

        def stop_then_let_go() -> None:
            with inbox.begin() as conn:
                stop_run(conn, run_id, "bob@example.org", "enough")
            threading.Timer(2.5, other.rollback).start()

        threading.Timer(1.0, stop_then_let_go).start()
        run = execute(inbox, settings, run_id, worker_id=None)
    assert run.state == "stopped"
    assert 7 < left(inbox) < 57
