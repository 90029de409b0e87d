"""Reads what `standing` joins with problems and alerts, and what stands beside them."""

from __future__ import annotations

from sqlalchemy import Connection, text

from jobs.alerts.standing import OpenIncident

_MOST = 50


def open_incidents(conn: Connection) -> list[OpenIncident]:
    """Incidents that are not resolved, the worst and oldest first."""
    rows = conn.execute(
        text(
            "SELECT i.id, i.title, i.severity, i.began_at, i.lead, array_remove(array_agg(a.alert_id), NULL) AS alerts"
            " FROM ops.incidents i LEFT JOIN ops.incident_alerts a ON a.incident_id = i.id"
            " WHERE i.resolved_at IS NULL GROUP BY i.id"
            " ORDER BY i.severity = 'critical' DESC, i.began_at LIMIT :most"
        ),
        {"most": _MOST},
    )
    return [OpenIncident(**{**row._mapping, "alerts": frozenset(row.alerts)}) for row in rows]


def runbooks(conn: Connection) -> dict[str, str]:
    """The checklist's template that each rule names, by the rule."""
    rows = conn.execute(text("SELECT name, runbook FROM ops.alert_rules WHERE runbook IS NOT NULL"))
    return {row.name: row.runbook for row in rows}
