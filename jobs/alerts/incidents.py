"""Incidents: what several alerts, or none, have in common, who has it now, and what was written about it meanwhile.

An incident is open until somebody resolves it, and one person has it at every moment. Its lead, title, severity and
beginning change under the version that was seen; of two who resolve or hand over at once the second is told who was
faster. What is written stays: the entries only grow, also after the end, when more is found out.

Every command here expects the caller's `begin()` block and raises inside it, so that a refusal writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, text

from jobs.core import audit
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.people import Person, list_people
from jobs.core.permissions import Right, allowed, require

LONGEST_TITLE = 200
LONGEST_ENTRY = 10_000
MOST_ALERTS = 200
"""That one incident holds."""


@dataclass(frozen=True, slots=True)
class About:
    """What an incident says of itself: what is wrong, how bad it is, since when it hurts."""

    title: str
    severity: str
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands; people are e-mail addresses, `version` counts the changes of what it says of itself."""

    id: int
    title: str
    severity: Literal["warn", "critical"]
    opened_at: datetime
    began_at: datetime
    opened_by: str
    lead: str
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    review_run: int | None
    version: int

    @property
    def open(self) -> bool:
        return self.resolved_at is None

    def lasted(self, now: datetime) -> timedelta:
        """For how long it has hurt, or hurt until it was resolved."""
        return (self.resolved_at or now) - self.began_at


def open_incident(
    conn: Connection,
    about: About,
    actor: Person,
    *,
    lead: str,
    alerts: Collection[int] = (),
    origin: str,
) -> int:
    """A new incident with these alerts, and its audit row; returns its id.

    Raises UsageError for what is missing or not possible, Conflict where an alert belongs to an incident already.
    """
    require(actor, Right.ACT_ON_ALERTS)
    values = {**_told(conn, about), "lead": _able(conn, lead)}
    incident_id: int = conn.execute(
        text(
            "INSERT INTO ops.incidents (title, severity, began_at, opened_by, lead)"
            " VALUES (:title, :severity, :began_at, :actor, :lead) RETURNING id"
        ),
        {**values, "actor": actor.email},
    ).scalar_one()
    new = {**values, "began_at": str(values["began_at"]), "alerts": sorted(alerts)}
    _record(conn, actor, "incident.opened", incident_id, origin, new=new)
    if alerts:
        _attach(conn, incident_id, alerts, actor)
    return incident_id


def add_note(conn: Connection, incident_id: int, body: str, actor: Person, *, origin: str) -> None:
    """Writes into the timeline, of an open incident or of one that has ended."""
    require(actor, Right.ACT_ON_ALERTS)
    get_incident(conn, incident_id)
    kept = _prose(body, "The note is empty: write what you saw or did.")
    _write(conn, incident_id, actor, "note", kept)
    _record(conn, actor, "incident.noted", incident_id, origin, reason=kept)


def hand_over(
    conn: Connection, incident_id: int, to: str, note: str, seen_version: int, actor: Person, *, origin: str
) -> None:
    """Makes somebody else the one who has it, with what they need to know."""
    require(actor, Right.ACT_ON_ALERTS)
    seen = _still_open(conn, incident_id)
    lead = _able(conn, to)
    if lead == seen.lead:
        raise Conflict(f"{lead} has incident {incident_id} already.")
    kept = _prose(note, "Say what the next one needs to know: what is known, what was tried, what to watch.")
    _change(conn, seen, seen_version, "lead = :lead", {"lead": lead})
    _write(conn, incident_id, actor, "handover", f"To {lead}: {kept}")
    old, new = {"lead": seen.lead}, {"lead": lead}
    _record(conn, actor, "incident.handed_over", incident_id, origin, old=old, new=new, reason=kept)


def correct(
    conn: Connection,
    incident_id: int,
    about: About,
    seen_version: int,
    actor: Person,
    *,
    reason: str,
    origin: str,
) -> None:
    """Corrects what an open incident says of itself: its title, how bad it is, since when it hurts."""
    require(actor, Right.ACT_ON_ALERTS)
    seen = _still_open(conn, incident_id)
    given = _told(conn, about)
    stands = {name: getattr(seen, name) for name in given}
    changed = {name for name in given if given[name] != stands[name]}
    if not changed:
        raise UsageError(f"Nothing of incident {incident_id} would change.")
    why = _prose(reason, "Say what was wrong: a correction needs a reason.")
    _change(conn, seen, seen_version, "title = :title, severity = :severity, began_at = :began_at", given)
    old, new = ({name: str(side[name]) for name in sorted(changed)} for side in (stands, given))
    _record(conn, actor, "incident.corrected", incident_id, origin, old=old, new=new, reason=why)


