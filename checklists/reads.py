"""Runs of checklists as they stand: one whole, a page of them, and what happened in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import orjson
from sqlalchemy import Connection, text

from checklists.lines import CheckState, Facts, Mark, Progress, Standing, State, TrackedPhase, build, count
from checklists.record import digest_of, record_of
from checklists.schema import Template
from checklists.signatures import Signature, list_signatures
from jobs.core.errors import NotFound
from jobs.core.permissions import Role


class RunState(StrEnum):
    """Of a whole run."""

    OPEN = "open"
    DONE = "done"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Retired:
    """A line that a newer version of the definition took out: what it said, and how it stood then."""

    item_id: str
    text: str
    state: State
    name: str | None
    at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ChecklistRun:
    """One run as it is now, by the definition that it was started from; times are UTC.

    `fields` has the summary by field id, in the definition's order; `*_by` and `lead` (who has it now) are e-mails (or
    `cli:<user>`, `token:<name>`), `starter`, `closer` and `leader` the names to show. `read_at` is the database's clock. `parent` is the
    run and the decision that started this one, `children` the runs that this one's decisions started, by item.
    `signatures` are all there ever were; `signed` has the roles whose signature holds: nobody voided it, and the run is
    to the letter what was signed. `urgent` says why the run was expedited, its review falls due at `review_due_at`.
    `last_event` is the number of the last thing that happened in it, 0 for none: while it stays, nothing has changed.
    """

    id: int
    template: Template
    template_version: str
    state: RunState
    fields: Mapping[str, str]
    started_at: datetime
    started_by: str
    starter: str
    closed_at: datetime | None
    closed_by: str | None
    closer: str | None
    phases: tuple[TrackedPhase, ...]
    progress: Progress
    fields_version: int
    lead: str
    leader: str
    due_at: datetime | None
    read_at: datetime
    parent: tuple[int, str] | None
    children: Mapping[str, int]
    signatures: tuple[Signature, ...]
    signed: frozenset[Role]
    urgent: str | None
    review_due_at: datetime | None
    retired: tuple[Retired, ...]
    last_event: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list: its lines counted, when it changed last, and why it was expedited if it was."""

    id: int
    template_id: str
    title: str
    kind: str
    state: RunState
    fields: Mapping[str, str]
    started_at: datetime
    starter: str
    closed_at: datetime | None
    closer: str | None
    urgent: str | None
    total: int
    done: int
    na: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run; `kind` is a word such as started, ticked, na, check, evidence or closed."""

    id: int
    item_id: str | None
    at: datetime
    actor: str
    name: str
    kind: str
    old: str | None
    new: str | None
    note: str | None


@lru_cache(maxsize=64)
def _template(definition: str) -> Template:
    """A run's own definition: several runs have the same, and reading one takes longer than all the rest of its run."""
    return Template.model_validate(orjson.loads(definition))


