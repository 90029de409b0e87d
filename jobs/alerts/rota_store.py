"""The rotas and who stands in for whom, in the database; and who is called right now.

Whoever calls these has asked for the right `keep the emergency contacts`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from jobs.alerts.rota import Override, Rota, on_call
from jobs.core import audit
from jobs.core.errors import Conflict, NotFound, UsageError

CONTACT = "On-Call Engineer"
"""The emergency contact who is called where there is no rota."""
LONGEST = timedelta(days=366)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is called now. `rota` is empty and `until` None for the contact who is called where there is no rota.

    `fault` says, as a sentence without its full stop, why they cannot be called after all.
    """

    rota: str
    name: str
    email: str
    until: datetime | None = None
    override: Override | None = None
    fault: str | None = None


def list_rotas(conn: Connection) -> tuple[Rota, ...]:
    """Every rota, the one that is called first first."""
    rows = conn.execute(
        text(
            "SELECT name, place, zone, starts_on, handover, turn_days, people, version, changed_at, changed_by"
            " FROM ops.rotas ORDER BY place"
        )
    )
    return tuple(Rota(**{**row._mapping, "people": tuple(row.people)}) for row in rows)


def list_overrides(conn: Connection, since: datetime) -> tuple[Override, ...]:
    """The overrides that are not over at `since`, the one that begins first first; those taken back before are over."""
    rows = conn.execute(
        text(
            "SELECT id, rota, person, starts_at, ends_at, reason, created_at, created_by, ended_at"
            " FROM ops.rota_overrides WHERE ends_at > :since AND coalesce(ended_at > greatest(:since, starts_at), true)"
            " ORDER BY starts_at, id"
        ),
        {"since": since},
    )
    return tuple(Override(**row._mapping) for row in rows)


def read_on_call(conn: Connection, at: datetime) -> tuple[OnCall, ...]:
    """Who is called at an instant, in the order in which they are called; empty: nobody is on call."""
    overrides = list_overrides(conn, at)
    now = [(rota, on_call(rota, of(rota, overrides), at)) for rota in list_rotas(conn)]
    if not now:
        return _contact(conn)
    known = read_names(conn, [turn.person for _, turn in now])
    return tuple(
        OnCall(
            rota.name,
            known.get(turn.person, (turn.person, False))[0],
            turn.person,
            turn.ends_at,
            turn.override,
            fault(turn.person, known),
        )
        for rota, turn in now
    )


def of(rota: Rota, overrides: Sequence[Override]) -> tuple[Override, ...]:
    """The overrides of one rota."""
    return tuple(one for one in overrides if one.rota == rota.name)