def add_alerts(conn: Connection, incident_id: int, alerts: Collection[int], actor: Person, *, origin: str) -> None:
    """Makes alerts a part of an open incident."""
    require(actor, Right.ACT_ON_ALERTS)
    if not alerts:
        raise UsageError("Choose at least one alert.")
    _still_open(conn, incident_id)
    _attach(conn, incident_id, alerts, actor)
    _record(conn, actor, "incident.alerts_added", incident_id, origin, new={"alerts": sorted(alerts)})


def remove_alert(conn: Connection, incident_id: int, alert_id: int, actor: Person, *, reason: str, origin: str) -> None:
    """Takes an alert that has nothing to do with it out of an incident, of an ended one too."""
    require(actor, Right.ACT_ON_ALERTS)
    get_incident(conn, incident_id)
    why = _prose(reason, "Say why it does not belong here.")
    gone = conn.execute(
        text("DELETE FROM ops.incident_alerts WHERE incident_id = :id AND alert_id = :alert"),
        {"id": incident_id, "alert": alert_id},
    ).rowcount
    if not gone:
        raise Conflict(f"Alert {alert_id} is no part of incident {incident_id} any more.")
    _record(conn, actor, "incident.alert_removed", incident_id, origin, old={"alert": alert_id}, reason=why)


def resolve(conn: Connection, incident_id: int, resolution: str, actor: Person, *, origin: str) -> None:
    """Ends an incident with what ended it."""
    require(actor, Right.ACT_ON_ALERTS)
    seen = _still_open(conn, incident_id)
    kept = _prose(resolution, "Say what ended it: whoever sees this again will want to know.")
    _change(
        conn, seen, seen.version, "resolved_at = now(), resolved_by = :actor, resolution = :resolution",
        {"actor": actor.email, "resolution": kept},
    )  # fmt: skip
    _record(conn, actor, "incident.resolved", incident_id, origin, reason=kept)


def attach_review(conn: Connection, incident_id: int, run_id: int, actor: Person, *, origin: str) -> None:
    """Names the checklist run in which an ended incident is reviewed; one at a time, unless it was abandoned.

    Raises Conflict where there is a review already, so that the caller's new run is rolled back with it.
    """
    require(actor, Right.ACT_ON_ALERTS)
    seen = get_incident(conn, incident_id)
    if seen.open:
        raise Conflict(f"Incident {incident_id} is still open: resolve it, then review it.")
    done = conn.execute(
        text(
            "UPDATE ops.incidents i SET review_run = :run, version = version + 1 WHERE id = :id AND (review_run IS NULL"
            " OR EXISTS (SELECT FROM ops.checklist_runs r WHERE r.id = i.review_run AND r.state = 'abandoned'))"
        ),
        {"id": incident_id, "run": run_id},
    ).rowcount
    if not done:
        found = get_incident(conn, incident_id)
        raise Conflict(f"Incident {incident_id} is reviewed already, in checklist run {found.review_run}.")
    _record(conn, actor, "incident.review_started", incident_id, origin, new={"checklist_run": run_id})


def get_incident(conn: Connection, incident_id: int) -> Incident:
    """One incident; NotFound if there is none of that number."""
    row = conn.execute(text(f"SELECT {_COLUMNS} FROM ops.incidents WHERE id = :id"), {"id": incident_id}).one_or_none()  # noqa: S608
    if row is None:
        raise NotFound(f"There is no incident {incident_id}.")
    return Incident(**row._mapping)


def open_incidents(conn: Connection) -> tuple[Incident, ...]:
    """Those that are open, the worst first and within a severity the oldest first."""
    rows = conn.execute(
        text(
            f"SELECT {_COLUMNS} FROM ops.incidents WHERE resolved_at IS NULL"  # noqa: S608
            " ORDER BY severity = 'critical' DESC, began_at, id LIMIT 100"
        )
    )
    return tuple(Incident(**row._mapping) for row in rows)


def ended_incidents(conn: Connection, *, before: int | None = None, limit: int = 50) -> tuple[Incident, ...]:
    """Those that have ended, by number, the newest first; `before` continues after a row."""
    rows = conn.execute(
        text(
            f"SELECT {_COLUMNS} FROM ops.incidents WHERE resolved_at IS NOT NULL AND id < :before"  # noqa: S608
            " ORDER BY id DESC LIMIT :limit"
        ),
        {"before": 2**62 if before is None else before, "limit": limit},
    )
    return tuple(Incident(**row._mapping) for row in rows)


def incidents_of(conn: Connection, alerts: Collection[int]) -> dict[int, int]:
    """Which incident each of these alerts belongs to, by alert; those that belong to none are left out."""
    rows = conn.execute(
        text("SELECT alert_id, incident_id FROM ops.incident_alerts WHERE alert_id = ANY(CAST(:ids AS bigint[]))"),
        {"ids": list(alerts)},
    )
    return {row.alert_id: row.incident_id for row in rows}


