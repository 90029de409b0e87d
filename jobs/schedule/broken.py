"""What the installed packages bring that does not work: for every place that shows how the jobs stand.

A module that cannot be imported is known to `jobs.core.jobs`; whether a declared schedule means anything, only this room
can tell. A job whose schedule means nothing gets none: it is named here, and can still be run by hand.
"""

from __future__ import annotations

from jobs.core.errors import UsageError
from jobs.core.jobs import Broken, Cron, Every, broken_modules, load_jobs
from jobs.schedule.model import trigger_of


def broken_jobs() -> tuple[Broken, ...]:
    """Every broken entry point, then every job whose schedule cannot be read, each with its reason."""
    wrong = ((job, unreadable(job.schedule)) for job in load_jobs().values())
    return broken_modules() + tuple(
        Broken(job.name, job.function.__module__, f"its schedule cannot be read: {reason}")
        for job, reason in wrong
        if reason is not None
    )


def unreadable(schedule: Cron | Every | None) -> str | None:
    """Why the schedule that a job declares means no instants; None if it does, or if there is none."""
    try:
        match schedule:
            case Cron(expression):
                trigger_of("cron", expression, "UTC")
            case Every(seconds):
                trigger_of("interval", str(seconds), "UTC")
    except UsageError as error:
        return str(error).rstrip(".")
    return None
