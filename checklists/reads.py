"""Runs of checklists as they stand: one whole, a page of them, and what happened in one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Row, text

from checklists.lines import CheckState, Facts, Mark, Progress, Standing, State, TrackedPhase, build, count, next_turn
from checklists.record import digest_of, record_of
from checklists.schema import Template
from checklists.signatures import Signature, signatures_of
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
    While `version` stays nothing has changed but the clock, and that changes nothing before `turns_at`.
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
    version: str
    turns_at: datetime | None


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


@dataclass(frozen=True, slots=True)
class Moment:
    """A run's `version` at one look, and when that was (the database's clock, UTC)."""

    version: str
    read_at: datetime


# Everything that changes a run leaves an event with it. They are counted: two commands on two lines do not wait for each
# other, so the one with the lower number may commit last, and the highest number would not tell. The time of the newest
# one tells a database that went back to its backup; the run's own row and everybody's names are part of what is read.
_VERSION = (
    "concat_ws(' ', current_database(), r.xmin, (SELECT count(*) FROM ops.checklist_events WHERE run_id = r.id),"
    " (SELECT at FROM ops.checklist_events WHERE run_id = r.id ORDER BY id DESC LIMIT 1),"
    " (SELECT sum(hashtext(email || ' ' || name)) FROM ops.people))"
)


@lru_cache(maxsize=64)
def _template(definition: str) -> Template:
    """A run's own definition: several runs have the same, and reading one takes longer than all the rest of its run."""
    return Template.model_validate(orjson.loads(definition))


def load_run(conn: Connection, run_id: int) -> ChecklistRun:
    """One run with phases, lines, states, who and when; NotFound."""
    found = load_runs(conn, [run_id])
    if not found:
        raise unknown(run_id)
    return found[0]


def unknown(run_id: int) -> NotFound:
    """What to say of a run that there is not."""
    return NotFound(f"There is no checklist run {run_id}: `nexaops checklists list` shows those there are.")


def load_runs(conn: Connection, run_ids: Sequence[int]) -> tuple[ChecklistRun, ...]:
    """Several at once, in the order of their ids as given; without those that there are not."""
    if not run_ids:
        return ()
    bound = {"ids": list(run_ids)}
    # Read before all else, so that whatever is missing below comes with another `version`.
    rows = {
        row.id: row
        for row in conn.execute(
            text(
                "SELECT r.id, r.template_version, r.state, r.fields, r.fields_version, r.started_at, r.started_by,"  # noqa: S608 - the part is ours
                " r.closed_at, r.closed_by, r.due_at, r.parent_run, r.parent_item, r.urgent_reason, r.review_due_at,"
                f" CAST(r.definition AS text) AS pinned, clock_timestamp() AS read_at, {_VERSION} AS version,"
                " coalesce(s.name, r.started_by) AS starter, coalesce(c.name, r.closed_by) AS closer,"
                " coalesce(r.lead, r.started_by) AS led_by, coalesce(l.name, r.lead, s.name, r.started_by) AS leader"
                " FROM ops.checklist_runs r LEFT JOIN ops.people s ON s.email = r.started_by"
                " LEFT JOIN ops.people c ON c.email = r.closed_by LEFT JOIN ops.people l ON l.email = r.lead"
                " WHERE r.id = ANY(:ids)"
            ),
            bound,
        )
    }
    if not rows:
        return ()
    marks, retired = _marks(conn, bound)
    checks, signatures = _checks(conn, bound), signatures_of(conn, run_ids)
    children: dict[int, dict[str, int]] = defaultdict(dict)
    for child in conn.execute(
        text(
            "SELECT parent_run, parent_item, max(id) AS id FROM ops.checklist_runs WHERE parent_run = ANY(:ids)"
            " GROUP BY parent_run, parent_item"
        ),
        bound,
    ):
        children[child.parent_run][child.parent_item] = child.id
    return tuple(
        _run(
            rows[run_id],
            marks[run_id],
            tuple(retired[run_id]),
            checks[run_id],
            signatures.get(run_id, ()),
            children[run_id],
        )
        for run_id in run_ids
        if run_id in rows
    )


def read_moments(conn: Connection, run_ids: Sequence[int]) -> Mapping[int, Moment]:
    """What tells each run from what it was before, and when that was read; without those that there are not."""
    rows = conn.execute(
        text(
            "SELECT r.id, clock_timestamp() AS read_at,"  # noqa: S608 - the part is ours
            f" {_VERSION} AS version FROM ops.checklist_runs r WHERE r.id = ANY(:ids)"
        ),
        {"ids": list(run_ids)},
    )
    return {row.id: Moment(row.version, row.read_at) for row in rows}


