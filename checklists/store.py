"""Runs of checklists in the database: one command, one database transaction.

The race that matters is two people on one item. A command changes one row, on the condition that it still has the
version that the person saw; PostgreSQL lets the second wait for the first and then finds no such row, and the second
is told who was faster. Commands on different items do not wait for each other. The run's own row is locked in share
mode, so that nothing is ticked in a run that is being closed. The event and the audit row commit with the change.

Every command here expects the caller's `begin()` block, and raises inside it, so that a refusal writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, text

from checklists.history import keep
from checklists.lines import TrackedItem, build, leaves
from checklists.load import find_template
from checklists.mentions import remember_mentions
from checklists.reads import ChecklistRun, RunState, load_run
from checklists.schema import Template
from checklists.signoff import unfilled, unsigned
from checklists.summary import read_summary
from checklists.tracker import Command, Hand, Refused, clean, decide, may_change
from checklists.voiding import void_broken
from jobs.core.db import jsonb
from jobs.core.errors import Conflict, Forbidden, NotFound, UsageError
from jobs.core.people import Person, list_people
from jobs.core.permissions import Actor, Right, Role, allowed, require

REVIEW_WITHIN = timedelta(hours=48)
_KINDS = {Command.TICK: "ticked", Command.UNTICK: "unticked", Command.MARK_NA: "na", Command.VERIFY: "verified"}
_BECAME = {
    Command.TICK: "was ticked",
    Command.UNTICK: "was reopened",
    Command.MARK_NA: "was marked N/A",
    Command.VERIFY: "was verified",
}
_LOCK = "SELECT 1 FROM ops.checklist_runs WHERE id = :id FOR SHARE"
_LOCK_ALONE = "SELECT 1 FROM ops.checklist_runs WHERE id = :id FOR NO KEY UPDATE"
_MARK = (
    "UPDATE ops.checklist_items SET version = version + 1, state = :state, reason = :reason, choice = :choice,"
    " performed_at = :performed_at, changed_at = now(), changed_by = :actor, verified_by = NULL, verified_at = NULL"
    " WHERE run_id = :run_id AND item_id = :item_id AND version = :seen"
)
_VERIFY = (
    "UPDATE ops.checklist_items SET version = version + 1, verified_by = :actor, verified_at = clock_timestamp()"
    " WHERE run_id = :run_id AND item_id = :item_id AND version = :seen"
)


def start_run(
    conn: Connection,
    template: Template,
    fields: Mapping[str, str],
    actor: Actor,
    *,
    origin: str,
    due_at: datetime | None = None,
    urgent: str | None = None,
) -> int:
    """A new run, pinned to the definition as it is now; returns its id.

    `fields` are the summary's values by field id. `urgent` expedites a deployment and says why: it goes through its
    gates before their signatures, and must be reviewed within 48 hours. Raises Forbidden, UsageError with every field
    that is wrong, or Refused with the roles that nobody could sign as.
    """
    require(actor, Right.START_CHECKLIST)
    urgent = clean(urgent, "The reason")
    if urgent is not None and template.kind != "deployment":
        raise UsageError(f"“{template.title}” is no deployment: only those can be expedited.")
    return _start(conn, template, fields, actor, origin, due_at=due_at, urgent=urgent)


def tick(
    conn: Connection,
    run_id: int,
    item_id: str,
    seen_version: int,
    actor: Actor,
    *,
    origin: str,
    note: str | None = None,
    choice: str | None = None,
    performed_at: datetime | None = None,
) -> int:
    """Marks an open item done; returns its new version. Raises as `tracker.decide` does, Refused on a closed run.

    `choice` is how a decision goes: one that leads to another list starts it, by right of the decision.
    """
    return _change(conn, run_id, item_id, Command.TICK, seen_version, actor, origin, note, choice, performed_at)


def untick(
    conn: Connection,
    run_id: int,
    item_id: str,
    seen_version: int,
    actor: Actor,
    *,
    origin: str,
    note: str | None = None,
) -> int:
    """Reopens an item that is done or N/A, and keeps that it was; returns its new version. Raises as `tick`."""
    return _change(conn, run_id, item_id, Command.UNTICK, seen_version, actor, origin, note)


def mark_na(
    conn: Connection, run_id: int, item_id: str, seen_version: int, actor: Actor, reason: str, *, origin: str
) -> int:
    """Says that an open item does not apply, and why; returns its new version. Raises as `tick`."""
    return _change(conn, run_id, item_id, Command.MARK_NA, seen_version, actor, origin, reason)


def verify(
    conn: Connection,
    run_id: int,
    item_id: str,
    seen_version: int,
    actor: Person,
    *,
    origin: str,
    note: str | None = None,
) -> int:
    """Confirms as a second person what somebody else ticked; returns its new version. Raises as `tick`."""
    return _change(conn, run_id, item_id, Command.VERIFY, seen_version, actor, origin, note)


def tick_proven(conn: Connection, run: ChecklistRun, line: TrackedItem, actor: Actor, words: str, origin: str) -> None:
    """The tick of a check that has passed, in the transaction of its result; Refused if it is not its turn yet."""
    _write(conn, run, line.id, Command.TICK, line.mark.version, origin, actor, _hand(run, actor, words, proven=True))


def comment(conn: Connection, run_id: int, item_id: str | None, body: str, actor: Actor, *, origin: str) -> None:
    """Adds a comment to a line, or to the run when `item_id` is None; nobody's version changes.

    Whoever is named as `@` and an address (or what stands before its @) finds it among their mentions.
    """
    require(actor, Right.TICK)
    run = open_run(conn, run_id)
    if item_id is not None:
        line_of(run, item_id)
    kept = clean(body, "The comment")
    if kept is None:
        raise UsageError("The comment is empty: write something first.")
    event = keep(conn, run_id, actor, "comment", origin, item_id=item_id, note=kept)
    remember_mentions(conn, event, kept, actor)


def assign(
    conn: Connection,
    run_id: int,
    item_id: str,
    actor: Person,
    *,
    origin: str,
    assignee: str | None,
    due_at: datetime | None = None,
) -> None:
    """Gives a line to somebody (their e-mail), or to nobody, and says until when; nobody's version changes."""
    require(actor, Right.TICK)
    line = line_of(open_run(conn, run_id), item_id)
    if assignee is not None:
        assignee = assignee.strip().lower()
        named = next((person for person in list_people(conn) if person.email == assignee), None)
        if named is None or named.disabled_at is not None:
            raise UsageError(f"{assignee} has no open account: choose somebody who has one.")
        if not may_change(line, named.roles):
            raise UsageError(f"{named.name} could not tick “{line.label}”: it takes the role {line.role}.")
    conn.execute(
        text(
            "UPDATE ops.checklist_items SET assignee = :assignee, due_at = :due_at"
            " WHERE run_id = :run_id AND item_id = :item_id"
        ),
        {"run_id": run_id, "item_id": item_id, "assignee": assignee, "due_at": due_at},
    )
    old = {"assignee": line.mark.assignee, "due_at": _iso(line.mark.due_at)}
    new = {"assignee": assignee, "due_at": _iso(due_at)}
    keep(conn, run_id, actor, "assigned", origin, item_id=item_id, old=old, new=new, became=assignee)


