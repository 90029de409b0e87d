"""cleanup-notifications: notifications that have served their time are deleted, in batches.

Read ones count from when they were read, unread ones from when they came.
"""

from __future__ import annotations

from jobs.core.flags import Flag
from jobs.core.jobs import Cron, Params, Run, job
from jobs.upkeep.walk import Old, clean

_NOTIFICATIONS = Old(
    "notifications",
    "(t.status = 'READ' AND COALESCE(t.read_at, t.created_at) < now() - make_interval(days => :read_days))"
    " OR (t.status = 'UNREAD' AND t.created_at < now() - make_interval(days => :unread_days))",
    counter="lower(t.status)",
)


@job(
    name="cleanup-notifications",
    title="Clean up notifications",
    does="Deletes notifications that were read a month ago, and unread ones that are three months old.",
    schedule=Cron("0 2 * * *"),
    timeout_s=1800,
    retries=2,
    flag=Flag.CLEANUP,
    params=Params,
)
def cleanup_notifications(run: Run, _params: Params) -> None:
    """Counts `read` and `unread`: deleted, or on a dry run what would be."""
    ages = {"read_days": run.settings.read_notifications_days, "unread_days": run.settings.unread_notifications_days}
    run.info("cleaning up", dry_run=run.dry_run, **ages)
    run.count("read", 0)
    run.count("unread", 0)
    clean(run, [_NOTIFICATIONS], ages)
