"""The button of an item, pressed: its action and what the run keeps of it commit together."""

from __future__ import annotations

from sqlalchemy import Connection

from checklists.actions import Done, perform
from checklists.evidence import add_run
from checklists.history import keep
from checklists.store import line_of, open_run
from checklists.tracker import Refused
from jobs.core.people import Person
from jobs.core.permissions import Right, require


def press(conn: Connection, run_id: int, item_id: str, actor: Person, reason: str, *, origin: str) -> Done:
    """Does what the item's button says and keeps it in the run's history; a job's run stays on the item as evidence.

    Raises Refused on a closed run or without a button, and as `actions.perform` does.
    """
    require(actor, Right.TICK)
    run = open_run(conn, run_id)
    line = line_of(run, item_id)
    action = line.definition.action
    if action is None:
        raise Refused(f"“{line.label}” has no button.")
    done = perform(
        conn, action, actor, reason, fields=run.fields, place=f"checklist-{run_id}-{item_id}", origin=origin
    )  # fmt: skip
    keep(conn, run_id, actor, "action", origin, item_id=item_id, note=f"{done.sentence} {reason.strip()}")
    if done.run_id is not None:
        add_run(conn, run_id, item_id, f"run of {action.job or 'the notice'}", done.run_id, actor, origin=origin)
    return done