def hand_over(conn: Connection, run_id: int, to: str, actor: Person, note: str, *, origin: str) -> None:
    """Makes somebody else the one who has the run now, with what they need to know."""
    require(actor, Right.TICK)
    run = open_run(conn, run_id)
    to = to.strip().lower()
    named = next((person for person in list_people(conn) if person.email == to), None)
    if named is None or named.disabled_at is not None or not allowed(named.roles, Right.TICK):
        raise UsageError(f"{to} cannot take the run: choose somebody with an open account who ticks checklists.")
    if to == run.lead:
        raise Refused(f"{named.name} has run {run_id} already.")
    kept = clean(note, "The hand-over")
    if kept is None:
        raise UsageError(f"Say what {named.name} needs to know: what is done, what is under way, what to watch.")
    conn.execute(text("UPDATE ops.checklist_runs SET lead = :to WHERE id = :id"), {"id": run_id, "to": to})
    event = keep(
        conn, run_id, actor, "handed over", origin, old={"lead": run.lead}, new={"lead": to}, note=kept,
        was=run.lead, became=to,
    )  # fmt: skip
    remember_mentions(conn, event, f"@{to} {kept}", actor)


def set_field(
    conn: Connection,
    run_id: int,
    field_id: str,
    value: str,
    seen_version: int,
    actor: Person,
    reason: str,
    *,
    origin: str,
) -> int:
    """Corrects one line of the summary; returns the summary's new version. Conflict if somebody changed it since."""
    require(actor, Right.START_CHECKLIST)
    run = open_run(conn, run_id)
    kept = clean(reason, "The reason")
    if kept is None:
        raise UsageError("A correction of the summary needs a reason: say what was wrong.")
    fields = read_summary(run.template, {**run.fields, field_id: value}, _addresses(conn))
    changed = conn.execute(
        text(
            "UPDATE ops.checklist_runs SET fields = :fields, fields_version = fields_version + 1"
            " WHERE id = :id AND fields_version = :seen"
        ),
        {"id": run_id, "fields": jsonb(fields), "seen": seen_version},
    ).rowcount
    if changed != 1:
        raise Conflict("The summary changed after you saw it: look again first.")
    old, new = {field_id: run.fields.get(field_id)}, {field_id: fields.get(field_id)}
    keep(
        conn, run_id, actor, "corrected", origin, old=old, new=new, note=kept,
        was=run.fields.get(field_id), became=fields.get(field_id),
    )  # fmt: skip
    void_broken(conn, run_id, actor, f"the summary's {field_id} was corrected", origin=origin)
    return seen_version + 1


