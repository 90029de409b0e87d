"""One run from claim to end: what it records, who ends it, and who may still write its result.

The children are processes, as a worker has them; the worst that they do is in test_run_children.py.
"""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest
from sqlalchemy import text

from jobs.core import jobs
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.settings import Settings
from jobs.run import execute as engine
from jobs.run.context import News
from jobs.run.execute import execute
from jobs.run.rescue import mark_lost
from jobs.run.store import RunRow, find_run, list_logs, list_runs, stop_run
from tests.db.run_jobs import SEED
from tests.db.running import ADA, WORKER, Doing, ask, fetch, later, limit

JOBS = {"test-todo", "test-alone"}
pytestmark = pytest.mark.usefixtures("child_processes")


def switch(db: Database, flag: Flag, value: bool) -> None:
    with db.begin() as conn:
        set_flag(conn, flag, value, actor=ADA, reason="a test", origin="cli")


def retries_of(db: Database, run: RunRow) -> list[RunRow]:
    with db.read() as conn:
        return [row for row in list_runs(conn) if row.retry_of == run.id]


def test_a_run_leaves_its_counters_progress_times_and_log(db: Database, run_it: Doing) -> None:
    run = run_it("count")
    assert (run.state, run.counters, run.error, run.attempt) == ("succeeded", {"seen": 5}, None, 1)
    assert (run.progress_done, run.progress_total, run.worker_id) == (5, 5, WORKER)
    assert run.started_at is not None
    assert run.duration_s is not None
    assert run.queued_at <= run.started_at
    with db.read() as conn:
        looked, warned = list_logs(conn, run.id)
    assert (looked.level, looked.event, looked.fields) == ("info", "looked", {"rows": 5, "password": "[redacted]"})
    assert warned.level == "warning"
    assert SEED not in warned.event
    assert SEED not in str(warned.fields)
    assert looked.at <= warned.at
    assert abs((looked.at - run.started_at).total_seconds()) < 1


def test_what_a_job_raises_is_written_down_without_secrets(run_it: Doing) -> None:
    run = run_it("break")
    assert (run.state, run.error_class) == ("failed", "ZeroDivisionError")
    assert run.error == "by zero, with [secret key]"
    assert run.trace is not None
    assert "fail" in run.trace
    assert SEED not in run.trace


def test_not_even_an_exit_takes_the_worker_along(run_it: Doing) -> None:
    run = run_it("exit")
    assert (run.state, run.error_class) == ("failed", "SystemExit")


@pytest.mark.parametrize(("how", "retried"), [("break", True), ("pass", True), ("refuse", False), ("count", False)])
def test_what_may_pass_is_tried_again_once_and_what_is_permanent_is_not(
    db: Database, settings: Settings, run_it: Doing, how: str, retried: bool
) -> None:
    run = run_it(how)
    retries = retries_of(db, run)
    assert len(retries) == retried
    for retry in retries:
        assert (retry.trigger, retry.triggered_by, retry.state, retry.params) == (
            "retry",
            f"run:{run.id}",
            "queued",
            run.params,
        )
        last = execute(db, settings, retry.id, worker_id=WORKER)
        assert (last.state, last.attempt) == ("failed", 2)
        assert retries_of(db, last) == []


def test_what_a_person_waits_for_is_not_tried_again(db: Database, run_it: Doing) -> None:
    assert retries_of(db, run_it("break", worker_id=None)) == []


def test_of_two_who_execute_a_run_one_does_it(db: Database, settings: Settings, run_it: Doing) -> None:
    run = run_it("count")
    again = execute(db, settings, run.id, worker_id=uuid4())
    assert again == run


def test_a_job_whose_flag_is_off_is_skipped_and_says_so(db: Database, run_it: Doing) -> None:
    switch(db, Flag.CLEANUP, False)
    run = run_it("count")
    assert (run.state, run.error, run.started_at) == ("skipped", "The flag enableCleanup is off.", None)
    assert run.finished


def test_switching_the_flag_off_stops_a_run_within_a_second_or_two(db: Database, run_it: Doing) -> None:
    later(1, lambda: switch(db, Flag.CLEANUP, False))
    run = run_it("until-stopped")
    assert (run.state, run.error) == ("stopped", "The flag enableCleanup was switched off.")
    assert run.duration_s is not None
    assert run.duration_s < 3


def test_dry_run_is_the_flag_too_and_ends_a_run_that_writes(db: Database, run_it: Doing) -> None:
    later(1, lambda: switch(db, Flag.DRY_RUN, True))
    assert run_it("until-stopped").error == "The flag dryRun was switched on while this run was writing."
    run = run_it("note-dry")
    assert run.dry_run
    with db.read() as conn:
        assert [line.event for line in list_logs(conn, run.id)] == ["dry"]


def test_a_person_stops_a_run_and_its_counters_are_kept(db: Database, run_it: Doing) -> None:
    def stop() -> None:
        with db.begin() as conn:
            (run,) = list_runs(conn, state="running")
            assert run.counters["batches"] > 0  # live, while it runs
            stop_run(conn, run.id, "bob@example.org", "enough")

    later(2, stop)
    run = run_it("until-stopped")
    assert (run.state, run.error) == ("stopped", "Stopped by bob@example.org.")
    assert run.counters["batches"] > 0
    assert retries_of(db, run) == []


