"""The reads of the pages Checklists and Checklist."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, text

from checklists.delegation import Delegation, list_delegations
from checklists.evidence import Evidence, list_evidence
from checklists.load import BrokenTemplate, definition_files, load_templates
from checklists.mentions import Mention, unseen
from checklists.reads import (
    ChecklistRun,
    Event,
    RunState,
    RunSummary,
    list_events,
    list_runs,
    unknown,
)
from checklists.remembered import Remembered
from checklists.schema import Template
from dashboard.desk import desk
from dashboard.queries import cached
from jobs.core.people import Person, list_people

PAGE = 20
"""Rows of a list before its pager leads on."""

remembered = Remembered()


def _run(conn: Connection, run_id: int) -> ChecklistRun:
    """One run as it is now; NotFound."""
    found = remembered.look(conn, [run_id])
    if not found:
        raise unknown(run_id)
    return found[0]


# A second at most: with a look every two, what somebody else ticks is seen within three.
run = cached(ttl=1)(_run)


def run_now(run_id: int) -> ChecklistRun:
    """The same at once, for whoever just changed it: a look that began before their change may last its second."""
    with desk().db.read() as conn:
        return _run(conn, run_id)


@dataclass(frozen=True, slots=True)
class Touch:
    """The last thing that happened in a run: a name to show, and the event's kind."""

    name: str
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in the list, and who touched it last."""

    summary: RunSummary
    touch: Touch


@cached(ttl=3)
def runs(conn: Connection, state: RunState, before_id: int | None = None) -> tuple[RunLine, ...]:
    """One page of runs and one row more, if there is one, the newest first."""
    found = list_runs(conn, state=state, before_id=before_id, limit=PAGE + 1)
    rows = conn.execute(
        text(
            "SELECT e.run_id, e.at, e.kind, coalesce(p.name, e.actor) AS name"
            " FROM unnest(CAST(:ids AS bigint[])) AS r (id) CROSS JOIN LATERAL ("
            "   SELECT * FROM ops.checklist_events WHERE run_id = r.id ORDER BY id DESC LIMIT 1) e"
            " LEFT JOIN ops.people p ON p.email = e.actor"
        ),
        {"ids": [summary.id for summary in found]},
    )
    last = {row.run_id: Touch(row.name, row.kind, row.at) for row in rows}
    return tuple(RunLine(item, last.get(item.id) or Touch(item.starter, "started", item.started_at)) for item in found)


@cached(ttl=1)
def events(
    conn: Connection, run_id: int, item_id: str | None = None, before_id: int | None = None
) -> tuple[Event, ...]:
    """What happened in a run, or to one line: one page and one row more, if there is one, the newest first."""
    return tuple(list_events(conn, run_id, item_id=item_id, before_id=before_id, limit=PAGE + 1))


@cached(ttl=1)
def evidence(conn: Connection, run_id: int) -> tuple[Evidence, ...]:
    """What was left in a run, the oldest first, without the contents of files."""
    return tuple(list_evidence(conn, run_id))


@cached(ttl=2)
def mentions(conn: Connection, email: str) -> tuple[Mention, ...]:
    """What names this person and was not seen by them yet, the newest first."""
    return tuple(unseen(conn, email, limit=PAGE))


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last run of a line's check saw: JSON to read, its hash, by whom, and until when it counts."""

    output: str
    sha256: str
    by: str
    expires_at: datetime


@cached(ttl=1)
def check_output(conn: Connection, run_id: int, item_id: str) -> Seen | None:
    """The output behind the last result of a line's check."""
    row = conn.execute(
        text(
            "SELECT c.output, c.sha256, c.expires_at, coalesce(p.name, c.ran_by) AS by FROM ops.checklist_checks c"
            " LEFT JOIN ops.people p ON p.email = c.ran_by WHERE c.run_id = :run_id AND c.item_id = :item_id"
            " ORDER BY c.id DESC LIMIT 1"
        ),
        {"run_id": run_id, "item_id": item_id},
    ).one_or_none()
    if row is None:
        return None
    return Seen(json.dumps(row.output, indent=2, ensure_ascii=False), row.sha256, row.by, row.expires_at)


@cached(ttl=10)
def people(conn: Connection) -> tuple[Person, ...]:
    """Everybody whose account is open."""
    return tuple(person for person in list_people(conn) if person.disabled_at is None)


def accounts() -> tuple[tuple[str, str], ...]:
    """E-mail and name of everybody whose account is open: whom a field of a summary can name."""
    return tuple((person.email, person.name) for person in people())


@cached(ttl=1)
def delegations(conn: Connection, run_id: int) -> tuple[Delegation, ...]:
    """Who may sign a run for whom."""
    return list_delegations(conn, run_id)


def templates() -> tuple[Template | BrokenTemplate, ...]:
    """Every definition as the files are now; they are read again when one of them changes."""
    return _templates(tuple((str(path), _changed_at(path)) for path in definition_files()))


def _changed_at(path: Path) -> int:
    """When a file was changed last, in ns; 0 of one that is not there: it then shows as broken."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)  # for ever: what they are made of is the key
def _templates(files: tuple[tuple[str, int], ...]) -> tuple[Template | BrokenTemplate, ...]:
    del files  # the key alone
    return tuple(load_templates())
