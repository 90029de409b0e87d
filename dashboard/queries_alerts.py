"""Reads of the pages Alerts, Alert and Rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from dashboard.queries import cached
from jobs.alerts import store
from jobs.alerts.incidents import incidents_of
from jobs.alerts.model import Alert, Rule, Silence

PAGE = 50
LOOKED_BACK = timedelta(days=7)
"""How far back the rules' figures and the choice of alerts for an incident look."""


@dataclass(frozen=True, slots=True)
class Firing:
    """What fires now, the worst and oldest first, with the rules, silences and incidents that it belongs to.

    `at` is the database's clock.
    """

    at: datetime
    alerts: tuple[Alert, ...]
    pending: int
    rules: Mapping[str, Rule]
    silences: tuple[Silence, ...]
    incidents: Mapping[int, int]


@cached(ttl=3)
def firing(conn: Connection) -> Firing:
    """The alerts that fire."""
    at: datetime = conn.execute(text("SELECT now()")).scalar_one()
    found = store.open_alerts(conn)
    alerts = tuple(one for one in found if one.state == "firing")
    rules = {rule.name: rule for rule in store.list_rules(conn)}
    silences = tuple(store.list_silences(conn))
    return Firing(at, alerts, len(found) - len(alerts), rules, silences, incidents_of(conn, [one.id for one in alerts]))


@cached(ttl=3)
def of_incident(conn: Connection, incident_id: int) -> tuple[Alert, ...]:
    """The alerts of an incident, by number."""
    ids = conn.execute(
        text("SELECT alert_id FROM ops.incident_alerts WHERE incident_id = :id"), {"id": incident_id}
    ).scalars()
    return tuple(store.alerts_of(conn, list(ids)))


@cached(ttl=3)
def without_incident(conn: Connection) -> tuple[Alert, ...]:
    """What fired lately and belongs to no incident, the newest first: what could be added to one."""
    since: datetime = conn.execute(text("SELECT now()")).scalar_one() - LOOKED_BACK
    found = store.list_alerts(conn, since=since, limit=4 * PAGE)
    taken = incidents_of(conn, [one.id for one in found])
    return tuple(one for one in found if one.id not in taken)
