"""Checklists over the API: definitions, runs, and starting one.

What happens to single lines of a run is in `items`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from checklists.lines import Kind, Progress, Standing, TrackedItem, TrackedPhase
from checklists.load import BrokenTemplate, find_template
from checklists.reads import ChecklistRun, RunState, list_runs, load_run
from checklists.schema import Template
from checklists.store import start_run
from dashboard.api.endpoint import Answer, Before, Call, Endpoint, Given, Id, Name, Paged
from dashboard.queries_checklists import templates
from jobs.core.permissions import Right


class ChecklistPlace(Given):
    """Which run of a checklist."""

    run: Id


class ChecklistQuery(Before):
    """What a list of runs is narrowed to."""

    template: Name | None = None
    state: RunState | None = None


class StartRequest(Given):
    """A run to be started."""

    template: Name = Field(description="The definition's id.")
    fields: dict[str, str] = Field({}, description="The summary's lines by their ids, as the definition lists them.")


class SummaryLine(Answer):
    """A line of the summary that a run is started with."""

    id: str
    title: str
    type: str
    required: bool


class Definition(Answer):
    """A definition; one that cannot be used says why in `broken`, and has nothing else."""

    id: str
    title: str | None = None
    kind: str | None = None
    version: str | None = Field(None, description="SHA-256 of the canonical definition.")
    fields: list[SummaryLine] = Field([])
    broken: str | None = None


class DefinitionList(Answer):
    """Every definition, the broken ones too."""

    checklists: list[Definition]


class Counts(Answer):
    """Lines to tick, counted; `required_open` is what keeps it from being complete."""

    total: int
    done: int
    na: int
    required_open: int


class Item(Answer):
    """One line; only those of kind item are ticked, with the `version` that they were seen at."""

    id: str
    kind: Kind
    text: str
    help: str | None
    role: str | None = Field(description="Whose line it is; null: everybody's who ticks.")
    required: bool
    state: Literal["open", "done", "na"]
    version: int
    changed_by: str | None
    changed_at: datetime | None
    reason: str | None
    choices: list[str] = Field(description="The ways that a decision can go; a tick names one as its `choice`.")
    choice: str | None
    performed_at: datetime | None = Field(description="On a late entry: when it was done.")
    verified_by: str | None
    assignee: str | None
    opens_at: datetime | None
    due_at: datetime | None
    missing_evidence: list[str] = Field(description="The labels of what must be left on it before it is ticked.")
    check: Standing | None = Field(description="What the last result of its check is worth now.")
    holds: str | None = Field(description="Why it holds its phase although it is done.")
    comments: int
    items: list[Item]


class Phase(Answer):
    """A part of a run; `waits_for` has the titles of what must be complete before a tick here."""

    id: str
    title: str
    mode: str
    waits_for: list[str]
    gate: list[str] = Field(description="What its gate still wants, in words.")
    progress: Counts
    items: list[Item]


class ChecklistSummary(Answer):
    """A run in a list; `starter` and `closer` are names to show."""

    id: int
    template: str
    title: str
    kind: str
    state: RunState
    fields: dict[str, str]
    started_at: datetime
    starter: str
    closed_at: datetime | None
    closer: str | None
    total: int
    done: int
    na: int
    changed_at: datetime


class ChecklistPage(Paged):
    """Runs, newest first."""

    checklist_runs: list[ChecklistSummary]


class ChecklistDetail(Answer):
    """A run with everything in it."""

    id: int
    template: str
    template_version: str
    title: str
    kind: str
    state: RunState
    fields: dict[str, str]
    started_at: datetime
    started_by: str
    closed_at: datetime | None
    closed_by: str | None
    lead: str = Field(description="Who has it now.")
    due_at: datetime | None
    progress: Counts
    phases: list[Phase]


def list_definitions(call: Call) -> DefinitionList:
    """Every definition that a run can be started from."""
    del call  # definitions are files
    return DefinitionList(checklists=[_definition(found) for found in templates()])


def list_all(call: Call, query: ChecklistQuery) -> ChecklistPage:
    """Runs of checklists, newest first."""
    found = list_runs(
        call.conn,
        state=query.state,
        template_id=query.template,
        before_id=query.before,
        limit=query.limit + 1,
    )
    runs = [
        ChecklistSummary(
            id=row.id,
            template=row.template_id,
            title=row.title,
            kind=row.kind,
            state=row.state,
            fields=dict(row.fields),
            started_at=row.started_at,
            starter=row.starter,
            closed_at=row.closed_at,
            closer=row.closer,
            total=row.total,
            done=row.done,
            na=row.na,
            changed_at=row.changed_at,
        )
        for row in found[: query.limit]
    ]
    return ChecklistPage(checklist_runs=runs, next=runs[-1].id if len(found) > query.limit else None)


def show(call: Call, place: ChecklistPlace) -> ChecklistDetail:
    """One run: its phases, and every line with its state and version."""
    return _detail(load_run(call.conn, place.run))


def start(call: Call, body: StartRequest) -> ChecklistDetail:
    """Start a run of a checklist."""
    template = find_template(body.template)
    run_id = start_run(call.conn, template, body.fields, call.token, origin=call.origin)
    return _detail(load_run(call.conn, run_id))


def item_of(item: TrackedItem) -> Item:
    """A line as it is answered, with what stands below it."""
    mark = item.mark
    return Item(
        id=item.id,
        kind=item.kind,
        text=item.label,
        help=item.definition.help,
        role=None if item.role is None else item.role.value,
        required=item.kind is not Kind.NOTE and item.definition.need == "required",
        state=item.state.value,
        version=mark.version,
        changed_by=mark.by,
        changed_at=mark.at,
        reason=mark.reason,
        choices=[choice.id for choice in item.definition.decide],
        choice=mark.choice,
        performed_at=mark.performed_at,
        verified_by=mark.verified_by,
        assignee=mark.assignee,
        opens_at=item.opens_at,
        due_at=item.due_at,
        missing_evidence=list(item.missing_evidence),
        check=item.standing,
        holds=item.holds,
        comments=mark.comments,
        items=[item_of(child) for child in item.children],
    )


def _definition(found: Template | BrokenTemplate) -> Definition:
    if isinstance(found, BrokenTemplate):
        return Definition(id=found.id, broken=f"line {found.faults[0].line}: {found.faults[0].what}")
    lines = [
        SummaryLine(id=field.id, title=field.title, type=field.type.value, required=field.required)
        for field in found.fields
    ]
    return Definition(id=found.id, title=found.title, kind=found.kind, version=found.version, fields=lines)


def _detail(run: ChecklistRun) -> ChecklistDetail:
    return ChecklistDetail(
        id=run.id,
        template=run.template.id,
        template_version=run.template_version,
        title=run.template.title,
        kind=run.template.kind,
        state=run.state,
        fields=dict(run.fields),
        started_at=run.started_at,
        started_by=run.started_by,
        closed_at=run.closed_at,
        closed_by=run.closed_by,
        lead=run.lead,
        due_at=run.due_at,
        progress=_counts(run.progress),
        phases=[_phase(phase) for phase in run.phases],
    )


def _phase(phase: TrackedPhase) -> Phase:
    return Phase(
        id=phase.definition.id,
        title=phase.definition.title,
        mode=phase.definition.mode.value,
        waits_for=list(phase.waits_for),
        gate=list(phase.gate),
        progress=_counts(phase.progress),
        items=[item_of(item) for item in phase.items],
    )


def _counts(progress: Progress) -> Counts:
    return Counts.model_validate(progress)


ENDPOINTS = (
    Endpoint("GET", "/checklists", Right.VIEW, list_definitions),
    Endpoint("GET", "/checklist-runs", Right.VIEW, list_all),
    Endpoint("POST", "/checklist-runs", Right.START_CHECKLIST, start, status=201, location="/checklist-runs/{id}"),
    Endpoint("GET", "/checklist-runs/{run}", Right.VIEW, show),
)
