"""Lists open by themselves, fall due and are escalated: each occurrence once, each step once.

The row of a schedule is locked while its occurrences are decided, and says up to when that was done: so two workers at
once open one run, and one that was killed leaves either all or nothing. After a time in which nobody looked, the last
occurrence opens and those before it are recorded as missed: three lists of the same week help nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from checklists.grammar import FieldKind, Schedule
from checklists.history import keep
from checklists.mentions import remember_mentions_of
from checklists.recurring import occurrences
from checklists.schema import Template
from checklists.store import start_run
from jobs.core.errors import NexaError
from jobs.core.people import Person
from jobs.core.permissions import Role

ORIGIN = "schedule"
CLOCKWORK = Person(UUID(int=0), "system", "its schedule", frozenset({Role.ADMINISTRATOR}))
State = Literal["opened", "missed", "refused"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of one occurrence; `note` says why it did not open."""

    occurs_at: datetime
    state: State
    run_id: int | None = None
    note: str | None = None


def open_due(conn: Connection, template: Template, schedule: Schedule) -> list[Opened]:
    """Decides every occurrence of a list that has come since the last look, in the caller's transaction."""
    conn.execute(
        text("INSERT INTO ops.checklist_schedules (template_id, looked_at) VALUES (:id, now()) ON CONFLICT DO NOTHING"),
        {"id": template.id},
    )
    looked_at, now = conn.execute(
        text("SELECT looked_at, clock_timestamp() FROM ops.checklist_schedules WHERE template_id = :id FOR UPDATE"),
        {"id": template.id},
    ).one()
    due = occurrences(schedule, looked_at, now)
    outcomes = [Opened(at, "missed", note="Nothing looked at the schedules at that time.") for at in due[:-1]]
    outcomes += [_open(conn, template, schedule, at) for at in due[-1:]]
    if outcomes:
        conn.execute(
            text(
                "INSERT INTO ops.checklist_occurrences (template_id, occurs_at, state, run_id, note)"
                " VALUES (:template_id, :occurs_at, :state, :run_id, :note)"
            ),
            [
                {
                    "template_id": template.id,
                    "occurs_at": one.occurs_at,
                    "state": one.state,
                    "run_id": one.run_id,
                    "note": one.note,
                }
                for one in outcomes
            ],
        )
    conn.execute(
        text("UPDATE ops.checklist_schedules SET looked_at = :now WHERE template_id = :id"),
        {"id": template.id, "now": now},
    )
    return outcomes


def escalate(conn: Connection, schedules: Mapping[str, Schedule]) -> int:
    """Tells the next in line about every overdue run whose time for that has come; returns how many were told of."""
    told = 0
    rows = conn.execute(
        text(
            "SELECT id, template_id, due_at, clock_timestamp() - due_at AS late FROM ops.checklist_runs"
            " WHERE state = 'open' AND due_at < now() ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"
        )
    )
    for row in rows.all():
        schedule = schedules.get(row.template_id)
        for step, escalation in enumerate(schedule.escalate if schedule is not None else ()):
            if row.late >= escalation.after and _first_time(conn, row.id, step, escalation.to):
                _tell(conn, row.id, row.due_at, escalation.to)
                told += 1
    return told


def _open(conn: Connection, template: Template, schedule: Schedule, at: datetime) -> Opened:
    day = at.astimezone(ZoneInfo(schedule.zone)).date().isoformat()
    fields = {field.id: day for field in template.fields if field.type is FieldKind.DATE}
    try:
        # Its own savepoint: a list that cannot start is a row that says so, not the end of the others.
        with conn.begin_nested():
            run_id = start_run(conn, template, fields, CLOCKWORK, origin=ORIGIN, due_at=at + schedule.due)
    except NexaError as error:
        return Opened(at, "refused", note=str(error))
    return Opened(at, "opened", run_id)


def _first_time(conn: Connection, run_id: int, step: int, to: Role) -> bool:
    return bool(
        conn.execute(
            text(
                "INSERT INTO ops.checklist_escalations (run_id, step, to_role) VALUES (:run_id, :step, :to)"
                " ON CONFLICT DO NOTHING"
            ),
            {"run_id": run_id, "step": step, "to": to.value},
        ).rowcount
    )


def _tell(conn: Connection, run_id: int, due_at: datetime, to: Role) -> None:
    note = f"It was due at {due_at:%H:%M} UTC on {due_at:%-d %B %Y}."
    event = keep(
        conn, run_id, CLOCKWORK, "escalated", ORIGIN, new={"to": to.value}, note=note, became=to.value
    )  # fmt: skip
    remember_mentions_of(conn, event, to)
