"""People: personal accounts, argon2 passwords, and a lock after five wrong tries.

An account is never deleted and its address never used again, so that what a person did stays theirs. A wrong password
and an unknown address take the same time and give the same answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection, Row, text

from jobs.core import audit
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, NotFound, UsageError
from jobs.core.permissions import GRANTS, Right, Role

LOCK_AFTER = 5
LOCK_MINUTES = 15
SHORTEST_PASSWORD = 12
_HASHER = PasswordHasher()
_WRONG = "The e-mail address or the password is wrong; after five wrong tries the account is locked for 15 minutes."


class Occasion(NamedTuple):
    """What a password is asked for, as the audit trail says it when it was right and when it was not."""

    proven: str
    refused: str


SIGN_IN = Occasion("person.signed_in", "person.sign_in_refused")
SIGNATURE = Occasion("person.proven_to_sign", "person.signing_refused")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in, or could be."""

    id: UUID
    email: str
    name: str
    roles: frozenset[Role]
    must_change: bool = False
    disabled_at: datetime | None = None

    @property
    def rights(self) -> frozenset[Right]:
        """What their roles grant together."""
        return frozenset[Right]().union(*(GRANTS[role] for role in self.roles))

    def way_to(self, right: Right) -> str:
        return "one of the roles " + ", ".join(role.value for role in Role if right in GRANTS[role])


def person_from(row: Row[tuple[object, ...]]) -> Person:
    """A person from a row with the columns of `ops.people`."""
    return Person(
        row.id, row.email, row.name, frozenset(Role(role) for role in row.roles), row.must_change, row.disabled_at
    )


def authenticate(
    db: Database, email: str, password: str, *, origin: str, occasion: Occasion = SIGN_IN, about: str | None = None
) -> Person:
    """The person whose password this is; `about` says in the audit trail what it was asked for.

    Takes its own transaction, because a wrong try must stay counted, on whatever occasion: five lock the account. Raises
    Forbidden with a sentence that does not tell whether the address exists.
    """
    with db.begin() as conn:
        # The row lock makes simultaneous guesses wait for each other: each is counted.
        row = conn.execute(
            text(
                "SELECT id, email, name, roles, password_hash, must_change, disabled_at,"
                " coalesce(locked_until > now(), false) AS locked"
                " FROM ops.people WHERE email = :email FOR UPDATE"
            ),
            # PostgreSQL knows no character zero, and so no such address.
            {"email": email.strip().lower().replace("\x00", "")},
        ).one_or_none()
        right = _matches(row.password_hash if row is not None else _nobody(), password)
        if row is not None and right and not row.locked and row.disabled_at is None:
            conn.execute(
                text("UPDATE ops.people SET failed_attempts = 0, locked_until = NULL WHERE id = :id"), {"id": row.id}
            )
            audit.record(conn, audit.AuditRow(row.email, occasion.proven, "person", str(row.id), origin, reason=about))
            return person_from(row)
        if row is not None:
            conn.execute(
                text(
                    "UPDATE ops.people SET"
                    " failed_attempts = CASE WHEN failed_attempts + 1 >= :most THEN 0 ELSE failed_attempts + 1 END,"
                    " locked_until = CASE WHEN failed_attempts + 1 >= :most"
                    "   THEN now() + make_interval(mins => :minutes) ELSE locked_until END"
                    " WHERE id = :id AND coalesce(locked_until <= now(), true)"
                ),
                {"id": row.id, "most": LOCK_AFTER, "minutes": LOCK_MINUTES},
            )
            audit.record(conn, audit.AuditRow(row.email, occasion.refused, "person", str(row.id), origin, reason=about))
    raise Forbidden(_WRONG)


def change_password(db: Database, person_id: UUID, old: str, new: str, *, origin: str) -> None:
    """Replaces a password; Forbidden if the old one is wrong, UsageError if the new one is too short or the same."""
    if len(new) < SHORTEST_PASSWORD:
        raise UsageError(f"The new password is too short: at least {SHORTEST_PASSWORD} characters are needed.")
    if new == old:
        raise UsageError("The new password is the old one: choose another.")
    with db.read() as conn:
        email = conn.execute(text("SELECT email FROM ops.people WHERE id = :id"), {"id": person_id}).scalar_one()
    authenticate(db, email, old, origin=origin)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.people SET password_hash = :hash, must_change = false WHERE id = :id"),
            {"id": person_id, "hash": _HASHER.hash(new)},
        )
        _end_sessions(conn, person_id)  # whoever knew the old password is shown the door
        audit.record(conn, audit.AuditRow(email, "person.password_changed", "person", str(person_id), origin))


def add_person(
    conn: Connection, email: str, roles: Iterable[Role], *, actor: str, origin: str, name: str | None = None
) -> str:
    """Adds a person and returns the one-time password, which is shown once and stored nowhere."""
    email = email.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise UsageError(f"{email!r} is not an e-mail address: use one like ada@nexafx.com.")
    chosen = _chosen(roles)
    password = secrets.token_urlsafe(12)
    person_id = conn.execute(
        text(
            "INSERT INTO ops.people (email, name, roles, password_hash, must_change)"
            " VALUES (:email, :name, :roles, :hash, true) ON CONFLICT (email) DO NOTHING RETURNING id"
        ),
        {
            "email": email,
            "name": name or email.split("@")[0].replace(".", " ").title(),
            "roles": [role.value for role in chosen],
            "hash": _HASHER.hash(password),
        },
    ).scalar()
    if person_id is None:
        raise Conflict(f"{email} has or had an account: addresses are not used twice.")
    audit.record(
        conn,
        audit.AuditRow(actor, "person.added", "person", str(person_id), origin, new={"email": email, "roles": chosen}),
    )
    return password


