"""Where each page shows most, on a demo that has lived a little: for whoever walks through all of them.

A page that only links lead to needs something to show: its entry here says what, as the query of its address. A new
one has to get an entry, or the walk stops at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import text

from checklists.load import find_template
from checklists.schema import Template
from checklists.store import start_run
from dashboard.navigation import PAGES, START
from jobs.alerts.incidents import About, add_note, open_incident
from jobs.core.db import Database
from jobs.core.people import list_people
from jobs.run.store import request_run
from tests.e2e.conftest import wait_until

# One row each, its columns the parameters of the address.
_SHOWN: Mapping[str, str] = {
    "transaction": (
        "SELECT t.id FROM transactions t JOIN ops.decisions d ON d.transaction_id = t.id"
        " JOIN notifications n ON n.related_id = t.id"
        " WHERE t.type = 'WITHDRAW' AND t.status = 'FAILED' ORDER BY t.created_at LIMIT 1"
    ),
    "alert": "SELECT id FROM ops.alerts ORDER BY id LIMIT 1",
    "rule": "SELECT name FROM ops.alert_rules WHERE name = 'job-failed'",
    "incident": "SELECT id FROM ops.incidents ORDER BY id LIMIT 1",
    "schedule": "SELECT name FROM ops.schedules WHERE name = 'reconcile-pending'",
    "run": "SELECT id FROM ops.runs WHERE job = 'verify-backup' AND state = 'failed' ORDER BY id LIMIT 1",
    "compare": (
        "SELECT max(id) AS id, min(id) AS with FROM ops.runs"
        " WHERE job = 'reconcile-pending' AND state = 'succeeded' AND host <> 'demo' HAVING count(*) > 1"
    ),
    "checklist": "SELECT id FROM ops.checklist_runs WHERE template_id = 'deployment' ORDER BY id LIMIT 1",
    "signing": (
        "SELECT id, 'qa_lead' AS role FROM ops.checklist_runs WHERE template_id = 'deployment' ORDER BY id LIMIT 1"
    ),
    "move": "SELECT id FROM ops.checklist_runs WHERE template_id = 'maintenance-monthly' ORDER BY id LIMIT 1",
}

# Other faces of pages; two of the same page do not follow each other.
FACES: Mapping[str, str] = {
    "the timeline of runs": "/runs?view=timeline",
    "one case": "/cases?case=1",
    "failed runs by kind": "/runs?view=failures",
    "closed cases": "/cases?order=Closed",
}


def prepare(db: Database) -> None:
    """What a demo has not from the beginning: a job that fails, an incident, a run of a definition changed since."""
    definition = find_template("maintenance-monthly").canonical()
    items = definition["phases"][0]["items"]
    items.pop()
    items[0]["do"] += ", if there is time"
    with db.begin() as conn:
        tomas = next(person for person in list_people(conn) if person.email == "tomas@nexafx.com")
        start_run(conn, Template.model_validate(definition), {}, tomas, origin="test")
        request_run(conn, job="verify-backup", actor=tomas.email, reason="Can we restore?", origin="test")
        about = About("Nothing proves that a restore would work", "warn", datetime.now(UTC) - timedelta(minutes=20))
        incident = open_incident(conn, about, tomas, lead=tomas.email, origin="test")
        add_note(
            conn, incident, "The disk of the backups was full; the next backup is written now.", tomas, origin="test"
        )


def addresses(db: Database) -> dict[str, str]:
    """The path and query of every page by its name, as soon as the demo has something to show on each.

    KeyError for a page that only links lead to and that has no entry above.
    """
    found = {entry.name: "/" if entry is START else f"/{entry.name}" for entry in PAGES if not entry.hidden}
    hidden = {entry.name: _SHOWN[entry.name] for entry in PAGES if entry.hidden}

    def look() -> bool:
        with db.read() as conn:
            for name in hidden.keys() - found.keys():
                if row := conn.execute(text(hidden[name])).mappings().first():
                    found[name] = f"/{name}?{urlencode(row)}"
        return len(found) == len(PAGES)

    wait_until(look, 90, "something to show on every page")
    return {entry.name: found[entry.name] for entry in PAGES}
