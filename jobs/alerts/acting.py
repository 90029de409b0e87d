"""What people do about alerts: acknowledge them, keep them quiet for a time, plan maintenance.

Each is one conditional update with its audit row; whoever comes second learns who was faster. Whoever calls has asked
whether the person may (`Right.ACT_ON_ALERTS`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, text

from jobs.alerts.model import fits
from jobs.alerts.store import get_alert, get_silence
from jobs.core import audit
from jobs.core.errors import Conflict, UsageError
from jobs.probes.attention import moment

LONGEST_SILENCE = timedelta(days=30)
_LONGEST_WORDS = 500


def acknowledge(conn: Connection, alert_id: int, actor: str, why: str, *, origin: str = "dashboard") -> None:
    """Somebody has it from now on: it escalates no further.

    Raises NotFound, UsageError without a word on why, Conflict if somebody has it already or it fires no more.
    """
    why = _words(why, "Say in a word what you do about it: the others see it.")
    done = conn.execute(
        text(
            "UPDATE ops.alerts SET acknowledged_at = now(), acknowledged_by = :actor, acknowledged_why = :why"
            " WHERE id = :id AND state = 'firing' AND acknowledged_at IS NULL"
        ),
        {"id": alert_id, "actor": actor, "why": why},
    )
    if not done.rowcount:
        seen = get_alert(conn, alert_id)
        if seen.acknowledged_at is not None and seen.state == "firing":
            since = f"{seen.acknowledged_at:%H:%M} UTC"
            raise Conflict(f"{seen.acknowledged_by} has it already, since {since}: {seen.acknowledged_why}.")
        raise Conflict(f"Alert {alert_id} does not fire: there is nothing to acknowledge.")
    _audit(conn, "alert.acknowledged", alert_id, actor, origin, why)


def unacknowledge(conn: Connection, alert_id: int, actor: str, why: str, *, origin: str = "dashboard") -> None:
    """Nobody has it any more: its escalation goes on. Raises as `acknowledge` does."""
    why = _words(why, "Say why nobody has it any more: a reason is needed.")
    done = conn.execute(
        text(
            "UPDATE ops.alerts SET acknowledged_at = NULL, acknowledged_by = NULL, acknowledged_why = NULL"
            " WHERE id = :id AND state = 'firing' AND acknowledged_at IS NOT NULL"
        ),
        {"id": alert_id},
    )
    if not done.rowcount:
        get_alert(conn, alert_id)
        raise Conflict(f"Nobody has alert {alert_id}, or it fires no more: there is nothing to take back.")
    _audit(conn, "alert.unacknowledged", alert_id, actor, origin, why)


def silence(
    conn: Connection, rule: str, subject: str, until: datetime, reason: str, actor: str, *, origin: str = "dashboard"
) -> int:
    """Nobody is told of what matches the two patterns until `until` (aware); returns the silence's number.

    Raises UsageError without a reason, where no rule fits, with a time that is past, or for longer than LONGEST_SILENCE.
    """
    reason = _words(reason, "Say why it is kept quiet: a reason is needed.")
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    return _quiet(conn, "silence", reason, rule, subject, (now, until), reason, actor, origin)


def plan_maintenance(
    conn: Connection,
    title: str,
    rule: str,
    subject: str,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    actor: str,
    *,
    origin: str = "dashboard",
) -> int:
    """The same for a time that is known before, under a title; raises as `silence` does, and without a title."""
    title = _words(title, "Give the maintenance window a title: it stands on every chart.")
    reason = _words(reason, "Say what is done in the maintenance window: a reason is needed.")
    return _quiet(conn, "maintenance", title, rule, subject, (starts_at, ends_at), reason, actor, origin)


def end_silence(conn: Connection, silence_id: int, actor: str, *, origin: str = "dashboard") -> None:
    """Takes a silence or a maintenance window back before its time; Conflict if it has ended already."""
    done = conn.execute(
        text(
            "UPDATE ops.silences SET ended_at = now(), ended_by = :actor"
            " WHERE id = :id AND ended_at IS NULL AND ends_at > now()"
        ),
        {"id": silence_id, "actor": actor},
    )
    if not done.rowcount:
        seen = get_silence(conn, silence_id)
        by = f"{seen.ended_by} ended it" if seen.ended_by else f"it ended at {seen.ends_at:%Y-%m-%d %H:%M} UTC"
        raise Conflict(f"“{seen.title}” lasts no more: {by}.")
    audit.record(conn, audit.AuditRow(actor, "silence.ended", "silence", str(silence_id), origin))


def _quiet(
    conn: Connection,
    kind: Literal["silence", "maintenance"],
    title: str,
    rule: str,
    subject: str,
    span: tuple[datetime, datetime],
    reason: str,
    actor: str,
    origin: str,
) -> int:
    starts_at, ends_at = span
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    if starts_at.tzinfo is None or ends_at.tzinfo is None:
        raise UsageError("Say the time zone of the times.")
    if ends_at <= max(starts_at, now):
        raise UsageError(
            f"It would end at {moment(ends_at, now)}, which is past or before it begins: say a later time."
        )
    if ends_at - max(starts_at, now) > LONGEST_SILENCE:
        raise UsageError(
            f"It may last {LONGEST_SILENCE.days} days at most: what is to be quiet for longer is a rule to switch off."
        )
    rule = rule.strip() or "*"
    if not any(fits(name, rule) for name in conn.execute(text("SELECT name FROM ops.alert_rules")).scalars()):
        raise UsageError(f"No rule fits {rule!r}, so nothing would be quiet: see `nexaops alerts rules list`.")
    values = {
        "kind": kind,
        "title": title,
        "rule": rule,
        "subject": subject.strip() or "*",
        "starts_at": starts_at,
        "ends_at": ends_at,
        "reason": reason,
    }
    silence_id: int = conn.execute(
        text(
            "INSERT INTO ops.silences (kind, title, rule, subject, starts_at, ends_at, reason, created_by)"
            " VALUES (:kind, :title, :rule, :subject, :starts_at, :ends_at, :reason, :actor) RETURNING id"
        ),
        {**values, "actor": actor},
    ).scalar_one()
    action = "silence.added" if kind == "silence" else "maintenance.planned"
    audit.record(conn, audit.AuditRow(actor, action, "silence", str(silence_id), origin, new={**values}, reason=reason))
    return silence_id


def _audit(conn: Connection, action: str, alert_id: int, actor: str, origin: str, why: str) -> None:
    seen = get_alert(conn, alert_id)
    new = {"rule": seen.rule, "subject": seen.subject}
    audit.record(conn, audit.AuditRow(actor, action, "alert", str(alert_id), origin, new=new, reason=why))


def _words(text_: str, missing: str) -> str:
    words = " ".join(text_.split())
    if not words:
        raise UsageError(missing)
    return words[:_LONGEST_WORDS]
