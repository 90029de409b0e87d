"""Reads of the pages Incidents and Incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from checklists.reads import RunSummary, list_runs
from dashboard.queries import cached
from jobs.alerts import incident_story
from jobs.alerts.incident_timeline import Moment
from jobs.alerts.incidents import Incident, ended_incidents, get_incident, open_incidents
from jobs.core.people import list_people
from jobs.core.permissions import Right, allowed

PAGE = 50


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident in a list: with how many alerts, and when something was last written into it."""

    incident: Incident
    alerts: int
    firing: int
    written_at: datetime | None


@cached(ttl=3)
def in_hand(conn: Connection) -> tuple[IncidentLine, ...]:
    """Those that are open, the worst first."""
    return _lines(conn, open_incidents(conn))


@cached(ttl=10)
def ended(conn: Connection, before: int | None = None) -> tuple[IncidentLine, ...]:
    """A page of those that have ended and one more row, if there are more; the newest first."""
    return _lines(conn, ended_incidents(conn, before=before, limit=PAGE + 1))


@cached(ttl=3)
def incident(conn: Connection, incident_id: int) -> Incident:
    """One incident; NotFound if there is none."""
    return get_incident(conn, incident_id)


@cached(ttl=3)
def timeline(conn: Connection, incident_id: int) -> tuple[Moment, ...]:
    """Its course, the oldest first."""
    return incident_story.timeline(conn, get_incident(conn, incident_id))


@cached(ttl=10)
def review(conn: Connection, run_id: int) -> RunSummary | None:
    """The checklist run in which it is reviewed."""
    return next((run for run in list_runs(conn, before_id=run_id + 1, limit=1) if run.id == run_id), None)


@cached(ttl=30)
def leads(conn: Connection) -> tuple[tuple[str, str], ...]:
    """Who can have an incident: address and name, by name."""
    able = [one for one in list_people(conn) if one.disabled_at is None and allowed(one.roles, Right.ACT_ON_ALERTS)]
    return tuple(sorted(((one.email, one.name) for one in able), key=lambda one: one[1].lower()))


def _lines(conn: Connection, found: tuple[Incident, ...]) -> tuple[IncidentLine, ...]:
    rows = conn.execute(
        text(
            "SELECT i.id, count(l.alert_id) AS alerts, count(*) FILTER (WHERE a.state = 'firing') AS firing,"
            " (SELECT max(at) FROM ops.incident_entries e WHERE e.incident_id = i.id) AS written_at"
            " FROM unnest(CAST(:ids AS bigint[])) AS i (id) LEFT JOIN ops.incident_alerts l ON l.incident_id = i.id"
            " LEFT JOIN ops.alerts a ON a.id = l.alert_id GROUP BY i.id"
        ),
        {"ids": [one.id for one in found]},
    )
    by_id = {row.id: row for row in rows}
    return tuple(
        IncidentLine(one, by_id[one.id].alerts, by_id[one.id].firing, by_id[one.id].written_at) for one in found
    )
