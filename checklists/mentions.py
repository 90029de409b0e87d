"""Who is meant by an `@` in a comment, and what they have not seen yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.core.people import list_people
from jobs.core.permissions import Actor, Role

_NAMED = re.compile(r"(?<![\w@.])@([\w.+-]*\w(?:@[\w.-]*\w)?)")


@dataclass(frozen=True, slots=True)
class Mention:
    """A comment that names somebody: where it stands, by whom (a name), when (UTC) and what it says."""

    event_id: int
    run_id: int
    title: str
    item_id: str | None
    by: str
    at: datetime
    words: str


def mentioned(words: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses that a text names: whole, or by what stands before the @ where only one has it."""
    by_name: dict[str, list[str]] = {}
    for address in addresses:
        by_name.setdefault(address, []).append(address)
        by_name.setdefault(address.partition("@")[0], []).append(address)
    found = (by_name.get(name.lower(), []) for name in _NAMED.findall(words))
    return tuple(sorted({addresses[0] for addresses in found if len(addresses) == 1}))


def remember_mentions(conn: Connection, event_id: int, words: str, actor: Actor) -> None:
    """Keeps for everybody whom a comment names, but its writer, that it does."""
    open_accounts = [person.email for person in list_people(conn) if person.disabled_at is None]
    named = [address for address in mentioned(words, open_accounts) if address != actor.email]
    conn.execute(
        text(
            "INSERT INTO ops.checklist_mentions (event_id, email)"
            " SELECT :event_id, unnest(CAST(:emails AS text[])) ON CONFLICT DO NOTHING"
        ),
        {"event_id": event_id, "emails": named},
    )


def remember_mentions_of(conn: Connection, event_id: int, role: Role) -> None:
    """The same for everybody who has a role."""
    conn.execute(
        text(
            "INSERT INTO ops.checklist_mentions (event_id, email)"
            " SELECT :event_id, email FROM ops.people WHERE :role = ANY (roles) AND disabled_at IS NULL"
        ),
        {"event_id": event_id, "role": role.value},
    )


def unseen(conn: Connection, email: str, limit: int = 50) -> list[Mention]:
    """What names this person and was not seen by them yet, the newest first."""
    rows = conn.execute(
        text(
            "SELECT e.id AS event_id, e.run_id, r.title, e.item_id, coalesce(p.name, e.actor) AS by, e.at,"
            " e.note AS words FROM ops.checklist_mentions m JOIN ops.checklist_events e ON e.id = m.event_id"
            " JOIN ops.checklist_runs r ON r.id = e.run_id LEFT JOIN ops.people p ON p.email = e.actor"
            " WHERE m.email = :email AND m.seen_at IS NULL ORDER BY e.id DESC LIMIT :limit"
        ),
        {"email": email, "limit": limit},
    )
    return [Mention(**row._asdict()) for row in rows]


def seen(conn: Connection, email: str, run_id: int) -> None:
    """This person has looked at the run: what names them there is no news any more."""
    conn.execute(
        text(
            "UPDATE ops.checklist_mentions m SET seen_at = now() FROM ops.checklist_events e"
            " WHERE e.id = m.event_id AND e.run_id = :run_id AND m.email = :email AND m.seen_at IS NULL"
        ),
        {"run_id": run_id, "email": email},
    )
