"""The demo's checklists: a release half way to production, one that was signed, and the week's maintenance, with the
people who do them and whom to call.

Everything goes through the same commands as a person's own clicks, so history, audit and versions are genuine.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from checklists.contacts import save_contact, verify_contact
from checklists.demo_list import REHEARSAL
from checklists.evidence import add_link, add_text, withdraw
from checklists.lines import leaves
from checklists.load import find_template
from checklists.proofs import prove_all
from checklists.proving import to_prove
from checklists.reads import RunState, list_runs, load_run
from checklists.record import digest_of
from checklists.signing import Proof, sign, to_sign
from checklists.store import assign, close_run, comment, hand_over, mark_na, start_run, tick, untick, verify
from checklists.tracker import Command, Hand, wants_reason, why_not
from jobs.core.db import Database
from jobs.core.people import Person, add_person, change_password, list_people
from jobs.core.permissions import Role
from jobs.core.settings import load_settings

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
_PROVEN = ("code-review", "database", "configuration")
_CONTACTS = (
    ("On-Call Engineer", "Tomas Lindqvist", "+1 555 0100", "tomas@nexafx.com"),
    ("Database Team", "Database Team", "+1 555 0101", "database@nexafx.com"),
    ("DevOps Lead", "Grace Okafor", "+1 555 0102", "grace@nexafx.com"),
    ("Product Owner", "Priya Raman", "+1 555 0103", "priya@nexafx.com"),
)


def seed(db: Database) -> None:
    """Adds the demo's people and their checklist runs to a demo database that has none."""
    with db.begin() as conn:
        if list_runs(conn, limit=1):
            return
        once = {
            email: add_person(conn, email, roles, actor="system", origin=ORIGIN, name=name)
            for email, name, roles in _PEOPLE
        }
        people = {person.email: person for person in list_people(conn)}
        _maintenance(conn, people["tomas@nexafx.com"])
        _contacts(conn, people["grace@nexafx.com"])
    # Transactions of their own: the database's clock stands still within one, and the runs differ in age.
    _signed(db, people, once)
    _rehearsal(db, people)
    _deployment(db, people)


def _deployment(db: Database, people: dict[str, Person]) -> None:
    grace, mei, tomas = (people[f"{name}@nexafx.com"] for name in ("grace", "mei", "tomas"))
    fields = {
        "date": datetime.now(UTC).date().isoformat(),
        "version": "2.4.0",
        "deployed_by": tomas.email,
        "notes": "Settles in batches of 500. Roll back with the list “Critical Issue” if balances move twice.",
    }
    with db.begin() as conn:
        run_id = start_run(
            conn,
            find_template("deployment"),
            fields,
            grace,
            origin=ORIGIN,
            due_at=datetime.now(UTC) + timedelta(days=3),
        )
    _prove(db, run_id, tomas, _PROVEN)
    with db.begin() as conn:
        for email, phase, items in _TICKED:
            _tick_all(conn, run_id, people[email], [f"{phase}/{item}" for item in items])
        _discuss(conn, run_id, grace, mei, tomas)


def _discuss(conn: Connection, run_id: int, grace: Person, mei: Person, tomas: Person) -> None:
    here = {"origin": ORIGIN}
    why = "The payout account is funded on Friday; the staging run covers it."
    mark_na(conn, run_id, "stellar-network/real-transaction", 1, tomas, why, **here)
    said = "Horizon's 504 is covered; a wrong memo still is not. @tomas do you have one from production?"
    comment(conn, run_id, "testing/error-scenarios", said, mei, **here)
    assign(
        conn, run_id, "testing/manual", grace, assignee=mei.email, due_at=datetime.now(UTC) + timedelta(hours=4), **here
    )
    add_link(
        conn, run_id, "code-review/service", "pull request", "https://github.com/nexafx/backend/pull/412", mei, **here
    )
    reason = "The page went to last month's on-call number."
    untick(conn, run_id, "monitoring/test-alerts", 2, tomas, note=reason, **here)
    comment(conn, run_id, None, "The window is 14:00 to 15:00 UTC. Support knows.", grace, **here)
    hand_over(conn, run_id, tomas.email, grace, "The tests are nearly through; watch Horizon's budget.", **here)


