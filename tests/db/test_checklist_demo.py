"""The demo's checklists are genuine: started, ticked, put aside and discussed by people, through the same commands."""

from __future__ import annotations

from checklists.demo import seed
from checklists.reads import RunState, list_events, list_runs, load_run
from jobs.core.db import Database


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
    assert phases["code-review"].complete
    assert not phases["testing"].complete
