"""Runs of checklists in the database: one command, one database transaction.

The race that matters is two people on one item. A command changes one row, on the condition that it still has the
version that the person saw; PostgreSQL lets the second wait for the first and then finds no such row, and the second
is told who was faster. Commands on different items do not wait for each other. The run's own row is locked in share
mode, so that nothing is ticked in a run that is being closed. The event and the audit row commit with the change.

Every command here expects the caller's `begin()` block, and raises inside it, so that a refusal writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from sqlalchemy import Connection, text

from checklists.schema import Template
from checklists.summary import read_summary
from checklists.tracker import (
    Command,
    Mark,
    Progress,
    Refused,
    State,
    TrackedPhase,
    build,
    clean,
    count,
    decide,
    leaves,
)
from jobs.core import audit
from jobs.core.db import jsonb
from jobs.core.errors import Conflict, Forbidden, NotFound, UsageError
from jobs.core.people import Person, list_people
from jobs.core.permissions import Right, Role, allowed, require

_KINDS = {Command.TICK: "ticked", Command.UNTICK: "unticked", Command.MARK_NA: "na"}


class RunState(StrEnum):
    """Of a whole run."""

    OPEN = "open"
    DONE = "done"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class ChecklistRun:
    """One run as it is now, by the definition that it was started from; times are UTC.

    `fields` has the summary by field id, in the definition's order; `*_by` is an e-mail (or `cli:<user>`), `starter`
    and `closer` the name to show.
    """

    id: int
    template: Template
    template_version: str
    state: RunState
    fields: Mapping[str, str]
    started_at: datetime
    started_by: str
    starter: str
    closed_at: datetime | None
    closed_by: str | None
    closer: str | None
    phases: tuple[TrackedPhase, ...]
    progress: Progress


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list: its lines counted, and when it changed last."""

    id: int
    template_id: str
    title: str
    kind: str
    state: RunState
    fields: Mapping[str, str]
    started_at: datetime
    starter: str
    closed_at: datetime | None
    closer: str | None
    total: int
    done: int
    na: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run: `kind` is started, ticked, unticked, na, comment, closed or abandoned."""

    id: int
    item_id: str | None
    at: datetime
    actor: str
    name: str
    kind: str
    old: str | None
    new: str | None
    note: str | None


def start_run(conn: Connection, template: Template, fields: Mapping[str, str], actor: Person, *, origin: str) -> int:
    """A new run, pinned to the definition as it is now; returns its id.

    `fields` are the summary's values by field id. Raises Forbidden, or UsageError with every field that is wrong.
    """
    require(actor, Right.START_CHECKLIST)
    values = read_summary(template, fields, {person.email for person in list_people(conn) if not person.disabled_at})
    run_id: int = conn.execute(
        text(
            "INSERT INTO ops.checklist_runs"
            " (template_id, template_version, title, kind, definition, fields, started_by)"
            " VALUES (:template_id, :version, :title, :kind, :definition, :fields, :actor) RETURNING id"
        ),
        {
            "template_id": template.id,
            "version": template.version,
            "title": template.title,
            "kind": template.kind,
            "definition": jsonb(template.canonical()),
            "fields": jsonb(values),
            "actor": actor.email,
        },
    ).scalar_one()
    conn.execute(
        text(
            "INSERT INTO ops.checklist_items (run_id, item_id, position)"
            " SELECT :run_id, item_id, position FROM unnest(CAST(:items AS text[]))"
            " WITH ORDINALITY AS line (item_id, position)"
        ),
        {"run_id": run_id, "items": [leaf.id for leaf in leaves(build(template, {}))]},
    )
    _keep(conn, run_id, None, actor, "started", new=template.version)
    new = {"template": template.id, "version": template.version, "fields": values}
    _audit(conn, run_id, actor, "checklist.started", origin, new=new)
    return run_id


def tick(
    conn: Connection,
    run_id: int,
    item_id: str,
    seen_version: int,
    actor: Person,
    *,
    origin: str,
    note: str | None = None,
) -> int:
    """Marks an open item done; returns its new version. Raises as `tracker.decide` does, Refused on a closed run."""
    return _change(conn, run_id, item_id, Command.TICK, seen_version, actor, note, origin)


def untick(
    conn: Connection,
    run_id: int,
    item_id: str,
    seen_version: int,
    actor: Person,
    *,
    origin: str,
    note: str | None = None,
) -> int:
    """Reopens an item that is done or N/A, and keeps that it was; returns its new version. Raises as `tick`."""
    return _change(conn, run_id, item_id, Command.UNTICK, seen_version, actor, note, origin)


def mark_na(
    conn: Connection, run_id: int, item_id: str, seen_version: int, actor: Person, reason: str, *, origin: str
) -> int:
    """Says that an open item does not apply, and why; returns its new version. Raises as `tick`."""
    return _change(conn, run_id, item_id, Command.MARK_NA, seen_version, actor, reason, origin)


def comment(conn: Connection, run_id: int, item_id: str | None, body: str, actor: Person, *, origin: str) -> None:
    """Adds a comment to a line, or to the run when `item_id` is None; nobody's version changes."""
    require(actor, Right.TICK)
    run = _open_run(conn, run_id)
    if item_id is not None and item_id not in {leaf.id for leaf in leaves(run.phases)}:
        raise NotFound(f"There is no item {item_id!r} in run {run_id}: open the run again.")
    kept = clean(body, "The comment")
    if kept is None:
        raise UsageError("The comment is empty: write something first.")
    _keep(conn, run_id, item_id, actor, "comment", note=kept)
    _audit(conn, run_id, actor, "item.commented", origin, new={"item": item_id, "comment": kept})


