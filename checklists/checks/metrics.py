"""Figures over time, from the runs and samples that are kept: error rates, spikes, fresh series, quiet, digests."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from sqlalchemy import text

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, gathered, judged
from checklists.checks.reach import age, plural, reading, some
from checklists.grammar import Duration
from jobs.probes.figures import requests
from jobs.probes.spans import Window

_RUNS = """
SELECT count(*) FILTER (WHERE state IN ('succeeded', 'failed', 'timed_out', 'lost')) AS runs,
       count(*) FILTER (WHERE state IN ('failed', 'timed_out', 'lost')) AS bad
  FROM ops.runs WHERE finished_at >= :since AND finished_at < :until
"""


class RateParams(CheckParams):
    """How many errors are too many."""

    within: Duration = Field(timedelta(hours=1), description="over how long")
    most_share: float = Field(0.05, ge=0, le=1, description="of runs and of requests to Horizon, each")


@check("metrics.error_rate", title="Few runs and requests fail", params=RateParams)
def error_rate(context: CheckContext, params: RateParams) -> CheckResult:
    """The share of runs, and of requests to Horizon, that failed."""
    with reading(context) as conn:
        runs = conn.execute(text(_RUNS), {"since": context.now - params.within, "until": context.now}).one()
        asked = requests(conn, Window(params.within))
    if not runs.runs:
        raise Unable(f"No run has ended within {age(params.within)}.", "Let the jobs run, then look again.")
    share = runs.bad / runs.runs
    return judged(
        share <= params.most_share and asked.error_share <= params.most_share,
        f"{share:.1%} of {plural(runs.runs, 'run')} and {asked.error_share:.1%} of {plural(asked.total, 'request')} to "
        f"Horizon failed within {age(params.within)}.",
        f"More than {params.most_share:.0%} is not accepted: see the pages Runs and Horizon.",
        runs=runs.runs,
        failed_runs=runs.bad,
        requests=asked.total,
        failed_requests=dict(asked.errors),
    )


class SpikeParams(CheckParams):
    """What a spike is."""

    within: Duration = Field(timedelta(hours=1), description="the time that is compared")
    before: Duration = Field(timedelta(hours=24), description="with so long before it")
    factor: float = Field(3, gt=1, le=100, description="so many times the rate before is a spike")
    least: int = Field(3, ge=1, description="fewer failures are no spike")


@check("metrics.spike", title="Errors have not spiked", params=SpikeParams)
def spike(context: CheckContext, params: SpikeParams) -> CheckResult:
    """Failed runs of the last hour against those of the day before, by the hour."""
    middle = context.now - params.within
    with reading(context) as conn:
        now = conn.execute(text(_RUNS), {"since": middle, "until": context.now}).one()
        before = conn.execute(text(_RUNS), {"since": middle - params.before, "until": middle}).one()
    if not now.runs:
        raise Unable(f"No run has ended within {age(params.within)}.", "Let the jobs run, then look again.")
    if not before.runs:
        raise Unable("There is nothing from before to compare with.", "Look again when the jobs have run for longer.")
    share, usual = now.bad / now.runs, before.bad / before.runs
    spiked = now.bad >= params.least and share > params.factor * usual
    return judged(
        not spiked,
        f"{share:.1%} of the runs failed within {age(params.within)}, {usual:.1%} in the {age(params.before)} before.",
        "See on the page Runs what began to fail.",
        now={"runs": now.runs, "failed": now.bad},
        before={"runs": before.runs, "failed": before.bad},
    )


class SeriesParams(CheckParams):
    """How fresh is fresh."""

    within: Duration = Field(timedelta(minutes=5), description="each series has a point within")


@check("metrics.series", title="The dashboards have fresh figures", params=SeriesParams)
def series(context: CheckContext, params: SeriesParams) -> CheckResult:
    """What the pages draw from: runs, workers, Horizon's samples and requests."""
    with reading(context) as conn:
        row = conn.execute(
            text(
                "SELECT (SELECT max(finished_at) FROM ops.runs) AS runs, (SELECT max(beat_at) FROM ops.workers) AS workers,"
                " (SELECT max(at) FROM ops.horizon_samples) AS horizon_samples,"
                " (SELECT max(minute) FROM ops.horizon_requests) AS horizon_requests"
            )
        ).one()
    newest = dict(row._mapping)
    # A minute's requests stand under the minute's beginning.
    limits = {name: params.within + timedelta(minutes=name == "horizon_requests") for name in newest}
    empty = [name for name, at in newest.items() if at is None]
    stale = [name for name, at in newest.items() if at is not None and at < context.now - limits[name]]
    seen = {name: None if at is None else at.isoformat(timespec="seconds") for name, at in newest.items()}
    return judged(
        not empty and not stale,
        f"No figures within {age(params.within)}: {some([*empty, *stale])}."
        if empty or stale
        else f"All {len(newest)} series have figures from the last {age(params.within)}.",
        "Start a worker, and see on the page Jobs that the probes run.",
        newest=seen,
    )


