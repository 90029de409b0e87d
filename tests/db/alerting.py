"""Rules and alerts as the engine leaves them, for tests of what is told of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text

from jobs.core.db import Database

STEPS = ((0, "team"), (900, "on-call"))


def add_rule(
    db: Database, name: str = "job-failures", *, steps: tuple[tuple[int, str], ...] = STEPS, **more: Any
) -> None:
    """A rule about failures in a row; without it an alert cannot be."""
    values = {
        "name": name, "title": "A job fails again and again", "severity": "critical", "repeat_s": 3600,
        "steps": orjson.dumps([{"after_s": after_s, "to": to} for after_s, to in steps]).decode(), **more,
    }  # fmt: skip
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.alert_rules (name, title, signal, comparison, threshold, severity, steps, repeat_s, changed_by)"
                " VALUES (:name, :title, 'job.failures', '>=', 3, :severity, CAST(:steps AS jsonb), :repeat_s, 'test')"
            ),
            values,
        )


def fire(
    db: Database, subject: str = "reconcile-pending", *, rule: str = "job-failures", ago: timedelta = timedelta()
) -> int:
    """An alert of the rule that fired so long ago; its number."""
    with db.begin() as conn:
        number: int = conn.execute(
            text(
                "INSERT INTO ops.alerts (rule, signal, subject, state, severity, value, sentence, link, began_at, fired_at, seen_at)"
                " SELECT name, signal, :subject, 'firing', severity, 3, :subject || ' has failed 3 times', '/runs', now() - :ago,"
                " now() - :ago, now() FROM ops.alert_rules WHERE name = :rule RETURNING id"
            ),
            {"rule": rule, "subject": subject, "ago": ago},
        ).scalar_one()
    return number


def change(db: Database, number: int, what: str, **values: object) -> None:
    """Changes an alert: `change(db, 1, "acknowledged_at = now(), acknowledged_by = 'ada'")`."""
    with db.begin() as conn:
        conn.execute(text(f"UPDATE ops.alerts SET {what} WHERE id = :id"), {"id": number, **values})


def resolve(db: Database, number: int) -> None:
    change(db, number, "state = 'resolved', resolved_at = now(), resolution = 'recovered'")


def clock(db: Database) -> datetime:
    with db.read() as conn:
        now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    return now
