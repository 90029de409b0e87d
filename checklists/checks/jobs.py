"""The jobs as they run: registered, on time, successful, fast, idle when they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from pydantic import Field
from sqlalchemy import Connection, text

from checklists.checks.model import (
    JSON,
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    check,
    failed,
    gathered,
    judged,
    passed,
)
from checklists.checks.reach import age, plural, reading, some, window
from checklists.grammar import Duration
from jobs.core.flags import Flag, list_flags
from jobs.core.jobs import load_jobs
from jobs.schedule.model import Schedule, fires
from jobs.schedule.store import list_schedules
from jobs.schedule.words import in_words, next_fires

SETTLING = ("reconcile-pending", "retry-failed")
SHIPPED = (*SETTLING, "verify-ledger", "sync-wallets", "audit-history", "cleanup-notifications", "probe-horizon")
_BAD = ("failed", "timed_out", "lost")


@dataclass(frozen=True, slots=True)
class _Took:
    """How long the runs of a job took, in seconds."""

    job: str
    runs: int
    p50: float
    p95: float


class JobsParams(CheckParams):
    """Which jobs."""

    jobs: list[str] = Field(default_factory=list, max_length=50, description="their names; none: all that are on")


class RegisteredParams(CheckParams):
    """Which jobs have to be there."""

    jobs: list[str] = Field(default=list(SHIPPED), min_length=1, max_length=50, description="their names")


@check("jobs.registered", title="The expected jobs are registered", params=RegisteredParams)
def registered(context: CheckContext, params: RegisteredParams) -> CheckResult:
    """Each job is known to the code and has a schedule in the database."""
    known = load_jobs()
    with reading(context) as conn:
        planned = {plan.name for plan in list_schedules(conn)}
    missing = [name for name in params.jobs if name not in known]
    unplanned = [name for name in params.jobs if name in known and name not in planned]
    wrong = [f"{name} is not registered" for name in missing] + [f"{name} has no schedule" for name in unplanned]
    return judged(
        not wrong,
        f"{some(wrong)}." if wrong else f"All {len(params.jobs)} jobs are registered and have a schedule.",
        "See in the worker's log which module does not import, and run `nexaops migrate`.",
        registered=sorted(known),
        scheduled=sorted(planned),
    )


@check("jobs.heartbeat", title="Every job succeeds on time", params=JobsParams)
def heartbeat(context: CheckContext, params: JobsParams) -> CheckResult:
    """A worker lives, and each job's last success is younger than two of its intervals."""
    with reading(context) as conn:
        plans = _plans(conn, params.jobs)
        alive: int = conn.execute(
            text(
                "SELECT count(*) FROM ops.workers WHERE stopped_at IS NULL AND beat_at > now() - interval '30 seconds'"
            )
        ).scalar_one()
        last = _last_success(conn, [plan.name for plan in plans])
    idle = [plan.name for plan in plans if not plan.active(context.now)]
    if params.jobs and idle:
        return failed(f"{some(idle)} is switched off or paused.", "Resume it on the page Jobs.")
    active = [plan for plan in plans if plan.active(context.now)]
    if not active:
        raise Unable("No job is switched on.", "Resume the jobs on the page Jobs, then look again.")
    late, waiting, seen = [], [], {}
    for plan in active:
        at = last.get(plan.name)
        due = _second_fire(plan, max(at or plan.live_since, plan.live_since))
        seen[plan.name] = f"{in_words(plan)}; last success " + (f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never")
        if due is not None and due < context.now:
            late.append(plan.name)
        elif at is None:
            waiting.append(plan.name)
    output: dict[str, JSON] = {"workers": alive, "jobs": seen, "late": late, "not_yet": waiting}
    if not alive:
        return failed("No worker is alive.", "Start `nexaops worker`.", **output)
    if late:
        return failed(
            f"No success within two intervals: {some(late)}.", "See their last runs on the page Jobs.", **output
        )
    if len(waiting) == len(active):
        raise Unable("No job has succeeded yet, and none is late.", "Look again after the first runs.")
    also = f"; {some(waiting)} has not been due yet" if waiting else ""
    return passed(f"{plural(len(active) - len(waiting), 'job')} succeeded on time{also}.", **output)


class SinceParams(JobsParams):
    """Which jobs, and over how long."""

    within: Duration | None = Field(None, description="over how long; empty: since this checklist's run began")


@check("jobs.succeeded", title="Jobs have run with success", params=SinceParams)
def succeeded(context: CheckContext, params: SinceParams) -> CheckResult:
    """The last run of each job that ran is a success, and each job that is due often has one."""
    since = window(context, params.within)
    with reading(context) as conn:
        plans = [plan for plan in _plans(conn, params.jobs) if params.jobs or plan.active(context.now)]
        rows = conn.execute(
            text(
                "SELECT job, count(*) AS runs, count(*) FILTER (WHERE state = 'succeeded') AS good,"
                " count(*) FILTER (WHERE state = ANY (CAST(:bad AS text[]))) AS bad,"
                " (array_agg(state ORDER BY id DESC))[1] AS last FROM ops.runs WHERE queued_at >= :since AND NOT dry_run"
                " AND finished_at IS NOT NULL AND job = ANY (CAST(:jobs AS text[])) GROUP BY job ORDER BY job"
            ),
            {"since": since, "bad": list(_BAD), "jobs": [plan.name for plan in plans]},
        ).all()
    seen = {row.job: f"{row.good} of {row.runs} succeeded, last {row.last}" for row in rows}
    broken = [row.job for row in rows if row.last in _BAD]
    if broken:
        return failed(f"The last run did not succeed: {some(broken)}.", "See why on the page Runs.", jobs=seen)
    good = [row.job for row in rows if row.good]
    wanting = [plan.name for plan in plans if plan.name not in good]
    if params.jobs and wanting:
        raise Unable(f"No success since {since:%Y-%m-%d %H:%M} UTC: {some(wanting)}.", "Let them run, then look again.")
    if not good:
        raise Unable(f"No job has succeeded since {since:%Y-%m-%d %H:%M} UTC.", "Let them run, then look again.")
    return passed(
        f"{plural(sum(row.good for row in rows), 'run')} of {plural(len(good), 'job')} succeeded since "
        f"{since:%Y-%m-%d %H:%M} UTC.",
        jobs=seen,
        not_run=wanting,
    )


class DurationParams(JobsParams):
    """How long is too long."""

    within: Duration = Field(timedelta(hours=24), description="over how long")
    most_share: float = Field(0.8, gt=0, le=1, description="of the job's time limit, for 95 of 100 runs")


@check("jobs.durations", title="Jobs end well before their time limit", params=DurationParams)
def durations(context: CheckContext, params: DurationParams) -> CheckResult:
    """p50 and p95 of each job against its time limit."""
    with reading(context) as conn:
        plans = {plan.name: plan for plan in _plans(conn, params.jobs)}
        rows = _durations(conn, list(plans), context.now - params.within)
    if not rows:
        raise Unable(f"No run has ended within {age(params.within)}.", "Let the jobs run, then look again.")
    slow = [row.job for row in rows if row.p95 > params.most_share * plans[row.job].timeout_s]
    seen = {
        row.job: f"{row.runs:,} runs, p50 {row.p50:.1f} s, p95 {row.p95:.1f} s of {plans[row.job].timeout_s} s"
        for row in rows
    }
    return judged(
        not slow,
        f"Too near their time limit: {some(slow)}."
        if slow
        else f"{plural(sum(row.runs for row in rows), 'run')} of {plural(len(rows), 'job')} ended in time.",
        "See on the page Runs what takes long; raise the time limit only if it is well spent.",
        jobs=seen,
    )


class IdleParams(CheckParams):
    """Which jobs have to be idle, and since when."""

    jobs: list[str] = Field(default=list(SETTLING), min_length=1, max_length=50, description="their names")
    flag: Flag | None = Field(None, description="since this flag was switched off; empty: since the run began")


@check("jobs.idle", title="The jobs stand still", params=IdleParams)
def idle(context: CheckContext, params: IdleParams) -> CheckResult:
    """No run is under way, none has begun since, and nothing will start one: the flag is off, or they are paused."""
    with reading(context) as conn:
        plans = _plans(conn, params.jobs)
        since = context.started_at
        if params.flag is not None:
            state = next((each for each in list_flags(conn) if each.flag is params.flag), None)
            if state is None or state.value:
                return failed(f"The flag {params.flag} is on.", f"Switch {params.flag} off.")
            since = state.changed_at
        else:
            active = [plan.name for plan in plans if plan.active(context.now)]
            if active:
                return failed(f"{some(active)} is not paused.", "Pause it on the page Jobs.")
        rows = conn.execute(
            text(
                "SELECT id, job, state FROM ops.runs WHERE job = ANY (CAST(:jobs AS text[]))"
                " AND (state = 'running' OR started_at > :since) ORDER BY id"
            ),
            {"jobs": params.jobs, "since": since},
        ).all()
    return judged(
        not rows,
        f"Not idle: {some([f'run {row.id} of {row.job} ({row.state})' for row in rows])}."
        if rows
        else f"No run of {some(params.jobs)} since {since:%Y-%m-%d %H:%M:%S} UTC.",
        "Stop what runs on the page Runs, then look again.",
    )


@check("jobs.next_run", title="The job tries again by itself", params=JobsParams)
def next_run(context: CheckContext, params: JobsParams) -> CheckResult:
    """When each job is due next."""
    with reading(context) as conn:
        plans = _plans(conn, params.jobs or list(SETTLING))
    due = {plan.name: next_fires(plan, context.now, 1) for plan in plans}
    never = [name for name, fire in due.items() if not fire]
    return judged(
        not never,
        f"{some(never)} will not run by itself." if never else f"{plural(len(due), 'job')} will run again by itself.",
        "Resume it on the page Jobs when the network is well again.",
        next={name: fire[0].isoformat() if fire else None for name, fire in due.items()},
    )


class AdviceParams(JobsParams):
    """Over how long."""

    within: Duration = Field(timedelta(days=30), description="over how long")


@check("jobs.interval_advice", title="How the schedules fit what the jobs do", params=AdviceParams)
def interval_advice(context: CheckContext, params: AdviceParams) -> CheckResult:
    """Runs, durations and skipped slots of each job beside its interval, with advice where they do not fit."""
    with reading(context) as conn:
        plans = {plan.name: plan for plan in _plans(conn, params.jobs)}
        rows = _durations(conn, list(plans), context.now - params.within)
        skipped = {
            row.job: row.n
            for row in conn.execute(
                text(
                    "SELECT job, count(*) AS n FROM ops.runs WHERE state IN ('missed', 'skipped') AND queued_at >= :since"
                    " GROUP BY job"
                ),
                {"since": context.now - params.within},
            )
        }
    if not rows:
        raise Unable(f"No run has ended within {age(params.within)}.", "Let the jobs run, then look again.")
    advice = {}
    for row in rows:
        plan = plans[row.job]
        gap = _gap_s(plan, context.now)
        fits = f"{in_words(plan)}, p95 {row.p95:.1f} s, {skipped.get(row.job, 0)} skipped or missed of {row.runs}"
        crowded = gap is not None and row.p95 > gap / 2
        advice[row.job] = f"{fits}: " + ("run it less often, or make it faster" if crowded else "fits")
    crowded_jobs = [name for name, words in advice.items() if not words.endswith("fits")]
    return gathered(
        f"Too often for what they take: {some(crowded_jobs)}."
        if crowded_jobs
        else f"The schedules of {plural(len(rows), 'job')} fit what they take.",
        jobs=advice,
    )


def _plans(conn: Connection, names: Sequence[str]) -> list[Schedule]:
    """The schedules of these jobs, or of all; Unable names a job that there is none of."""
    plans = {plan.name: plan for plan in list_schedules(conn)}
    if missing := [name for name in names if name not in plans]:
        raise Unable(f"There is no job {some(missing)} in this version.", f"The jobs are {', '.join(plans)}.")
    return [plans[name] for name in names] if names else list(plans.values())


def _last_success(conn: Connection, names: list[str]) -> dict[str, datetime]:
    rows = conn.execute(
        text(
            "SELECT n.name, (SELECT finished_at FROM ops.runs WHERE job = n.name AND state = 'succeeded' AND NOT dry_run"
            " ORDER BY id DESC LIMIT 1) AS at FROM unnest(CAST(:names AS text[])) AS n (name)"
        ),
        {"names": names},
    )
    return {row.name: row.at for row in rows if row.at is not None}


def _durations(conn: Connection, names: list[str], since: datetime) -> Sequence[_Took]:
    return [
        _Took(**row._mapping)
        for row in conn.execute(
            text(
                "SELECT job, count(*) AS runs,"
                " percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)::float8) AS p50,"
                " percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)::float8) AS p95"
                " FROM ops.runs WHERE job = ANY (CAST(:names AS text[])) AND finished_at >= :since"
                " AND started_at IS NOT NULL GROUP BY job ORDER BY job"
            ),
            {"names": names, "since": since},
        )
    ]


def _second_fire(plan: Schedule, since: datetime) -> datetime | None:
    """When the second slot after a success is over: later than that is late."""
    due = next(islice(fires(plan, since), 1, None), None)
    return None if due is None else due + timedelta(seconds=plan.grace_s)


def _gap_s(plan: Schedule, now: datetime) -> float | None:
    two = list(islice(fires(plan, now), 2))
    return (two[1] - two[0]).total_seconds() if len(two) == 2 else None
