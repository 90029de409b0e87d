"""Runs over the API: what ran, how it ended, what it wrote; stopping one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from dashboard.api.endpoint import Answer, Before, Call, Endpoint, Given, Id, Name, Paged, Reason
from jobs.core.permissions import Right
from jobs.run.store import find_run, list_runs, log_tail, stop_run

State = Literal["queued", "running", "succeeded", "failed", "stopped", "timed_out", "lost", "missed", "skipped"]


class RunPlace(Given):
    """Which run."""

    run: Id


class RunQuery(Before):
    """What a list of runs is narrowed to."""

    job: Name | None = None
    state: State | None = None


class TailQuery(Given):
    """How much of a run's log comes along."""

    log_lines: int = Field(100, ge=0, le=1000, description="The newest lines of its log.")


class StopRequest(Given):
    """A run to be stopped."""

    reason: Reason


class Run(Answer):
    """A run; `finished_at` is null as long as it has not ended."""

    id: int
    job: str
    state: State
    trigger: str
    triggered_by: str
    reason: str | None
    dry_run: bool
    params: dict[str, Any]
    attempt: int
    retry_of: int | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    counters: dict[str, int]
    progress_done: int | None
    progress_total: int | None
    stop_by: str | None
    error_class: str | None
    error: str | None


class LogLine(Answer):
    """A line of a run's log."""

    id: int
    at: datetime
    level: str
    event: str
    fields: dict[str, Any]


class RunDetail(Run):
    """A run, with the end of its log."""

    log: list[LogLine]


class RunPage(Paged):
    """Runs, newest first."""

    runs: list[Run]


def list_all(call: Call, query: RunQuery) -> RunPage:
    """What ran and how it ended, newest first."""
    found = list_runs(call.conn, query.job, query.state, query.before, query.limit + 1)
    runs = [Run.model_validate(row) for row in found[: query.limit]]
    return RunPage(runs=runs, next=runs[-1].id if len(found) > query.limit else None)


def show(call: Call, place: RunPlace, query: TailQuery) -> RunDetail:
    """One run and the end of its log."""
    run = Run.model_validate(find_run(call.conn, place.run))
    lines = [LogLine.model_validate(line) for line in log_tail(call.conn, place.run, query.log_lines)]
    return RunDetail(**dict(run), log=lines)


def stop(call: Call, place: RunPlace, body: StopRequest) -> Run:
    """End a queued run, or ask a running one to stop at its next batch."""
    stop_run(call.conn, place.run, call.token.email, body.reason, origin=call.origin)
    return Run.model_validate(find_run(call.conn, place.run))


ENDPOINTS = (
    Endpoint("GET", "/runs", Right.VIEW, list_all),
    Endpoint("GET", "/runs/{run}", Right.VIEW, show),
    Endpoint("POST", "/runs/{run}/stop", Right.STOP_RUNS, stop, status=202),
)
