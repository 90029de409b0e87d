"""A run as all exports show it: one frozen record, from which each format and every proof is made.

The record holds the definition that the run was started from, the state of every line, and all that happened, so that it
can be read and verified without the database. Times are UTC; a person is an e-mail (or `cli:<user>`) with the name that
was printed. Kinds of things that a run may lack are empty tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal

from pydantic import AwareDatetime, JsonValue
from sqlalchemy import Connection, text

from checklists.evidence import Evidence, list_evidence
from checklists.grammar import Strict
from checklists.lines import (
    CheckState,
    Facts,
    Kind,
    Mark,
    Standing,
    State,
    TrackedItem,
    TrackedPhase,
    build,
    count,
    leaves,
)
from checklists.reads import ChecklistRun, Event, RunState, list_events, load_run
from checklists.schema import Template
from checklists.signatures import Signature, SignatureKind, signed_record

_PAGE = 1000


class RunHead(Strict):
    """Which run, and its life."""

    id: int
    state: RunState
    started_at: AwareDatetime
    started_by: str
    started_name: str
    closed_at: AwareDatetime | None = None
    closed_by: str | None = None
    closed_name: str | None = None


class TemplateRecord(Strict):
    """The definition: `version` is the SHA-256 of `definition`, its canonical JSON."""

    id: str
    title: str
    kind: str
    version: str
    definition: dict[str, JsonValue]


class FieldRecord(Strict):
    """One line of the summary."""

    id: str
    title: str
    value: str


class ProgressRecord(Strict):
    """Lines that are ticked one by one, counted; `required_open` keeps the run from being complete.

    A check counts as it was said when it ran, also when it has grown old since: a record does not change by itself.
    """

    total: int
    done: int
    na: int
    required_open: int


class LineRecord(Strict):
    """One line as it stands; `depth` counts what it stands under, `flags` say what is special about its last change.

    `choice` is how a decision went, `performed_at` when a late entry was done, `verified_by` the second person's name.
    """

    id: str
    phase: str
    section: str | None = None
    kind: Kind
    text: str
    depth: int = 0
    required: bool = True
    role: str | None = None
    state: State
    by: str | None = None
    name: str | None = None
    at: AwareDatetime | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()
    choice: str | None = None
    performed_at: AwareDatetime | None = None
    verified_by: str | None = None
    verified_at: AwareDatetime | None = None


class CommentRecord(Strict):
    """What somebody said, on a line or (`item` is None) on the whole run."""

    item: str | None
    at: AwareDatetime
    by: str
    name: str
    text: str


class EventRecord(Strict):
    """Something that happened, in the order in which it did."""

    id: int
    item: str | None
    at: AwareDatetime
    by: str
    name: str
    kind: str
    old: str | None = None
    new: str | None = None
    note: str | None = None


class EvidenceRecord(Strict):
    """Something left on a line: `text` is a text's or link's own words, a file stands beside the record.

    `sha256` is that of the file, or of the text in UTF-8; `size` in bytes. `withdrawn` says why it counts no longer.
    """

    item: str
    kind: Literal["text", "link", "file", "run"]
    label: str
    sha256: str
    size: int
    at: AwareDatetime
    by: str
    name: str
    text: str | None = None
    file: str | None = None
    withdrawn: str | None = None


class CheckRecord(Strict):
    """The last result of a line's check: what it said, until when that counts, and the SHA-256 of its output."""

    item: str
    check: str
    outcome: Standing
    summary: str
    mend: str | None = None
    at: AwareDatetime
    expires_at: AwareDatetime
    by: str
    sha256: str


class SignatureRecord(Strict):
    """A signature: printed name, role, meaning, the server's time, and the digest of what was signed.

    `void` says why it no longer counts; `on_behalf_of` is the name of whoever delegated it. `signed` is the text whose
    SHA-256 the digest is: what exactly was signed.
    """

    role: str
    by: str
    name: str
    meaning: str
    at: AwareDatetime
    digest: str
    on_behalf_of: str | None = None
    reason: str | None = None
    void: str | None = None
    signed: str | None = None


