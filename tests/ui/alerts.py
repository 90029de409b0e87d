"""Rules, alerts and incidents with exactly what a test needs, as the tables hold them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text

from jobs.alerts.incidents import About, open_incident
from jobs.core.db import Database, jsonb
from jobs.core.people import Person, list_people

SENTENCE = "reconcile-pending has failed 3 times since 02:14 UTC: Horizon answers 503"


def a_rule(db: Database, name: str = "jobs-fail", **values: Any) -> str:
    """A rule of the team's own; `values` are columns."""
    row: dict[str, Any] = {
        "name": name, "title": name.replace("-", " ").capitalize(), "signal": "job.failures", "comparison": ">=",
        "threshold": 3.0, "severity": "critical", "steps": jsonb([{"after_s": 0, "to": "team"}]),
        "changed_by": "ada@nexafx.com", **values,
    }  # fmt: skip
    _insert(db, "ops.alert_rules", row, "name")
    return name


def an_alert(db: Database, rule: str = "jobs-fail", subject: str = "reconcile-pending", **values: Any) -> int:
    """An alert that has fired for ten minutes; `values` are columns, those of time as SQL where they are text."""
    row: dict[str, Any] = {
        "rule": rule, "signal": "job.failures", "subject": subject, "state": "firing", "severity": "critical",
        "value": 3.0, "sentence": SENTENCE, "link": "/run?id=1", **values,
    }  # fmt: skip
    times = {
        "began_at": "now() - interval '12 minutes'",
        "fired_at": "now() - interval '10 minutes'",
        "seen_at": "now()",
    }
    if row["state"] == "resolved":
        times["resolved_at"] = "now() - interval '1 minute'"
    if row["state"] == "pending":
        times["fired_at"] = "NULL"
    found: int = _insert(db, "ops.alerts", row, "id", times)
    return found


def an_incident(db: Database, person: UUID, title: str = "Deposits hang", alerts: tuple[int, ...] = ()) -> int:
    """An incident of this person's, open since just now."""
    with db.begin() as conn:
        now = conn.execute(text("SELECT now() - interval '20 minutes'")).scalar_one()
        actor = someone(db, person)
        return open_incident(
            conn, About(title, "critical", now), actor, lead=actor.email, alerts=alerts, origin="test"
        )  # fmt: skip


def someone(db: Database, person: UUID) -> Person:
    """A person by their id, as commands take them."""
    with db.read() as conn:
        return next(one for one in list_people(conn) if one.id == person)


def _insert(db: Database, table: str, row: dict[str, Any], returning: str, sql: dict[str, str] | None = None) -> Any:
    raw = {name: value for name, value in (sql or {}).items() if name not in row}
    columns = ", ".join([*row, *raw])
    places = ", ".join([*(f":{name}" for name in row), *raw.values()])
    with db.begin() as conn:
        statement = f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING {returning}"
        return conn.execute(text(statement), row).scalar_one()
