"""What happened while a chart's lines went up: deployments, flags, incidents, maintenance, in one read for all charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

from dashboard.queries import cached
from jobs.probes.spans import Window

MOST = 30


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time, or from a time to a time; `until` of what still lasts is now."""

    kind: Literal["incident", "maintenance", "deployment", "flag"]
    label: str
    at: datetime
    until: datetime | None
    link: str


# Where there are more than fit, those that say most are kept.
_MARKS = text("""
WITH shown AS (
    SELECT coalesce(CAST(:until AS timestamptz), now()) AS until,
           coalesce(CAST(:until AS timestamptz), now()) - CAST(:length AS interval) AS since
), found AS (
    SELECT 1 AS rank, 'incident' AS kind, 'Incident ' || i.id || ': ' || i.title AS label, i.began_at AS at,
           coalesce(i.resolved_at, now()) AS until, '/incident?id=' || i.id AS link
      FROM ops.incidents i, shown WHERE i.began_at < shown.until AND coalesce(i.resolved_at, now()) >= shown.since
    UNION ALL
    SELECT 2, 'maintenance', 'Maintenance: ' || s.title, s.starts_at, coalesce(s.ended_at, s.ends_at), '/alerts'
      FROM ops.silences s, shown
     WHERE s.kind = 'maintenance' AND s.starts_at < shown.until AND coalesce(s.ended_at, s.ends_at) >= shown.since
    UNION ALL
    SELECT 3, 'deployment', 'Version ' || v.version || ' runs', v.first_seen_at, NULL, '/releases'
      FROM ops.app_versions v, shown WHERE v.first_seen_at >= shown.since AND v.first_seen_at < shown.until
    UNION ALL
    SELECT 4, 'deployment', r.title || ' is done', r.closed_at, NULL, '/checklist?id=' || r.id
      FROM ops.checklist_runs r, shown
     WHERE r.kind = 'deployment' AND r.state = 'done' AND r.closed_at >= shown.since AND r.closed_at < shown.until
    UNION ALL
    SELECT 5, 'flag', a.entity_id || CASE WHEN (a.new ->> 'value')::boolean THEN ' on' ELSE ' off' END || ' by ' || a.actor
           || coalesce(': ' || a.reason, ''), a.at, NULL, '/flags'
      FROM ops.audit a, shown WHERE a.entity = 'flag' AND a.action = 'flag.set' AND a.at >= shown.since AND a.at < shown.until
)
SELECT kind, left(label, 160) AS label, at, until, link FROM found
ORDER BY rank, at DESC LIMIT :most
""")


@cached(ttl=10)
def marks(conn: Connection, window: Window) -> tuple[Mark, ...]:
    """What happened in the window, the newest last; `MOST` at most, incidents and maintenance before the rest."""
    rows = conn.execute(_MARKS, {"length": window.length, "until": window.until, "most": MOST})
    return tuple(sorted((Mark(**row._mapping) for row in rows), key=lambda mark: mark.at))
