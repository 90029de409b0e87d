"""prune: measurements and logs that have served their time are deleted, in batches, after they were rolled up.

Not the newest sample of a Horizon server: it says since when there are none. Nor a run: what it decided refers to it.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from jobs.core.flags import Flag
from jobs.core.jobs import Cron, Params, Run, job
from jobs.probes.rollup import kept_from, roll_up
from jobs.upkeep.walk import Old, clean

_OLD = (
    Old("ops.samples", "t.at < CAST(:samples AS timestamptz)", counter="'samples'"),
    Old(
        "ops.horizon_samples",
        "t.at < CAST(:samples AS timestamptz)"
        " AND EXISTS (SELECT FROM ops.horizon_samples n WHERE n.server = t.server AND n.at > t.at)",
        counter="'samples'",
    ),
    Old("ops.horizon_requests", "t.minute < CAST(:minute AS timestamptz)", counter="'requests'"),
    Old("ops.rollups_minute", "t.at < CAST(:minute AS timestamptz)", counter="'rollups'"),
    Old("ops.rollups_hour", "t.at < CAST(:hour AS timestamptz)", counter="'rollups'"),
    Old("ops.rollups_day", "t.at < CAST(:day AS timestamptz)", counter="'rollups'"),
    Old("ops.horizon_request_sums_hour", "t.at < CAST(:hour AS timestamptz)", counter="'requests'"),
    Old("ops.horizon_request_sums_day", "t.at < CAST(:day AS timestamptz)", counter="'requests'"),
    Old(
        "ops.run_logs",
        "t.at < now() - make_interval(days => :log_days)"
        " AND NOT EXISTS (SELECT FROM ops.runs r WHERE r.id = t.run_id AND r.state = 'running')",
        counter="'log lines'",
    ),
    Old("ops.notices", "t.ended_at < now() - make_interval(days => :log_days)", counter="'notices'"),
    # Of each course the last reading before the limit stays: it says what stood at the limit. One that ended needs none,
    # but its end goes last: without it the reading before would stand until now.
    Old(
        "ops.alert_readings",
        "t.at < CAST(:readings AS timestamptz) AND (EXISTS (SELECT FROM ops.alert_readings n WHERE n.signal = t.signal"
        "  AND n.subject = t.subject AND n.at > t.at AND n.at < CAST(:readings AS timestamptz))"
        " OR coalesce(t.value = 'NaN', true) AND NOT EXISTS (SELECT FROM ops.alert_readings o WHERE o.signal = t.signal"
        "  AND o.subject = t.subject AND o.at < t.at))",
        counter="'readings'",
    ),
    Old("ops.alert_watches", "t.until < CAST(:readings AS timestamptz)", counter="'readings'"),
    Old(
        "ops.alerts",
        "t.resolved_at < CAST(:day AS timestamptz)"
        " AND NOT EXISTS (SELECT FROM ops.incident_alerts i WHERE i.alert_id = t.id)",
        counter="'alerts'",
    ),
    Old("ops.silences", "least(t.ended_at, t.ends_at) < CAST(:day AS timestamptz)", counter="'alerts'"),
)
READINGS_KEPT = timedelta(days=8)
"""A day more than a preview looks back."""


@job(
    name="prune",
    title="Prune measurements and logs",
    does="Deletes samples after 48 hours, minutes of them after 30 days, hours and days after two years, readings "
    "of signals after eight days, ended alerts after two years, and old lines of runs' logs and notices.",
    schedule=Cron("30 3 * * *"),
    timeout_s=3600,
    retries=2,
    flag=Flag.CLEANUP,
    params=Params,
)
def prune(run: Run, _params: Params) -> None:
    """Counts what was deleted of each, or on a dry run what would be; `alerts` are also silences."""
    for name in ("samples", "requests", "rollups", "log lines", "notices", "readings", "alerts"):
        run.count(name, 0)
    with run.db.begin() as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
        kept = kept_from(now)
        if not run.dry_run:
            # Everything that is left, so that no sample is deleted before it is in a minute, however late it came.
            roll_up(conn, now, kept["samples"])
    run.info("pruning", dry_run=run.dry_run, log_days=run.settings.run_log_days)
    clean(run, _OLD, {**kept, "readings": now - READINGS_KEPT, "log_days": run.settings.run_log_days})
