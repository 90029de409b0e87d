"""Runs of checklists for the tests of their pages."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from checklists.lines import TrackedItem, leaves
from checklists.load import find_template
from checklists.reads import load_run
from checklists.record import digest_of
from checklists.schema import Template
from checklists.signing import Proof, sign, to_sign
from checklists.store import start_run
from jobs.core.db import Database
from jobs.core.people import Person, person_from
from jobs.core.permissions import Role
from tests.ui import seed

SMALL = Template.model_validate(
    {
        "schema": 1,
        "id": "small",
        "title": "A small list",
        "kind": "maintenance",
        "contacts": [{"role": "Database Team"}],
        "signoff": [{"role": "devops", "title": "DevOps", "meaning": "executed", "says": "I did it all."}],
        "reference": [{"title": "Keep an eye on", "points": ["Disk space"]}],
        "phases": [
            {
                "id": "first",
                "title": "First things",
                "role": "devops",
                "items": [
                    {"id": "backup", "do": "Back up with `pg_dump` <now>"},
                    {"id": "look", "do": "Look **hard** at [it](http://x)", "need": "optional", "help": "Both eyes."},
                    {"id": "index", "do": "Create it:", "snippet": {"lang": "sql", "text": "CREATE INDEX one;"}},
                    {"id": "know", "note": "The job retries by itself."},
                    {"id": "group", "do": "Alerts for:", "items": ["Failures", {"id": "slow", "do": "Slowness"}]},
                ],
            },
            {
                "id": "second",
                "title": "Then this",
                "mode": "read-do",
                "after": ["first"],
                "items": ["Deploy", {"id": "hours", "do": "Watch", "repeat": {"every": "1h", "times": 3}}],
            },
        ],
    }
)


def who(db: Database, person_id: UUID) -> Person:
    """The person with this id."""
    with db.read() as conn:
        return person_from(conn.execute(text("SELECT * FROM ops.people WHERE id = :id"), {"id": person_id}).one())


def started(db: Database, template: Template = SMALL, **fields: str) -> int:
    """A new run, started by a release manager of its own."""
    starter = who(db, seed.person(db, Role.RELEASE_MANAGER))
    with db.begin() as conn:
        return start_run(conn, template, fields, starter, origin="test")


def signed(db: Database, run_id: int, role: Role, person_id: UUID) -> None:
    """Signs a run as this role, by somebody who has seen it."""
    person = who(db, person_id)
    with db.read() as conn:
        digest = digest_of(to_sign(load_run(conn, run_id), role))
    sign(db, run_id, role, person, Proof(seed.PASSWORD, person.email), digest, origin="test")


def deployment(db: Database) -> int:
    """A run of the shipped deployment list."""
    seed.signers(db)
    email = f"{Role.RELEASE_MANAGER.value}@nexafx.test"
    return started(db, find_template("deployment"), date="2026-11-30", version="2.4.0", deployed_by=email)


def line(db: Database, run_id: int, item_id: str) -> TrackedItem:
    """One line of a run as it is now."""
    with db.read() as conn:
        return next(leaf for leaf in leaves(load_run(conn, run_id).phases) if leaf.id == item_id)
