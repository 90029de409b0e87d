"""Moving a run to the newest version of its definition: an explicit step, by somebody who has seen what it changes.

A run is pinned to the version that it was started from, so a definition can be mended without anything happening to
the runs in hand. Whoever moves one names the version that they looked at: if the definition changed since, nothing moves.
New lines are open, reworded ones are open again, removed ones stay readable as retired, and what was signed is void.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from checklists.difference import Difference, difference
from checklists.history import keep
from checklists.lines import build, leaves
from checklists.load import find_template
from checklists.reads import ChecklistRun
from checklists.reopening import reopen
from checklists.schema import Template
from checklists.signoff import unfilled
from checklists.store import open_run
from checklists.summary import read_summary
from checklists.tracker import Refused, clean
from checklists.voiding import void_broken
from jobs.core.db import jsonb
from jobs.core.errors import Conflict, UsageError
from jobs.core.people import Person, list_people
from jobs.core.permissions import Right, require

_RETIRE = (
    "UPDATE ops.checklist_items i SET retired_at = now(), retired_as = gone.label"
    " FROM unnest(CAST(:ids AS text[]), CAST(:labels AS text[])) AS gone (item_id, label)"
    " WHERE i.run_id = :run_id AND i.item_id = gone.item_id"
)
_PLACE = (
    "UPDATE ops.checklist_items i SET position = line.position"
    " FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS line (item_id, position)"
    " WHERE i.run_id = :run_id AND i.item_id = line.item_id"
)
# One that was retired by an earlier move and comes back is open, with its history.
_ADD = (
    "INSERT INTO ops.checklist_items (run_id, item_id, position)"
    " SELECT :run_id, item_id, 0 FROM unnest(CAST(:ids AS text[])) AS new (item_id)"
    " ON CONFLICT (run_id, item_id) DO UPDATE SET retired_at = NULL, retired_as = NULL, state = 'open', reason = NULL,"
    " choice = NULL, performed_at = NULL, changed_at = now(), changed_by = :actor, verified_by = NULL, verified_at = NULL,"
    " version = ops.checklist_items.version + 1"
)


@dataclass(frozen=True, slots=True)
class Move:
    """A newer version of a run's definition, what changes with it, and the summary's fields that it asks for besides."""

    to: Template
    difference: Difference
    asked: tuple[str, ...]


def newer(run: ChecklistRun, newest: Template) -> Move | None:
    """What moving the run to the newest version of its definition means; None if it has that already."""
    if newest.version == run.template_version:
        return None
    asked = tuple(field.id for field in newest.fields if field.required and field.id not in run.fields)
    return Move(newest, difference(run.template, newest), asked)


def move_run(
    conn: Connection,
    run_id: int,
    seen_version: str,
    actor: Person,
    reason: str,
    *,
    origin: str,
    fields: Mapping[str, str] | None = None,
) -> Difference:
    """Moves the run to the version that was looked at, if it is still the newest; returns what changed.

    `fields` fills what the newer summary asks for besides. Raises Forbidden, UsageError (no reason, a field), Conflict
    (the definition changed since) or Refused (nothing to move to, or nobody could sign it).
    """
    require(actor, Right.START_CHECKLIST)
    run = open_run(conn, run_id, alone=True)
    kept = clean(reason, "The reason")
    if kept is None:
        raise UsageError("A run is moved to another version with a reason: say why.")
    move = newer(run, find_template(run.template.id))
    if move is None:
        raise Refused(f"Run {run_id} has the newest version of its definition already.")
    to = move.to
    if to.version != seen_version:
        raise Conflict("The definition has changed since you looked at it: look again at what would change.")
    people = [person for person in list_people(conn) if person.disabled_at is None]
    if (short := unfilled(to, people, urgent_by=run.started_by if run.urgent else None)) is not None:
        raise Refused(f"Run {run_id} cannot move: {short}.")
    known = {field.id for field in to.fields}
    given = {name: value for name, value in run.fields.items() if name in known} | dict(fields or {})
    values = read_summary(to, given, {person.email for person in people} | set(run.fields.values()))
    conn.execute(
        text(
            "UPDATE ops.checklist_runs SET template_version = :version, title = :title, kind = :kind,"
            " definition = :definition, fields = :fields, fields_version = fields_version + 1 WHERE id = :id"
        ),
        {
            "id": run_id,
            "version": to.version,
            "title": to.title,
            "kind": to.kind,
            "definition": jsonb(to.canonical()),
            "fields": jsonb(values),
        },
    )
    changed = move.difference
    keep(
        conn, run_id, actor, "moved", origin,
        old={"version": run.template_version, "fields": dict(run.fields)},
        new={
            "version": to.version,
            "fields": values,
            "new": [item_id for item_id, _ in changed.new],
            "reworded": [one.item_id for one in changed.reworded],
            "retired": [item_id for item_id, _ in changed.removed],
        },
        note=kept, was=run.template_version, became=to.version,
    )  # fmt: skip
    _move_lines(conn, run_id, to, changed, actor, kept, origin)
    void_broken(conn, run_id, actor, "the run moved to another version of its definition", origin=origin)
    return changed


def _move_lines(
    conn: Connection, run_id: int, to: Template, changed: Difference, actor: Person, reason: str, origin: str
) -> None:
    ids, labels = [item_id for item_id, _ in changed.removed], [label for _, label in changed.removed]
    conn.execute(text(_RETIRE), {"run_id": run_id, "ids": ids, "labels": labels})
    new = [item_id for item_id, _ in changed.new]
    conn.execute(text(_ADD), {"run_id": run_id, "ids": new, "actor": actor.email})
    lines = [line.id for line in leaves(build(to, {}))]
    conn.execute(text(_PLACE), {"run_id": run_id, "ids": lines})
    reworded = [one.item_id for one in changed.reworded]
    reopen(conn, run_id, reworded, actor, f"Reworded by a newer version: {reason}", origin=origin)
    conn.execute(
        text("UPDATE ops.checklist_items SET asked_at = now() WHERE run_id = :run_id AND item_id = ANY(:ids)"),
        {"run_id": run_id, "ids": [*new, *reworded]},
    )
