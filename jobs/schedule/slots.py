"""Slots become runs, each exactly once, however many workers ask for it.

A slot is claimed by inserting its run: the table allows one run a schedule and slot. The schedule's row is locked
meanwhile, so that a pause, an edit and the claims of other hosts come before or after, never in between.

The search for slots that nobody claimed looks back as far as `LOOK_BACK`, the first time; then it goes on from where it
has been. It leaves the youngest seconds, a schedule's grace, to the claims; those leave what is older to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from jobs.core.db import Database, jsonb
from jobs.core.logs import get_logger
from jobs.run.queue import defer
from jobs.run.store import RUNS, add_run, crowded
from jobs.schedule.misfire import catch_up
from jobs.schedule.model import Schedule, fires_between, is_slot
from jobs.schedule.store import SCHEDULES, list_schedules, schedule_of

log = get_logger(__name__)

LOOK_BACK = timedelta(days=31)
RECENT = timedelta(minutes=10)  # here gaps are looked for also before the last slot that was claimed


def claim_slots(conn: Connection, due: Iterable[tuple[str, datetime]]) -> list[int]:
    """Claims slots, each by its schedule's name, in the caller's transaction, and returns the ids of their runs.

    All that are due at one instant go together: on a full minute they are many, and each commit waits for the disk. Every
    worker takes the schedules in the same order, so that none waits for another in a circle.
    """
    return [run_id for name, slot in sorted(due) if (run_id := claim_slot(conn, name, slot)) is not None]


def claim_slot(conn: Connection, name: str, slot: datetime) -> int | None:
    """Claims a slot for the schedule as it stands now, and queues its run, in the caller's transaction.

    Returns the run's id; None if another worker has it, if it is no slot any more, or if it is past its grace and
    therefore the search's.
    """
    schedule = _locked(conn, name, wait=True)
    now, taken = conn.execute(
        text("SELECT clock_timestamp(), EXISTS (SELECT FROM ops.runs WHERE schedule = :name AND slot = :slot)"),
        {"name": name, "slot": slot},
    ).one()
    # Whoever handed it over may have done so by an earlier edit: that counts only if the slot is one still.
    if schedule is None or taken or not schedule.active(now) or not is_slot(schedule, slot):
        return None
    if now - slot > timedelta(seconds=schedule.grace_s):
        return None
    return _start(conn, schedule, slot, catching_up=False)


class MissedSlots:
    """The search of one process; not for several threads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: dict[tuple[str, int], datetime] = {}

    def look(self) -> list[int]:
        """Gives every slot that nobody claimed its run or its missed row, and returns the ids of these rows."""
        with self._db.read() as conn:
            now = _now(conn)
            schedules = [schedule for schedule in list_schedules(conn) if schedule.active(now)]
        found: list[int] = []
        for schedule in schedules:
            with self._db.begin() as conn:
                found += self._look_at(conn, schedule)
        return found

    def _look_at(self, conn: Connection, seen: Schedule) -> list[int]:
        # Whoever else looks or claims at this moment leaves nothing to find; the next look sees what is left.
        schedule = _locked(conn, seen.name, wait=False)
        if schedule is None or schedule.version != seen.version:
            return []
        now = _now(conn)
        until = now - timedelta(seconds=schedule.grace_s)
        key = (schedule.name, schedule.version)
        since = self._seen.get(key) or _first_since(conn, schedule, now)
        due = fires_between(schedule, since, until)
        rows = _catch_up(conn, schedule, due, since) if due else []
        self._seen[key] = max(since, until)
        return rows


