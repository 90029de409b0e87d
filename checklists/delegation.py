"""Signing on behalf of somebody: one role of one run, until a time, and never more than who delegates could do.

A delegation passes on a role, not a judgement of who may have it: whoever signs for somebody else must pass the
separation of duties themselves, and so must the other (see `signoff`). It is not passed on a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from checklists.grammar import SignOff
from checklists.history import keep
from checklists.reads import ChecklistRun
from checklists.signoff import line_for
from checklists.store import open_run
from checklists.tracker import Refused, clean
from jobs.core.errors import Forbidden, UsageError
from jobs.core.people import Person, list_people, person_from
from jobs.core.permissions import Role

LONGEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Delegation:
    """That `to` may sign as `role` for `by` until `expires_at` (UTC); e-mails, with names to show."""

    id: int
    role: Role
    by: str
    by_name: str
    to: str
    to_name: str
    reason: str
    expires_at: datetime


def delegate(
    conn: Connection, run_id: int, role: Role, to: str, until: datetime, actor: Person, reason: str, *, origin: str
) -> int:
    """Lets `to` (an e-mail) sign this run as `role` for the actor; returns the delegation's id.

    `until` is aware. Raises Forbidden (the actor does not hold the role) or UsageError (who, how long, why).
    """
    run = open_run(conn, run_id)
    line = line_for(run, role)
    if role not in actor.roles:
        raise Forbidden(f"You cannot let somebody sign as {line.title}: that takes the role {role.value} yourself.")
    to = to.strip().lower()
    named = next((person for person in list_people(conn) if person.email == to), None)
    if named is None or named.disabled_at is not None:
        raise UsageError(f"{to} has no open account: choose somebody who has one.")
    if named.email == actor.email:
        raise UsageError("You need nobody's leave to sign yourself: choose somebody else.")
    if until.tzinfo is None or not run.read_at < until <= run.read_at + LONGEST:
        raise UsageError(f"A delegation ends within {LONGEST.days} days: choose a time from now until then.")
    kept = clean(reason, "The reason")
    if kept is None:
        raise UsageError(f"Say why {named.name} signs for you: it stands beside the signature.")
    delegation_id: int = conn.execute(
        text(
            "INSERT INTO ops.delegations (run_id, role, from_email, to_email, reason, expires_at)"
            " VALUES (:run_id, :role, :from, :to, :reason, :until) RETURNING id"
        ),
        {"run_id": run_id, "role": role.value, "from": actor.email, "to": to, "reason": kept, "until": until},
    ).scalar_one()
    new = {"delegation": delegation_id, "role": role.value, "to": to, "until": until.isoformat()}
    keep(conn, run_id, actor, "delegated", origin, new=new, note=kept, was=role.value, became=to)
    return delegation_id


def revoke(conn: Connection, run_id: int, delegation_id: int, actor: Person, *, origin: str) -> None:
    """Takes a delegation back before it ends; what was signed by it stays. Refused if it is not the actor's to take."""
    open_run(conn, run_id)
    row = conn.execute(
        text(
            "UPDATE ops.delegations SET revoked_at = clock_timestamp() WHERE id = :id AND run_id = :run_id"
            " AND from_email = :actor AND revoked_at IS NULL AND expires_at > clock_timestamp() RETURNING role, to_email"
        ),
        {"id": delegation_id, "run_id": run_id, "actor": actor.email},
    ).one_or_none()
    if row is None:
        raise Refused("That delegation is not yours, or has ended already.")
    keep(
        conn, run_id, actor, "delegation revoked", origin, old={"delegation": delegation_id}, was=row.to_email,
        became=row.role,
    )  # fmt: skip


def delegator(conn: Connection, run: ChecklistRun, line: SignOff, email: str, to: Person) -> Person:
    """Who lets `to` sign this line, as the database knows them now; Forbidden without a delegation that stands.

    Locks the delegation and the account, so that neither ends before what is signed by them commits.
    """
    row = conn.execute(
        text(
            "SELECT p.id, p.email, p.name, p.roles, p.must_change, p.disabled_at"
            " FROM ops.delegations d JOIN ops.people p ON p.email = d.from_email"
            " WHERE d.run_id = :run_id AND d.role = :role AND d.from_email = :from AND d.to_email = :to"
            " AND d.revoked_at IS NULL AND d.expires_at > clock_timestamp() AND p.disabled_at IS NULL"
            " ORDER BY d.id LIMIT 1 FOR SHARE"
        ),
        {"run_id": run.id, "role": line.role.value, "from": email, "to": to.email},
    ).one_or_none()
    other = None if row is None else person_from(row)
    if other is None or line.role not in other.roles:
        raise Forbidden(
            f"You may not sign as {line.title} on behalf of {email}: nobody who could has let you, or not any more."
        )
    return other


def list_delegations(conn: Connection, run_id: int) -> tuple[Delegation, ...]:
    """Those of a run that stand now, the oldest first."""
    rows = conn.execute(
        text(
            "SELECT d.id, d.role, d.from_email AS by, f.name AS by_name, d.to_email AS to, t.name AS to_name, d.reason,"
            " d.expires_at FROM ops.delegations d JOIN ops.people f ON f.email = d.from_email AND f.disabled_at IS NULL"
            " JOIN ops.people t ON t.email = d.to_email WHERE d.run_id = :id AND d.revoked_at IS NULL"
            " AND d.expires_at > clock_timestamp() AND d.role = ANY(f.roles) ORDER BY d.id"
        ),
        {"id": run_id},
    )
    return tuple(Delegation(**{**row._asdict(), "role": Role(row.role)}) for row in rows)
