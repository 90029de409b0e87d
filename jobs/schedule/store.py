"""The schedules table, which is the truth about when jobs run.

Every change is one conditional update that raises the version, writes its audit row and tells the schedulers of all
workers by NOTIFY. A notification that gets lost costs seconds: the schedulers also look by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Update, column, func, select, table, text, update

from jobs.core import audit
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.jobs import Cron, Job
from jobs.core.settings import Settings, variables
from jobs.schedule.broken import unreadable
from jobs.schedule.model import Schedule

CHANNEL = "ops_schedules"
SCHEDULES = table("schedules", *(column(field.name) for field in fields(Schedule)), schema="ops")


def schedule_of(row: Row[Any]) -> Schedule:
    """The frozen value of a row of `SCHEDULES`."""
    return Schedule(**row._mapping)


def list_schedules(conn: Connection) -> list[Schedule]:
    """All schedules by name."""
    return [schedule_of(row) for row in conn.execute(select(SCHEDULES).order_by(SCHEDULES.c.name))]


def find_schedule(conn: Connection, name: str) -> Schedule:
    """One schedule; NotFound if there is none of that name."""
    row = conn.execute(select(SCHEDULES).where(SCHEDULES.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no schedule {name}: see `nexaops jobs list`.")
    return schedule_of(row)


def seed_schedules(conn: Connection, jobs: Mapping[str, Job]) -> list[str]:
    """Adds a schedule for every job that wants one and has none yet, and returns their names; what people edited stays.

    One whose job needs a setting begins switched off: see `follow_settings`.
    """
    added = []
    for job in jobs.values():
        # A stranger's slip keeps no worker from starting: `broken_jobs` names it.
        if job.schedule is None or unreadable(job.schedule) is not None:
            continue
        cron = isinstance(job.schedule, Cron)
        kind = "cron" if cron else "interval"
        expression = job.schedule.expression if isinstance(job.schedule, Cron) else str(job.schedule.seconds)
        done = conn.execute(
            text(
                "INSERT INTO ops.schedules (name, kind, expression, misfire, timeout_s, retries, enabled)"
                " VALUES (:name, :kind, :expression, :misfire, :timeout_s, :retries, :enabled)"
                " ON CONFLICT (name) DO NOTHING"
            ),
            {
                "name": job.name,
                "kind": kind,
                "expression": expression,
                # A missed interval is made good by the next one; a missed night is not.
                "misfire": "once" if cron else "skip",
                "timeout_s": job.timeout_s,
                "retries": job.retries,
                "enabled": job.needs is None,
            },
        )
        if done.rowcount:
            added.append(job.name)
            changed(conn, job.name, "schedule.added", "system", {"expression": expression}, None, "migration")
    return added


def follow_settings(conn: Connection, jobs: Mapping[str, Job], settings: Settings) -> None:
    """Switches the schedules of jobs that need a setting on where it is set, and off where it is not.

    The setting is their only switch: it is read when a worker starts, and what differs is changed with its audit row.
    """
    for job in jobs.values():
        if job.needs is None or unreadable(job.schedule) is not None:
            continue
        wanted = bool(getattr(settings, job.needs))
        if find_schedule(conn, job.name).enabled is wanted:
            continue
        name = variables(type(settings).model_fields[job.needs])[0]
        reason = f"{name} is {'set' if wanted else 'not set'}"
        # Another worker that starts at this moment with the same settings may have been faster.
        with suppress(Conflict):
            set_enabled(conn, job.name, wanted, actor="system", reason=reason, origin="job")


def pause(
    conn: Connection,
    name: str,
    *,
    actor: str,
    reason: str,
    until: datetime | None = None,
    origin: str = "dashboard",
) -> None:
    """Stops new slots until `until` (aware), or until somebody resumes it; what runs goes on.

    Raises UsageError without a reason or with a time that is past, Conflict if it is paused already.
    """
    if not reason.strip():
        raise UsageError(f"Say why {name} is paused: a reason is needed.")
    if until is not None and until.tzinfo is None:
        raise UsageError("Say the time zone of the time to resume at.")
    if until is not None and conn.execute(text("SELECT :until <= now()"), {"until": until}).scalar():
        raise UsageError(f"{until:%Y-%m-%d %H:%M} is past: say a later time to resume at.")
    done = conn.execute(
        text(
            "UPDATE ops.schedules SET paused_at = now(), paused_until = :until, paused_by = :actor,"
            " paused_reason = :reason, version = version + 1, updated_at = now()"
            " WHERE name = :name AND paused_at IS NULL"
        ),
        {"name": name, "until": until, "actor": actor, "reason": reason},
    )
    if not done.rowcount:
        seen = find_schedule(conn, name)
        raise Conflict(f"{name} is paused already, by {seen.paused_by}: {seen.paused_reason}.")
    changed(conn, name, "schedule.paused", actor, {"until": None if until is None else str(until)}, reason, origin)


def resume(conn: Connection, name: str, *, actor: str, reason: str | None = None, origin: str = "dashboard") -> None:
    """Lets the slots of a paused schedule run again from now on; Conflict if it is not paused."""
    done = conn.execute(_resumption().where(SCHEDULES.c.name == name))
    if not done.rowcount:
        find_schedule(conn, name)
        raise Conflict(f"{name} is not paused.")
    changed(conn, name, "schedule.resumed", actor, {}, reason, origin)


def resume_due(conn: Connection) -> list[str]:
    """Resumes the schedules whose pause has run out, and returns their names; of several workers one does it."""
    due = _resumption().where(SCHEDULES.c.paused_until <= func.now()).returning(SCHEDULES.c.name)
    names = list(conn.execute(due).scalars())
    for name in names:
        changed(conn, name, "schedule.resumed", "system", {}, "the pause has run out", "job")
    return names


def set_enabled(
    conn: Connection, name: str, enabled: bool, *, actor: str, reason: str, origin: str = "dashboard"
) -> None:
    """Switches a schedule on or off for good; Conflict if it stood so already."""
    if not reason.strip():
        raise UsageError(f"Say why {name} is switched {'on' if enabled else 'off'}: a reason is needed.")
    done = conn.execute(
        text(
            "UPDATE ops.schedules SET enabled = :enabled, version = version + 1, updated_at = now()"
            " WHERE name = :name AND enabled <> :enabled"
        ),
        {"name": name, "enabled": enabled},
    )
    if not done.rowcount:
        find_schedule(conn, name)
        raise Conflict(f"{name} is {'on' if enabled else 'off'} already.")
    changed(conn, name, "schedule.enabled" if enabled else "schedule.disabled", actor, {}, reason, origin)


def _resumption() -> Update:
    return (
        update(SCHEDULES)
        .where(SCHEDULES.c.paused_at.is_not(None))
        .values(
            paused_at=None,
            paused_until=None,
            paused_by=None,
            paused_reason=None,
            version=SCHEDULES.c.version + 1,
            # What lay within the pause is not missed; what came after its end is.
            updated_at=func.least(func.now(), func.coalesce(SCHEDULES.c.paused_until, func.now())),
        )
    )


def changed(
    conn: Connection,
    name: str,
    action: str,
    actor: str,
    new: Mapping[str, Any],
    reason: str | None,
    origin: str,
    *,
    old: Mapping[str, Any] | None = None,
) -> None:
    """Writes the audit row of a change that the caller has just made, and tells the schedulers."""
    row = audit.AuditRow(actor, action, "schedule", name, origin, old=old or None, new=new or None, reason=reason)
    audit.record(conn, row)
    conn.execute(text("SELECT pg_notify(:channel, :name)"), {"channel": CHANNEL, "name": name})
