"""A release that is signed off by four people, for the tests of signatures."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text

from checklists.evidence import add_text
from checklists.lines import leaves
from checklists.reads import ChecklistRun, list_events, load_run
from checklists.record import digest_of
from checklists.schema import Template
from checklists.signatures import Signature
from checklists.signing import Proof, reject, sign, to_sign
from checklists.store import start_run, tick
from jobs.core.db import Database
from jobs.core.people import Person, person_from
from jobs.core.permissions import Role
from tests.ui import seed

DEVELOPER, QA_LEAD, DEVOPS, MANAGER = Role.DEVELOPER, Role.QA_LEAD, Role.DEVOPS, Role.PROJECT_MANAGER
HERE = {"origin": "test"}
DEFINITION: dict[str, object] = {
    "schema": 1,
    "id": "release",
    "title": "Release",
    "kind": "deployment",
    "fields": {"version": {"required": True}},
    "phases": [
        {
            "id": "build",
            "role": "developer",
            "items": [
                "Compile",
                {"id": "notes", "do": "Write notes", "evidence": [{"type": "text", "label": "notes"}]},
            ],
        },
        {
            "id": "test",
            "role": "qa_lead",
            "items": [
                {"id": "suite", "do": "Run the suite", "check": {"use": "suite.green", "ttl": "1h"}},
                {"id": "pair", "do": "Compare", "need": "optional", "verify_by": "second-person"},
            ],
        },
        {"id": "ship", "role": "devops", "gate": {"signed": ["qa_lead"]}, "items": ["Deploy", "Watch"]},
    ],
    "signoff": [
        {"role": "developer", "meaning": "authored", "says": "I built and tested this version."},
        {"role": "qa_lead", "meaning": "verified", "not": ["developer"]},
        {"role": "devops", "meaning": "executed"},
        {
            "role": "project_manager",
            "meaning": "approved",
            "not": ["developer", "devops"],
            "after": ["qa_lead", "devops"],
        },
    ],
}
RELEASE = Template.model_validate(DEFINITION)
ABOVE_THE_GATE = ("build/compile", "build/notes", "test/suite")
ALL = (*ABOVE_THE_GATE, "ship/deploy", "ship/watch")


class Floor:
    """One database with four people who sign, a release manager, and a run in hand."""

    def __init__(self, db: Database, template: Template = RELEASE) -> None:
        self.db = db
        self.people = {role: self._person(person_id) for role, person_id in seed.signers(db).items()}
        self.starter = self.hire("Rhea", Role.RELEASE_MANAGER)
        self.run_id = self.start(template)

    def start(self, template: Template = RELEASE, *, urgent: str | None = None) -> int:
        with self.db.begin() as conn:
            return start_run(conn, template, {"version": "2.4.0"}, self.starter, urgent=urgent, **HERE)

    def hire(self, name: str, *roles: Role) -> Person:
        """Somebody more, with these roles."""
        person_id = seed.person(self.db, roles[0], name=name)
        with self.db.begin() as conn:
            conn.execute(
                text("UPDATE ops.people SET roles = :roles WHERE id = :id"),
                {"roles": [role.value for role in roles], "id": person_id},
            )
        return self._person(person_id)

    def run(self, run_id: int | None = None) -> ChecklistRun:
        with self.db.read() as conn:
            return load_run(conn, run_id or self.run_id)

    def tick(self, items: Iterable[str], by: Person | None = None, run_id: int | None = None) -> None:
        """Ticks lines as their role's own person, with the notes that one of them asks for."""
        run = self.run(run_id)
        lines = {line.id: line for line in leaves(run.phases)}
        with self.db.begin() as conn:
            for item in items:
                line = lines[item]
                actor = by or self.people[line.role or DEVOPS]
                if item == "build/notes" and not line.mark.evidence:
                    note(conn, run.id, actor)
                tick(conn, run.id, item, line.mark.version, actor, **HERE)

    def digest(self, role: Role, run_id: int | None = None) -> str:
        return digest_of(to_sign(self.run(run_id), role))

    def sign(
        self, role: Role, by: Person | None = None, *, digest: str | None = None, on_behalf_of: str | None = None
    ) -> Signature:
        """Signs as somebody who was shown what is to be signed, unless `digest` is what they saw."""
        person = by or self.people[role]
        proof = Proof(seed.PASSWORD, person.email)
        number = sign(
            self.db, self.run_id, role, person, proof, digest or self.digest(role), on_behalf_of=on_behalf_of, **HERE
        )
        return next(one for one in self.run().signatures if one.id == number)

    def reject(self, role: Role, reason: str, phase_id: str | None = None) -> int:
        person = self.people[role]
        proof = Proof(seed.PASSWORD, person.email)
        return reject(self.db, self.run_id, role, person, proof, self.digest(role), reason, phase_id=phase_id, **HERE)

    def kinds(self) -> list[str]:
        """What happened in the run, the newest first."""
        with self.db.read() as conn:
            return [event.kind for event in list_events(conn, self.run_id)]

    def result(self, item: str, verdict: str, *, age: str = "0 s", sha256: str = "aa") -> None:
        """A result of an item's check, as old as this, good for an hour from then."""
        with self.db.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO ops.checklist_checks"
                    " (run_id, item_id, name, params, verdict, summary, output, sha256, ran_at, expires_at, ran_by)"
                    " SELECT :run_id, :item, 'suite.green', '{}', :verdict, 'it ' || :verdict, '{}', :sha256, at,"
                    " at + interval '1 hour', 'test' FROM (SELECT clock_timestamp() - CAST(:age AS interval) AS at) t"
                ),
                {"run_id": self.run_id, "item": item, "verdict": verdict, "sha256": sha256, "age": age},
            )

    def _person(self, person_id: UUID) -> Person:
        with self.db.read() as conn:
            return person_from(conn.execute(text("SELECT * FROM ops.people WHERE id = :id"), {"id": person_id}).one())


def note(conn: Connection, run_id: int, actor: Person) -> int:
    """Leaves the notes that an item asks for."""
    return add_text(conn, run_id, "build/notes", "notes", "Settles twice as fast.", actor, **HERE)