def load_run(conn: Connection, run_id: int) -> ChecklistRun:
    """One run with phases, lines, states, who and when; NotFound."""
    row = conn.execute(
        text(
            "SELECT r.*, CAST(r.definition AS text) AS pinned, clock_timestamp() AS read_at, coalesce(s.name, r.started_by) AS starter,"
            " coalesce(c.name, r.closed_by) AS closer, coalesce(r.lead, r.started_by) AS led_by,"
            " coalesce(l.name, r.lead, s.name, r.started_by) AS leader,"
            # Read before all else, so that whatever is missing below comes with a later number.
            " (SELECT coalesce(max(id), 0) FROM ops.checklist_events WHERE run_id = r.id) AS last_event"
            " FROM ops.checklist_runs r LEFT JOIN ops.people s ON s.email = r.started_by"
            " LEFT JOIN ops.people c ON c.email = r.closed_by LEFT JOIN ops.people l ON l.email = r.lead"
            " WHERE r.id = :id"
        ),
        {"id": run_id},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no checklist run {run_id}: `nexaops checklists list` shows those there are.")
    template = _template(row.pinned)
    fields = {field.id: row.fields[field.id] for field in template.fields if field.id in row.fields}
    facts = Facts(
        fields,
        row.started_at,
        row.closed_at or row.read_at,
        _checks(conn, run_id),
        urgent=row.urgent_reason is not None,
    )
    marks, retired = _marks(conn, run_id)
    phases = build(template, marks, facts)
    signatures = tuple(
        replace(
            one,
            holds=one.valid
            and one.digest
            == digest_of(
                record_of(row.id, template, row.template_version, fields, phases, one.role, urgent=row.urgent_reason)
            ),
        )
        for one in list_signatures(conn, run_id)
    )
    signed = frozenset(one.role for one in signatures if one.holds)
    if signed:
        phases = build(template, marks, replace(facts, signed=signed))
    children = conn.execute(
        text("SELECT parent_item, max(id) AS id FROM ops.checklist_runs WHERE parent_run = :id GROUP BY parent_item"),
        {"id": run_id},
    )
    return ChecklistRun(
        id=row.id,
        template=template,
        template_version=row.template_version,
        state=RunState(row.state),
        fields=fields,
        started_at=row.started_at,
        started_by=row.started_by,
        starter=row.starter,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        closer=row.closer,
        phases=phases,
        progress=count(item for phase in phases for item in phase.items),
        fields_version=row.fields_version,
        lead=row.led_by,
        leader=row.leader,
        due_at=row.due_at,
        read_at=row.read_at,
        parent=(row.parent_run, row.parent_item) if row.parent_run is not None else None,
        children={child.parent_item: child.id for child in children},
        signatures=signatures,
        signed=signed,
        urgent=row.urgent_reason,
        review_due_at=row.review_due_at,
        retired=retired,
        last_event=row.last_event,
    )


def _marks(conn: Connection, run_id: int) -> tuple[dict[str, Mark], tuple[Retired, ...]]:
    """The marks by line, and the lines that are retired."""
    rows = conn.execute(
        text(
            "SELECT i.*, coalesce(p.name, i.changed_by) AS name, coalesce(v.name, i.verified_by) AS verifier,"
            " coalesce(a.name, i.assignee) AS assigned, coalesce(e.comments, 0) AS comments, coalesce(l.labels, '{}') AS labels,"
            " coalesce(l.proofs, '{}') AS proofs"
            " FROM ops.checklist_items i LEFT JOIN ops.people p ON p.email = i.changed_by"
            " LEFT JOIN ops.people v ON v.email = i.verified_by LEFT JOIN ops.people a ON a.email = i.assignee"
            " LEFT JOIN (SELECT item_id, count(*) AS comments FROM ops.checklist_events"
            "   WHERE run_id = :id AND kind = 'comment' GROUP BY item_id) e ON e.item_id = i.item_id"
            " LEFT JOIN (SELECT item_id, array_agg(label ORDER BY id) AS labels, array_agg(sha256 ORDER BY id) AS proofs"
            "   FROM ops.checklist_evidence"
            "   WHERE run_id = :id AND withdrawn_at IS NULL GROUP BY item_id) l ON l.item_id = i.item_id"
            " WHERE i.run_id = :id ORDER BY i.position"
        ),
        {"id": run_id},
    ).all()
    marks = {
        row.item_id: Mark(
            state=State(row.state),
            version=row.version,
            by=row.changed_by,
            name=row.name,
            at=row.changed_at,
            reason=row.reason,
            comments=row.comments,
            choice=row.choice,
            performed_at=row.performed_at,
            verified_by=row.verified_by,
            verifier=row.verifier,
            verified_at=row.verified_at,
            assignee=row.assignee,
            assigned=row.assigned,
            due_at=row.due_at,
            evidence=tuple(row.labels),
            proofs=tuple(row.proofs),
        )
        for row in rows
        if row.retired_at is None
    }
    retired = tuple(
        Retired(row.item_id, row.retired_as, State(row.state), row.name, row.changed_at, row.reason)
        for row in rows
        if row.retired_at is not None
    )
    return marks, retired


def _checks(conn: Connection, run_id: int) -> dict[str, CheckState]:
    rows = conn.execute(
        text(
            # A check that says the same again is no other result: what stands is the output that said so first.
            "SELECT DISTINCT ON (item_id) item_id, verdict, summary, mend, ran_at, expires_at,"
            " first_value(sha256) OVER (PARTITION BY item_id, turns ORDER BY id) AS sha256"
            " FROM (SELECT *, count(*) FILTER (WHERE turned) OVER (PARTITION BY item_id ORDER BY id) AS turns"
            "   FROM (SELECT c.*, verdict IS DISTINCT FROM lag(verdict) OVER (PARTITION BY c.item_id ORDER BY c.id)"
            "     AS turned FROM ops.checklist_checks c"
            "     JOIN ops.checklist_items i ON i.run_id = c.run_id AND i.item_id = c.item_id"
            "     WHERE c.run_id = :id AND c.ran_at >= coalesce(i.asked_at, '-infinity')) results) series"
            " ORDER BY item_id, id DESC"
        ),
        {"id": run_id},
    )
    return {
        row.item_id: CheckState(Standing(row.verdict), row.summary, row.ran_at, row.expires_at, row.mend, row.sha256)
        for row in rows
    }


def list_runs(
    conn: Connection,
    *,
    state: RunState | None = None,
    ended: bool = False,
    kind: str | None = None,
    template_id: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RunSummary]:
    """Runs, the newest first; the next page starts with `before_id` set to the last id of this one.

    `ended` leaves those out that are in hand.
    """
    rows = conn.execute(
        text(
            "SELECT r.id, r.template_id, r.title, r.kind, r.state, r.fields, r.started_at, r.closed_at,"
            " coalesce(s.name, r.started_by) AS starter, coalesce(c.name, r.closed_by) AS closer,"
            " r.urgent_reason AS urgent, i.total, i.done, i.na, greatest(r.started_at, r.closed_at, i.changed_at) AS changed_at"
            " FROM (SELECT * FROM ops.checklist_runs"
            "   WHERE (CAST(:state AS text) IS NULL OR state = :state) AND NOT (:ended AND state = 'open')"
            "   AND (CAST(:kind AS text) IS NULL OR kind = :kind)"
            "   AND (CAST(:template_id AS text) IS NULL OR template_id = :template_id)"
            "   AND (CAST(:before_id AS bigint) IS NULL OR id < :before_id)"
            "   ORDER BY id DESC LIMIT :limit) r"
            " LEFT JOIN ops.people s ON s.email = r.started_by LEFT JOIN ops.people c ON c.email = r.closed_by"
            " CROSS JOIN LATERAL (SELECT count(*) AS total, count(*) FILTER (WHERE state = 'done') AS done,"
            "   count(*) FILTER (WHERE state = 'na') AS na, max(changed_at) AS changed_at"
            "   FROM ops.checklist_items WHERE run_id = r.id AND retired_at IS NULL) i"
            " ORDER BY r.id DESC"
        ),
        {
            "state": state,
            "ended": ended,
            "kind": kind,
            "template_id": template_id,
            "before_id": before_id,
            "limit": limit,
        },
    )
    return [RunSummary(**{**row._asdict(), "state": RunState(row.state)}) for row in rows]


def list_events(
    conn: Connection, run_id: int, *, item_id: str | None = None, before_id: int | None = None, limit: int = 100
) -> list[Event]:
    """What happened in a run, or to one line of it, the newest first."""
    rows = conn.execute(
        text(
            "SELECT e.id, e.item_id, e.at, e.actor, coalesce(p.name, e.actor) AS name, e.kind, e.old, e.new, e.note"
            " FROM ops.checklist_events e LEFT JOIN ops.people p ON p.email = e.actor WHERE e.run_id = :run_id"
            " AND (CAST(:item_id AS text) IS NULL OR e.item_id = :item_id)"
            " AND (CAST(:before_id AS bigint) IS NULL OR e.id < :before_id) ORDER BY e.id DESC LIMIT :limit"
        ),
        {"run_id": run_id, "item_id": item_id, "before_id": before_id, "limit": limit},
    )
    return [Event(**row._asdict()) for row in rows]