def _run(
    row: Row[Any],
    marks: Mapping[str, Mark],
    retired: tuple[Retired, ...],
    checks: Mapping[str, CheckState],
    signatures: tuple[Signature, ...],
    children: Mapping[str, int],
) -> ChecklistRun:
    template = _template(row.pinned)
    fields = {field.id: row.fields[field.id] for field in template.fields if field.id in row.fields}
    urgent = row.urgent_reason
    facts = Facts(fields, row.started_at, row.closed_at or row.read_at, checks, urgent=urgent is not None)
    phases = build(template, marks, facts)
    signatures = tuple(
        replace(
            one,
            holds=one.valid
            and one.digest
            == digest_of(record_of(row.id, template, row.template_version, fields, phases, one.role, urgent=urgent)),
        )
        for one in signatures
    )
    signed = frozenset(one.role for one in signatures if one.holds)
    if signed:
        phases = build(template, marks, replace(facts, signed=signed))
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
        progress=count(phases),
        fields_version=row.fields_version,
        lead=row.led_by,
        leader=row.leader,
        due_at=row.due_at,
        read_at=row.read_at,
        parent=(row.parent_run, row.parent_item) if row.parent_run is not None else None,
        children=children,
        signatures=signatures,
        signed=signed,
        urgent=urgent,
        review_due_at=row.review_due_at,
        retired=retired,
        version=row.version,
        turns_at=None if row.closed_at is not None else next_turn(phases, row.due_at, row.read_at),
    )


# What a mark has stands last, in its order and under its names: marks are made by place.
_MARKS = text(
    "SELECT i.run_id, i.item_id, i.retired_at, i.retired_as, i.state, i.version, i.changed_by AS by,"
    " coalesce(p.name, i.changed_by) AS name, i.changed_at AS at, i.reason, coalesce(e.comments, 0) AS comments,"
    " i.choice, i.performed_at, i.verified_by, coalesce(v.name, i.verified_by) AS verifier, i.verified_at, i.assignee,"
    " coalesce(a.name, i.assignee) AS assigned, i.due_at, coalesce(l.labels, '{}') AS evidence,"
    " coalesce(l.proofs, '{}') AS proofs"
    " FROM ops.checklist_items i LEFT JOIN ops.people p ON p.email = i.changed_by"
    " LEFT JOIN ops.people v ON v.email = i.verified_by LEFT JOIN ops.people a ON a.email = i.assignee"
    " LEFT JOIN (SELECT run_id, item_id, count(*) AS comments FROM ops.checklist_events"
    "   WHERE run_id = ANY(:ids) AND kind = 'comment' GROUP BY run_id, item_id) e"
    "   ON e.run_id = i.run_id AND e.item_id = i.item_id"
    " LEFT JOIN (SELECT run_id, item_id, array_agg(label ORDER BY id) AS labels,"
    "     array_agg(sha256 ORDER BY id) AS proofs FROM ops.checklist_evidence"
    "   WHERE run_id = ANY(:ids) AND withdrawn_at IS NULL GROUP BY run_id, item_id) l"
    "   ON l.run_id = i.run_id AND l.item_id = i.item_id"
    " WHERE i.run_id = ANY(:ids) ORDER BY i.run_id, i.position"
)


def _marks(
    conn: Connection, bound: Mapping[str, object]
) -> tuple[Mapping[int, dict[str, Mark]], Mapping[int, list[Retired]]]:
    """The marks by line of each run, and its lines that are retired."""
    rows = conn.execute(_MARKS, bound)
    marks: dict[int, dict[str, Mark]] = defaultdict(dict)
    retired: dict[int, list[Retired]] = defaultdict(list)
    # By place, not by name: of all that a run has, its lines are the many.
    for run_id, item_id, retired_at, retired_as, state, *known, labels, proofs in rows.all():
        mark = Mark(State(state), *known, *map(tuple, (labels, proofs)))
        if retired_at is None:
            marks[run_id][item_id] = mark
        else:
            retired[run_id].append(Retired(item_id, retired_as, mark.state, mark.name, mark.at, mark.reason))
    return marks, retired


def _checks(conn: Connection, bound: Mapping[str, object]) -> Mapping[int, dict[str, CheckState]]:
    """The last result of each line's check, by run."""
    rows = conn.execute(
        text(
            # A check that says the same again is no other result: what stands is the output that said so first.
            "SELECT DISTINCT ON (run_id, item_id) run_id, item_id, verdict, summary, mend, ran_at, expires_at,"
            " first_value(sha256) OVER (PARTITION BY run_id, item_id, turns ORDER BY id) AS sha256"
            " FROM (SELECT *, count(*) FILTER (WHERE turned) OVER (PARTITION BY run_id, item_id ORDER BY id) AS turns"
            "   FROM (SELECT c.*, verdict IS DISTINCT FROM"
            "       lag(verdict) OVER (PARTITION BY c.run_id, c.item_id ORDER BY c.id) AS turned"
            "     FROM ops.checklist_checks c"
            "     JOIN ops.checklist_items i ON i.run_id = c.run_id AND i.item_id = c.item_id"
            "     WHERE c.run_id = ANY(:ids) AND c.ran_at >= coalesce(i.asked_at, '-infinity')) results) series"
            " ORDER BY run_id, item_id, id DESC"
        ),
        bound,
    )
    found: dict[int, dict[str, CheckState]] = defaultdict(dict)
    for row in rows:
        found[row.run_id][row.item_id] = CheckState(
            Standing(row.verdict), row.summary, row.ran_at, row.expires_at, row.mend, row.sha256
        )
    return found


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
