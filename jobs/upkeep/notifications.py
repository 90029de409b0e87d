"""cleanup-notifications: notifications that have served their time are deleted, in batches.

Read ones count from when they were read, unread ones from when they came. The table is walked once, a range of its
pages at a time: so every batch is short whatever it finds, needs no index, and between two of them the run can stop.
A row that moves while the walk goes on is found the next night.
"""

from __future__ import annotations

from sqlalchemy import text

from jobs.core.flags import Flag
from jobs.core.jobs import Cron, Params, Run, job

BATCH_PAGES = 128  # 1 MiB: about 5,000 notifications

_OLD = (
    "FROM notifications WHERE ctid >= CAST(:first AS tid) AND ctid < CAST(:beyond AS tid) AND ("
    " (status = 'READ' AND COALESCE(read_at, created_at) < now() - make_interval(days => :read_days))"
    " OR (status = 'UNREAD' AND created_at < now() - make_interval(days => :unread_days)))"
)
_COUNT = text(f"SELECT status, count(*) {_OLD} GROUP BY status")
_DELETE = text(
    f"WITH gone AS (DELETE {_OLD} RETURNING status) SELECT status, count(*) FROM gone GROUP BY status"  # noqa: S608
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
    with run.db.read() as conn:
        pages = conn.execute(
            text("SELECT pg_relation_size('notifications') / CAST(current_setting('block_size') AS int)")
        ).scalar_one()
    for first in range(0, pages, BATCH_PAGES):
        if run.should_stop():
            run.warning("stopped before the end", page=first, pages=pages)
            return
        span = {"first": f"({first},0)", "beyond": f"({first + BATCH_PAGES},0)"}
        with run.db.read() if run.dry_run else run.db.begin() as conn:
            for status, count in conn.execute(_COUNT if run.dry_run else _DELETE, {**ages, **span}):
                run.count(status.lower(), count)
        run.progress(min(first + BATCH_PAGES, pages), pages)
    run.info("cleaned up", pages=pages)
