"""Runs are asked for, stopped, found and followed."""

from __future__ import annotations

import pytest
from pydantic import Field
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.jobs import Every, Params, Run, job
from jobs.run import store
from jobs.run.app import apply_schema
from jobs.run.queue import drop_orphans, forgotten

ADA = "ada@example.org"


class Size(Params):
    size: int = Field(5, ge=1, description="How many.")


@job(name="test-sized", title="t", does="Nothing.", schedule=Every(3600), timeout_s=60, params=Size)
def sized(_run: Run, _params: Size) -> None:
    """Only asked for here."""


def ask(db: Database, **wish: object) -> int:
    with db.begin() as conn:
        return store.request_run(conn, job="test-sized", actor=ADA, **wish)  # type: ignore[arg-type]  # cases


def queue(db: Database) -> list[int]:
    with db.read() as conn:
        query = "SELECT CAST(args ->> 'run_id' AS bigint) FROM procrastinate.procrastinate_jobs ORDER BY id"
        return list(conn.execute(text(query)).scalars())


def test_a_run_its_audit_row_and_its_place_in_the_queue_commit_together(db: Database) -> None:
    with db.engine.connect() as conn:
        store.request_run(conn, job="test-sized", actor=ADA)
        conn.rollback()
    with db.read() as conn:
        assert store.list_runs(conn) == []
        assert conn.execute(text("SELECT count(*) FROM ops.audit WHERE action = 'job.run'")).scalar() == 0
    assert queue(db) == []
    run_id = ask(db, params={"size": 7}, dry_run=True, reason="to see")
    with db.read() as conn:
        run = store.find_run(conn, run_id)
        audit = conn.execute(text("SELECT actor, reason, new FROM ops.audit WHERE action = 'job.run'")).one()
    assert (run.state, run.params, run.dry_run, run.triggered_by, run.reason) == (
        "queued",
        {"size": 7},
        True,
        ADA,
        "to see",
    )
    assert (audit.actor, audit.reason, audit.new["params"]) == (ADA, "to see", {"size": 7})
    assert queue(db) == [run_id]


def test_parameters_are_checked_when_asked_for_and_get_their_defaults(db: Database) -> None:
    with pytest.raises(UsageError, match="size: input should be greater than or equal to 1"):
        ask(db, params={"size": 0})
    with pytest.raises(UsageError, match="colour: extra inputs"):
        ask(db, params={"colour": "red"})
    run_id = ask(db)
    with db.read() as conn:
        assert store.find_run(conn, run_id).params == {"size": 5}


def test_a_queue_has_an_end(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_QUEUED", 2)
    first, _ = ask(db), ask(db)
    with pytest.raises(Conflict, match=r"2 runs of test-sized are queued already\. Wait"):
        ask(db)
    with db.begin() as conn:
        store.stop_run(conn, first, ADA, "to make room")
    assert ask(db)


def test_an_unknown_job_is_named(db: Database) -> None:
    with pytest.raises(NotFound, match="no job test-none"), db.begin() as conn:
        store.request_run(conn, job="test-none", actor=ADA)


def test_stopping_a_queued_run_ends_it_and_takes_it_out_of_the_queue(db: Database) -> None:
    run_id = ask(db)
    with db.begin() as conn:
        store.stop_run(conn, run_id, "bob@example.org", "not today")
        run = store.find_run(conn, run_id)
    assert (run.state, run.stop_by) == ("stopped", "bob@example.org")
    assert run.error == "Stopped by bob@example.org before it started: not today"
    assert queue(db) == []
    with pytest.raises(Conflict, match="ended already: stopped"), db.begin() as conn:
        store.stop_run(conn, run_id, "bob@example.org", "again")


def test_stopping_a_running_one_asks_it_once_and_says_so_in_its_log(db: Database) -> None:
    run_id = ask(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.runs SET state = 'running' WHERE id = :id"), {"id": run_id})
        store.stop_run(conn, run_id, "bob@example.org", "too slow")
    with pytest.raises(Conflict, match="stopping already: bob"), db.begin() as conn:
        store.stop_run(conn, run_id, ADA, "me too")
    with db.read() as conn:
        (line,) = store.list_logs(conn, run_id)
    assert (line.event, line.fields) == ("stop asked for", {"by": "bob@example.org", "reason": "too slow"})


def test_a_stop_needs_a_reason_and_a_run(db: Database) -> None:
    with pytest.raises(UsageError, match="a reason is needed"), db.begin() as conn:
        store.stop_run(conn, 1, ADA, " ")
    with pytest.raises(NotFound, match="no run 404"), db.begin() as conn:
        store.stop_run(conn, 404, ADA, "why not")


def test_runs_are_paged_by_their_ids_and_filtered(db: Database) -> None:
    ids = [ask(db) for _ in range(5)]
    with db.begin() as conn:
        store.stop_run(conn, ids[0], ADA, "first one out")
    with db.read() as conn:
        page = store.list_runs(conn, job="test-sized", limit=2)
        assert [run.id for run in page] == [ids[4], ids[3]]
        rest = store.list_runs(conn, before_id=page[-1].id)
        assert [run.id for run in rest] == [ids[2], ids[1], ids[0]]
        assert [run.id for run in store.list_runs(conn, state="stopped")] == [ids[0]]
        assert store.list_runs(conn, job="test-other") == []


def test_the_queue_can_be_created_twice_and_used_under_any_search_path(db: Database, empty_db: Database) -> None:
    with empty_db.begin() as conn:
        apply_schema(conn)
        apply_schema(conn)
        path = conn.execute(text("SHOW search_path")).scalar()
    with empty_db.read() as conn:
        assert conn.execute(text("SHOW search_path")).scalar() == path
    with db.begin() as conn:
        conn.execute(text("SET LOCAL search_path = pg_catalog"))
        store.request_run(conn, job="test-sized", actor=ADA)
    assert len(queue(db)) == 1


def test_what_the_dead_had_fetched_is_freed_and_the_run_found_again(db: Database) -> None:
    run_id = ask(db)
    with db.begin() as conn:
        dead = conn.execute(
            text(
                "INSERT INTO procrastinate.procrastinate_workers (last_heartbeat)"
                " VALUES (now() - interval '1 minute') RETURNING id"
            )
        ).scalar()
        conn.execute(
            text("UPDATE procrastinate.procrastinate_jobs SET status = 'doing', worker_id = :dead"), {"dead": dead}
        )
    with db.begin() as conn:
        assert forgotten(conn, 0) == []
        assert drop_orphans(conn, 30) == 1
        assert forgotten(conn, 0) == [run_id]
        assert forgotten(conn, 30) == []
