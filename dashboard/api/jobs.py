"""Jobs over the API: what there is, run it, pause and resume it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field, JsonValue
from sqlalchemy import text

from dashboard.api.endpoint import Answer, Call, Endpoint, Given, Name, Plain, Reason
from dashboard.api.runs import Run
from jobs.core.jobs import Job, find_job, load_jobs
from jobs.core.permissions import Right
from jobs.run.store import RunRow, find_run, latest_runs, request_run
from jobs.schedule.model import Schedule
from jobs.schedule.store import find_schedule, list_schedules, pause, resume
from jobs.schedule.words import in_words, next_fires


class JobPlace(Given):
    """Which job."""

    name: Name = Field(description="The job, as the list names it.")


class RunRequest(Given):
    """A run to ask for."""

    params: dict[str, JsonValue] = Field({}, description="The job's parameters; those left out have their defaults.")
    dry_run: bool = Field(False, description="Decide everything, write nothing.")
    reason: Plain | None = Field(None, description="Why; it stands in the run and in the audit trail.")


class PauseRequest(Given):
    """A pause of a job's schedule."""

    reason: Reason
    until: AwareDatetime | None = Field(None, description="When it resumes by itself; null: when somebody resumes it.")


class ResumeRequest(Given):
    """The end of a pause."""

    reason: Plain | None = Field(None, description="Why; it stands in the audit trail.")


class JobState(Answer):
    """A job and its schedule as they stand."""

    name: str
    title: str
    does: str
    schedule: str = Field(description="In words, such as every 2 minutes.")
    enabled: bool
    paused: bool
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None
    next_at: datetime | None = Field(description="When the schedule starts it next; null while it does not.")
    last_run: Run | None


class JobList(Answer):
    """Every job, by name."""

    jobs: list[JobState]


class JobDetail(JobState):
    """A job, with the JSON Schema of its parameters."""

    params_schema: dict[str, Any]


def list_jobs(call: Call) -> JobList:
    """Every job: when it runs, and its last run."""
    known, now = load_jobs(), _now(call)
    plans = [plan for plan in list_schedules(call.conn) if plan.name in known]
    last = latest_runs(call.conn, [plan.name for plan in plans])
    return JobList(jobs=[JobState(**_state(known[plan.name], plan, last.get(plan.name), now)) for plan in plans])


def show_job(call: Call, place: JobPlace) -> JobDetail:
    """One job, with the parameters it takes."""
    job, plan = find_job(place.name), find_schedule(call.conn, place.name)
    last = latest_runs(call.conn, [job.name]).get(job.name)
    return JobDetail(**_state(job, plan, last, _now(call)), params_schema=job.params.model_json_schema())


def run_job(call: Call, place: JobPlace, body: RunRequest) -> Run:
    """Ask for a run: a worker takes it within a moment, see the run itself for how it ends."""
    run_id = request_run(
        call.conn,
        job=place.name,
        params=body.params,
        dry_run=body.dry_run,
        trigger="api",
        actor=call.token.email,
        reason=body.reason or None,
        origin=call.origin,
    )
    return Run.model_validate(find_run(call.conn, run_id))


def pause_job(call: Call, place: JobPlace, body: PauseRequest) -> JobDetail:
    """Stop a job's schedule; what runs goes on, and it can still be run by hand."""
    find_job(place.name)
    pause(
        call.conn, place.name, actor=call.token.email, reason=body.reason, until=body.until, origin=call.origin
    )  # fmt: skip
    return show_job(call, place)


def resume_job(call: Call, place: JobPlace, body: ResumeRequest) -> JobDetail:
    """Let a paused job's schedule go on from now."""
    find_job(place.name)
    resume(call.conn, place.name, actor=call.token.email, reason=body.reason or None, origin=call.origin)
    return show_job(call, place)


def _now(call: Call) -> datetime:
    now: datetime = call.conn.execute(text("SELECT now()")).scalar_one()
    return now


def _state(job: Job, plan: Schedule, last: RunRow | None, now: datetime) -> dict[str, Any]:
    paused = plan.paused(now)
    return {
        "name": job.name,
        "title": job.title,
        "does": job.does,
        "schedule": in_words(plan),
        "enabled": plan.enabled,
        "paused": paused,
        "paused_by": plan.paused_by if paused else None,
        "paused_reason": plan.paused_reason if paused else None,
        "paused_until": plan.paused_until if paused else None,
        "next_at": next(iter(next_fires(plan, now, 1)), None),
        "last_run": None if last is None else Run.model_validate(last),
    }


ENDPOINTS = (
    Endpoint("GET", "/jobs", Right.VIEW, list_jobs),
    Endpoint("GET", "/jobs/{name}", Right.VIEW, show_job),
    Endpoint("POST", "/jobs/{name}/runs", Right.RUN_JOBS, run_job, status=202, location="/runs/{id}"),
    Endpoint("POST", "/jobs/{name}/pause", Right.PAUSE_JOBS, pause_job),
    Endpoint("POST", "/jobs/{name}/resume", Right.PAUSE_JOBS, resume_job),
)
