"""The reads of who is on call: for the line on top of every page, and for the page Contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from dashboard.components.times import now
from dashboard.desk import desk
from dashboard.queries import cached
from jobs.alerts.notices import Notice, newest_on
from jobs.alerts.rota import Override, Rota, Turn, turns
from jobs.alerts.rota_store import OnCall, list_overrides, list_rotas, of, read_names, read_on_call

AHEAD = timedelta(weeks=4)


@cached(ttl=10)
def on_call_now(conn: Connection) -> tuple[OnCall, ...]:
    """Who is called now, in the order in which they are called; empty: nobody is on call.

    `rota` is empty where there is no rota and the emergency contact is called instead.
    """
    return read_on_call(conn, now())


@dataclass(frozen=True, slots=True)
class Plan:
    """The rotas with the turns of the next weeks, and what everybody in them is called."""

    at: datetime
    rotas: Sequence[tuple[Rota, Sequence[Turn]]]
    overrides: Sequence[Override]
    people: Mapping[str, tuple[str, bool]]
    """By address: the name, and whether the account is open."""

    def name(self, email: str) -> str:
        return self.people.get(email, (email, False))[0]


@cached(ttl=5)
def plan(conn: Connection) -> Plan:
    """What is planned from now on."""
    at = now()
    overrides = list_overrides(conn, at)
    ahead = [(rota, turns(rota, of(rota, overrides), at, at + AHEAD)) for rota in list_rotas(conn)]
    named = {*(turn.person for _, found in ahead for turn in found), *(one for rota, _ in ahead for one in rota.people)}
    return Plan(at, ahead, overrides, read_names(conn, sorted(named | {one.person for one in overrides})))


@cached(ttl=5)
def open_people(conn: Connection) -> Mapping[str, str]:
    """Who could be on call: the open accounts, address and name."""
    rows = conn.execute(text("SELECT email, name FROM ops.people WHERE disabled_at IS NULL ORDER BY email"))
    return {row.email: row.name for row in rows}


@cached(ttl=2)
def channels(conn: Connection, own: str) -> tuple[tuple[str, Notice | None], ...]:
    """The names of the team's channels, and of the person `own` where single people are told, with the newest notice."""
    # Apprise is 0.2 s of imports, which only this page has to pay.
    from jobs.alerts.channels import channels_of, person_channel  # noqa: PLC0415

    settings = desk().settings
    names = [channel.name for channel in channels_of(settings)]
    if settings.person_url.get_secret_value():
        names.append(person_channel(own))
    newest = newest_on(conn, names)
    return tuple((name, newest.get(name)) for name in names)
