"""Running a whole group of failures again: once, only what is left, all or nothing, and written down."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import Conflict, UsageError
from jobs.run import again
from jobs.run.again import left_to_repeat, recent_failures, repeat_runs
from tests.ui.runs import a_run

DAY = timedelta(days=1)
WHO = {"actor": "ada@nexafx.com", "reason": "Horizon is back"}


def bad(db: Database, row: int = 1, **values: Any) -> int:
    return a_run(db, **{"state": "failed", "error": f"row {row} is odd", "error_class": "ValueError", **values})


def failed(db: Database) -> list[int]:
    with db.read() as conn:
        return [failure.id for failure in recent_failures(conn, DAY)]


def left(db: Database) -> list[int]:
    ids = failed(db)
    with db.read() as conn:
        return [repeat.id for repeat in left_to_repeat(conn, ids)]


def runs_after(db: Database, run_id: int) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(text("SELECT * FROM ops.runs WHERE id > :id ORDER BY id"), {"id": run_id}).mappings())


def repeat(db: Database, ids: Sequence[int]) -> list[int]:
    with db.begin() as conn:
        return repeat_runs(conn, ids, **WHO)


def test_each_failure_that_does_something_of_its_own_is_queued_with_who_and_why(db: Database) -> None:
    first = bad(db, 1, params={"limit": 1})
    second = bad(db, 22, state="timed_out", params={"limit": 2}, dry_run=True)
    third = bad(db, 333, state="lost", job="retry-failed")
    bad(db, error="something else", params={"limit": 4})
    queued = repeat(db, [first, second, third])
    rows = runs_after(db, third + 1)
    assert [row["id"] for row in rows] == queued
    assert [
        (row["retry_of"], row["job"], row["params"].get("limit"), row["dry_run"], row["state"]) for row in rows
    ] == [
        (first, "reconcile-pending", 1, False, "queued"),
        (second, "reconcile-pending", 2, True, "queued"),
        (third, "retry-failed", None, False, "queued"),
    ]
    assert {(row["triggered_by"], row["trigger"], row["reason"]) for row in rows} == {
        ("ada@nexafx.com", "manual", "Horizon is back")
    }
    with db.read() as conn:
        audited = conn.execute(
            text(
                "SELECT entity_id, actor, reason, new ->> 'retry_of' FROM ops.audit WHERE action = 'job.run' ORDER BY id"
            )
        )
        written = [tuple(row) for row in audited]
        waiting = conn.execute(text("SELECT count(*) FROM procrastinate.procrastinate_jobs")).scalar_one()
    pairs = zip(queued, (first, second, third), strict=True)
    assert written == [(str(new), "ada@nexafx.com", "Horizon is back", str(old)) for new, old in pairs]
    assert waiting == 3


def test_of_those_that_would_do_the_same_only_the_newest_is_left(db: Database) -> None:
    runs = [bad(db, n) for n in range(5)]
    assert left(db) == [runs[-1]]
    (run_id,) = repeat(db, failed(db))
    assert runs_after(db, runs[-1])[0]["retry_of"] == runs[-1]
    assert left(db) == []
    # The repetition fails in the same way: that one is left now, and none of the older ones.
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.runs SET state = 'failed', error = 'row 9 is odd', error_class = 'ValueError',"
                 " started_at = now(), finished_at = now() WHERE id = :id"), {"id": run_id})  # fmt: skip
    assert left(db) == [run_id]


@pytest.mark.parametrize("state", ["succeeded", "running", "queued"])
def test_what_has_been_replaced_by_a_later_run_is_left_alone(db: Database, state: str) -> None:
    bad(db)
    a_run(db, state, dry_run=True)
    a_run(db, state, params={"limit": 7})
    a_run(db, state, job="retry-failed")
    a_run(db, "missed")
    assert len(left(db)) == 1  # none of these did the same
    a_run(db, state)
    assert left(db) == []
    with pytest.raises(Conflict, match="later runs have taken their place"):
        repeat(db, failed(db))


def test_jobs_that_nobody_knows_and_parameters_that_are_not_accepted_any_more_are_left_out(db: Database) -> None:
    bad(db, job="gone-job")
    bad(db, params={"no-such-parameter": 1})
    good = bad(db)
    assert left(db) == [good]
    assert len(repeat(db, failed(db))) == 1


def test_a_reason_is_needed_and_what_is_no_failure_is_refused(db: Database) -> None:
    bad(db)
    ids = failed(db)
    with pytest.raises(UsageError, match="reason"), db.begin() as conn:
        repeat_runs(conn, ids, actor="ada@nexafx.com", reason=" ")
    with pytest.raises(Conflict):
        repeat(db, [999_999])
    assert len(runs_after(db, 0)) == 1


def test_failures_are_read_newest_first_and_only_within_the_window(db: Database) -> None:
    bad(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.runs SET finished_at = now() - interval '25 hours'"))
    first, second = bad(db, state="lost"), bad(db, state="timed_out")
    a_run(db)
    a_run(db, "stopped")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.runs SET finished_at = now() WHERE id = :id"), {"id": second})
    assert failed(db) == [second, first]


def test_at_most_so_many_are_queued_at_once_the_newest_first(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "MOST_AGAIN", 2)
    runs = [bad(db, n, params={"limit": n}) for n in range(1, 4)]
    ids = failed(db)
    repeat(db, ids)
    assert [row["retry_of"] for row in runs_after(db, runs[-1])] == runs[1:]
    assert left(db) == runs[:1]


def test_two_people_who_press_at_once_queue_each_run_once(db: Database) -> None:
    last = [bad(db, n, params={"limit": n}) for n in range(1, 6)][-1]
    ids = failed(db)

    def press(_: int) -> int:
        try:
            return len(repeat(db, ids))
        except Conflict:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(press, range(4))) == [0, 0, 0, 5]
    assert len(runs_after(db, last)) == 5
