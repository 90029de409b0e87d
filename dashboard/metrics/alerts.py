"""What fires, who has it, and whether anybody looks: the one figure that the alerts cannot tell of themselves."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from sqlalchemy import Connection, text

from dashboard.metrics.families import figure, gauge, stamp

_FIRING = text("""
SELECT rule, severity, count(*) FILTER (WHERE acknowledged_at IS NULL) AS firing,
       count(*) FILTER (WHERE acknowledged_at IS NOT NULL) AS acknowledged
FROM ops.alerts WHERE state = 'firing' GROUP BY rule, severity ORDER BY rule, severity
""")
_INCIDENTS = text("""
SELECT s.severity, count(i.id) AS n FROM (VALUES ('warn'), ('critical')) AS s (severity)
LEFT JOIN ops.incidents i ON i.severity = s.severity AND i.resolved_at IS NULL GROUP BY s.severity
""")
_QUIET = text("SELECT count(*) FROM ops.silences WHERE ended_at IS NULL AND starts_at <= now() AND ends_at > now()")
_WATCHED = text("SELECT max(until) FROM ops.alert_watches")


def alerts(conn: Connection) -> Iterator[Metric]:
    """Alerts by rule, incidents by severity."""
    rows = [((row.rule, row.severity), row) for row in conn.execute(_FIRING)]
    labels = ["rule", "severity"]
    yield gauge("alerts_firing", "Alerts that fire and that nobody has acknowledged.", labels,
                [(which, row.firing) for which, row in rows])  # fmt: skip
    yield gauge("alerts_acknowledged", "Alerts that fire and that somebody has.", labels,
                [(which, row.acknowledged) for which, row in rows])  # fmt: skip
    yield gauge("incidents_open", "Incidents under way.", ["severity"],
                [((row.severity,), row.n) for row in conn.execute(_INCIDENTS)])  # fmt: skip
    yield figure(
        "silences", "Silences and maintenance windows that keep somebody quiet now.", conn.execute(_QUIET).scalar_one()
    )
    yield figure("alerts_evaluated_timestamp_seconds", "When the rules were last held against what is measured.",
                 stamp(conn.execute(_WATCHED).scalar()))  # fmt: skip