def _signed(db: Database, people: dict[str, Person], once: dict[str, str]) -> None:
    """The rehearsal of the version before: done to the last line, signed by two people, closed."""
    grace, mei, tomas = (people[f"{name}@nexafx.com"] for name in ("grace", "mei", "tomas"))
    here = {"origin": ORIGIN}
    with db.begin() as conn:
        run_id = start_run(conn, REHEARSAL, {"version": "2.3.0", "network": "TESTNET"}, tomas, origin=ORIGIN)
    _prove(db, run_id, tomas, ("before",))
    with db.begin() as conn:
        ticked = tick(conn, run_id, "before/keys", 1, mei, origin=ORIGIN)
        verify(conn, run_id, "before/keys", ticked, tomas, origin=ORIGIN)
        mark_na(conn, run_id, "before/screenshot", 1, mei, "The figures stand in the comment below.", **here)
        comment(conn, run_id, "before/screenshot", "12 balances, 48,210.50 XLM in all.", mei, **here)
        for line in leaves(load_run(conn, run_id).phases):
            if not line.id.startswith("before/"):
                choice = "continue" if line.definition.decide else None
                if line.definition.wait is None:
                    tick(conn, run_id, line.id, line.mark.version, tomas, choice=choice, origin=ORIGIN)
    for person, role in ((tomas, Role.DEVOPS), (grace, Role.RELEASE_MANAGER)):
        # A password of their own is needed to sign; it is thrown away, and nobody signs in as them.
        password = secrets.token_urlsafe()
        change_password(db, person.id, once[person.email], password, origin=ORIGIN)
        with db.read() as conn:
            digest = digest_of(to_sign(load_run(conn, run_id), role))
        sign(db, run_id, role, person, Proof(password, person.email), digest, origin=ORIGIN)
    with db.begin() as conn:
        close_run(conn, run_id, grace, outcome=RunState.DONE, origin=ORIGIN)


def _contacts(conn: Connection, grace: Person) -> None:
    """Whom to call; nobody has made sure of the last one yet."""
    for role, name, phone, email in _CONTACTS:
        save_contact(conn, role, 0, grace, name=name, phone=phone, email=email, notes="", origin=ORIGIN)
    for role, *_ in _CONTACTS[:-1]:
        verify_contact(conn, role, 1, grace, origin=ORIGIN)


def _rehearsal(db: Database, people: dict[str, Person]) -> None:
    """Every kind of line in some state: proven, asked for, verified by nobody yet, not for this network."""
    mei, tomas = people["mei@nexafx.com"], people["tomas@nexafx.com"]
    here = {"origin": ORIGIN}
    with db.begin() as conn:
        run_id = start_run(conn, REHEARSAL, {"version": "2.4.0", "network": "TESTNET"}, tomas, origin=ORIGIN)
    _prove(db, run_id, tomas, ("before",))
    with db.begin() as conn:
        tick(conn, run_id, "before/keys", 1, mei, origin=ORIGIN)
        number = add_text(conn, run_id, "before/schema", "log", "17 migrations, the last is 0017", mei, **here)
        withdraw(conn, run_id, number, mei, "That was the log of the other database.", **here)
        comment(conn, run_id, "before/screenshot", "@grace the balances page is slow today", mei, **here)


def _maintenance(conn: Connection, tomas: Person) -> None:
    weekly = find_template("maintenance-weekly")
    lines = [f"weekly/{item.id}" for item in weekly.phases[0].items]
    finished = start_run(conn, weekly, {}, tomas, origin=ORIGIN)
    _tick_all(conn, finished, tomas, lines)
    close_run(conn, finished, tomas, outcome=RunState.DONE, origin=ORIGIN)
    under_way = start_run(conn, weekly, {}, tomas, origin=ORIGIN)
    _tick_all(conn, under_way, tomas, lines[:2])
    comment(conn, under_way, lines[0], "64 % of the volume, 2 % more than last week.", tomas, origin=ORIGIN)


def _prove(db: Database, run_id: int, person: Person, phases: Collection[str]) -> None:
    """Runs the checks of these phases as the page does: some pass and tick, some fail, some cannot run here."""
    with db.read() as conn:
        run = load_run(conn, run_id)
    lines = [line for phase in run.phases if phase.definition.id in phases for line in to_prove(phase, run.read_at)]
    for _ in prove_all(db, load_settings(), [(run_id, line) for line in lines], person, origin=ORIGIN):
        pass


def _tick_all(conn: Connection, run_id: int, person: Person, items: Iterable[str]) -> None:
    """Ticks those that are open and can be: where a check must pass and does not, nobody can."""
    found = {line.id: (phase, line) for phase in load_run(conn, run_id).phases for line in leaves([phase])}
    for item_id in items:
        phase, line = found[item_id]
        hand = Hand(person.email, person.roles)
        if why_not(phase, line, Command.TICK, hand) is None:
            note = "The demo's machine has none: looked at by hand." if wants_reason(line, hand) else None
            tick(conn, run_id, item_id, line.mark.version, person, origin=ORIGIN, note=note)
