"""APScheduler says when; nothing more.

Every worker has one scheduler with a memory store, built from the schedules table and rebuilt when that changes. Its
thread never touches the database: it hands each slot, with the time at which it was due, to a thread that claims it.
So a database that is away cannot kill it; a slot that could not be claimed within its grace is found by the search in
slots.py. That the thread lives is proved by a beat which comes through it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job as TimerJob
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.core.logs import get_logger
from jobs.run.loop import DATABASE_ERRORS, Loop
from jobs.schedule.model import EPOCH, Schedule, trigger_of
from jobs.schedule.slots import claim_slots
from jobs.schedule.store import CHANNEL, list_schedules, resume_due

log = get_logger(__name__)

POLL_S = 5.0
BEAT_S = 5
DEAD_AFTER_S = 30.0
STOP_S = 2.0
AT_ONCE = 50
"""Slots that are claimed in one transaction, which holds up an edit of theirs for so long."""
_BEAT = ""  # no schedule is called so


class _SlotExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Passes on what is due, in the scheduler's own thread."""

    def __init__(self, hand_over: Callable[[str, datetime], None]) -> None:
        super().__init__()
        self._hand_over = hand_over

    def _do_submit_job(self, job: TimerJob, run_times: Sequence[datetime]) -> None:
        for due in run_times:
            self._hand_over(job.id, due.astimezone(UTC))

    def submit_job(self, job: TimerJob, run_times: Sequence[datetime]) -> None:
        super().submit_job(job, run_times)
        # It is passed on, and so it is done: overlap is decided in the database, not by counting here.
        self._run_job_success(job.id, [])


class Scheduler:
    """The scheduler of one worker."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._due: queue.SimpleQueue[tuple[str, datetime]] = queue.SimpleQueue()
        self._known: dict[str, tuple[object, ...]] = {}
        self._listener: psycopg.Connection | None = None
        self._looked = float("-inf")
        self._beaten = time.monotonic()
        self._timer = self._new_timer()
        self._loops = (Loop("scheduler", 0.2, self._follow), Loop("slots", 0, self._claim_due))

    def start(self) -> None:
        self._timer.start()
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """No slot is claimed by this worker from here on."""
        for loop in self._loops:
            loop.stop()
        # It waits for its thread, and one that is stuck would hold up the worker's end: nobody claims what it hands over.
        ending = threading.Thread(target=self._timer.shutdown, kwargs={"wait": False}, daemon=True)
        ending.start()
        ending.join(STOP_S)
        self._hang_up()

    @property
    def silent_s(self) -> float:
        """Seconds since the scheduler's thread gave its last sign of life."""
        return time.monotonic() - self._beaten

    def _new_timer(self) -> BackgroundScheduler:
        timer = BackgroundScheduler(timezone=UTC, executors={"default": _SlotExecutor(self._hand_over)})
        beat = IntervalTrigger(seconds=BEAT_S, start_date=EPOCH, timezone=UTC)
        self._add(timer, _BEAT, beat)
        return timer

    def _add(self, timer: BackgroundScheduler, name: str, trigger: object) -> None:
        timer.add_job(
            str,  # what runs is decided by the executor
            trigger,
            id=name,
            replace_existing=True,
            # Each instant is handed over as itself, however late: what is too late is decided in slots.py.
            misfire_grace_time=None,
            coalesce=False,
        )

    def _hand_over(self, name: str, slot: datetime) -> None:
        self._beaten = time.monotonic()
        if name != _BEAT:
            self._due.put((name, slot))

    def _claim_due(self) -> None:
        """Claims what the timer has handed over, all of an instant together."""
        try:
            due = [self._due.get(timeout=0.5)]
        except queue.Empty:
            return
        with contextlib.suppress(queue.Empty):
            while len(due) < AT_ONCE:
                due.append(self._due.get_nowait())
        try:
            with self._db.begin() as conn:
                claimed = claim_slots(conn, due)
        except DATABASE_ERRORS:
            for name, slot in due:
                if datetime.now(UTC) - slot < timedelta(minutes=1):
                    self._due.put((name, slot))
            time.sleep(0.5)
            raise
        if claimed:
            log.debug("slots claimed", runs=claimed)

    def _follow(self) -> None:
        """Waits for a change of the table for up to a second, and looks for itself every few seconds."""
        try:
            if self._listener is None:
                self._listener = psycopg.connect(self._db.conninfo, autocommit=True)
                self._listener.execute(f"LISTEN {CHANNEL}")
                self._looked = float("-inf")
            told = any(True for _ in self._listener.notifies(timeout=0 if self._overdue else 0.8, stop_after=1))
            if told or self._overdue:
                with self._db.begin() as conn:
                    resume_due(conn)
                    schedules = list_schedules(conn)
                self._looked = time.monotonic()
                self._build(schedules)
        except DATABASE_ERRORS:
            self._hang_up()
            raise

    @property
    def _overdue(self) -> bool:
        return time.monotonic() - self._looked >= POLL_S

    def _build(self, schedules: Sequence[Schedule]) -> None:
        """Brings the timer to what the table says; what has not changed is left alone."""
        if self.silent_s > DEAD_AFTER_S:
            log.error("the scheduler's thread is dead or stuck, and is replaced", silent_s=round(self.silent_s))
            self._timer, self._known, self._beaten = self._new_timer(), {}, time.monotonic()
            self._timer.start()
        now = datetime.now(UTC)
        wanted = {schedule.name: schedule for schedule in schedules if schedule.active(now)}
        for name in self._known.keys() - wanted.keys():
            del self._known[name]
            if self._timer.get_job(name) is not None:
                self._timer.remove_job(name)
        for name, schedule in wanted.items():
            # An edit that moves no slot leaves the timer alone: one that is due at this moment would get lost.
            if self._known.get(name) == schedule.timing:
                continue
            self._known[name] = schedule.timing
            try:
                trigger = trigger_of(schedule.kind, schedule.expression, schedule.zone, schedule.anchor)
            except NexaError as error:
                log.error("a schedule cannot be read, and does not run", schedule=name, reason=str(error))
                if self._timer.get_job(name) is not None:
                    self._timer.remove_job(name)
            else:
                self._add(self._timer, name, trigger)

    def _hang_up(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
