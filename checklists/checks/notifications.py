"""Notifications to users: they are written as transactions settle, and old ones are deleted."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from sqlalchemy import text

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, judged
from checklists.checks.reach import age, plural, reading
from checklists.grammar import Duration
from jobs.core.flags import Flag, read_flags


class FlowParams(CheckParams):
    """Over how long, and how many may wait."""

    within: Duration = Field(timedelta(hours=24), description="over how long")
    most_waiting: int = Field(100, ge=0, description="events that another system has not taken for 15 minutes, at most")


@check("notifications.flow", title="Users are notified", params=FlowParams)
def flow(context: CheckContext, params: FlowParams) -> CheckResult:
    """Every transaction that was settled has its notification, and events for other systems do not pile up."""
    since = context.now - params.within
    with reading(context) as conn:
        on = read_flags(conn).get(Flag.NOTIFICATIONS, True)
        row = conn.execute(
            text(
                "SELECT (SELECT count(*) FROM notifications WHERE created_at >= :since AND related_id IS NOT NULL) AS sent,"
                " count(*) AS settled, count(*) FILTER (WHERE NOT EXISTS ("
                # By way of the user: what is indexed.
                "   SELECT 1 FROM transactions t JOIN notifications n ON n.user_id = t.user_id"
                "    WHERE t.id = o.transaction_id AND n.related_id = t.id)) AS silent"
                " FROM ops.outbox o WHERE created_at >= :since"
            ),
            {"since": since},
        ).one()
        waiting: int = conn.execute(
            text(
                "SELECT count(*) FROM ops.outbox WHERE sent_at IS NULL AND dead_at IS NULL"
                " AND created_at < now() - interval '15 minutes'"
            )
        ).scalar_one()
    if not on:
        return failed("enableNotifications is off: nobody is notified.", "Switch enableNotifications on.")
    if not row.settled:
        raise Unable(
            f"Nothing was settled within {age(params.within)}: there was nothing to notify of.", "Look again later."
        )
    output = {"settled": row.settled, "notifications": row.sent, "without": row.silent, "events_waiting": waiting}
    if row.silent:
        return failed(
            f"{plural(row.silent, 'settled transaction')} has no notification.",
            "See the transaction's page; read ones are deleted after a month, not within a day.",
            **output,
        )
    counts = context.settings.webhook_url is not None
    return judged(
        not counts or waiting <= params.most_waiting,
        f"{plural(row.sent, 'notification')} for {plural(row.settled, 'settlement')} within {age(params.within)}"
        + (f"; {waiting} events wait for their receiver." if counts else "."),
        "See the job deliver-events and its receiver.",
        **output,
    )


@check("notifications.retention", title="Old notifications are deleted", params=NoParams)
def retention(context: CheckContext, params: NoParams) -> CheckResult:
    """None is older than the settings say, with a day for the nightly clean-up."""
    settings = context.settings
    with reading(context) as conn:
        if not read_flags(conn).get(Flag.CLEANUP, True):
            raise Unable(
                "The clean-up is switched off (enableCleanup).", "Switch it on, or mark the item N/A and say why."
            )
        row = conn.execute(
            text(
                "SELECT count(*) FILTER (WHERE status = 'READ'"
                "   AND coalesce(read_at, created_at) < :now - make_interval(days => :read_days + 1)) AS read_ones,"
                " count(*) FILTER (WHERE status = 'UNREAD'"
                "   AND created_at < :now - make_interval(days => :unread_days + 1)) AS unread_ones,"
                " count(*) AS total FROM notifications"
            ),
            {
                "now": context.now,
                "read_days": settings.read_notifications_days,
                "unread_days": settings.unread_notifications_days,
            },
        ).one()
        cleaned = conn.execute(
            text(
                "SELECT max(finished_at) FROM ops.runs WHERE job = 'cleanup-notifications' AND state = 'succeeded'"
                " AND NOT dry_run"
            )
        ).scalar()
    if cleaned is None:
        raise Unable("cleanup-notifications has never run with success.", "Run it, then look again.")
    old = row.read_ones + row.unread_ones
    return judged(
        not old,
        f"{plural(old, 'notification')} should have been deleted."
        if old
        else f"None of {plural(row.total, 'notification')} is older than it may be; cleaned up {cleaned:%Y-%m-%d %H:%M} UTC.",
        "Run the job cleanup-notifications.",
        read=row.read_ones,
        unread=row.unread_ones,
        total=row.total,
    )