def test_a_run_that_ends_before_it_was_told_has_succeeded(db: Database, run_it: Doing) -> None:
    later(1, lambda: switch(db, Flag.CLEANUP, False))
    assert run_it("unasked").state == "succeeded"


def test_the_schedules_time_limit_is_told_before_it_is_reached(db: Database, run_it: Doing) -> None:
    limit(db, 2)
    run = run_it("until-stopped")
    assert (run.state, run.error) == ("timed_out", "Its time limit of 2 s was reached.")
    assert retries_of(db, run) == []


def test_a_shutdown_stops_a_run_and_gives_it_another_attempt(db: Database, run_it: Doing) -> None:
    shutdown = threading.Event()
    later(1, shutdown.set)
    run = run_it("until-stopped", shutdown=shutdown)
    assert (run.state, run.error) == ("stopped", "Its process was shut down.")
    assert len(retries_of(db, run)) == 1


def test_a_run_that_was_given_up_cannot_write_its_result(db: Database, run_it: Doing) -> None:
    def give_up() -> None:
        with db.begin() as conn:
            (lost,) = mark_lost(conn, -1)
            assert lost.state == "lost"

    later(1, give_up)
    run = run_it("unasked")
    assert run.state == "lost"
    with db.read() as conn:
        assert find_run(conn, run.id).counters == {}


def test_whatever_a_job_logs_can_be_stored(db: Database, run_it: Doing) -> None:
    run = run_it("odd")
    assert run.state == "succeeded"
    with db.read() as conn:
        (line,) = list_logs(conn, run.id)
    assert line.event == "odd ?"
    assert line.fields == {
        "big": str(2**80),
        "nested": {"zero": ["", {"1": "<class 'object'>"}]},
        "amount": "1.50",
        "half": "?",
    }


def test_the_log_can_be_followed_in_order_while_it_runs(db: Database, run_it: Doing) -> None:
    followed: list[int] = []
    pieces = 0
    last = 0

    def follow(_news: News) -> None:
        nonlocal last, pieces
        with db.read() as conn:
            (running,) = list_runs(conn, state="running")
            lines = list_logs(conn, running.id, after_id=last, limit=1000)
        pieces += bool(lines)
        followed.extend(line.fields["number"] for line in lines)
        last = lines[-1].id if lines else last

    run = run_it("talk", follow=follow)
    with db.read() as conn:
        followed.extend(line.fields["number"] for line in list_logs(conn, run.id, after_id=last))
    assert pieces >= 2
    assert followed == list(range(150))


def test_a_worker_without_the_job_leaves_the_run_to_one_that_has_it(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ask(db, "count")
    known = jobs._REGISTRY
    with monkeypatch.context() as older:
        older.setattr(jobs, "_REGISTRY", {name: job for name, job in known.items() if name != "test-todo"})
        for _ in range(2):
            fetch(db)
            assert execute(db, settings, run_id, worker_id=uuid4()).state == "queued"
    with db.read() as conn:
        (line,) = list_logs(conn, run_id)
        waiting = conn.execute(
            text("SELECT scheduled_at > now() FROM procrastinate.procrastinate_jobs WHERE status = 'todo'")
        ).scalar_one()
    assert line.event.startswith("left to another version by this worker: There is no job test-todo")
    assert waiting  # for a moment: the others have the first choice
    assert execute(db, settings, run_id, worker_id=WORKER).state == "succeeded"


def test_a_worker_that_is_too_old_for_a_parameter_leaves_the_run_too(db: Database, settings: Settings) -> None:
    run_id = ask(db, "count")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.runs SET params = params || '{\"newer\": 1}'"))
    fetch(db)
    assert execute(db, settings, run_id, worker_id=WORKER).state == "queued"


def test_what_no_version_knows_fails_in_the_end(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ask(db, "count")
    monkeypatch.delitem(jobs._REGISTRY, "test-todo")
    monkeypatch.setattr(engine, "LEFT_S", 0.0)
    run = execute(db, settings, run_id, worker_id=WORKER)
    assert (run.state, run.error_class) == ("failed", "NotFound")
    assert str(run.error).startswith("There is no job test-todo")


def test_of_a_job_that_runs_alone_the_second_waits_for_its_turn(db: Database, settings: Settings) -> None:
    first, second, third = (ask(db, "until-stopped", job="test-alone") for _ in range(3))
    fetch(db)
    running = threading.Thread(target=execute, args=(db, settings, first), kwargs={"worker_id": WORKER})
    running.start()
    while _state(db, first) != "running":
        time.sleep(0.02)
    assert execute(db, settings, second, worker_id=uuid4()).state == "queued"
    # Who waits at a shell is told at once.
    refused = execute(db, settings, third, worker_id=None)
    assert (refused.state, refused.error) == (
        "skipped",
        f"At most 1 of test-alone may run at the same time, and run {first} does.",
    )
    with db.begin() as conn:
        stop_run(conn, first, ADA, "the next one, please")
    running.join()
    later(0.5, lambda: _stop(db, second))
    assert execute(db, settings, second, worker_id=uuid4()).state == "stopped"


def _state(db: Database, run_id: int) -> str:
    with db.read() as conn:
        return find_run(conn, run_id).state


def _stop(db: Database, run_id: int) -> None:
    with db.begin() as conn:
        stop_run(conn, run_id, ADA, "a test")
