"""Whom to call when it burns: one entry for each role that the lists name, and when somebody last made sure of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from checklists.schema import Template
from checklists.tracker import clean
from jobs.core import audit
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.people import Person
from jobs.core.permissions import Right, require

SOON = timedelta(days=14)
"""Before a verification falls due, it is already shown."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A role with who fills it; empty strings where nobody has filled it in, version 0 where there is no row yet.

    `verify` is how often the lists want it to be made sure of; times are UTC, `verifier` is a name to show.
    """

    role: str
    verify: timedelta
    name: str = ""
    phone: str = ""
    email: str = ""
    notes: str = ""
    version: int = 0
    changed_at: datetime | None = None
    verified_at: datetime | None = None
    verifier: str | None = None

    @property
    def reachable(self) -> bool:
        """Whether there is a way to reach anybody."""
        return bool(self.phone or self.email)

    def due_at(self, otherwise: datetime) -> datetime:
        """When it is to be made sure of; at once, that is `otherwise`, if it never was."""
        return self.verified_at + self.verify if self.verified_at is not None else otherwise


def list_contacts(conn: Connection, templates: Iterable[Template]) -> list[Contact]:
    """Every role that a list names, in the order of the lists, and after them those that none names any more."""
    wanted: dict[str, timedelta] = {}
    for template in templates:
        for contact in template.contacts:
            wanted[contact.role] = min(contact.verify, wanted.get(contact.role, contact.verify))
    rows = {
        row.role: row
        for row in conn.execute(
            text(
                "SELECT c.*, coalesce(p.name, c.verified_by) AS verifier FROM ops.contacts c"
                " LEFT JOIN ops.people p ON p.email = c.verified_by ORDER BY c.role"
            )
        )
    }
    known = [*wanted, *(role for role in rows if role not in wanted)]
    year = timedelta(days=365)
    return [
        Contact(role, wanted.get(role, year))
        if (row := rows.get(role)) is None
        else Contact(
            role, wanted.get(role, year), row.name, row.phone, row.email, row.notes, row.version, row.changed_at,
            row.verified_at, row.verifier,
        )
        for role in known
    ]  # fmt: skip


def save_contact(
    conn: Connection,
    role: str,
    seen_version: int,
    actor: Person,
    *,
    name: str,
    phone: str,
    email: str,
    notes: str,
    origin: str,
) -> None:
    """Writes who fills a role; whoever is new must be made sure of anew. Conflict if it changed after it was seen."""
    require(actor, Right.KEEP_CONTACTS)
    role = clean(role, "The role") or ""
    new = {"name": name, "phone": phone, "email": email, "notes": notes}
    kept = {key: clean(value, f"The {key}") or "" for key, value in new.items()}
    if not role or not kept["name"]:
        raise UsageError("A contact needs a name: say who it is, a person or a team.")
    if not kept["phone"] and not kept["email"]:
        raise UsageError(f"{kept['name']} cannot be reached like this: give a phone number or an address.")
    old = conn.execute(text("SELECT * FROM ops.contacts WHERE role = :role FOR UPDATE"), {"role": role}).one_or_none()
    if (old.version if old is not None else 0) != seen_version:
        raise Conflict(f"Somebody changed “{role}” after you saw it: look again first.")
    same = old is not None and (old.phone, old.email) == (kept["phone"], kept["email"])
    changed = conn.execute(
        text(
            "INSERT INTO ops.contacts (role, name, phone, email, notes, changed_by)"
            " VALUES (:role, :name, :phone, :email, :notes, :actor) ON CONFLICT (role) DO UPDATE SET name = :name,"
            " phone = :phone, email = :email, notes = :notes, changed_by = :actor, changed_at = now(),"
            " version = contacts.version + 1,"
            " verified_at = CASE WHEN :same THEN contacts.verified_at END,"
            " verified_by = CASE WHEN :same THEN contacts.verified_by END WHERE contacts.version = :seen"
        ),
        {"role": role, "actor": actor.email, "same": same, "seen": seen_version, **kept},
    ).rowcount
    if changed != 1:
        raise Conflict(f"Somebody changed “{role}” at the same moment: look again first.")
    before = {key: getattr(old, key) for key in kept} if old is not None else None
    audit.record(conn, audit.AuditRow(actor.email, "contact.saved", "contact", role, origin, old=before, new=kept))


def verify_contact(conn: Connection, role: str, seen_version: int, actor: Person, *, origin: str) -> None:
    """Says that somebody was called at what stands there now, and it was right."""
    require(actor, Right.KEEP_CONTACTS)
    changed = conn.execute(
        text(
            "UPDATE ops.contacts SET verified_at = clock_timestamp(), verified_by = :actor"
            " WHERE role = :role AND version = :seen"
        ),
        {"role": role, "seen": seen_version, "actor": actor.email},
    ).rowcount
    if changed != 1:
        known = conn.execute(text("SELECT 1 FROM ops.contacts WHERE role = :role"), {"role": role}).one_or_none()
        if known is None:
            raise NotFound(f"Nobody is entered for “{role}” yet: fill it in first.")
        raise Conflict(f"Somebody changed “{role}” after you saw it: look again first.")
    audit.record(conn, audit.AuditRow(actor.email, "contact.verified", "contact", role, origin))
