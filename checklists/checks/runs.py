"""Runs of other checklists: the drill that was held, the maintenance that is planned."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from sqlalchemy import text

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, judged, passed
from checklists.checks.reach import age, plural, reading, some
from checklists.grammar import Duration, Id
from checklists.load import load_templates
from checklists.schema import Template
from jobs.schedule.store import find_schedule

OPENER = "open-maintenance"
"""The job that opens the runs that fall due."""
_LATELY = timedelta(hours=1)


class CompletedParams(CheckParams):
    """Which checklist, and how long ago at most."""

    template: Id = Field(description="its id")
    within: Duration = Field(timedelta(days=90), description="completed within")


@check("runs.completed", title="The checklist was completed lately", params=CompletedParams)
def completed(context: CheckContext, params: CompletedParams) -> CheckResult:
    """The last run of it that was closed as done."""
    with reading(context) as conn:
        row = conn.execute(
            text(
                "SELECT id, closed_at, closed_by FROM ops.checklist_runs WHERE template_id = :template AND state = 'done'"
                " ORDER BY closed_at DESC LIMIT 1"
            ),
            {"template": params.template},
        ).one_or_none()
    mend = f"Work through it: nexaops checklists start {params.template}."
    if row is None:
        return failed(f"{params.template} was never completed.", mend)
    return judged(
        row.closed_at >= context.now - params.within,
        f"Run {row.id} of {params.template} was completed {age(context.now - row.closed_at)} ago by {row.closed_by}.",
        mend,
        run=row.id,
    )


class PlannedParams(CheckParams):
    """Which checklists."""

    templates: list[Id] = Field(
        default=["maintenance-weekly", "maintenance-monthly", "maintenance-quarterly"], min_length=1, max_length=50
    )


@check("runs.planned", title="The maintenance is planned", params=PlannedParams)
def planned(context: CheckContext, params: PlannedParams) -> CheckResult:
    """Each of them has a schedule in its definition, and the job that opens them is on."""
    templates = {each.id: each for each in load_templates() if isinstance(each, Template)}
    unplanned = [name for name in params.templates if name not in templates or templates[name].schedule is None]
    if unplanned:
        return failed(f"Without a schedule: {some(unplanned)}.", "Give each definition a `schedule`.")
    with reading(context) as conn:
        opener = find_schedule(conn, OPENER)
        last = conn.execute(
            text("SELECT max(finished_at) FROM ops.runs WHERE job = :job AND state = 'succeeded' AND NOT dry_run"),
            {"job": OPENER},
        ).scalar()
    if not opener.active(context.now):
        return failed(f"{OPENER} is switched off or paused.", "Resume it on the page Jobs.")
    if last is None or last < context.now - _LATELY:
        raise Unable(f"{OPENER} has not run lately: nothing would open.", "Start `nexaops worker`, then look again.")
    rules = {name: str(found.rrule) for name in params.templates if (found := templates[name].schedule)}
    return passed(f"{plural(len(rules), 'checklist')} will open by itself.", rules=rules)
