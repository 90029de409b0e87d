"""The reads of who is on call: for the line on top of every page, and for the page Contacts."""

from __future__ import annotations

from sqlalchemy import Connection

from dashboard.components.times import now
from dashboard.queries import cached
from jobs.alerts.rota_store import OnCall, read_on_call


@cached(ttl=10)
def on_call_now(conn: Connection) -> tuple[OnCall, ...]:
    """Who is called now, in the order in which they are called; empty: nobody is on call.

    `rota` is empty where there is no rota and the emergency contact is called instead.
    """
    return read_on_call(conn, now())
