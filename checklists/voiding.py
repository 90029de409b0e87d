"""A signature stands only as long as what was signed does.

Every command that changes something a signature binds calls `void_broken` in its own transaction, so the change and its
consequence commit together. Should one forget, nothing is believed that is not so: a signature whose record has changed
does not hold when the run is read (`reads.load_run`), and the next command voids it.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from checklists.history import keep
from checklists.reads import load_run
from checklists.signatures import Signature
from jobs.core.permissions import Actor


def void_broken(conn: Connection, run_id: int, actor: Actor, why: str, *, origin: str) -> None:
    """Voids every signature of the run whose record is no longer what was signed.

    `why` says in a few words what changed, by `actor`. The void ones stay readable, their roles are open again.
    """
    # In the order of their ids, so that two commands at once wait for each other and not in a circle.
    valid = conn.execute(
        text(
            "SELECT id FROM ops.checklist_signatures WHERE run_id = :id AND kind = 'signed' AND voided_at IS NULL"
            " ORDER BY id FOR NO KEY UPDATE"
        ),
        {"id": run_id},
    )
    if not valid.all():
        return
    for signature in load_run(conn, run_id).signatures:
        if signature.valid and not signature.holds:
            void(conn, run_id, signature, actor, why, origin=origin)


def void(conn: Connection, run_id: int, signature: Signature, actor: Actor, why: str, *, origin: str) -> None:
    """Voids one signature that nobody has voided yet, and keeps why."""
    changed = conn.execute(
        text(
            "UPDATE ops.checklist_signatures SET voided_at = clock_timestamp(), voided_by = :actor, voided_why = :why"
            " WHERE id = :id AND kind = 'signed' AND voided_at IS NULL"
        ),
        {"id": signature.id, "actor": actor.email, "why": why},
    ).rowcount
    if changed == 1:
        keep(
            conn, run_id, actor, "signature void", origin, old={"signature": signature.id, "digest": signature.digest},
            new={"role": signature.role.value}, note=why, was=signature.name, became=signature.role.value,
        )  # fmt: skip
