"""Reads of the pages Alerts, Alert and Rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, text

from dashboard.queries import cached
from jobs.alerts import incident_story, previewing, store
from jobs.alerts.incident_timeline import Moment, Sources, Trail, moments
from jobs.alerts.incidents import incidents_of
from jobs.alerts.model import Alert, Rule, Silence, fits
from jobs.alerts.preview import Preview
from jobs.core.errors import NotFound

PAGE = 50
LOOKED_BACK = timedelta(days=7)
"""How far back the rules' figures and the choice of alerts for an incident look."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which of the alerts that have fired; None: any."""

    rule: str | None = None
    subject: str | None = None
    state: Literal["firing", "resolved"] | None = None

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Firing:
    """What fires now, the worst and oldest first, with the rules, silences and incidents that it belongs to.

    `at` is the database's clock.
    """

    at: datetime
    watched_until: datetime | None
    """When the signals were last read; None: never."""
    alerts: tuple[Alert, ...]
    pending: int
    rules: Mapping[str, Rule]
    silences: tuple[Silence, ...]
    incidents: Mapping[int, int]


@cached(ttl=3)
def firing(conn: Connection) -> Firing:
    """The alerts that fire."""
    at, watched = conn.execute(text("SELECT now(), (SELECT max(until) FROM ops.alert_watches)")).one()
    found = store.open_alerts(conn)
    alerts = tuple(one for one in found if one.state == "firing")
    rules = {rule.name: rule for rule in store.list_rules(conn)}
    silences = tuple(store.list_silences(conn))
    return Firing(
        at, watched, alerts, len(found) - len(alerts), rules, silences, incidents_of(conn, [one.id for one in alerts])
    )


@cached(ttl=5)
def silences(conn: Connection) -> tuple[Silence, ...]:
    """Those that last or are planned, and those that ended within LOOKED_BACK."""
    since: datetime = conn.execute(text("SELECT now()")).scalar_one() - LOOKED_BACK
    return tuple(store.list_silences(conn, ended_since=since))


@cached(ttl=5)
def past(conn: Connection, filters: Filters, before: int | None = None) -> tuple[Alert, ...]:
    """A page of what has fired and one more row, if there are more; the newest first."""
    found = store.list_alerts(
        conn, rule=filters.rule, subject=filters.subject, state=filters.state, before=before, limit=PAGE + 1
    )
    return tuple(found)


@cached(ttl=5)
def rules(conn: Connection) -> tuple[tuple[Rule, int], ...]:
    """Every rule with how often it fired within LOOKED_BACK, by title."""
    since: datetime = conn.execute(text("SELECT now()")).scalar_one() - LOOKED_BACK
    fired = store.fired_times(conn, since)
    found = sorted(store.list_rules(conn), key=lambda rule: (rule.title.lower(), rule.name))
    return tuple((rule, fired.get(rule.name, 0)) for rule in found)


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


@dataclass(frozen=True, slots=True)
class Story:
    """One alert with all that belongs to it; `rule` is None when it was deleted, `at` the database's clock."""

    at: datetime
    alert: Alert
    rule: Rule | None
    cause: Alert | None
    follow: tuple[Alert, ...]
    silences: tuple[Silence, ...]
    incident: int | None
    moments: tuple[Moment, ...]


