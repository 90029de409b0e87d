"""The demo's checklists: a release half way to production, and the week's maintenance, with the people who do them.

Everything goes through the same commands as a person's own clicks, so history, audit and versions are genuine.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection

from checklists.load import find_template
from checklists.reads import RunState, list_runs
from checklists.store import close_run, comment, mark_na, start_run, tick, untick
from jobs.core.db import Database
from jobs.core.people import Person, add_person, list_people
from jobs.core.permissions import Role

ORIGIN = "demo"
_PEOPLE = (
    ("grace@nexafx.com", "Grace Okafor", (Role.RELEASE_MANAGER,)),
    ("daniel@nexafx.com", "Daniel Reyes", (Role.DEVELOPER,)),
    ("mei@nexafx.com", "Mei Tanaka", (Role.QA_LEAD,)),
    ("tomas@nexafx.com", "Tomas Lindqvist", (Role.DEVOPS, Role.ON_CALL)),
    ("priya@nexafx.com", "Priya Raman", (Role.PROJECT_MANAGER,)),
)
_TICKED = (
    ("daniel@nexafx.com", "code-review", ("service", "module", "app-module", "imports", "lint", "types")),
    ("mei@nexafx.com", "testing", ("unit", "e2e", "log-output")),
    ("tomas@nexafx.com", "database", ("backup", "entities", "connectivity", "permissions")),
    (
        "tomas@nexafx.com",
        "configuration",
        ("horizon-url", "network", "database-variables", "node-env", "documented", "env-file", "never-commit"),
    ),
    ("grace@nexafx.com", "configuration", ("secret-management",)),
    ("tomas@nexafx.com", "stellar-network", ("reachable", "connectivity", "rate-limits")),
    ("tomas@nexafx.com", "monitoring", ("log-aggregation", "alerts/job-failures", "alerts/error-rates", "test-alerts")),
    ("daniel@nexafx.com", "documentation", ("overview", "variables", "rollback")),
    ("daniel@nexafx.com", "pre-deployment-checks", ("pushed", "review")),
)


def seed(db: Database) -> None:
    """Adds the demo's people and their checklist runs to a demo database that has none."""
    with db.begin() as conn:
        if list_runs(conn, limit=1):
            return
        for email, name, roles in _PEOPLE:
            add_person(conn, email, roles, actor="system", origin=ORIGIN, name=name)  # nobody signs in as them
        people = {person.email: person for person in list_people(conn)}
        _maintenance(conn, people["tomas@nexafx.com"])
    # A transaction of its own: the database's clock stands still within one, and the runs differ in age.
    with db.begin() as conn:
        _deployment(conn, people)


def _deployment(conn: Connection, people: dict[str, Person]) -> None:
    grace, mei, tomas = (people[f"{name}@nexafx.com"] for name in ("grace", "mei", "tomas"))
    fields = {
        "date": datetime.now(UTC).date().isoformat(),
        "version": "2.4.0",
        "deployed_by": tomas.email,
        "notes": "Settles in batches of 500. Roll back with the list “Critical Issue” if balances move twice.",
    }
    run_id = start_run(conn, find_template("deployment"), fields, grace, origin=ORIGIN)
    for email, phase, items in _TICKED:
        _tick_all(conn, run_id, people[email], [f"{phase}/{item}" for item in items])
    mark_na(
        conn,
        run_id,
        "stellar-network/real-transaction",
        1,
        tomas,
        "The payout account is funded on Friday; the staging run covers it.",
        origin=ORIGIN,
    )
    comment(
        conn,
        run_id,
        "testing/error-scenarios",
        "Horizon's 504 is covered; a wrong memo still is not.",
        mei,
        origin=ORIGIN,
    )
    reason = "The page went to last month's on-call number."
    untick(conn, run_id, "monitoring/test-alerts", 2, tomas, origin=ORIGIN, note=reason)
    comment(conn, run_id, None, "The window is 14:00 to 15:00 UTC. Support knows.", grace, origin=ORIGIN)


def _maintenance(conn: Connection, tomas: Person) -> None:
    weekly = find_template("maintenance-weekly")
    lines = [f"weekly/{item.id}" for item in weekly.phases[0].items]
    finished = start_run(conn, weekly, {}, tomas, origin=ORIGIN)
    _tick_all(conn, finished, tomas, lines)
    close_run(conn, finished, tomas, outcome=RunState.DONE, origin=ORIGIN)
    under_way = start_run(conn, weekly, {}, tomas, origin=ORIGIN)
    _tick_all(conn, under_way, tomas, lines[:2])
    comment(conn, under_way, lines[0], "64 % of the volume, 2 % more than last week.", tomas, origin=ORIGIN)


def _tick_all(conn: Connection, run_id: int, person: Person, items: Iterable[str]) -> None:
    for item_id in items:
        tick(conn, run_id, item_id, 1, person, origin=ORIGIN)
