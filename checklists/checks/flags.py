"""Feature flags and pauses: whether a switch stands as an item says, and which switches stand at all."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import text

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, gathered, judged
from checklists.checks.reach import plural, reading, some
from jobs.core.flags import MEANINGS, Flag, list_flags
from jobs.schedule.store import list_schedules


class FlagParams(CheckParams):
    """Which flag, and how it has to stand."""

    flag: Flag = Field(description="its name")
    value: bool = Field(description="on or off")


@check("flags.equals", title="A feature flag stands as it should", params=FlagParams)
def equals(context: CheckContext, params: FlagParams) -> CheckResult:
    """The flag at this moment, who set it and why."""
    with reading(context) as conn:
        state = next((each for each in list_flags(conn) if each.flag is params.flag), None)
    if state is None:
        raise Unable(f"The database has no flag {params.flag}.", "Run `nexaops migrate`.")
    words = "on" if state.value else "off"
    why = f": {state.reason}" if state.reason else ""
    return judged(
        state.value is params.value,
        f"{params.flag} is {words}, set by {state.changed_by} at {state.changed_at:%Y-%m-%d %H:%M} UTC{why}.",
        f"Switch it {'on' if params.value else 'off'}: {MEANINGS[params.flag]} while it is on.",
        flag=params.flag.value,
        value=state.value,
    )


@check("flags.switches", title="What is switched off or paused", params=NoParams)
def switches(context: CheckContext, params: NoParams) -> CheckResult:
    """Flags that stand unusually, paused schedules, and the runs that go on at this moment."""
    with reading(context) as conn:
        flags = [state for state in list_flags(conn) if state.unusual]
        plans = list_schedules(conn)
        running = conn.execute(
            text("SELECT job, count(*) AS n FROM ops.runs WHERE state = 'running' GROUP BY job ORDER BY job")
        ).all()
    paused = [plan for plan in plans if plan.paused(context.now)]
    if not plans:
        raise Unable("The database has no schedules.", "Run `nexaops migrate`.")
    named = [state.flag.value for state in flags] + [plan.name for plan in paused]
    return gathered(
        f"Switched off or paused: {some(named)}; {plural(sum(row.n for row in running), 'run')} under way."
        if named
        else f"Nothing is switched off or paused; {plural(sum(row.n for row in running), 'run')} under way.",
        flags=[f"{each.flag.value} is {'on' if each.value else 'off'}, by {each.changed_by}: {each.reason or '–'}"
               for each in flags],
        paused=[f"{plan.name}, by {plan.paused_by}: {plan.paused_reason}; "
                + (f"until {plan.paused_until:%Y-%m-%d %H:%M} UTC" if plan.paused_until else "until it is resumed")
                for plan in paused],
        running={row.job: row.n for row in running},
    )  # fmt: skip
