"""Tokens: how a program acts over the HTTP API, under a name of its own.

A token reads `nxo_<key>_<secret>`. The key finds its row; the secret is 256 random bits, shown once, of which the
database holds the SHA-256 (so much chance needs no slow hash). Its scopes say what it may do, its roles whose lines of a
checklist it may tick; it is never an administrator and it signs nothing. Like an account, its name is never used again:
what it did stays its own.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, text

from jobs.core import audit
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.permissions import SCOPES, Right, Role, Scope, allowed

LONGEST = timedelta(days=731)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_FORM = re.compile(r"nxo_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_NOBODY = bytes(32)
_COLUMNS = "id, name, scopes, roles, created_at, created_by, expires_at, last_used_at, revoked_at"


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret; times are UTC."""

    id: int
    name: str
    scopes: frozenset[Scope]
    roles: frozenset[Role]
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @property
    def email(self) -> str:
        """How records name it, in the place of a person's address."""
        return f"token:{self.name}"

    @property
    def rights(self) -> frozenset[Right]:
        """What its scopes allow."""
        return frozenset(SCOPES[scope] for scope in self.scopes)

    def way_to(self, right: Right) -> str:
        scopes = [scope.value for scope in Scope if SCOPES[scope] is right]
        return f"a token with the scope {scopes[0]}" if scopes else "a person: no token can"


def create_token(
    conn: Connection,
    name: str,
    scopes: Iterable[Scope],
    *,
    roles: Iterable[Role] = (),
    lasts: timedelta,
    actor: str,
    origin: str,
) -> str:
    """Adds a token and returns it whole: this is the only time that its secret is seen.

    Raises UsageError for a name, a role or a time that is not accepted, Conflict for a name that was used before.
    """
    chosen, given = sorted(set(scopes)), sorted(set(roles))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a name for a token: use one like ci-deploy, in small letters.")
    if not chosen:
        raise UsageError("A token needs at least one scope: " + ", ".join(Scope) + ".")
    if Role.ADMINISTRATOR in given:
        raise UsageError("A token is never an administrator: give it the role whose lines it is to tick.")
    if Scope.TICK in chosen and not allowed(given, Right.TICK):
        raise UsageError(
            f"To tick checklists a token needs a role whose lines are its own: say --role {Role.DEVELOPER}."
        )
    if not timedelta(0) < lasts <= LONGEST:
        raise UsageError(f"A token lasts at most {LONGEST.days} days: say for example --expires 90d.")
    key, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = conn.execute(
        text(
            "INSERT INTO ops.tokens (name, key, secret_sha256, scopes, roles, created_by, expires_at)"
            " VALUES (:name, :key, :hash, :scopes, :roles, :actor, now() + :lasts)"
            " ON CONFLICT (name) DO NOTHING RETURNING id, expires_at"
        ),
        {
            "name": name,
            "key": key,
            "hash": _hash(secret),
            "scopes": [scope.value for scope in chosen],
            "roles": [role.value for role in given],
            "actor": actor,
            "lasts": lasts,
        },
    ).one_or_none()
    if row is None:
        raise Conflict(f"There is or was a token {name}: names are not used twice, choose another.")
    new = {"name": name, "scopes": chosen, "roles": given, "expires_at": row.expires_at}
    audit.record(conn, audit.AuditRow(actor, "token.created", "token", str(row.id), origin, new=new))
    return f"nxo_{key}_{secret}"


def find_token(conn: Connection, presented: str) -> Token | None:
    """The token that was presented; None if it is unknown, revoked or past its time: nobody learns which."""
    parts = _FORM.fullmatch(presented)
    if parts is None:
        return None
    row = conn.execute(
        text(
            f"SELECT {_COLUMNS}, secret_sha256, revoked_at IS NULL AND expires_at > now() AS live"  # noqa: S608 - constants
            " FROM ops.tokens WHERE key = :key"
        ),
        {"key": parts[1]},
    ).one_or_none()
    right = hmac.compare_digest(_hash(parts[2]), _NOBODY if row is None else row.secret_sha256)
    return _token_from(row) if row is not None and right and row.live else None


def note_use(conn: Connection, token: Token) -> None:
    """Keeps that a token is in use, once a minute: a busy token must not rewrite its row with every request."""
    conn.execute(
        text(
            "UPDATE ops.tokens SET last_used_at = now()"
            " WHERE id = :id AND coalesce(last_used_at < now() - interval '1 minute', true)"
        ),
        {"id": token.id},
    )


def list_tokens(conn: Connection) -> list[Token]:
    """Every token, those that are over too, by name."""
    rows = conn.execute(text(f"SELECT {_COLUMNS} FROM ops.tokens ORDER BY name"))  # noqa: S608 - constants
    return [_token_from(row) for row in rows]


def revoke_token(conn: Connection, name: str, *, actor: str, origin: str) -> None:
    """Ends a token at once; NotFound, or Conflict if it was revoked before."""
    token_id = conn.execute(
        text(
            "UPDATE ops.tokens SET revoked_at = now(), revoked_by = :actor"
            " WHERE name = :name AND revoked_at IS NULL RETURNING id"
        ),
        {"name": name, "actor": actor},
    ).scalar()
    if token_id is None:
        known = conn.execute(text("SELECT 1 FROM ops.tokens WHERE name = :name"), {"name": name}).scalar()
        if known is None:
            raise NotFound(f"There is no token {name}: `nexaops tokens list` shows those there are.")
        raise Conflict(f"The token {name} has been revoked already.")
    audit.record(conn, audit.AuditRow(actor, "token.revoked", "token", str(token_id), origin, old={"name": name}))


def lasting(value: str) -> timedelta:
    """`12h`, `90d` or `8w` as a time; UsageError for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", value.strip())
    if found is None:
        raise UsageError(f"{value!r} is not accepted for --expires: say a number and h, d or w, as in 90d.")
    return int(found[1]) * _UNITS[found[2]]


def _token_from(row: Row[tuple[object, ...]]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        roles=frozenset(Role(role) for role in row.roles),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