def close_run(
    conn: Connection,
    run_id: int,
    actor: Person,
    *,
    outcome: Literal[RunState.DONE, RunState.ABANDONED],
    origin: str,
    reason: str | None = None,
) -> None:
    """Ends a run: done when nothing required is open, abandoned at any time with a reason.

    Raises Forbidden, Refused (closed already, or what is open) or UsageError (no reason).
    """
    if not allowed(actor.roles, Right.START_CHECKLIST):
        able = ", ".join(role for role in Role if allowed([role], Right.START_CHECKLIST))
        raise Forbidden(f"You may not close a run: that takes one of the roles {able}.")
    # Taken before the items are read: ticks that are on their way finish first, later ones find the run closed.
    conn.execute(text("SELECT 1 FROM ops.checklist_runs WHERE id = :id FOR NO KEY UPDATE"), {"id": run_id})
    run = _open_run(conn, run_id)
    still = [line.label for phase in run.phases for item in phase.items for line in item.open_required]
    if outcome is RunState.DONE and still:
        more = f" and {len(still) - 3} more" if len(still) > 3 else ""
        raise Refused(f"Run {run_id} is not complete: “{'”, “'.join(still[:3])}”{more} must be done or N/A first.")
    kept = clean(reason, "The reason")
    if outcome is RunState.ABANDONED and kept is None:
        raise UsageError("A run can only be abandoned with a reason: say why it ends here.")
    conn.execute(
        text(
            "UPDATE ops.checklist_runs SET state = :state, closed_at = now(), closed_by = :actor"
            " WHERE id = :id AND state = 'open'"
        ),
        {"id": run_id, "state": outcome.value, "actor": actor.email},
    )
    kind = "closed" if outcome is RunState.DONE else "abandoned"
    _keep(conn, run_id, None, actor, kind, old=RunState.OPEN.value, new=outcome.value, note=kept)
    old, new = {"state": RunState.OPEN.value}, {"state": outcome.value}
    _audit(conn, run_id, actor, f"checklist.{kind}", origin, old=old, new=new, reason=kept)


