"""Runs without a database: the record of a definition whose first lines are ticked, with the history to match."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from checklists.convert.record import RunRecord, build_record
from checklists.lines import Facts, Mark, State, build, count, leaves
from checklists.reads import ChecklistRun, Event, RunState
from checklists.schema import Template

STARTED = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


def ticked(template: Template, number: int, *, name: str, at: datetime, reason: str | None = None) -> dict[str, Mark]:
    """The marks of the first so many lines, all done by one person."""
    first = list(leaves(build(template, {})))[:number]
    return {line.id: Mark(State.DONE, 2, "ana@nexafx.com", name, at, reason) for line in first}


def run_of(template: Template, marks: Mapping[str, Mark]) -> ChecklistRun:
    fields = {"version": "1.10"} if any(field.id == "version" for field in template.fields) else {}
    phases = build(template, marks, Facts(fields, STARTED))
    return ChecklistRun(
        id=12,
        template=template,
        template_version=template.version,
        state=RunState.OPEN,
        fields=fields,
        started_at=STARTED,
        started_by="ana@nexafx.com",
        starter="Ana",
        closed_at=None,
        closed_by=None,
        closer=None,
        phases=phases,
        progress=count(phases),
        fields_version=1,
        lead="ana@nexafx.com",
        leader="Ana",
        due_at=None,
        read_at=STARTED,
        parent=None,
        children={},
        signatures=(),
        signed=frozenset(),
        urgent=None,
        review_due_at=None,
        retired=(),
        version="",
        turns_at=None,
    )


def record_of(template: Template, marks: Mapping[str, Mark]) -> RunRecord:
    events = [Event(1, None, STARTED, "ana@nexafx.com", "Ana", "started", None, template.version, None)]
    for number, (item, mark) in enumerate(marks.items(), 2):
        assert mark.at is not None
        events.append(
            Event(number, item, mark.at, str(mark.by), str(mark.name), "ticked", "open", mark.state.value, mark.reason)
        )
    return build_record(run_of(template, marks), events)
