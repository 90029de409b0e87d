"""Signing a run, and rejecting it: the person proven, the rules asked, and one row that binds what they saw.

A signature takes the signer's password in the same step, whatever session it comes from; outside of a continuous
session, their e-mail too. A wrong one is counted and kept in a transaction of its own, five lock the account. Then one
transaction locks the run alone, so that nothing changes between look and signature, asks again who the person is and
which roles they hold, compares the digest that was shown with the one that is, and writes the signature with its event
and its audit row. Of two who sign as one role the second finds the first; a partial unique index stands behind that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from checklists.delegation import delegator
from checklists.grammar import SignOff
from checklists.history import keep
from checklists.lines import leaves
from checklists.reads import ChecklistRun, load_run
from checklists.record import digest_of, record_of, scope_of
from checklists.reopening import reopen
from checklists.schema import Phase
from checklists.signatures import SignatureKind
from checklists.signoff import Signer, line_for, statement, why_not_person, why_not_sign
from checklists.store import open_run
from checklists.tracker import clean
from checklists.voiding import void, void_broken
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, UsageError
from jobs.core.people import SIGNATURE, Person, authenticate, person_from
from jobs.core.permissions import Role
from jobs.core.sessions import continue_session, is_continuous

REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows who signs: always the password; e-mail too, unless `session` (its name) is a continuous one."""

    password: str = field(repr=False)
    email: str | None = None
    session: str | None = None


def to_sign(run: ChecklistRun, role: Role) -> bytes:
    """The record that this role would sign now; its digest is what a page shows and `sign` takes."""
    return record_of(run.id, run.template, run.template_version, run.fields, run.phases, role, urgent=run.urgent)


def sign(
    db: Database,
    run_id: int,
    role: Role,
    person: Person,
    proof: Proof,
    seen_digest: str,
    *,
    origin: str,
    on_behalf_of: str | None = None,
) -> int:
    """Signs the run as this role; returns the signature's id.

    `seen_digest` is that of the record which was shown. `on_behalf_of` is the e-mail of who delegated. Raises Forbidden
    (password, role, separation), UsageError (what is missing), Refused (what must come first, a closed run) or Conflict
    (the record changed, or somebody else signed).
    """
    _prove(db, run_id, role, person, proof, origin)
    with db.begin() as conn:
        run, line, signer = _ready(conn, run_id, role, person, on_behalf_of, origin)
        refusal = why_not_sign(run, line, signer)
        if refusal is not None:
            raise refusal
        return _write(conn, run, line, signer, seen_digest, person, origin)


def reject(
    db: Database,
    run_id: int,
    role: Role,
    person: Person,
    proof: Proof,
    seen_digest: str,
    reason: str,
    *,
    origin: str,
    phase_id: str | None = None,
    on_behalf_of: str | None = None,
) -> int:
    """Rejects what this role would sign, with a reason, and reopens a phase of it; returns the rejection's id.

    The phase is the last one of the scope unless `phase_id` names another: every line of it that was done or N/A is open
    again, with the reason in its history. Raises as `sign`, but for the order: a rejection may come at any time.
    """
    kept = clean(reason, "The reason")
    if kept is None:
        raise UsageError("A rejection needs a reason: say what must be different.")
    _prove(db, run_id, role, person, proof, origin)
    with db.begin() as conn:
        run, line, signer = _ready(conn, run_id, role, person, on_behalf_of, origin)
        refusal = why_not_person(run, line, signer)
        if refusal is not None:
            raise refusal
        phase = _phase(run, role, phase_id)
        signature_id = _write(conn, run, line, signer, seen_digest, person, origin, rejected=kept)
        if phase is not None:
            lines = [item.id for item in leaves(one for one in run.phases if one.definition.id == phase.id)]
            reopen(conn, run_id, lines, person, kept, origin=origin)
        why = f"{line.title} rejected: {kept}"
        void_broken(conn, run_id, person, why, origin=origin)
        for signature in load_run(conn, run_id).signatures:
            if signature.valid and signature.role is role:
                void(conn, run_id, signature, person, why, origin=origin)
        return signature_id


