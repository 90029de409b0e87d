"""What an item's button does: it runs a job, switches a flag, pauses or resumes schedules, or tells the team.

`describe` says beforehand, in words, what will happen (pure); `perform` does it through the same commands as the pages
Jobs and Overview, with their rights and audit rows, in the caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from checklists.grammar import Action
from jobs.alerts.notices import SEND_NOTICE
from jobs.core.errors import NotFound, UsageError
from jobs.core.flags import MEANINGS, Flag, set_flag
from jobs.core.jobs import Job
from jobs.core.people import Person
from jobs.core.permissions import Right, require
from jobs.run.store import check_params, request_run
from jobs.schedule.model import Schedule
from jobs.schedule.store import list_schedules, pause, resume

ALL = "all"


@dataclass(frozen=True, slots=True)
class Described:
    """A button before it is pressed: its label, what will happen, and the right that it takes."""

    label: str
    consequence: str
    right: Right


@dataclass(frozen=True, slots=True)
class Done:
    """What a button did: a sentence, and the run to follow, if it asked for one."""

    sentence: str
    run_id: int | None = None


def right_of(action: Action) -> Right:
    """What somebody must be allowed to press it."""
    if action.job is not None:
        return Right.RUN_JOBS
    if action.notice is not None:
        return Right.SEND_NOTICES
    return Right.SET_FLAGS if action.flag is not None else Right.PAUSE_JOBS


def describe(action: Action, jobs: Mapping[str, Job], fields: Mapping[str, str]) -> Described:
    """What it will do in a run with this summary; NotFound or UsageError for what there is not."""
    right = right_of(action)
    if action.notice is not None:
        notice = action.notice.filled(fields)
        return Described("Tell the team", f"Sends to all channels of the team: “{notice.title}” {notice.body}", right)
    if action.job is not None:
        job = _job(action.job, jobs)
        given = check_params(job, action.params)
        chosen = ", ".join(f"{name} = {given[name]}" for name in action.params)
        return Described(
            f"Run {job.name}",
            f"{job.does}" + (f" With {chosen}." if chosen else "") + " A worker takes it at once.",
            right,
        )
    if action.flag is not None:
        flag = _flag(action.flag)
        if action.to:
            return Described(f"Switch {flag} on", f"From now on {MEANINGS[flag]}.", right)
        what = f"Within a second this stops, also in runs that are under way: {MEANINGS[flag]}."
        return Described(f"Switch {flag} off", what, right)
    name = action.pause or action.resume or ""
    which = "every job that runs by itself" if name == ALL else _job(name, jobs).name
    if action.pause is not None:
        return Described(
            f"Pause {'all jobs' if name == ALL else name}",
            f"Stops the schedule of {which} until somebody resumes it; what runs goes on, and pending transactions wait.",
            right,
        )
    return Described(
        f"Resume {'all jobs' if name == ALL else name}", f"Lets {which} run on its schedule again, from now on.", right
    )


def perform(
    conn: Connection, action: Action, actor: Person, reason: str, *, fields: Mapping[str, str], place: str, origin: str
) -> Done:
    """Does it, in the caller's transaction, with the audit rows of what it does.

    `fields` is the summary of the run and `place` names the item in it: the same notice from one place goes out once.
    Raises Forbidden, UsageError without a reason, NotFound, and Conflict where nothing is left to do.
    """
    require(actor, right_of(action))
    if not reason.strip():
        raise UsageError("Say why: a reason is needed.")
    if action.job is not None:
        run_id = request_run(
            conn, job=action.job, params=action.params, trigger="checklist", actor=actor.email, reason=reason,
            origin=origin,
        )  # fmt: skip
        return Done(f"Run {run_id} of {action.job} is queued.", run_id)
    if action.notice is not None:
        notice = action.notice.filled(fields)
        told = {"title": notice.title, "body": f"{notice.body}\n\n{actor.name}"}
        digest = hashlib.sha256(f"{notice.title}\n{notice.body}".encode()).hexdigest()
        run_id = request_run(
            conn, job=SEND_NOTICE, params={**told, "key": f"{place}-{digest[:12]}"}, trigger="checklist",
            actor=actor.email, reason=reason, origin=origin,
        )  # fmt: skip
        return Done(f"Run {run_id} tells the team: “{notice.title}”.", run_id)
    if action.flag is not None:
        flag, value = _flag(action.flag), bool(action.to)
        changed = set_flag(conn, flag, value, actor=actor.email, reason=reason, origin=origin)
        return Done(f"{flag} is {'on' if value else 'off'}{'' if changed else ' already'}.")
    if action.pause is not None:
        return _pause(conn, action.pause, actor, reason, origin)
    return _resume(conn, action.resume or "", actor, reason, origin)


def _pause(conn: Connection, name: str, actor: Person, reason: str, origin: str) -> Done:
    plans = _schedules(conn, name)
    open_ = [plan.name for plan in plans if plan.paused_at is None] if name == ALL else [name]
    for each in open_:
        pause(conn, each, actor=actor.email, reason=reason, origin=origin)
    return Done(f"Paused: {', '.join(open_)}." if open_ else "All jobs are paused already.")


def _resume(conn: Connection, name: str, actor: Person, reason: str, origin: str) -> Done:
    plans = _schedules(conn, name)
    paused = [plan.name for plan in plans if plan.paused_at is not None] if name == ALL else [name]
    for each in paused:
        resume(conn, each, actor=actor.email, reason=reason, origin=origin)
    return Done(f"Resumed: {', '.join(paused)}." if paused else "No job is paused.")


def _schedules(conn: Connection, name: str) -> list[Schedule]:
    """Locked in the order of their names, so that two who pause everything wait for each other, once."""
    conn.execute(
        text("SELECT 1 FROM ops.schedules WHERE name = :name OR :name = 'all' ORDER BY name FOR UPDATE"), {"name": name}
    )
    return [plan for plan in list_schedules(conn) if name in (ALL, plan.name)]


def _job(name: str, jobs: Mapping[str, Job]) -> Job:
    if name not in jobs:
        raise NotFound(f"There is no job {name}: the jobs are {', '.join(jobs)}.")
    return jobs[name]


def _flag(name: str) -> Flag:
    try:
        return Flag(name)
    except ValueError:
        raise NotFound(f"There is no flag {name}: the flags are {', '.join(Flag)}.") from None