class DigestParams(CheckParams):
    """Over how long."""

    within: Duration = Field(timedelta(hours=24), description="over how long")


@check("metrics.digest", title="The figures of a time", params=DigestParams)
def digest(context: CheckContext, params: DigestParams) -> CheckResult:
    """Runs by job, settled transactions, cases, and how Horizon did."""
    since = context.now - params.within
    with reading(context) as conn:
        runs = conn.execute(
            text(
                "SELECT job, count(*) AS runs, count(*) FILTER (WHERE state IN ('failed', 'timed_out', 'lost')) AS bad,"
                " round(avg(extract(epoch FROM finished_at - started_at)), 2) AS mean_s FROM ops.runs"
                " WHERE finished_at >= :since GROUP BY job ORDER BY job"
            ),
            {"since": since},
        ).all()
        money = conn.execute(
            text(
                "SELECT (SELECT count(*) FROM ops.outbox WHERE created_at >= :since) AS settled,"
                " (SELECT count(*) FROM ops.reconciliation_cases WHERE opened_at >= :since) AS opened,"
                " (SELECT count(*) FROM ops.reconciliation_cases WHERE resolved_at >= :since) AS resolved,"
                " (SELECT count(*) FROM transactions WHERE status = 'PENDING') AS pending"
            ),
            {"since": since},
        ).one()
        asked = requests(conn, Window(params.within))
    if not runs:
        raise Unable(f"There are no figures of the last {age(params.within)}: no run has ended.", "Let the jobs run.")
    bad = sum(row.bad for row in runs)
    return gathered(
        f"{plural(sum(row.runs for row in runs), 'run')} within {age(params.within)}, {bad:,} of them failed; "
        f"{money.settled:,} transactions settled, {plural(money.opened, 'case')} opened and {money.resolved:,} closed.",
        jobs={row.job: f"{row.runs:,} runs, {row.bad} failed, {row.mean_s or 0} s on average" for row in runs},
        money={name: int(count) for name, count in money._mapping.items()},
        horizon={"requests": asked.total, "p95_ms": asked.p95, "failed": dict(asked.errors)},
    )


class QuietParams(CheckParams):
    """How long it has to be quiet."""

    lasting: Duration = Field(timedelta(hours=1), description="without anything that is wrong")


@check("metrics.quiet", title="Nothing has gone wrong for some time", params=QuietParams)
def quiet(context: CheckContext, params: QuietParams) -> CheckResult:
    """No failed run, no new case and no critical sample, over a time that lies wholly after the run began."""
    since = context.now - params.lasting
    if since < context.started_at:
        left = context.started_at + params.lasting - context.now
        raise Unable(f"It has been watched for too short a time: {age(left)} are missing.", "Look again then.")
    with reading(context) as conn:
        row = conn.execute(
            text(
                "SELECT (SELECT count(*) FROM ops.runs WHERE finished_at >= :since AND state = 'succeeded') AS good,"
                " (SELECT count(*) FROM ops.runs WHERE finished_at >= :since"
                "   AND state IN ('failed', 'timed_out', 'lost')) AS failed_runs,"
                " (SELECT count(*) FROM ops.reconciliation_cases WHERE opened_at >= :since) AS new_cases,"
                " (SELECT count(*) FROM ops.integrity_findings WHERE found_at >= :since) AS new_findings,"
                " (SELECT count(*) FROM ops.horizon_samples WHERE at >= :since AND verdict = 'critical') AS critical,"
                " (SELECT count(*) FROM ops.horizon_samples WHERE at >= :since) AS samples"
            ),
            {"since": since},
        ).one()
    if not row.good or not row.samples:
        raise Unable("Nothing has run in this time: quiet says nothing.", "Let jobs and probes run, then look again.")
    breaches = {
        "failed runs": row.failed_runs,
        "new cases": row.new_cases,
        "new findings": row.new_findings,
        "critical samples of Horizon": row.critical,
    }
    seen = [f"{count} {name}" for name, count in breaches.items() if count]
    if seen:
        return failed(f"Within {age(params.lasting)}: {some(seen)}.", "See the page Overview.", breaches=breaches)
    return judged(True, f"{age(params.lasting)} without a failure, over {plural(row.good, 'run')}.", "")