def _prove(db: Database, run_id: int, role: Role, person: Person, proof: Proof, origin: str) -> None:
    """That it is this person who signs; a session alone never is enough."""
    with db.read() as conn:
        here = proof.session is not None and is_continuous(conn, proof.session, person.id)
    if proof.email is None and not here:
        raise UsageError("You have been away for more than ten minutes: give your e-mail address and your password.")
    about = f"run {run_id} as {role.value}"
    email = proof.email if proof.email is not None else person.email
    proven = authenticate(db, email, proof.password, origin=origin, occasion=SIGNATURE, about=about)
    if proven.id != person.id:
        raise Forbidden(f"You are signed in as {person.name}, and sign as nobody else: sign in as who you are.")
    if proof.email is not None and proof.session is not None:
        with db.begin() as conn:
            continue_session(conn, proof.session, person.id)


def _ready(
    conn: Connection, run_id: int, role: Role, person: Person, on_behalf_of: str | None, origin: str
) -> tuple[ChecklistRun, SignOff, Signer]:
    """The run, locked alone and without signatures that do not hold; its line, and the signer as they are now."""
    open_run(conn, run_id, alone=True)
    void_broken(conn, run_id, person, "the run is no longer what was signed", origin=origin)
    # Locked: an account that is being closed, or loses a role, waits until the signature stands, or comes first.
    row = conn.execute(
        text(
            "SELECT id, email, name, roles, must_change, disabled_at FROM ops.people"
            " WHERE id = :id AND disabled_at IS NULL FOR SHARE"
        ),
        {"id": person.id},
    ).one_or_none()
    if row is None:
        raise Forbidden("Your account is closed: you cannot sign.")
    if row.must_change:
        raise Forbidden("You still have a one-time password, which others know: choose your own before you sign.")
    now = person_from(row)
    run = load_run(conn, run_id)
    line = line_for(run, role)
    if on_behalf_of is None:
        return run, line, Signer(now.email, now.name, now.roles)
    other = delegator(conn, run, line, on_behalf_of, now)
    return run, line, Signer(now.email, now.name, now.roles, other.email, other.name)


def _write(
    conn: Connection,
    run: ChecklistRun,
    line: SignOff,
    signer: Signer,
    seen_digest: str,
    actor: Person,
    origin: str,
    rejected: str | None = None,
) -> int:
    record = to_sign(run, line.role)
    digest = digest_of(record)
    if digest != seen_digest:
        raise Conflict("The run has changed since you looked at it: look again at what you sign.")
    kind = SignatureKind.SIGNED if rejected is None else SignatureKind.REJECTED
    meaning = line.meaning.value if rejected is None else REJECTED
    said = statement(line) if rejected is None else "I reject this."
    signature_id: int | None = conn.execute(
        text(
            "INSERT INTO ops.checklist_signatures (run_id, role, kind, meaning, statement, name, email, roles,"
            "  on_behalf_of, on_behalf_name, record, digest, reason)"
            " VALUES (:run_id, :role, :kind, :meaning, :statement, :name, :email, :roles,"
            "  :on_behalf_of, :on_behalf_name, :record, :digest, :reason) ON CONFLICT DO NOTHING RETURNING id"
        ),
        {
            "run_id": run.id,
            "role": line.role.value,
            "kind": kind.value,
            "meaning": meaning,
            "statement": said,
            "name": signer.name,
            "email": signer.email,
            "roles": sorted(role.value for role in signer.roles),
            "on_behalf_of": signer.on_behalf_of,
            "on_behalf_name": signer.on_behalf_name,
            "record": record.decode(),
            "digest": digest,
            "reason": rejected,
        },
    ).scalar()
    if signature_id is None:
        raise Conflict(f"Somebody else signed as {line.title} at the same moment: look again first.")
    new = {
        "signature": signature_id,
        "role": line.role.value,
        "meaning": meaning,
        "name": signer.name,
        "on_behalf_of": signer.on_behalf_of,
        "digest": digest,
    }
    behalf = f" on behalf of {signer.on_behalf_name}" if signer.on_behalf_of is not None else ""
    note = rejected or f"{said}{behalf}"
    keep(conn, run.id, actor, kind.value, origin, new=new, note=note, became=line.role.value)
    return signature_id


def _phase(run: ChecklistRun, role: Role, phase_id: str | None) -> Phase | None:
    """The phase that a rejection reopens; None where the role signs for no line at all."""
    scope = scope_of(run.template, role)
    if phase_id is None:
        return scope[-1] if scope else None
    for phase in scope:
        if phase.id == phase_id:
            return phase
    raise UsageError(f"{phase_id!r} is no phase that you sign for: choose one of {', '.join(p.id for p in scope)}.")
