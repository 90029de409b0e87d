"""What exactly is signed: one canonical record of a run, and its SHA-256.

Pure. The record is JSON with sorted keys and no spaces (RFC 8785 in all that occurs here: strings, integers, booleans,
lists), in UTF-8: whoever has its bytes computes the same digest with any tool, and reads what they mean.

It holds what a signature answers for: the run and the definition's version, the summary, and of every line in its scope
the state, who brought it there and when, the reason, the choice, the second person, the hashes of its evidence and its
check's last result (a later run that says the same is the same result). It does not hold what may go on around a signature: comments, assignments, who has the run. With
the run's own number in it, a record that is copied to another run has another digest.

The scope is a list of phases. A role that a gate waits for signs what stands above that gate, so that the work below,
which begins only after the signature, does not void it. Who reviews an expedited start signs what went ahead without
signatures: all above the last gate that waits for some. Every other role signs for the whole list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import orjson

from checklists.lines import TrackedItem, TrackedPhase, leaves
from checklists.schema import Phase, Template
from jobs.core.permissions import Role


def scope_of(template: Template, role: Role) -> tuple[Phase, ...]:
    """The phases that a role signs for; a role that the definition does not name reviews an expedited start."""
    gates = {
        number: phase.gate.signed
        for number, phase in enumerate(template.phases)
        if phase.gate is not None and phase.gate.signed
    }
    if all(line.role is not role for line in template.signoff):
        return template.phases[: max(gates, default=0)]
    return template.phases[: min((number for number, signed in gates.items() if role in signed), default=None)]


def in_scope(phases: Iterable[TrackedPhase], template: Template, role: Role) -> tuple[TrackedPhase, ...]:
    """Of a run's phases those that the role signs for."""
    names = {phase.id for phase in scope_of(template, role)}
    return tuple(phase for phase in phases if phase.definition.id in names)


def record_of(
    run_id: int,
    template: Template,
    version: str,
    fields: Mapping[str, str],
    phases: Iterable[TrackedPhase],
    role: Role,
    *,
    urgent: str | None = None,
) -> bytes:
    """The record that somebody of this role signs, as canonical JSON in UTF-8.

    `version` is the definition's that the run is pinned to, `phases` the run as it stands, `urgent` why it was expedited.
    """
    scope = in_scope(phases, template, role)
    record = {
        "schema": 1,
        "run": run_id,
        "template": template.id,
        "version": version,
        "role": role.value,
        "phases": [phase.definition.id for phase in scope],
        "summary": dict(fields),
        "expedited": urgent,
        "items": {line.id: _bound(line) for line in leaves(scope)},
    }
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def digest_of(record: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(record).hexdigest()


def _bound(line: TrackedItem) -> dict[str, object]:
    """What a signature binds of one line; what is not there is left out."""
    mark, check = line.mark, line.check
    known = {
        "state": mark.state.value,
        "by": mark.by,
        "at": _instant(mark.at),
        "performed_at": _instant(mark.performed_at),
        "reason": mark.reason,
        "choice": mark.choice,
        "verified_by": mark.verified_by,
        "verified_at": _instant(mark.verified_at),
        "evidence": list(zip(mark.evidence, mark.proofs, strict=True)),
        "check": None if check is None else {"verdict": check.verdict.value, "sha256": check.sha256},
    }
    return {name: value for name, value in known.items() if value}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