def close_run(
    conn: Connection,
    run_id: int,
    actor: Person,
    *,
    outcome: Literal[RunState.DONE, RunState.ABANDONED],
    origin: str,
    reason: str | None = None,
) -> None:
    """Ends a run: done when nothing required is open and everybody has signed, abandoned at any time with a reason.

    Raises Forbidden, Refused (closed already, what is open, who has not signed) or UsageError (no reason).
    """
    if not allowed(actor.roles, Right.START_CHECKLIST):
        able = ", ".join(role for role in Role if allowed([role], Right.START_CHECKLIST))
        raise Forbidden(f"You may not close a run: that takes one of the roles {able}.")
    run = open_run(conn, run_id, alone=True)
    still = [line for phase in run.phases for line in phase.left]
    if outcome is RunState.DONE and still:
        more = f" and {len(still) - 3} more" if len(still) > 3 else ""
        named = ", ".join(f"“{line.label}”{f' ({line.holds})' if line.holds else ''}" for line in still[:3])
        raise Refused(f"Run {run_id} is not complete: {named}{more} must be done or N/A first.")
    unsigned_by = [line.title for line in unsigned(run)]
    if outcome is RunState.DONE and unsigned_by:
        raise Refused(f"Run {run_id} is not signed off: {', '.join(unsigned_by)} must sign first.")
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
    keep(
        conn, run_id, actor, kind, origin, old={"state": RunState.OPEN.value}, new={"state": outcome.value}, note=kept,
        was=RunState.OPEN.value, became=outcome.value,
    )  # fmt: skip


def open_run(conn: Connection, run_id: int, *, alone: bool = False) -> ChecklistRun:
    """The run, locked against closing until the caller's transaction ends; Refused if it is closed.

    `alone` for what depends on the whole run: commands that are on their way finish first, later ones wait.
    """
    conn.execute(text(_LOCK_ALONE if alone else _LOCK), {"id": run_id})
    run = load_run(conn, run_id)
    if run.state is not RunState.OPEN:
        raise Refused(f"Run {run_id} was {_ended(run)}: it can no longer be changed.")
    return run


def line_of(run: ChecklistRun, item_id: str) -> TrackedItem:
    """The line of a run with this id; NotFound if there is none that is ticked."""
    for line in leaves(run.phases):
        if line.id == item_id:
            return line
    raise NotFound(f"There is no item {item_id!r} in run {run.id}: open the run again.")


def _start(
    conn: Connection,
    template: Template,
    fields: Mapping[str, str],
    actor: Actor,
    origin: str,
    *,
    due_at: datetime | None = None,
    parent: tuple[int, str] | None = None,
    urgent: str | None = None,
) -> int:
    people = [person for person in list_people(conn) if person.disabled_at is None]
    values = read_summary(template, fields, {person.email for person in people})
    if (short := unfilled(template, people, urgent_by=actor.email if urgent else None)) is not None:
        raise Refused(f"“{template.title}” cannot start: {short}.")
    parent_run, parent_item = parent or (None, None)
    run_id: int = conn.execute(
        text(
            "INSERT INTO ops.checklist_runs"
            " (template_id, template_version, title, kind, definition, fields, started_by, lead, due_at, parent_run,"
            "  parent_item, urgent_reason, review_due_at)"
            " VALUES (:template_id, :version, :title, :kind, :definition, :fields, :actor, :actor, :due_at, :parent_run,"
            "  :parent_item, CAST(:urgent AS text),"
            "  CASE WHEN CAST(:urgent AS text) IS NOT NULL THEN now() + CAST(:within AS interval) END) RETURNING id"
        ),
        {
            "template_id": template.id,
            "version": template.version,
            "title": template.title,
            "kind": template.kind,
            "definition": jsonb(template.canonical()),
            "fields": jsonb(values),
            "actor": actor.email,
            "due_at": due_at,
            "parent_run": parent_run,
            "parent_item": parent_item,
            "urgent": urgent,
            "within": REVIEW_WITHIN,
        },
    ).scalar_one()
    lines = list(leaves(build(template, {})))
    conn.execute(
        text(
            "INSERT INTO ops.checklist_items (run_id, item_id, position, assignee)"
            " SELECT :run_id, item_id, position, nullif(assignee, '')"
            " FROM unnest(CAST(:items AS text[]), CAST(:assignees AS text[]))"
            " WITH ORDINALITY AS line (item_id, assignee, position)"
        ),
        {
            "run_id": run_id,
            "items": [line.id for line in lines],
            "assignees": [(line.definition.assignee or "").lower() for line in lines],
        },
    )
    new = {"template": template.id, "version": template.version, "fields": values, "parent": parent_run}
    new |= {"expedited": urgent} if urgent else {}
    note = f"Expedited: {urgent}" if urgent else None
    keep(conn, run_id, actor, "started", origin, new=new, note=note, became=template.version)
    return run_id


