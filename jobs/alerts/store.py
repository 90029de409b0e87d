"""What stands in the tables of rules, alerts and silences, read as frozen values; every read is bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, text

from jobs.alerts.model import Alert, Rule, Silence, Step
from jobs.core.audit_read import Happened, read_history
from jobs.core.errors import NotFound

PAGE = 50
MOST_OPEN = 2_000
"""Open alerts that are read: more are a broken rule, which the first of them tell as well."""

_RULE = ", ".join(f"r.{field.name}" for field in fields(Rule))
_ALERT = ", ".join(f"a.{field.name}" for field in fields(Alert))
_SILENCE = ", ".join(f"s.{field.name}" for field in fields(Silence))
_OLDEST_FIRST = "CASE a.severity WHEN 'critical' THEN 0 ELSE 1 END, a.began_at, a.id"


def list_rules(conn: Connection) -> list[Rule]:
    """Every rule, by name."""
    return [_rule(row) for row in conn.execute(text(f"SELECT {_RULE} FROM ops.alert_rules r ORDER BY name"))]  # noqa: S608


def get_rule(conn: Connection, name: str) -> Rule:
    """One rule; NotFound if there is none of that name."""
    row = conn.execute(text(f"SELECT {_RULE} FROM ops.alert_rules r WHERE name = :name"), {"name": name}).one_or_none()  # noqa: S608
    if row is None:
        raise NotFound(f"There is no rule {name}: see `nexaops alerts rules list`.")
    return _rule(row)


def open_alerts(conn: Connection) -> list[Alert]:
    """What is pending or fires, critical first and within that the oldest first."""
    statement = f"SELECT {_ALERT} FROM ops.alerts a WHERE state <> 'resolved' ORDER BY {_OLDEST_FIRST} LIMIT :most"  # noqa: S608
    return [_alert(row) for row in conn.execute(text(statement), {"most": MOST_OPEN})]


def get_alert(conn: Connection, alert_id: int) -> Alert:
    """One alert, open or ended; see `history` for what became of it. NotFound if there is none."""
    found = alerts_of(conn, [alert_id])
    if not found:
        raise NotFound(f"There is no alert {alert_id}: see `nexaops alerts list`.")
    return found[0]


def alerts_of(conn: Connection, ids: Sequence[int]) -> list[Alert]:
    """The alerts of these numbers, by number; those that do not exist are left out."""
    statement = f"SELECT {_ALERT} FROM ops.alerts a WHERE a.id = ANY(CAST(:ids AS bigint[])) ORDER BY a.id"  # noqa: S608
    return [_alert(row) for row in conn.execute(text(statement), {"ids": list(ids)})]


def list_alerts(
    conn: Connection,
    *,
    rule: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    state: Literal["firing", "resolved"] | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> list[Alert]:
    """What has fired, the newest first: those fired from `since` on, with numbers below `before` (for the next page)."""
    wanted: Mapping[str, tuple[str, object]] = {
        "rule": ("a.rule = :rule", rule),
        "subject": ("a.subject = :subject", subject),
        "since": ("a.fired_at >= :since", since),
        "state": ("a.state = :state", state),
        "before": ("a.id < :before", before),
    }
    given = {name: value for name, (_, value) in wanted.items() if value is not None}
    where = " AND ".join(["a.fired_at IS NOT NULL", *(wanted[name][0] for name in given)])
    statement = f"SELECT {_ALERT} FROM ops.alerts a WHERE {where} ORDER BY a.id DESC LIMIT :limit"  # noqa: S608 - fixed parts
    return [_alert(row) for row in conn.execute(text(statement), {**given, "limit": limit})]


def list_silences(conn: Connection, *, ended_since: datetime | None = None) -> list[Silence]:
    """Silences and maintenance windows that last or are planned, and those that ended from `ended_since` on."""
    rows = conn.execute(
        text(
            f"SELECT {_SILENCE} FROM ops.silences s WHERE (s.ended_at IS NULL AND s.ends_at > now())"  # noqa: S608
            " OR least(s.ended_at, s.ends_at) >= CAST(:since AS timestamptz) ORDER BY s.starts_at, s.id LIMIT :most"
        ),
        {"since": ended_since, "most": MOST_OPEN},
    )
    return [_silence(row) for row in rows]


def get_silence(conn: Connection, silence_id: int) -> Silence:
    """One silence or maintenance window; NotFound if there is none."""
    row = conn.execute(
        text(f"SELECT {_SILENCE} FROM ops.silences s WHERE s.id = :id"),  # noqa: S608
        {"id": silence_id},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no silence {silence_id}: see `nexaops alerts silences`.")
    return _silence(row)


def fired_times(conn: Connection, since: datetime) -> dict[str, int]:
    """How often each rule has fired from `since` on; rules that did not are left out."""
    rows = conn.execute(
        text("SELECT rule, count(*) AS n FROM ops.alerts WHERE fired_at >= :since GROUP BY rule"), {"since": since}
    )
    return {row.rule: row.n for row in rows}


def watched_until(conn: Connection) -> datetime | None:
    """When the signals were last read; None: never."""
    until: datetime | None = conn.execute(text("SELECT max(until) FROM ops.alert_watches")).scalar()
    return until


def history(
    conn: Connection, entity: Literal["alert", "alert_rule", "silence"], entity_id: str, *, limit: int = 100
) -> list[Happened]:
    """What was done to it, the oldest first: the newest `limit` of it."""
    return read_history(conn, entity, entity_id, limit=limit)[::-1]


def rules_changed(conn: Connection, since: datetime) -> list[tuple[str, str, str]]:
    """Which rules people changed from `since` on: name, action and who, the newest change of each, at most a hundred."""
    rows = conn.execute(
        text(
            "SELECT DISTINCT ON (entity_id) entity_id AS name, action, actor FROM ops.audit"
            " WHERE entity = 'alert_rule' AND at >= :since AND actor <> 'system' ORDER BY entity_id, id DESC LIMIT 100"
        ),
        {"since": since},
    )
    return [(row.name, row.action, row.actor) for row in rows]


def rule_values(rule: Rule) -> dict[str, Any]:
    """What a rule says, as the table and the audit trail hold it: everything that can be edited, and its name."""
    return {
        "name": rule.name,
        "title": rule.title,
        "signal": rule.signal,
        "subject": rule.subject,
        "comparison": rule.comparison,
        "threshold": rule.threshold,
        "for_s": rule.for_s,
        "severity": rule.severity,
        "steps": [{"after_s": step.after_s, "to": step.to} for step in rule.steps],
        "repeat_s": rule.repeat_s,
        "folds_into": list(rule.folds_into),
        "runbook": rule.runbook,
        "enabled": rule.enabled,
    }


def step_of(value: Mapping[str, Any]) -> Step:
    """One step as the table holds it."""
    return Step(int(value["after_s"]), str(value["to"]))


def _rule(row: Row[Any]) -> Rule:
    values = dict(row._mapping)
    values["steps"] = tuple(step_of(step) for step in row.steps)
    values["folds_into"] = tuple(row.folds_into)
    return Rule(**values)


def _alert(row: Row[Any]) -> Alert:
    return Alert(**row._mapping)


def _silence(row: Row[Any]) -> Silence:
    return Silence(**row._mapping)