def _still_open(conn: Connection, incident_id: int) -> Incident:
    """The incident, locked until the caller's transaction ends; Conflict if it has ended."""
    conn.execute(text("SELECT FROM ops.incidents WHERE id = :id FOR UPDATE"), {"id": incident_id})
    found = get_incident(conn, incident_id)
    if found.resolved_at is not None:
        at = found.resolved_at.astimezone(UTC)
        raise Conflict(f"{found.resolved_by} resolved incident {incident_id} at {at:%H:%M} UTC: open another one.")
    return found


def _change(conn: Connection, seen: Incident, seen_version: int, sets: str, values: dict[str, Any]) -> None:
    done = conn.execute(
        text(
            f"UPDATE ops.incidents SET {sets}, version = version + 1"  # noqa: S608 - a part of this file
            " WHERE id = :id AND version = :seen AND resolved_at IS NULL"
        ),
        {**values, "id": seen.id, "seen": seen_version},
    ).rowcount
    if not done:
        raise Conflict(f"Incident {seen.id} was changed meanwhile, and {seen.lead} has it now: look at it again first.")


def _attach(conn: Connection, incident_id: int, alerts: Collection[int], actor: Person) -> None:
    known = conn.execute(
        text("SELECT count(*) FROM ops.alerts WHERE id = ANY(CAST(:ids AS bigint[])) AND state <> 'pending'"),
        {"ids": list(alerts)},
    ).scalar_one()
    if known != len(set(alerts)):
        raise NotFound("One of these alerts does not exist or has not fired: look at them again.")
    added = conn.execute(
        text(
            "INSERT INTO ops.incident_alerts (incident_id, alert_id, added_by)"
            " SELECT :id, alert, :actor FROM unnest(CAST(:ids AS bigint[])) AS alert"
            " ON CONFLICT (alert_id) DO NOTHING"
        ),
        {"id": incident_id, "ids": sorted(set(alerts)), "actor": actor.email},
    ).rowcount
    if added != known:
        taken = {alert: other for alert, other in incidents_of(conn, alerts).items() if other != incident_id}
        said = ", ".join(f"alert {alert} of incident {other}" for alert, other in sorted(taken.items()))
        raise Conflict(f"Somebody was faster: {said or 'they'} belongs there already. Look at the alerts again.")
    held = conn.execute(
        text("SELECT count(*) FROM ops.incident_alerts WHERE incident_id = :id"), {"id": incident_id}
    ).scalar_one()
    if held > MOST_ALERTS:
        raise UsageError(f"One incident holds {MOST_ALERTS} alerts at most: add those that tell most.")


def _write(conn: Connection, incident_id: int, actor: Person, kind: str, body: str) -> None:
    conn.execute(
        text("INSERT INTO ops.incident_entries (incident_id, author, kind, body) VALUES (:id, :author, :kind, :body)"),
        {"id": incident_id, "author": actor.email, "kind": kind, "body": body},
    )


def _record(
    conn: Connection,
    actor: Person,
    action: str,
    incident_id: int,
    origin: str,
    *,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    row = audit.AuditRow(actor.email, action, "incident", str(incident_id), origin, old=old, new=new, reason=reason)
    audit.record(conn, row)


def _able(conn: Connection, email: str) -> str:
    """The address of somebody who can have an incident."""
    address = email.strip().lower()
    person = next((one for one in list_people(conn) if one.email == address), None)
    if person is None or person.disabled_at is not None:
        raise UsageError(f"{address or 'Nobody'} has no open account: choose somebody who has one.")
    if not allowed(person.roles, Right.ACT_ON_ALERTS):
        raise UsageError(f"{address} may not act on incidents: choose somebody who may, such as whoever is on call.")
    return address


def _told(conn: Connection, about: About) -> dict[str, Any]:
    """The values as they are kept; UsageError for the first that is not accepted."""
    title = " ".join(about.title.replace("\x00", "").split())
    if not title:
        raise UsageError("The title is empty: say in a few words what is wrong.")
    if len(title) > LONGEST_TITLE:
        raise UsageError(f"The title has {len(title)} characters; {LONGEST_TITLE} at most.")
    if about.severity not in ("warn", "critical"):
        raise UsageError(f"{about.severity!r} is no severity: choose warn or critical.")
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    if about.began_at > now:
        raise UsageError(f"It cannot begin in the future: it is {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")
    return {"title": title, "severity": about.severity, "began_at": about.began_at}


def _prose(given: str, missing: str) -> str:
    kept = given.replace("\x00", "").strip()
    if not kept:
        raise UsageError(missing)
    if len(kept) > LONGEST_ENTRY:
        raise UsageError(f"That has {len(kept):,} characters; {LONGEST_ENTRY:,} at most: put the rest in another note.")
    return kept


_COLUMNS = "id, title, severity, opened_at, began_at, opened_by, lead, resolved_at, resolved_by, resolution, review_run, version"