def renew_one_time_password(conn: Connection, email: str, *, actor: str, origin: str) -> str | None:
    """Another one-time password for somebody who never chose their own; None for everybody else."""
    password = secrets.token_urlsafe(12)
    person_id = conn.execute(
        text(
            "UPDATE ops.people SET password_hash = :hash, failed_attempts = 0, locked_until = NULL"
            " WHERE email = :email AND must_change AND disabled_at IS NULL RETURNING id"
        ),
        {"email": email, "hash": _HASHER.hash(password)},
    ).scalar()
    if person_id is None:
        return None
    audit.record(conn, audit.AuditRow(actor, "person.one_time_password", "person", str(person_id), origin))
    return password


def set_roles(conn: Connection, email: str, roles: Iterable[Role], *, actor: str, origin: str) -> None:
    """Gives an open account other roles, which hold from the next thing it does; sessions stay.

    Raises UsageError without a role, NotFound, Conflict if it has them already or would be the last administrator.
    """
    wanted = _chosen(roles)
    seen = _lock_account(conn, email)
    if set(seen.roles) == {role.value for role in wanted}:
        raise Conflict(f"{seen.email} has these roles already.")
    if Role.ADMINISTRATOR not in wanted:
        _keep_an_administrator(conn, seen)
    conn.execute(
        text("UPDATE ops.people SET roles = :roles WHERE id = :id"),
        {"id": seen.id, "roles": [role.value for role in wanted]},
    )
    old, new = {"roles": sorted(seen.roles)}, {"roles": wanted}
    audit.record(conn, audit.AuditRow(actor, "person.roles", "person", str(seen.id), origin, old, new))


def reset_password(conn: Connection, email: str, *, actor: str, origin: str) -> str:
    """A new one-time password for somebody who lost theirs: every session ends, a lock is lifted; NotFound.

    It is returned to be shown once, and stored nowhere.
    """
    seen = _lock_account(conn, email)
    password = secrets.token_urlsafe(12)
    conn.execute(
        text(
            "UPDATE ops.people SET password_hash = :hash, must_change = true, failed_attempts = 0, locked_until = NULL"
            " WHERE id = :id"
        ),
        {"id": seen.id, "hash": _HASHER.hash(password)},
    )
    _end_sessions(conn, seen.id)
    audit.record(conn, audit.AuditRow(actor, "person.one_time_password", "person", str(seen.id), origin))
    return password


def disable_person(conn: Connection, email: str, *, actor: str, origin: str, reason: str | None = None) -> None:
    """Closes an account and every session of it at once; NotFound if there is none that is open.

    Conflict for the last administrator's.
    """
    seen = _lock_account(conn, email)
    _keep_an_administrator(conn, seen)
    conn.execute(text("UPDATE ops.people SET disabled_at = now() WHERE id = :id"), {"id": seen.id})
    _end_sessions(conn, seen.id)
    audit.record(conn, audit.AuditRow(actor, "person.disabled", "person", str(seen.id), origin, reason=reason))


def _lock_account(conn: Connection, email: str) -> Row[tuple[object, ...]]:
    """The open account, which nobody else changes until the caller's transaction ends.

    Administrators are locked first and in one order: two who close each other's account at the same time come one after
    the other, and the second finds that they are the last.
    """
    conn.execute(text("SELECT id FROM ops.people WHERE 'administrator' = ANY(roles) ORDER BY id FOR UPDATE"))
    row = conn.execute(
        text("SELECT id, email, roles FROM ops.people WHERE email = :email AND disabled_at IS NULL FOR UPDATE"),
        {"email": email.strip().lower().replace("\x00", "")},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no open account {email}: `nexaops users list` shows who there is.")
    return row


def _keep_an_administrator(conn: Connection, leaving: Row[tuple[object, ...]]) -> None:
    """Raises Conflict if nobody but `leaving` could manage people."""
    others = conn.execute(
        text(
            "SELECT count(*) FROM ops.people WHERE 'administrator' = ANY(roles) AND disabled_at IS NULL AND id <> :id"
        ),
        {"id": leaving.id},
    ).scalar_one()
    if Role.ADMINISTRATOR.value in leaving.roles and not others:
        raise Conflict(f"{leaving.email} is the last administrator: give somebody else the role first.")


def _end_sessions(conn: Connection, person_id: UUID) -> None:
    conn.execute(
        text("UPDATE ops.sessions SET revoked_at = now() WHERE person_id = :id AND revoked_at IS NULL"),
        {"id": person_id},
    )


def _chosen(roles: Iterable[Role]) -> list[Role]:
    chosen = sorted({Role(role) for role in roles})
    if not chosen:
        raise UsageError("A person needs at least one role: " + ", ".join(Role) + ".")
    return chosen


def list_people(conn: Connection) -> list[Person]:
    """Everybody, the disabled ones too, by address."""
    rows = conn.execute(text("SELECT id, email, name, roles, must_change, disabled_at FROM ops.people ORDER BY email"))
    return [person_from(row) for row in rows]


@cache
def _nobody() -> str:
    """What an unknown address is compared with, so that it takes as long as a known one."""
    return _HASHER.hash(secrets.token_urlsafe(16))


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except VerificationError:
        return False
