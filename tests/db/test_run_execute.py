"""One run from claim to end: what it records, and who may still write its result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from pydantic import Field
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import TransientError, UsageError
from jobs.core.flags import Flag, set_flag
from jobs.core.jobs import Every, Params, Run, find_job, job
from jobs.core.settings import Settings
from jobs.run import execute as engine
from jobs.run.context import RunContext
from jobs.run.execute import execute
from jobs.run.rescue import mark_lost
from jobs.run.store import RunRow, find_run, list_logs, list_runs, request_run, stop_run
from jobs.schedule.store import seed_schedules

ADA = "ada@example.org"
WORKER = UUID(int=7)
SEED = "S" + "A" * 55


class Todo(Params):
    how: str = Field("count", description="What to do.")


def _count(run: Run) -> None:
    run.count("seen", 3)
    run.count("seen", 2)
    run.progress(5, 5)
    run.info("looked", rows=5, password="hunter2")
    run.warning(f"a seed {SEED} in a line\x00", detail=f"{SEED}\x00")


def _until_stopped(run: Run) -> None:
    while not run.should_stop():
        run.count("batches")
        time.sleep(0.02)


def _raise(error: BaseException) -> Callable[[Run], None]:
    def fail(_run: Run) -> None:
        raise error

    return fail


def _finish_unasked(run: Run) -> None:
    # It never looks: so it was not stopped, it has finished.
    time.sleep(2.5)
    run.count("seen")


HOW: dict[str, Callable[[Run], None]] = {
    "count": _count,
    "until-stopped": _until_stopped,
    "break": _raise(ZeroDivisionError(f"by zero, with {SEED}")),
    "refuse": _raise(UsageError("It will never work.")),
    "pass": _raise(TransientError("It may work the next time.")),
    "exit": _raise(SystemExit(3)),
    "unasked": _finish_unasked,
    "hang": lambda _run: time.sleep(8),
    "note-dry": lambda run: run.info("dry" if run.dry_run else "wet"),
}


@job(
    name="test-todo",
    title="t",
    does="What it is told.",
    schedule=Every(3600),
    timeout_s=30,
    retries=1,
    flag=Flag.CLEANUP,
    params=Todo,
)
def todo(run: Run, params: Todo) -> None:
    HOW[params.how](run)


@pytest.fixture
def run_it(db: Database, settings: Settings) -> Callable[..., RunRow]:
    """Executes the job as a worker would, and returns the run as it ended."""
    with db.begin() as conn:
        seed_schedules(conn, {"test-todo": find_job("test-todo")})

    def run(how: str, *, dry_run: bool = False, worker_id: UUID | None = WORKER, **options: object) -> RunRow:
        run_id = ask(db, how, dry_run=dry_run)
        return execute(db, settings, run_id, worker_id=worker_id, **options)  # type: ignore[arg-type]  # cases

    return run


def ask(db: Database, how: str, *, dry_run: bool = False) -> int:
    with db.begin() as conn:
        return request_run(conn, job="test-todo", params={"how": how}, dry_run=dry_run, actor=ADA)


def switch(db: Database, flag: Flag, value: bool) -> None:
    with db.begin() as conn:
        set_flag(conn, flag, value, actor=ADA, reason="a test", origin="cli")


def later(seconds: float, action: Callable[[], object]) -> None:
    threading.Timer(seconds, action).start()


def retries_of(db: Database, run: RunRow) -> list[RunRow]:
    with db.read() as conn:
        return [row for row in list_runs(conn) if row.retry_of == run.id]


def test_a_run_leaves_its_counters_progress_times_and_log(db: Database, run_it: Callable[..., RunRow]) -> None:
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


def test_what_a_job_raises_is_written_down_without_secrets(run_it: Callable[..., RunRow]) -> None:
    run = run_it("break")
    assert (run.state, run.error_class) == ("failed", "ZeroDivisionError")
    assert run.error == "by zero, with [secret key]"
    assert run.trace is not None
    assert "_raise" in run.trace or "fail" in run.trace
    assert SEED not in run.trace


def test_not_even_an_exit_takes_the_worker_along(run_it: Callable[..., RunRow]) -> None:
    run = run_it("exit")
    assert (run.state, run.error_class) == ("failed", "SystemExit")


@pytest.mark.parametrize(("how", "retried"), [("break", True), ("pass", True), ("refuse", False), ("count", False)])
def test_what_may_pass_is_tried_again_once_and_what_is_permanent_is_not(
    db: Database, settings: Settings, run_it: Callable[..., RunRow], how: str, retried: bool
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


def test_what_a_person_waits_for_is_not_tried_again(db: Database, run_it: Callable[..., RunRow]) -> None:
    assert retries_of(db, run_it("break", worker_id=None)) == []


def test_of_two_who_execute_a_run_one_does_it(db: Database, settings: Settings, run_it: Callable[..., RunRow]) -> None:
    run = run_it("count")
    again = execute(db, settings, run.id, worker_id=uuid4())
    assert again == run


def test_a_job_whose_flag_is_off_is_skipped_and_says_so(db: Database, run_it: Callable[..., RunRow]) -> None:
    switch(db, Flag.CLEANUP, False)
    run = run_it("count")
    assert (run.state, run.error, run.started_at) == ("skipped", "The flag enableCleanup is off.", None)
    assert run.finished


def test_switching_the_flag_off_stops_a_run_within_a_second_or_two(db: Database, run_it: Callable[..., RunRow]) -> None:
    later(1, lambda: switch(db, Flag.CLEANUP, False))
    run = run_it("until-stopped")
    assert (run.state, run.error) == ("stopped", "The flag enableCleanup was switched off.")
    assert run.duration_s is not None
    assert run.duration_s < 3


def test_dry_run_is_the_flag_too_and_ends_a_run_that_writes(db: Database, run_it: Callable[..., RunRow]) -> None:
    later(1, lambda: switch(db, Flag.DRY_RUN, True))
    assert run_it("until-stopped").error == "The flag dryRun was switched on while this run was writing."
    run = run_it("note-dry")
    assert run.dry_run
    with db.read() as conn:
        assert [line.event for line in list_logs(conn, run.id)] == ["dry"]


def test_a_person_stops_a_run_and_its_counters_are_kept(db: Database, run_it: Callable[..., RunRow]) -> None:
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


def test_a_run_that_ends_before_it_was_told_has_succeeded(db: Database, run_it: Callable[..., RunRow]) -> None:
    later(1, lambda: switch(db, Flag.CLEANUP, False))
    assert run_it("unasked").state == "succeeded"


def limit(db: Database, seconds: int) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET timeout_s = :s WHERE name = 'test-todo'"), {"s": seconds})


def test_the_schedules_time_limit_is_told_before_it_is_reached(db: Database, run_it: Callable[..., RunRow]) -> None:
    limit(db, 2)
    run = run_it("until-stopped")
    assert (run.state, run.error) == ("timed_out", "Its time limit of 2 s was reached.")
    assert retries_of(db, run) == []


def test_a_run_that_hangs_is_left_behind(
    db: Database, run_it: Callable[..., RunRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STOP_GRACE_S", 1.0)
    limit(db, 1)
    began = time.monotonic()
    run = run_it("hang")
    assert time.monotonic() - began < 5
    assert run.state == "timed_out"
    assert run.error is not None
    assert "left behind" in run.error


def test_a_shutdown_stops_a_run_and_gives_it_another_attempt(db: Database, run_it: Callable[..., RunRow]) -> None:
    shutdown = threading.Event()
    later(1, shutdown.set)
    run = run_it("until-stopped", shutdown=shutdown)
    assert (run.state, run.error) == ("stopped", "Its process was shut down.")
    assert len(retries_of(db, run)) == 1


def test_a_run_that_was_given_up_cannot_write_its_result(db: Database, run_it: Callable[..., RunRow]) -> None:
    def give_up() -> None:
        with db.begin() as conn:
            (lost,) = mark_lost(conn, -1)
            assert lost.state == "lost"

    later(1, give_up)
    run = run_it("unasked")
    assert run.state == "lost"
    with db.read() as conn:
        assert find_run(conn, run.id).counters == {}


def test_whatever_a_job_logs_can_be_stored(db: Database, run_it: Callable[..., RunRow]) -> None:
    HOW["odd"] = lambda run: run.info(
        "odd\x00 \ud800", big=2**80, nested={"zero": ["\x00", {1: object}]}, amount=Decimal("1.50"), half="\ud800"
    )
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


def test_the_log_can_be_followed_in_order_while_it_runs(db: Database, run_it: Callable[..., RunRow]) -> None:
    def talk(run: Run) -> None:
        for number in range(150):
            run.info("line", number=number)
            time.sleep(0.02)

    HOW["talk"] = talk
    followed: list[int] = []
    pieces = 0
    last = 0

    def follow(context: RunContext) -> None:
        nonlocal last, pieces
        with db.read() as conn:
            lines = list_logs(conn, context.id, after_id=last, limit=1000)
        pieces += bool(lines)
        followed.extend(line.fields["number"] for line in lines)
        last = lines[-1].id if lines else last

    run = run_it("talk", watch=follow)
    with db.read() as conn:
        followed.extend(line.fields["number"] for line in list_logs(conn, run.id, after_id=last))
    assert pieces >= 2
    assert followed == list(range(150))
