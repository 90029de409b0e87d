"""What falls due, and what became of what did: the calendar of lists, runs, reviews, contacts and hand-overs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, text

from checklists import contacts, reviews
from checklists.recurring import occurrences
from checklists.schema import Template
from jobs.alerts.rota import turns
from jobs.alerts.rota_store import list_overrides, list_rotas, of, read_names


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on one moment (UTC). `state` is done, open, overdue, missed, refused, abandoned, coming or due.

    `kind` is run, occurrence, review, contact or handover; `run_id` leads to a run, `template_id` to a definition.
    """

    at: datetime
    kind: str
    state: str
    title: str
    note: str = ""
    run_id: int | None = None
    template_id: str | None = None


def entries(conn: Connection, templates: Iterable[Template], since: datetime, until: datetime) -> list[Entry]:
    """Everything from `since` up to before `until`, in order."""
    templates = list(templates)
    now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    found = [*_opened(conn, since, until, now), *_due(conn, since, until, now)]
    found += _coming(templates, max(since, now), until)
    found += _reviews(conn, templates, now)
    found += _contacts(conn, templates, now)
    found += _handovers(conn, since, until, now)
    titles = {template.id: template.title for template in templates}
    named = (
        entry if entry.title else Entry(entry.at, entry.kind, entry.state, titles.get(entry.template_id or "", ""), entry.note, None, entry.template_id)
        for entry in found
    )  # fmt: skip
    return sorted((entry for entry in named if since <= entry.at < until), key=lambda entry: (entry.at, entry.title))


def _opened(conn: Connection, since: datetime, until: datetime, now: datetime) -> list[Entry]:
    rows = conn.execute(
        text(
            "SELECT o.template_id, o.occurs_at, o.state, o.note, o.run_id, r.title, r.state AS run_state, r.due_at"
            " FROM ops.checklist_occurrences o LEFT JOIN ops.checklist_runs r ON r.id = o.run_id"
            " WHERE o.occurs_at >= :since AND o.occurs_at < :until ORDER BY o.occurs_at LIMIT 2000"
        ),
        {"since": since, "until": until},
    )
    return [
        Entry(
            row.occurs_at, "occurrence", row.state if row.run_id is None else _state(row.run_state, row.due_at, now),
            row.title or "", row.note or "", row.run_id, row.template_id,
        )
        for row in rows
    ]  # fmt: skip


def _due(conn: Connection, since: datetime, until: datetime, now: datetime) -> list[Entry]:
    rows = conn.execute(
        text(
            "SELECT id, title, state, due_at, template_id FROM ops.checklist_runs"
            " WHERE state = 'open' AND due_at >= :since AND due_at < :until ORDER BY due_at LIMIT 500"
        ),
        {"since": since, "until": until},
    )
    return [
        Entry(row.due_at, "run", _state(row.state, row.due_at, now), row.title, f"run {row.id} is due", row.id)
        for row in rows
    ]


def _state(state: str, due_at: datetime | None, now: datetime) -> str:
    return "overdue" if state == "open" and due_at is not None and due_at < now else state


def _coming(templates: Iterable[Template], since: datetime, until: datetime) -> list[Entry]:
    return [
        Entry(at, "occurrence", "coming", template.title, template_id=template.id)
        for template in templates
        if template.schedule is not None and since < until
        for at in occurrences(template.schedule, since, until)
    ]


def _reviews(conn: Connection, templates: Iterable[Template], now: datetime) -> list[Entry]:
    recorded = reviews.last_reviews(conn)
    return [
        Entry(_morning(day), "review", _standing(day, now, reviews.SOON), template.title, "to be reviewed",
              template_id=template.id)
        for template in templates
        if (day := reviews.next_review(template, recorded)) is not None
    ]  # fmt: skip


def _contacts(conn: Connection, templates: Iterable[Template], now: datetime) -> list[Entry]:
    return [
        Entry(
            _morning(day),
            "contact",
            _standing(day, now, contacts.SOON),
            contact.role,
            "to be made sure of by a call" if contact.reachable else "nobody is entered",
        )
        for contact in contacts.list_contacts(conn, templates)
        if (day := contact.due_at(now).date())
    ]


def _handovers(conn: Connection, since: datetime, until: datetime, now: datetime) -> list[Entry]:
    """Whose turn on call begins when; what was planned is known, and not what was: overrides that are over are left out."""
    begin = max(since, now)
    if begin >= until:
        return []
    overrides = list_overrides(conn, begin)
    ahead = [
        (rota, turn)
        for rota in list_rotas(conn)
        for turn in turns(rota, of(rota, overrides), begin, until)
        if begin <= turn.starts_at
    ]
    names = read_names(conn, sorted({turn.person for _, turn in ahead}))
    return [
        Entry(
            turn.starts_at,
            "handover",
            "coming",
            names.get(turn.person, (turn.person, False))[0],
            f"on call, {rota.name}",
        )
        for rota, turn in ahead
    ]


def _standing(day: date, now: datetime, soon: timedelta) -> str:
    if day <= now.date():
        return "overdue"
    return "due" if day <= now.date() + soon else "coming"


def _morning(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
