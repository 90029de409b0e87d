"""Signatures on runs as they are kept: whose, on what, with which meaning, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from jobs.core.permissions import Role


class SignatureKind(StrEnum):
    """A rejection is a signature too."""

    SIGNED = "signed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, or rejection: `name` as printed that day, `meaning` and `statement` as signed, times in UTC.

    `roles` are those that the signer held, `on_behalf_of` is the e-mail of who delegated, `voider` a name. `holds`: it was not voided, and
    the run is still what was signed.
    """

    id: int
    role: Role
    kind: SignatureKind
    meaning: str
    statement: str
    name: str
    email: str
    roles: frozenset[Role]
    on_behalf_of: str | None
    on_behalf_name: str | None
    digest: str
    reason: str | None
    signed_at: datetime
    voided_at: datetime | None
    voider: str | None
    voided_why: str | None
    holds: bool = False

    @property
    def valid(self) -> bool:
        """It was a signature and nobody has voided it."""
        return self.kind is SignatureKind.SIGNED and self.voided_at is None

    @property
    def signers(self) -> frozenset[str]:
        """The e-mails of whoever stands behind it: the signer, and who they signed for."""
        return frozenset({self.email, self.on_behalf_of} - {None})  # type: ignore[arg-type]  # None is taken out


def signatures_of(conn: Connection, run_ids: Sequence[int]) -> Mapping[int, tuple[Signature, ...]]:
    """All of some runs, void ones too, the oldest first; whether one holds is for `reads.load_runs` to say."""
    rows = conn.execute(
        text(
            "SELECT s.run_id, s.id, s.role, s.kind, s.meaning, s.statement, s.name, s.email, s.roles, s.on_behalf_of,"
            " s.on_behalf_name, s.digest, s.reason, s.signed_at, s.voided_at, coalesce(p.name, s.voided_by) AS voider,"
            " s.voided_why FROM ops.checklist_signatures s LEFT JOIN ops.people p ON p.email = s.voided_by"
            " WHERE s.run_id = ANY(:ids) ORDER BY s.id"
        ),
        {"ids": list(run_ids)},
    )
    found: dict[int, tuple[Signature, ...]] = {}
    for row in rows:
        known = row._asdict() | {"role": Role(row.role), "kind": SignatureKind(row.kind)}
        known["roles"] = frozenset(Role(role) for role in row.roles)
        run_id = known.pop("run_id")
        found[run_id] = (*found.get(run_id, ()), Signature(**known))
    return found


def signed_record(conn: Connection, run_id: int, signature_id: int) -> str | None:
    """The record that was signed, to the letter; None if there is no such signature in the run."""
    found: str | None = conn.execute(
        text("SELECT record FROM ops.checklist_signatures WHERE id = :id AND run_id = :run_id"),
        {"id": signature_id, "run_id": run_id},
    ).scalar()
    return found