def _change(
    conn: Connection,
    run_id: int,
    item_id: str,
    command: Command,
    seen_version: int,
    actor: Actor,
    origin: str,
    reason: str | None = None,
    choice: str | None = None,
    performed_at: datetime | None = None,
) -> int:
    run = open_run(conn, run_id)
    hand = _hand(run, actor, reason, choice=choice, performed_at=performed_at)
    return _write(conn, run, item_id, command, seen_version, origin, actor, hand)


def _write(
    conn: Connection,
    run: ChecklistRun,
    item_id: str,
    command: Command,
    seen_version: int,
    origin: str,
    actor: Actor,
    hand: Hand,
) -> int:
    change = decide(run.phases, item_id, command, seen_version=seen_version, hand=hand)
    verified = command is Command.VERIFY
    changed = conn.execute(
        text(_VERIFY if verified else _MARK),
        {
            "run_id": run.id,
            "item_id": item_id,
            "seen": seen_version,
            "state": change.new.value,
            "reason": change.reason,
            "choice": change.choice,
            "performed_at": change.performed_at,
            "actor": actor.email,
        },
    ).rowcount
    if changed != 1:
        # Somebody committed between our look and our update: look again, and the rules say who it was.
        decide(load_run(conn, run.id).phases, item_id, command, seen_version=seen_version, hand=hand)
        raise Conflict(f"“{change.item.label}” changed at the same moment: look again first.")
    old, new = change.old.value, change.choice or change.new.value
    before: dict[str, object] = {"state": old, "version": seen_version}
    after: dict[str, object] = {"state": change.new.value, "version": seen_version + 1}
    after |= {"choice": change.choice} if change.choice else {}
    after |= {"performed_at": _iso(change.performed_at)} if change.performed_at else {}
    keep(
        conn, run.id, actor, _KINDS[command], origin, item_id=item_id, old=before, new=after, note=change.reason,
        was=old, became=new,
    )  # fmt: skip
    void_broken(conn, run.id, actor, f"“{change.item.label}” {_BECAME[command]}", origin=origin)
    if change.choice is not None:
        _follow(conn, run, change.item, change.choice, actor, origin)
    return seen_version + 1


def _follow(conn: Connection, run: ChecklistRun, item: TrackedItem, chosen: str, actor: Actor, origin: str) -> None:
    """Starts the list that a decision leads to, with what both summaries have in common."""
    choice = next(choice for choice in item.definition.decide if choice.id == chosen)
    if choice.start is not None:
        template = find_template(choice.start)
        known = {field.id for field in template.fields}
        fields = {name: value for name, value in run.fields.items() if name in known}
        _start(conn, template, fields, actor, origin, parent=(run.id, item.id))


def _hand(
    run: ChecklistRun,
    actor: Actor,
    reason: str | None,
    *,
    choice: str | None = None,
    performed_at: datetime | None = None,
    proven: bool = False,
) -> Hand:
    return Hand(actor.email, actor.roles, run.read_at, reason, choice, performed_at, proven)


def _addresses(conn: Connection) -> set[str]:
    return {person.email for person in list_people(conn) if not person.disabled_at}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _ended(run: ChecklistRun) -> str:
    when = f" on {run.closed_at:%-d %B %Y at %H:%M} UTC" if run.closed_at is not None else ""
    return f"{'closed' if run.state is RunState.DONE else 'abandoned'} by {run.closer}{when}"