def _catch_up(conn: Connection, schedule: Schedule, due: list[datetime], since: datetime) -> list[int]:
    taken = {
        row.slot: row.state
        for row in conn.execute(
            select(RUNS.c.slot, RUNS.c.state).where(RUNS.c.schedule == schedule.name, RUNS.c.slot > since)
        )
    }
    # A missed row, perhaps of another worker's search, stands for every slot up to its own.
    settled = max((slot for slot, state in taken.items() if state == "missed"), default=since)
    plan = catch_up(schedule.misfire, [slot for slot in due if slot > settled and slot not in taken])
    rows = []
    if plan.missed is not None:
        log.warning("slots missed", schedule=schedule.name, slots=plan.missed.count, since=plan.missed.first)
        row = _run(schedule, plan.missed.slot)
        rows.append(add_run(conn, {**row, "state": "missed", "finished_at": func.now(), "error": plan.missed.sentence}))
    rows += [_start(conn, schedule, slot, catching_up=True) for slot in plan.run]
    return [row for row in rows if row is not None]


def _first_since(conn: Connection, schedule: Schedule, now: datetime) -> datetime:
    """From where on to look, for a process that has just started: what lies before is settled, or too long ago."""
    floor = max(schedule.live_since, now - LOOK_BACK)
    last = conn.execute(select(func.max(RUNS.c.slot)).where(RUNS.c.schedule == schedule.name)).scalar()
    if last is None:
        return floor
    since = max(floor, min(last, now - RECENT))
    # A missed row stands for every slot up to its own.
    missed = select(func.max(RUNS.c.slot)).where(
        RUNS.c.schedule == schedule.name, RUNS.c.slot > since, RUNS.c.state == "missed"
    )
    newest: datetime | None = conn.execute(missed).scalar()
    return newest or since


def _start(conn: Connection, schedule: Schedule, slot: datetime, *, catching_up: bool) -> int | None:
    """Queues the run of a slot, or leaves a skipped row where the overlap policy forbids it."""
    row = _run(schedule, slot)
    if not catching_up and (why := _occupied(conn, schedule)) is not None:
        return add_run(conn, {**row, "state": "skipped", "finished_at": func.now(), "error": why})
    if schedule.overlap == "allow" and (full := crowded(conn, schedule.name)) is not None:
        return add_run(conn, {**row, "state": "skipped", "finished_at": func.now(), "error": full})
    run_id = add_run(conn, {**row, "state": "queued"})
    if run_id is not None:
        defer(
            conn,
            run_id,
            # The lock keeps the runs of a schedule one after another: one that waits, and several that catch up.
            lock=None if schedule.overlap == "allow" else f"schedule:{schedule.name}",
            # What catches up is late enough.
            delay_s=0 if catching_up else schedule.spread_s(slot),
        )
    return run_id


def _occupied(conn: Connection, schedule: Schedule) -> str | None:
    """Why a slot is skipped under the overlap policy; None: it is not.

    Any open run of the job is one to skip for. To wait behind is the schedule's own: a run that a person has asked for
    may do something else.
    """
    if schedule.overlap == "allow":
        return None
    waiting = schedule.overlap == "queue"
    found = conn.execute(
        text(
            "SELECT id, state FROM ops.runs WHERE job = :job AND state IN ('queued', 'running')"
            " AND (NOT :waiting OR (state = 'queued' AND schedule = :job)) ORDER BY id LIMIT 1"
        ),
        {"job": schedule.name, "waiting": waiting},
    ).one_or_none()
    if found is None:
        return None
    return f"Run {found.id} already waited." if waiting else f"Run {found.id} was still {found.state}."


def _run(schedule: Schedule, slot: datetime) -> Mapping[str, Any]:
    return {
        "job": schedule.name,
        "schedule": schedule.name,
        "slot": slot,
        "trigger": "schedule",
        "triggered_by": "system",
        "params": jsonb(dict(schedule.params)),
    }


def _locked(conn: Connection, name: str, *, wait: bool) -> Schedule | None:
    query = select(SCHEDULES).where(SCHEDULES.c.name == name).with_for_update(skip_locked=not wait)
    row = conn.execute(query).one_or_none()
    return None if row is None else schedule_of(row)


def _now(conn: Connection) -> datetime:
    now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now
