"""The demo's checklists are genuine: started, ticked, put aside and discussed by people, through the same commands."""

from __future__ import annotations

from checklists.contacts import list_contacts
from checklists.demo import seed
from checklists.reads import RunState, list_events, list_runs, load_run
from jobs.core.db import Database
from jobs.core.permissions import Role


def test_the_demo_begins_with_a_release_half_way_and_maintenance_under_way(db: Database) -> None:
    seed(db)
    with db.read() as conn:
        runs = {(run.template_id, run.state): run for run in list_runs(conn)}
        release = runs["deployment", RunState.OPEN]
        kinds = {event.kind for event in list_events(conn, release.id)}
        phases = {phase.definition.id: phase.progress for phase in load_run(conn, release.id).phases}
    assert runs["maintenance-weekly", RunState.OPEN].done == 2
    assert runs["maintenance-weekly", RunState.DONE].done == 4
    assert kinds == {
        "started", "ticked", "unticked", "na", "comment", "check", "assigned", "evidence", "handed over"
    }  # fmt: skip
    signed = runs["demo-rehearsal", RunState.DONE]
    with db.read() as conn:
        finished = load_run(conn, signed.id)
        contacts = list_contacts(conn, [finished.template])
    assert [(one.name, one.role) for one in finished.signatures if one.holds] == [
        ("Tomas Lindqvist", Role.DEVOPS),
        ("Grace Okafor", Role.RELEASE_MANAGER),
    ]
    assert [one.verified_at is not None for one in contacts] == [True, True, True, False]
    assert phases["code-review"].complete
    assert not phases["testing"].complete