@cached(ttl=3)
def story(conn: Connection, alert_id: int) -> Story:
    """An alert's whole story; NotFound if there is none of that number."""
    alert = store.get_alert(conn, alert_id)
    at: datetime = conn.execute(text("SELECT now()")).scalar_one()
    rule = _rule(conn, alert.rule)
    follow = conn.execute(
        text("SELECT id FROM ops.alerts WHERE folded_into = :id AND fired_at >= :since ORDER BY id LIMIT :most"),
        {"id": alert_id, "since": alert.began_at - LOOKED_BACK, "most": PAGE},
    ).scalars()
    until = alert.resolved_at or at
    silences = [
        one
        for one in store.list_silences(conn, ended_since=alert.began_at)
        if one.starts_at < until and fits(alert.rule, one.rule) and fits(alert.subject, one.subject)
    ]
    trail = incident_story.trail_of(conn, "alert", str(alert_id))
    told = incident_story.told_of(conn, alert_id)
    name = f"{rule.title if rule is not None else alert.rule}{f', {alert.subject}' if alert.subject else ''}"
    return Story(
        at=at,
        alert=alert,
        rule=rule,
        cause=next(iter(store.alerts_of(conn, [alert.folded_into])), None) if alert.folded_into is not None else None,
        follow=tuple(store.alerts_of(conn, list(follow))),
        silences=tuple(silences),
        incident=incidents_of(conn, [alert_id]).get(alert_id),
        moments=moments(Sources(trail=trail, told=told, names={str(alert_id): name})),
    )


def _rule(conn: Connection, name: str) -> Rule | None:
    try:
        return store.get_rule(conn, name)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class Course:
    """What a signal read of one subject from `since` to `until`: each value stands until the next one; None: no data."""

    since: datetime
    until: datetime
    at: tuple[datetime, ...]
    values: tuple[float | None, ...]
    cut: bool
    """There was more than is drawn: these are the newest."""


@cached(ttl=5)
def course(conn: Connection, signal: str, subject: str, since: datetime, until: datetime | None = None) -> Course:
    """The readings around an alert as the corners of a line of steps, with gaps where nobody looked."""
    end = until or conn.execute(text("SELECT now()")).scalar_one()
    bounds = {"signal": signal, "subject": subject, "since": since, "until": end, "most": MOST_PIECES + 1}
    pieces = conn.execute(_PIECES, bounds).all()
    at: list[datetime] = []
    values: list[float | None] = []
    for piece in pieces[:MOST_PIECES][::-1]:
        if at and piece.began > at[-1]:
            at, values = [*at, at[-1]], [*values, None]
        at += [piece.began, piece.ended]
        values += [piece.value, piece.value]
    return Course(since, end, tuple(at), tuple(values), cut=len(pieces) > MOST_PIECES)


MOST_PIECES = 160
"""Three points each stay below what a figure may have."""

# A reading stands until the next one, as far as somebody looked: what was read within the time, and what stood when it
# began, cut by the times that were watched.
_PIECES = text("""
    WITH read AS (
        SELECT at, coalesce(lead(at) OVER (ORDER BY at), CAST(:until AS timestamptz)) AS ended, value
          FROM ops.alert_readings
         WHERE signal = :signal AND subject = :subject AND at <= :until AND at >= coalesce(
               (SELECT max(at) FROM ops.alert_readings WHERE signal = :signal AND subject = :subject AND at <= :since),
               CAST(:since AS timestamptz))
    ), watched AS MATERIALIZED (
        SELECT began_at, until FROM ops.alert_watches
         WHERE began_at < CAST(:until AS timestamptz) AND until > CAST(:since AS timestamptz)
    ), seen AS (
        SELECT greatest(r.at, w.began_at, CAST(:since AS timestamptz)) AS began,
               least(r.ended, w.until, CAST(:until AS timestamptz)) AS ended, r.value
          FROM read r JOIN watched w ON w.began_at < r.ended AND w.until > r.at
         WHERE r.value <> 'NaN'
    )
    SELECT * FROM seen WHERE began < ended ORDER BY began DESC LIMIT :most
""")


@cached(ttl=5)
def rule(conn: Connection, name: str) -> Rule:
    """One rule; NotFound if there is none of that name."""
    return store.get_rule(conn, name)


@cached(ttl=5)
def past_of_rule(conn: Connection, name: str) -> tuple[Trail, ...]:
    """What was done to a rule, the newest first."""
    return incident_story.trail_of(conn, "alert_rule", name)[:PAGE]


@cached(ttl=15)
def preview(conn: Connection, draft: Rule) -> Preview:
    """What a rule, saved or not, would have done within the last seven days."""
    return previewing.preview(conn, draft)
