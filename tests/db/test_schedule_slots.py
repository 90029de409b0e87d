"""A slot becomes one run, or one visible row that says why not."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import Every, Job, Params
from jobs.run import store as run_store
from jobs.run.store import RunRow, list_runs
from jobs.schedule import store
from jobs.schedule.model import Schedule
from jobs.schedule.scheduler import Scheduler
from jobs.schedule.slots import MissedSlots, claim_slot

NAME = "test-often"
JOB = Job(NAME, NAME, "Does nothing.", Every(1), 60, 0, None, Params, lambda _run, _params: None)


@pytest.fixture
def schedule(db: Database) -> Schedule:
    """Of every second, alone in the table, and two hours old."""
    with db.begin() as conn:
        conn.execute(text("DELETE FROM ops.schedules"))
        store.seed_schedules(conn, {NAME: JOB})
    return edit(db, "created_at = now() - interval '2 hours', updated_at = now() - interval '2 hours'")


@pytest.fixture
def minutely(db: Database, schedule: Schedule) -> Schedule:
    """The same of every minute."""
    return edit(db, "expression = '60'")


def edit(db: Database, change: str) -> Schedule:
    with db.begin() as conn:
        conn.execute(text(f"UPDATE ops.schedules SET {change} WHERE name = :name"), {"name": NAME})
        return store.find_schedule(conn, NAME)


def edit_run(db: Database, run_id: int | None, state: str) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.runs SET state = :state WHERE id = :id"), {"id": run_id, "state": state})


def claim(db: Database, schedule: Schedule, slot: datetime) -> int | None:
    with db.begin() as conn:
        return claim_slot(conn, schedule.name, slot)


def runs(db: Database) -> list[RunRow]:
    with db.read() as conn:
        return list_runs(conn, job=NAME, limit=1000)[::-1]


def queued(db: Database) -> list[tuple[int, str | None]]:
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT CAST(args ->> 'run_id' AS bigint) AS run, lock FROM procrastinate.procrastinate_jobs ORDER BY id"
            )
        )
        return [(row.run, row.lock) for row in rows]


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def test_of_many_workers_that_claim_a_slot_one_gets_it(db: Database, schedule: Schedule) -> None:
    slot = now()
    with ThreadPoolExecutor(8) as pool:
        won = [run for run in pool.map(lambda _: claim(db, schedule, slot), range(16)) if run is not None]
    (run,) = runs(db)
    assert won == [run.id]
    assert (run.state, run.trigger, run.triggered_by, run.slot) == ("queued", "schedule", "system", slot)
    assert queued(db) == [(run.id, f"schedule:{NAME}")]


def test_a_full_queue_takes_no_slot_and_says_so(
    db: Database, schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "MOST_QUEUED", 1)
    schedule, slot = edit(db, "overlap = 'allow'"), now()
    claim(db, schedule, slot)
    claim(db, schedule, slot + timedelta(seconds=1))
    assert [(run.state, run.error) for run in runs(db)] == [
        ("queued", None),
        ("skipped", f"1 runs of {NAME} are queued already."),
    ]


def test_a_slot_whose_run_cannot_be_queued_leaves_nothing_behind(db: Database, schedule: Schedule) -> None:
    slot = now()
    with db.engine.connect() as conn:
        assert claim_slot(conn, NAME, slot) is not None
        conn.rollback()  # the worker dies before the commit
    assert runs(db) == []
    assert queued(db) == []
    assert claim(db, schedule, slot) is not None


def test_while_a_run_is_open_the_next_slot_is_skipped_visibly(db: Database, schedule: Schedule) -> None:
    first = claim(db, schedule, now() - timedelta(seconds=2))
    claim(db, schedule, now())
    skipped = runs(db)[1]
    assert (skipped.state, skipped.error) == ("skipped", f"Run {first} was still queued.")
    assert skipped.finished
    assert len(queued(db)) == 1


def test_one_run_may_wait_behind_another_and_further_slots_are_skipped_visibly(
    db: Database, schedule: Schedule
) -> None:
    schedule = edit(db, "overlap = 'queue'")
    first = claim(db, schedule, now() - timedelta(seconds=4))
    edit_run(db, first, "running")
    second = claim(db, schedule, now() - timedelta(seconds=3))
    claim(db, schedule, now() - timedelta(seconds=2))
    edit_run(db, first, "succeeded")
    edit_run(db, second, "running")
    claim(db, schedule, now())
    assert [run.state for run in runs(db)] == ["succeeded", "running", "skipped", "queued"]
    assert runs(db)[2].error == f"Run {second} already waited."
    assert [lock for _, lock in queued(db)] == [f"schedule:{NAME}"] * 3


def test_what_a_person_asked_for_keeps_no_slot_from_waiting(db: Database, schedule: Schedule) -> None:
    schedule = edit(db, "overlap = 'queue'")
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.runs (job, trigger, triggered_by, state) VALUES (:name, 'manual', 'ada', 'queued')"),
            {"name": NAME},
        )
    claim(db, schedule, now())
    assert [run.state for run in runs(db)] == ["queued", "queued"]


def test_where_the_policy_says_so_runs_go_on_side_by_side(db: Database, schedule: Schedule) -> None:
    schedule = edit(db, "overlap = 'allow'")
    for ago in (2, 1, 0):
        claim(db, schedule, now() - timedelta(seconds=ago))
    assert [run.state for run in runs(db)] == ["queued"] * 3
    assert [lock for _, lock in queued(db)] == [None] * 3


def test_starts_are_spread_after_the_claim_and_the_slot_stays_what_it_is(db: Database, schedule: Schedule) -> None:
    schedule = edit(db, "overlap = 'allow', jitter_s = 3600")
    slots = [now() - timedelta(seconds=ago) for ago in (2, 1, 0)]
    for slot in slots:
        claim(db, schedule, slot)
    assert [run.slot for run in runs(db)] == slots
    with db.read() as conn:
        waits = [
            row.waits
            for row in conn.execute(
                text(
                    "SELECT extract(epoch FROM j.scheduled_at - r.queued_at)::float8 AS waits FROM ops.runs r"
                    " JOIN procrastinate.procrastinate_jobs j ON j.queueing_lock = 'run:' || r.id ORDER BY r.slot"
                )
            )
        ]
    assert waits == pytest.approx([schedule.spread_s(slot) for slot in slots], abs=0.01)


def test_a_slot_of_a_pause_is_not_claimed_also_if_it_is_over_meanwhile(db: Database, schedule: Schedule) -> None:
    slot = now()
    with db.begin() as conn:
        store.pause(conn, NAME, actor="ada@example.org", reason="maintenance")
    assert claim(db, schedule, slot) is None
    with db.begin() as conn:
        store.resume(conn, NAME, actor="ada@example.org")
    assert claim(db, schedule, slot) is None
    assert runs(db) == []


def test_a_slot_that_an_edit_has_taken_away_is_not_claimed_and_one_that_it_left_is(
    db: Database, schedule: Schedule
) -> None:
    slot = now()
    edit(db, "expression = '3600', anchor = now() - interval '90 minutes', version = version + 1")
    assert claim(db, schedule, slot) is None
    edit(db, "expression = '1', anchor = NULL, timeout_s = 5, version = version + 1")
    assert claim(db, schedule, slot) is not None
    edit(db, "expression = 'soon'")
    assert claim(db, schedule, slot + timedelta(seconds=1)) is None


def test_a_slot_past_its_grace_is_left_to_the_search(db: Database, schedule: Schedule) -> None:
    assert claim(db, schedule, now() - timedelta(seconds=schedule.grace_s + 1)) is None


@pytest.mark.parametrize(
    ("policy", "queued_runs", "most_missed"), [("skip", 0, 120), ("once", 1, 119), ("all", 20, 100)]
)
def test_two_hours_without_workers_leave_what_the_policy_says(
    db: Database, minutely: Schedule, policy: str, queued_runs: int, most_missed: int
) -> None:
    edit(db, f"misfire = '{policy}'")
    MissedSlots(db).look()
    found = runs(db)
    assert [run.state for run in found] == ["missed"] + ["queued"] * queued_runs
    missed = found[0]
    assert missed.error is not None
    assert f"claimed {most_missed} slots" in missed.error or f"claimed {most_missed - 1} slots" in missed.error
    # Another process, and another look, find nothing more.
    search = MissedSlots(db)
    assert search.look() == []
    assert search.look() == []


def test_what_another_workers_search_has_counted_is_not_counted_again(db: Database, minutely: Schedule) -> None:
    behind = MissedSlots(db)
    behind._seen[NAME, minutely.version] = now() - timedelta(hours=1)
    assert len(MissedSlots(db).look()) == 1
    assert behind.look() == []


def test_a_gap_before_a_claimed_slot_is_found(db: Database, minutely: Schedule) -> None:
    minute = now().replace(second=0)
    edit(db, f"grace_s = 1, updated_at = '{(minute - timedelta(minutes=5, seconds=1)).isoformat()}'")
    with db.begin() as conn:
        for ago in (5, 4, 2, 1, 0):
            conn.execute(
                text(
                    "INSERT INTO ops.runs (job, schedule, slot, trigger, triggered_by, state)"
                    " VALUES (:name, :name, :slot, 'schedule', 'system', 'succeeded')"
                ),
                {"name": NAME, "slot": minute - timedelta(minutes=ago)},
            )
    MissedSlots(db).look()
    missed = [run for run in runs(db) if run.state == "missed"]
    assert [run.slot for run in missed] == [minute - timedelta(minutes=3)]
    assert missed[0].error == "No worker claimed this slot in time, so it did not run."


def test_time_before_a_schedule_was_switched_on_or_while_it_was_paused_is_not_missed(
    db: Database, minutely: Schedule
) -> None:
    edit(db, "enabled = false")
    assert MissedSlots(db).look() == []
    with db.begin() as conn:
        store.set_enabled(conn, NAME, True, actor="ada@example.org", reason="again")
    assert MissedSlots(db).look() == []
    edit(db, "updated_at = now() - interval '2 hours', paused_at = now() - interval '1 hour'")
    assert MissedSlots(db).look() == []
    edit(db, "paused_until = now() - interval '3 minutes 30 seconds'")
    MissedSlots(db).look()
    assert [run.state for run in runs(db)] == ["missed"]
    assert "claimed 3 slots" in (runs(db)[0].error or "") or "claimed 4 slots" in (runs(db)[0].error or "")


def test_a_schedule_that_cannot_be_read_hides_no_other(db: Database, minutely: Schedule) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.schedules (name, kind, expression, timeout_s, updated_at)"
                " VALUES ('a-broken-one', 'cron', 'whenever', 1, now() - interval '1 day')"
            )
        )
    assert len(MissedSlots(db).look()) == 1


@pytest.fixture
def schedulers(db: Database, schedule: Schedule) -> Iterator[list[Scheduler]]:
    """Two, as on two hosts, for a schedule of every second."""
    edit(db, "overlap = 'allow', version = version + 1, updated_at = now()")
    both = [Scheduler(db), Scheduler(db)]
    for scheduler in both:
        scheduler.start()
    yield both
    for scheduler in both:
        scheduler.stop()


def test_two_schedulers_claim_every_second_once_and_obey_a_pause_at_once(
    db: Database, schedulers: list[Scheduler]
) -> None:
    eventually(lambda: len(runs(db)) >= 3)
    with db.begin() as conn:
        store.pause(conn, NAME, actor="ada@example.org", reason="enough")
    count = len(runs(db))
    slots = [run.slot for run in runs(db) if run.slot is not None]
    assert count >= 3
    assert slots == [slots[0] + timedelta(seconds=n) for n in range(count)]
    assert all(slot.microsecond == 0 for slot in slots)
    time.sleep(1)
    assert len(runs(db)) == count
    with db.begin() as conn:
        store.resume(conn, NAME, actor="ada@example.org")
    eventually(lambda: len(runs(db)) > count)
    assert all(scheduler.silent_s < 10 for scheduler in schedulers)


@pytest.fixture
def watched(db: Database, schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """One scheduler for a schedule of every second, whose watchdog is quick."""
    for name, seconds in {"BEAT_S": 1, "DEAD_AFTER_S": 2.0, "POLL_S": 0.3}.items():
        monkeypatch.setattr(f"jobs.schedule.scheduler.{name}", seconds)
    edit(db, "overlap = 'allow', version = version + 1, updated_at = now()")
    scheduler = Scheduler(db)
    scheduler.start()
    eventually(lambda: len(runs(db)) > 0)
    yield scheduler
    scheduler.stop()


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is meant
def test_a_scheduler_whose_thread_was_killed_is_replaced_and_goes_on_claiming(db: Database, watched: Scheduler) -> None:
    victim = watched._timer._thread
    # As whatever nobody foresaw would end it: the scheduler goes on saying that it runs.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit))
    eventually(lambda: not victim.is_alive())
    assert watched._timer.running
    count = len(runs(db))
    eventually(lambda: watched._timer._thread is not victim and len(runs(db)) > count + 1)
    assert watched.silent_s < 2


@contextmanager
def stuck(timer: BackgroundScheduler) -> Iterator[threading.Thread]:
    """Holds the lock that the timer's thread needs: it stands still, alive."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with timer._jobstores_lock:
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    yield holder
    release.set()
    holder.join()


def test_a_scheduler_whose_thread_is_stuck_is_replaced_and_goes_on_claiming(db: Database, watched: Scheduler) -> None:
    old = watched._timer
    with stuck(old):
        count = len(runs(db))
        eventually(lambda: watched._timer is not old and len(runs(db)) > count + 1)
    # What comes back to life claims nothing that another has: a slot is one run.
    old.shutdown(wait=False)
    slots = [run.slot for run in runs(db)]
    assert len(slots) == len(set(slots))


def test_a_thread_that_is_stuck_does_not_hold_up_the_end_of_a_worker(db: Database, schedule: Schedule) -> None:
    scheduler = Scheduler(db)
    scheduler.start()
    eventually(lambda: NAME in scheduler._known)
    with stuck(scheduler._timer) as holder:
        scheduler.stop()
        assert holder.is_alive()
