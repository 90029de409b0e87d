"""open-maintenance: the lists with a schedule open, and what is overdue goes to whoever is next."""

from __future__ import annotations

from checklists.load import load_templates
from checklists.opening import escalate, open_due
from checklists.schema import Template
from jobs.core.jobs import Every, Params, Run, job


@job(
    name="open-maintenance",
    title="Open checklists",
    does="Opens every checklist that is due by its schedule, and escalates those that are overdue.",
    schedule=Every(60),
    timeout_s=60,
    retries=1,
    params=Params,
)
def open_maintenance(run: Run, _params: Params) -> None:
    """Counts `opened`, `missed`, `refused` and `escalated`."""
    for name in ("opened", "missed", "refused", "escalated"):
        run.count(name, 0)
    templates = [found for found in load_templates() if isinstance(found, Template)]
    schedules = {template.id: template.schedule for template in templates if template.schedule is not None}
    if run.dry_run:
        run.info("a dry run opens nothing", scheduled=len(schedules))
        return
    for template in templates:
        if template.schedule is None or run.should_stop():
            continue
        with run.db.begin() as conn:
            outcomes = open_due(conn, template, template.schedule)
        for one in outcomes:
            run.count(one.state)
            say = run.info if one.state == "opened" else run.warning
            say(f"an occurrence was {one.state}", checklist=template.id, occurs_at=one.occurs_at, run=one.run_id,
                reason=one.note)  # fmt: skip
    with run.db.begin() as conn:
        run.count("escalated", escalate(conn, schedules))