class RunRecord(Strict):
    """All of one run."""

    format: Literal["nexaops.run/1"] = "nexaops.run/1"
    run: RunHead
    template: TemplateRecord
    fields: tuple[FieldRecord, ...]
    progress: ProgressRecord
    lines: tuple[LineRecord, ...]
    comments: tuple[CommentRecord, ...]
    history: tuple[EventRecord, ...]
    evidence: tuple[EvidenceRecord, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    signatures: tuple[SignatureRecord, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, LineRecord]:
        """The lines by id."""
        return {line.id: line for line in self.lines}


def read_record(conn: Connection, run_id: int) -> RunRecord:
    """One run as it is at this moment; NotFound. Must be the first thing that the transaction does."""
    # All of it from one snapshot: a tick between two readings would make the record contradict its own history.
    conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    run = load_run(conn, run_id)
    signed = {one.id: signed_record(conn, run_id, one.id) for one in run.signatures}
    return build_record(run, _events(conn, run_id), list_evidence(conn, run_id), _checks(conn, run_id), signed)


def build_record(
    run: ChecklistRun,
    events: Sequence[Event],
    evidence: Iterable[Evidence] = (),
    checks: Iterable[CheckRecord] = (),
    signed: Mapping[int, str | None] | None = None,
) -> RunRecord:
    """The record of a run from what its room keeps; events in the order in which they happened.

    `signed` has what was signed by the signature's id.
    """
    checks = tuple(checks)
    # What is N/A by itself follows from the summary again; every other mark counts as it stands in the database.
    marks = {leaf.id: leaf.mark for leaf in leaves(run.phases) if leaf.applies_not is None or leaf.mark.at is not None}
    phases = rebuild(run.template, run.fields, run.started_at, marks, checks)
    progress = count(phases)
    return RunRecord(
        run=RunHead(
            id=run.id,
            state=run.state,
            started_at=run.started_at,
            started_by=run.started_by,
            started_name=run.starter,
            closed_at=run.closed_at,
            closed_by=run.closed_by,
            closed_name=run.closer,
        ),
        template=TemplateRecord(
            id=run.template.id,
            title=run.template.title,
            kind=run.template.kind,
            version=run.template_version,
            definition=run.template.canonical(),
        ),
        fields=tuple(
            FieldRecord(id=field.id, title=field.title, value=run.fields[field.id])
            for field in run.template.fields
            if field.id in run.fields
        ),
        progress=ProgressRecord(
            total=progress.total, done=progress.done, na=progress.na, required_open=progress.required_open
        ),
        lines=tuple(line for phase in phases for item in phase.items for line in line_records(item, phase)),
        comments=tuple(
            CommentRecord(item=one.item_id, at=one.at, by=one.actor, name=one.name, text=one.note or "")
            for one in events
            if one.kind == "comment"
        ),
        history=tuple(
            EventRecord(
                id=one.id,
                item=one.item_id,
                at=one.at,
                by=one.actor,
                name=one.name,
                kind=one.kind,
                old=one.old,
                new=one.new,
                note=one.note,
            )
            for one in events
        ),
        evidence=tuple(_evidence(one) for one in evidence),
        checks=checks,
        signatures=tuple(_signature(one, (signed or {}).get(one.id)) for one in run.signatures),
    )


def rebuild(
    template: Template,
    fields: Mapping[str, str],
    started_at: datetime,
    marks: Mapping[str, Mark],
    checks: Iterable[CheckRecord],
) -> tuple[TrackedPhase, ...]:
    """The phases of a run by what is recorded of it alone, without a clock."""
    said = {one.item: CheckState(one.outcome, one.summary, one.at, one.expires_at, one.mend) for one in checks}
    return build(template, marks, Facts(fields, started_at, None, said))


def line_records(item: TrackedItem, phase: TrackedPhase, depth: int = 0) -> Iterator[LineRecord]:
    """A line of a run and those under it, as the record has them."""
    mark = item.mark
    yield LineRecord(
        id=item.id,
        phase=phase.definition.title,
        section=phase.definition.section,
        kind=item.kind,
        text=item.label,
        depth=depth,
        required=item.kind is not Kind.NOTE and item.definition.need == "required",
        role=item.role,
        state=item.state,
        by=mark.by,
        name=mark.name,
        at=mark.at,
        reason=mark.reason,
        flags=tuple(_flags(item)),
        choice=mark.choice,
        performed_at=mark.performed_at,
        verified_by=mark.verifier or mark.verified_by,
        verified_at=mark.verified_at,
    )
    for child in item.children:
        yield from line_records(child, phase, depth + 1)


def _flags(item: TrackedItem) -> Iterator[str]:
    if item.early:
        yield "before its time"
    if item.mark.performed_at is not None:
        yield "late entry"
    if item.holds:
        yield item.holds


def _evidence(one: Evidence) -> EvidenceRecord:
    return EvidenceRecord.model_validate(
        {
            "item": one.item_id,
            "kind": one.kind,
            "label": one.label,
            "sha256": one.sha256,
            "size": one.size,
            "at": one.added_at,
            "by": one.added_by,
            "name": one.adder,
            "text": one.body,
            "file": one.name,
            "withdrawn": one.withdrawn_why,
        }
    )


def _signature(one: Signature, signed: str | None) -> SignatureRecord:
    return SignatureRecord(
        role=one.role.value,
        by=one.email,
        name=one.name,
        meaning=one.meaning if one.kind is SignatureKind.SIGNED else one.kind.value,
        at=one.signed_at,
        digest=one.digest,
        on_behalf_of=one.on_behalf_name or one.on_behalf_of,
        reason=one.reason,
        void=one.voided_why,
        signed=signed,
    )


def _checks(conn: Connection, run_id: int) -> list[CheckRecord]:
    rows = conn.execute(
        text(
            "SELECT DISTINCT ON (item_id) item_id, name, verdict, summary, mend, ran_at, expires_at, ran_by, sha256"
            " FROM ops.checklist_checks WHERE run_id = :id ORDER BY item_id, id DESC"
        ),
        {"id": run_id},
    )
    return [
        CheckRecord(
            item=row.item_id,
            check=row.name,
            outcome=Standing(row.verdict),
            summary=row.summary,
            mend=row.mend,
            at=row.ran_at,
            expires_at=row.expires_at,
            by=row.ran_by,
            sha256=row.sha256,
        )
        for row in rows
    ]


def _events(conn: Connection, run_id: int) -> list[Event]:
    found: list[Event] = []
    while page := list_events(conn, run_id, before_id=found[-1].id if found else None, limit=_PAGE):
        found += page
    return found[::-1]