def read_names(conn: Connection, emails: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """By address: what a person is called, and whether their account is open. Who has none is left out."""
    rows = conn.execute(
        text("SELECT email, name, disabled_at IS NULL AS open FROM ops.people WHERE email = ANY(:emails)"),
        {"emails": list(emails)},
    )
    return {row.email: (row.name, row.open) for row in rows}


def fault(email: str, known: dict[str, tuple[str, bool]]) -> str | None:
    """Why somebody cannot be on call, by `read_names`; None if they can."""
    name, is_open = known.get(email, (email, None))
    if is_open is None:
        return f"{email} has no account, and cannot be on call"
    return None if is_open else f"{name}'s account is closed, and they cannot be on call"


def save_rota(
    conn: Connection,
    name: str,
    seen_version: int,
    *,
    zone: str,
    starts_on: date,
    handover: time,
    turn_days: int,
    people: Sequence[str],
    actor: str,
    origin: str,
) -> None:
    """Writes a rota; version 0: a new one, which is called after those that there are.

    Raises UsageError for what makes no rota, Conflict if it changed after it was seen.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a rota: use small letters and digits, such as primary.")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"{zone!r} is not a time zone: say one like UTC or Europe/Berlin.") from None
    if not 1 <= turn_days <= 366:
        raise UsageError("A turn lasts from 1 to 366 days.")
    if handover.tzinfo is not None or not 1970 <= starts_on.year <= 2200:
        raise UsageError("A rota needs a day to start on and a time such as 09:00, by the clock of its zone.")
    names = [one.strip().lower() for one in people]
    if not names or len(set(names)) < len(names):
        raise UsageError("A rota needs at least one person, and everybody once.")
    _require_open(conn, names)
    old = conn.execute(text("SELECT * FROM ops.rotas WHERE name = :name FOR UPDATE"), {"name": name}).one_or_none()
    if old is not None and seen_version == 0:
        raise Conflict(f"There is a rota {name} already: change that one, or choose another name.")
    values = {"zone": zone, "starts_on": starts_on, "handover": handover, "turn_days": turn_days, "people": names}
    if seen_version == 0:
        # Two new ones at the same moment would take the same place.
        conn.execute(text("LOCK TABLE ops.rotas IN SHARE ROW EXCLUSIVE MODE"))
        statement = (
            "INSERT INTO ops.rotas (name, place, zone, starts_on, handover, turn_days, people, changed_by)"
            " SELECT :name, coalesce(max(place), 0) + 1, :zone, :starts_on, :handover, :turn_days, :people, :actor"
            " FROM ops.rotas ON CONFLICT (name) DO NOTHING"
        )
    else:
        statement = (
            "UPDATE ops.rotas SET zone = :zone, starts_on = :starts_on, handover = :handover, turn_days = :turn_days,"
            " people = :people, version = version + 1, changed_at = now(), changed_by = :actor"
            " WHERE name = :name AND version = :seen"
        )
    changed = conn.execute(text(statement), {"name": name, "seen": seen_version, "actor": actor, **values}).rowcount
    if changed != 1:
        raise Conflict(f"Somebody changed the rota {name} after you saw it: look again first.")
    before = None if old is None else {key: getattr(old, key) for key in values}
    audit.record(conn, audit.AuditRow(actor, "rota.saved", "rota", name, origin, old=before, new=values))


def move_rota(conn: Connection, name: str, seen_place: int, place: int, *, actor: str, origin: str) -> None:
    """Has a rota called as number `place` of all, 1 is first; the others keep their order. From 1 on they are numbered anew.

    Raises UsageError for a place that there is not, Conflict if the rota was moved or taken away after it was seen.
    """
    # Two who move at once: the second finds the places that the first has given.
    conn.execute(text("LOCK TABLE ops.rotas IN SHARE ROW EXCLUSIVE MODE"))
    places = {rota.name: rota.place for rota in list_rotas(conn)}
    if places.get(name) != seen_place:
        raise Conflict(f"Somebody moved the rota {name} after you saw it: look again first.")
    if not 1 <= place <= len(places):
        raise UsageError(f"{place} is no place for a rota: there are {len(places)}, and 1 is called first.")
    order = [one for one in places if one != name]
    order.insert(place - 1, name)
    # By way of negative numbers: no place may be taken twice, not even while the statement runs.
    conn.execute(
        text(
            "UPDATE ops.rotas SET place = -n.place"
            " FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS n (name, place) WHERE rotas.name = n.name"
        ),
        {"names": order},
    )
    conn.execute(text("UPDATE ops.rotas SET place = -place"))
    old, new = {"place": seen_place}, {"place": place}
    audit.record(conn, audit.AuditRow(actor, "rota.moved", "rota", name, origin, old=old, new=new))


def drop_rota(conn: Connection, name: str, seen_version: int, *, actor: str, origin: str, reason: str) -> None:
    """Takes a rota away, with its overrides; the trail keeps what it was.

    Raises UsageError without a reason, Conflict if it changed after it was seen.
    """
    reason = _why(reason)
    row = conn.execute(
        text("DELETE FROM ops.rotas WHERE name = :name AND version = :seen RETURNING *"),
        {"name": name, "seen": seen_version},
    ).one_or_none()
    if row is None:
        raise Conflict(f"Somebody changed the rota {name} after you saw it: look again first.")
    old = {key: getattr(row, key) for key in ("zone", "starts_on", "handover", "turn_days", "people")}
    audit.record(conn, audit.AuditRow(actor, "rota.dropped", "rota", name, origin, old=old, reason=reason))


def add_override(
    conn: Connection,
    rota: str,
    person: str,
    starts_at: datetime,
    ends_at: datetime,
    *,
    actor: str,
    origin: str,
    reason: str,
) -> int:
    """Has somebody stand in, and returns the override's id. Raises UsageError, NotFound without such a rota."""
    person, reason = person.strip().lower(), _why(reason)
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    if not max(starts_at, now) < ends_at or ends_at - starts_at > LONGEST:
        raise UsageError("An override ends after it begins and after now, and lasts at most a year.")
    if not conn.execute(text("SELECT 1 FROM ops.rotas WHERE name = :rota FOR KEY SHARE"), {"rota": rota}).scalar():
        raise NotFound(f"There is no rota {rota}: `nexaops oncall list` shows them.")
    _require_open(conn, [person])
    values = {"person": person, "starts_at": starts_at, "ends_at": ends_at}
    number: int = conn.execute(
        text(
            "INSERT INTO ops.rota_overrides (rota, person, starts_at, ends_at, reason, created_by)"
            " VALUES (:rota, :person, :starts_at, :ends_at, :reason, :actor) RETURNING id"
        ),
        {"rota": rota, "reason": reason, "actor": actor, **values},
    ).scalar_one()
    new = {"override": number, **values}
    audit.record(conn, audit.AuditRow(actor, "rota.override_added", "rota", rota, origin, new=new, reason=reason))
    return number


def end_override(conn: Connection, number: int, *, actor: str, origin: str) -> None:
    """Takes an override back from now on; Conflict if it is over, or was taken back, already."""
    row = conn.execute(
        text(
            "UPDATE ops.rota_overrides SET ended_at = now() WHERE id = :id AND ended_at IS NULL AND ends_at > now()"
            " RETURNING rota, person, ends_at"
        ),
        {"id": number},
    ).one_or_none()
    if row is None:
        raise Conflict(f"The override {number} is over already, or there is none: look again first.")
    old = {"override": number, "person": row.person, "ends_at": row.ends_at}
    audit.record(conn, audit.AuditRow(actor, "rota.override_ended", "rota", row.rota, origin, old=old))


def _require_open(conn: Connection, emails: Sequence[str]) -> None:
    known = read_names(conn, emails)
    if wrong := next((said for email in emails if (said := fault(email, known)) is not None), None):
        raise UsageError(f"{wrong}: choose somebody else.")


def _why(reason: str) -> str:
    if not reason.strip():
        raise UsageError("Say why: whoever comes after you will want to know.")
    return reason.strip()[:500]


def _contact(conn: Connection) -> tuple[OnCall, ...]:
    row = conn.execute(
        text("SELECT name, email FROM ops.contacts WHERE role = :role AND (phone <> '' OR email <> '')"),
        {"role": CONTACT},
    ).one_or_none()
    return () if row is None else (OnCall("", row.name, row.email),)
