"""Reads what an incident's timeline is made of: bounded, by indexes, within the time that it lasted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from jobs.alerts.incident_timeline import Entry, Listed, Moment, Sources, Told, Trail, Version, moments
from jobs.alerts.incidents import Incident

MOST = 2_000
"""Rows of each source, the newest: what a person can still read."""


def timeline(conn: Connection, incident: Incident) -> tuple[Moment, ...]:
    """The incident's course, the oldest first."""
    names = alert_names(conn, incident.id)
    window = {"id": incident.id, "since": incident.began_at, "until": incident.resolved_at, "most": MOST}
    ids = {"alerts": list(names), "numbers": [int(one) for one in names]}
    return moments(
        Sources(
            trail=tuple(Trail(**row._mapping) for row in conn.execute(text(_TRAIL), window | ids)),
            entries=tuple(Entry(**row._mapping) for row in conn.execute(text(_ENTRIES), window)),
            told=tuple(Told(**row._mapping) for row in conn.execute(text(_TOLD), window | ids)),
            lists=tuple(Listed(**row._mapping) for row in conn.execute(text(_LISTS), window)),
            versions=tuple(Version(**row._mapping) for row in conn.execute(text(_VERSIONS), window)),
            names=names,
        )
    )


def told_of(conn: Connection, alert_id: int, *, most: int = 200) -> tuple[Told, ...]:
    """The notices about one alert, the newest first."""
    bounds = {"numbers": [alert_id], "most": most}
    return tuple(Told(**row._mapping) for row in conn.execute(text(_TOLD), bounds))


def trail_of(conn: Connection, entity: str, entity_id: str, *, since: datetime | None = None) -> tuple[Trail, ...]:
    """What was done to one thing, the newest first."""
    bounds = {"entity": entity, "entity_id": entity_id, "since": since, "most": MOST}
    return tuple(Trail(**row._mapping) for row in conn.execute(text(_OF_ONE), bounds))


def alert_names(conn: Connection, incident_id: int) -> dict[str, str]:
    """What each alert of an incident is about, by its id as the trail has it: the rule's title and the subject."""
    rows = conn.execute(
        text(
            "SELECT a.id::text, coalesce(r.title, a.rule) || CASE WHEN a.subject = '' THEN '' ELSE ', ' || a.subject END AS name"
            " FROM ops.incident_alerts i JOIN ops.alerts a ON a.id = i.alert_id LEFT JOIN ops.alert_rules r ON r.name = a.rule"
            " WHERE i.incident_id = :id ORDER BY a.id"
        ),
        {"id": incident_id},
    )
    return {row.id: row.name for row in rows}


_COLUMNS = "at, actor, action, entity, entity_id, old, new, reason"

# The incident's own rows and its alerts' have no bounds of time; what else people did has those of the incident.
_TRAIL = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM ops.audit WHERE entity = 'incident' AND entity_id = CAST(:id AS text)
    UNION ALL
    SELECT * FROM ops.audit WHERE entity = 'alert' AND entity_id = ANY(CAST(:alerts AS text[]))
    UNION ALL
    SELECT * FROM ops.audit
     WHERE at >= :since AND at <= coalesce(CAST(:until AS timestamptz), now())
       AND actor NOT LIKE 'run:%' AND actor <> 'system' AND entity IN ('flag', 'schedule', 'silence', 'alert_rule', 'run')
) AS found ORDER BY at DESC LIMIT :most
"""  # noqa: S608 - a part of this file

_ENTRIES = """
SELECT at, author, kind, body FROM ops.incident_entries WHERE incident_id = :id ORDER BY id DESC LIMIT :most
"""

_TOLD = """
SELECT key, created_at AS at, channel, title, state, error FROM ops.notices
 WHERE alerts && CAST(:numbers AS bigint[]) ORDER BY id DESC LIMIT :most
"""

_LISTS = """
SELECT at, actor, id AS run_id, title, verb FROM ops.checklist_runs CROSS JOIN LATERAL (
    VALUES (started_at, started_by, 'started'),
           (closed_at, closed_by, CASE state WHEN 'done' THEN 'completed' ELSE 'abandoned' END)) AS v (at, actor, verb)
 WHERE at >= :since AND at <= coalesce(CAST(:until AS timestamptz), now()) ORDER BY at DESC LIMIT :most
"""

_VERSIONS = """
SELECT first_seen_at AS at, version FROM ops.app_versions
 WHERE first_seen_at >= :since AND first_seen_at <= coalesce(CAST(:until AS timestamptz), now())
 ORDER BY first_seen_at DESC LIMIT :most
"""

_OF_ONE = f"""
SELECT {_COLUMNS} FROM ops.audit
 WHERE entity = :entity AND entity_id = :entity_id AND at >= coalesce(CAST(:since AS timestamptz), '-infinity')
 ORDER BY id DESC LIMIT :most
"""  # noqa: S608 - a part of this file