def load_run(conn: Connection, run_id: int) -> ChecklistRun:
    """One run with phases, lines, states, who and when; NotFound."""
    row = conn.execute(
        text(
            "SELECT r.*, coalesce(s.name, r.started_by) AS starter, coalesce(c.name, r.closed_by) AS closer"
            " FROM ops.checklist_runs r LEFT JOIN ops.people s ON s.email = r.started_by"
            " LEFT JOIN ops.people c ON c.email = r.closed_by WHERE r.id = :id"
        ),
        {"id": run_id},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no checklist run {run_id}: `nexaops checklists list` shows those there are.")
    marks = conn.execute(
        text(
            "SELECT i.item_id, i.state, i.version, i.changed_by, coalesce(p.name, i.changed_by) AS name, i.changed_at,"
            " i.reason, coalesce(e.comments, 0) AS comments"
            " FROM ops.checklist_items i LEFT JOIN ops.people p ON p.email = i.changed_by"
            " LEFT JOIN (SELECT item_id, count(*) AS comments FROM ops.checklist_events"
            "   WHERE run_id = :id AND kind = 'comment' GROUP BY item_id) e ON e.item_id = i.item_id"
            " WHERE i.run_id = :id"
        ),
        {"id": run_id},
    )
    template = Template.model_validate(row.definition)
    phases = build(
        template,
        {
            mark.item_id: Mark(
                State(mark.state),
                mark.version,
                mark.changed_by,
                mark.name,
                mark.changed_at,
                mark.reason,
                mark.comments,
            )
            for mark in marks
        },
    )
    return ChecklistRun(
        id=row.id,
        template=template,
        template_version=row.template_version,
        state=RunState(row.state),
        fields={field.id: row.fields[field.id] for field in template.fields if field.id in row.fields},
        started_at=row.started_at,
        started_by=row.started_by,
        starter=row.starter,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        closer=row.closer,
        phases=phases,
        progress=count(item for phase in phases for item in phase.items),
    )


def list_runs(
    conn: Connection,
    *,
    state: RunState | None = None,
    template_id: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RunSummary]:
    """Runs, the newest first; the next page starts with `before_id` set to the last id of this one."""
    rows = conn.execute(
        text(
            "SELECT r.id, r.template_id, r.title, r.kind, r.state, r.fields, r.started_at, r.closed_at,"
            " coalesce(s.name, r.started_by) AS starter, coalesce(c.name, r.closed_by) AS closer,"
            " i.total, i.done, i.na, greatest(r.started_at, r.closed_at, i.changed_at) AS changed_at"
            " FROM (SELECT * FROM ops.checklist_runs"
            "   WHERE (CAST(:state AS text) IS NULL OR state = :state)"
            "   AND (CAST(:template_id AS text) IS NULL OR template_id = :template_id)"
            "   AND (CAST(:before_id AS bigint) IS NULL OR id < :before_id)"
            "   ORDER BY id DESC LIMIT :limit) r"
            " LEFT JOIN ops.people s ON s.email = r.started_by LEFT JOIN ops.people c ON c.email = r.closed_by"
            " CROSS JOIN LATERAL (SELECT count(*) AS total, count(*) FILTER (WHERE state = 'done') AS done,"
            "   count(*) FILTER (WHERE state = 'na') AS na, max(changed_at) AS changed_at"
            "   FROM ops.checklist_items WHERE run_id = r.id) i"
            " ORDER BY r.id DESC"
        ),
        {"state": state, "template_id": template_id, "before_id": before_id, "limit": limit},
    )
    return [RunSummary(**{**row._asdict(), "state": RunState(row.state)}) for row in rows]


def list_events(
    conn: Connection, run_id: int, *, item_id: str | None = None, before_id: int | None = None, limit: int = 100
) -> list[Event]:
    """What happened in a run, or to one line of it, the newest first."""
    rows = conn.execute(
        text(
            "SELECT e.id, e.item_id, e.at, e.actor, coalesce(p.name, e.actor) AS name, e.kind, e.old, e.new, e.note"
            " FROM ops.checklist_events e LEFT JOIN ops.people p ON p.email = e.actor WHERE e.run_id = :run_id"
            " AND (CAST(:item_id AS text) IS NULL OR e.item_id = :item_id)"
            " AND (CAST(:before_id AS bigint) IS NULL OR e.id < :before_id) ORDER BY e.id DESC LIMIT :limit"
        ),
        {"run_id": run_id, "item_id": item_id, "before_id": before_id, "limit": limit},
    )
    return [Event(**row._asdict()) for row in rows]


def _change(
    conn: Connection,
    run_id: int,
    item_id: str,
    command: Command,
    seen_version: int,
    actor: Person,
    reason: str | None,
    origin: str,
) -> int:
    run = _open_run(conn, run_id)
    change = decide(run.phases, item_id, command, seen_version=seen_version, roles=actor.roles, reason=reason)
    changed = conn.execute(
        text(
            "UPDATE ops.checklist_items SET state = :state, reason = :reason, version = version + 1,"
            " changed_at = now(), changed_by = :actor"
            " WHERE run_id = :run_id AND item_id = :item_id AND version = :seen"
        ),
        {
            "run_id": run_id,
            "item_id": item_id,
            "seen": seen_version,
            "state": change.new.value,
            "reason": change.reason,
            "actor": actor.email,
        },
    ).rowcount
    if changed != 1:
        # Somebody committed between our look and our update: look again, and the rules say who it was.
        decide(load_run(conn, run_id).phases, item_id, command, seen_version=seen_version, roles=actor.roles)
        raise Conflict(f"“{change.item.label}” changed at the same moment: look again first.")
    old, new = change.old.value, change.new.value
    _keep(conn, run_id, item_id, actor, _KINDS[command], old=old, new=new, note=change.reason)
    before = {"item": item_id, "state": old, "version": seen_version}
    after = {"item": item_id, "state": new, "version": seen_version + 1}
    _audit(conn, run_id, actor, f"item.{_KINDS[command]}", origin, old=before, new=after, reason=change.reason)
    return seen_version + 1


def _open_run(conn: Connection, run_id: int) -> ChecklistRun:
    """The run, locked against closing until the caller's transaction ends; Refused if it is closed."""
    conn.execute(text("SELECT 1 FROM ops.checklist_runs WHERE id = :id FOR SHARE"), {"id": run_id})
    run = load_run(conn, run_id)
    if run.state is not RunState.OPEN:
        raise Refused(f"Run {run_id} was {_ended(run)}: it can no longer be changed.")
    return run


def _ended(run: ChecklistRun) -> str:
    when = f" on {run.closed_at:%-d %B %Y at %H:%M} UTC" if run.closed_at is not None else ""
    return f"{'closed' if run.state is RunState.DONE else 'abandoned'} by {run.closer}{when}"


def _keep(
    conn: Connection,
    run_id: int,
    item_id: str | None,
    actor: Person,
    kind: str,
    *,
    old: str | None = None,
    new: str | None = None,
    note: str | None = None,
) -> None:
    conn.execute(
        text(
            "INSERT INTO ops.checklist_events (run_id, item_id, actor, kind, old, new, note)"
            " VALUES (:run_id, :item_id, :actor, :kind, :old, :new, :note)"
        ),
        {
            "run_id": run_id,
            "item_id": item_id,
            "actor": actor.email,
            "kind": kind,
            "old": old,
            "new": new,
            "note": note,
        },
    )


def _audit(
    conn: Connection,
    run_id: int,
    actor: Person,
    action: str,
    origin: str,
    *,
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    reason: str | None = None,
) -> None:
    row = audit.AuditRow(actor.email, action, "checklist_run", str(run_id), origin, old=old, new=new, reason=reason)
    audit.record(conn, row)
