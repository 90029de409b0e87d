"""The schedules table: every change is conditional, audited and announced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from jobs.core.db import Database
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.jobs import Cron, Every, Job, Params
from jobs.schedule import store
from jobs.schedule.model import Schedule

NIGHTLY = "test-nightly"


def a_job(name: str, when: Cron | Every) -> Job:
    return Job(name, name, "Does nothing.", when, 60, 1, None, Params, lambda _run, _params: None)


def seeded(db: Database) -> Schedule:
    with db.begin() as conn:
        store.seed_schedules(conn, {NIGHTLY: a_job(NIGHTLY, Cron("0 2 * * *"))})
        return store.find_schedule(conn, NIGHTLY)


def audited(db: Database) -> list[tuple[str, str, str | None]]:
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT action, actor, reason FROM ops.audit WHERE entity_id = :name ORDER BY id"), {"name": NIGHTLY}
        )
        return [(row.action, row.actor, row.reason) for row in rows]


def test_every_job_gets_a_schedule_once_and_what_people_edited_stays(db: Database) -> None:
    first = seeded(db)
    assert (first.kind, first.expression, first.misfire, first.retries) == ("cron", "0 2 * * *", "once", 1)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET expression = '0 5 * * *' WHERE name = :name"), {"name": NIGHTLY})
        assert store.seed_schedules(conn, {NIGHTLY: a_job(NIGHTLY, Cron("0 2 * * *"))}) == []
        assert store.find_schedule(conn, NIGHTLY).expression == "0 5 * * *"


def test_a_missed_interval_is_made_good_by_the_next_one(db: Database) -> None:
    with db.begin() as conn:
        store.seed_schedules(conn, {"test-often": a_job("test-often", Every(15))})
        often = store.find_schedule(conn, "test-often")
    assert (often.kind, often.expression, often.misfire) == ("interval", "15", "skip")


def test_pausing_and_resuming_say_who_and_why_and_are_announced(db: Database) -> None:
    before = seeded(db)
    with psycopg.connect(db.conninfo, autocommit=True) as listener:
        listener.execute(f"LISTEN {store.CHANNEL}")
        with db.begin() as conn:
            store.pause(conn, NIGHTLY, actor="ada@example.org", reason="the bank is closed")
        assert [note.payload for note in listener.notifies(timeout=2, stop_after=1)] == [NIGHTLY]
    with db.read() as conn:
        paused = store.find_schedule(conn, NIGHTLY)
    assert paused.paused(datetime.now(UTC))
    assert (paused.paused_by, paused.paused_reason, paused.version) == (
        "ada@example.org",
        "the bank is closed",
        before.version + 1,
    )
    with db.begin() as conn:
        store.resume(conn, NIGHTLY, actor="bob@example.org")
        assert store.find_schedule(conn, NIGHTLY).active(datetime.now(UTC))
    assert audited(db) == [
        ("schedule.added", "system", None),
        ("schedule.paused", "ada@example.org", "the bank is closed"),
        ("schedule.resumed", "bob@example.org", None),
    ]


def test_of_two_people_who_pause_the_second_is_told_who_was_faster(db: Database) -> None:
    seeded(db)
    with db.begin() as conn:
        store.pause(conn, NIGHTLY, actor="ada@example.org", reason="first")
    with pytest.raises(Conflict, match=r"paused already, by ada@example\.org"), db.begin() as conn:
        store.pause(conn, NIGHTLY, actor="bob@example.org", reason="second")


@pytest.mark.parametrize(
    ("reason", "until", "sentence"),
    [
        (" ", None, "a reason is needed"),
        ("why not", datetime(2020, 1, 1, tzinfo=UTC), "is past"),
        ("why not", datetime(2099, 1, 1), "time zone"),  # noqa: DTZ001 - the mistake itself
    ],
)
def test_a_pause_needs_a_reason_and_a_time_to_come(
    db: Database, reason: str, until: datetime | None, sentence: str
) -> None:
    seeded(db)
    with pytest.raises(UsageError, match=sentence), db.begin() as conn:
        store.pause(conn, NIGHTLY, actor="ada@example.org", reason=reason, until=until)


def test_what_does_not_exist_is_named(db: Database) -> None:
    with pytest.raises(NotFound, match="no schedule test-none"), db.begin() as conn:
        store.pause(conn, "test-none", actor="ada@example.org", reason="why not")
    seeded(db)
    with pytest.raises(Conflict, match="not paused"), db.begin() as conn:
        store.resume(conn, NIGHTLY, actor="ada@example.org")
    with pytest.raises(Conflict, match="on already"), db.begin() as conn:
        store.set_enabled(conn, NIGHTLY, True, actor="ada@example.org", reason="again")


def test_a_pause_that_has_run_out_is_resumed_by_one_and_counts_from_its_end(db: Database) -> None:
    seeded(db)
    with db.begin() as conn:
        store.pause(
            conn,
            NIGHTLY,
            actor="ada@example.org",
            reason="an hour",
            until=datetime.now(UTC) + timedelta(hours=1),
        )
        assert store.resume_due(conn) == []
        ended = conn.execute(
            text(
                "UPDATE ops.schedules SET paused_until = now() - interval '5 minutes', updated_at = now() - interval"
                " '1 hour' WHERE name = :name RETURNING paused_until"
            ),
            {"name": NIGHTLY},
        ).scalar()
    with db.begin() as conn:
        assert store.resume_due(conn) == [NIGHTLY]
        assert store.resume_due(conn) == []
        resumed = store.find_schedule(conn, NIGHTLY)
    assert resumed.paused_at is None
    assert resumed.live_since == ended
    assert audited(db)[-1] == ("schedule.resumed", "system", "the pause has run out")


@pytest.mark.parametrize(
    "change", ["kind = 'weekly'", "anchor = now()", "jitter_s = -1", "retry_first_s = 0", "retry_most_s = 14"]
)
def test_the_table_itself_refuses_what_means_nothing(db: Database, change: str) -> None:
    seeded(db)
    with pytest.raises(IntegrityError, match="check constraint"), db.begin() as conn:
        conn.execute(text(f"UPDATE ops.schedules SET {change} WHERE name = :name"), {"name": NIGHTLY})
