"""Runs of checklists: every command commits with its history, and of two people on one item one wins."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from checklists.lines import State, TrackedItem, leaves
from checklists.load import find_template
from checklists.reads import ChecklistRun, RunState, list_events, list_runs, load_run
from checklists.schema import Template
from checklists.store import close_run, comment, mark_na, start_run, tick, untick
from checklists.tracker import Refused
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound, UsageError
from jobs.core.people import Person, add_person, disable_person
from jobs.core.permissions import Role
from tests.db.waiting import wait_for_a_lock
from tests.ui import seed

SMALL = Template.model_validate(
    {
        "schema": 1,
        "id": "small",
        "title": "A small list",
        "kind": "maintenance",
        "phases": [
            {
                "id": "all",
                "title": "All of it",
                "items": ["One", "Two", {"id": "three", "do": "Three", "need": "optional"}],
            }
        ],
    }
)
Action = Callable[[Connection], object]


def person(db: Database, name: str, *roles: Role) -> Person:
    email = f"{name.lower()}@nexafx.com"
    with db.begin() as conn:
        add_person(conn, email, roles, actor="system", origin="test", name=name)
    return Person(uuid4(), email, name, frozenset(roles))


@pytest.fixture
def ana(db: Database) -> Person:
    return person(db, "Ana", Role.RELEASE_MANAGER)


@pytest.fixture
def ben(db: Database) -> Person:
    return person(db, "Ben", Role.DEVOPS)


@pytest.fixture
def run_id(db: Database, ana: Person) -> int:
    with db.begin() as conn:
        return start_run(conn, SMALL, {}, ana, origin="test")


def loaded(db: Database, run_id: int) -> ChecklistRun:
    with db.read() as conn:
        return load_run(conn, run_id)


def item(db: Database, run_id: int, item_id: str) -> TrackedItem:
    return next(leaf for leaf in leaves(loaded(db, run_id).phases) if leaf.id == item_id)


def counted(db: Database, table: str) -> int:
    with db.read() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def refused(db: Database, action: Action) -> NexaError:
    """The refusal, after proving that it left no event and no audit row."""
    before = counted(db, "ops.checklist_events"), counted(db, "ops.audit")
    with pytest.raises(NexaError) as error, db.begin() as conn:
        action(conn)
    assert (counted(db, "ops.checklist_events"), counted(db, "ops.audit")) == before
    return error.value


def test_a_run_starts_with_every_line_open_and_the_summary_in_order(db: Database, ana: Person) -> None:
    template = find_template("deployment")
    seed.signers(db)
    fields = {"version": "1.10", "deployed_by": "Ana@nexafx.com", "date": "2026-11-30", "notes": "<b>x</b>\nsecond"}
    with db.begin() as conn:
        run_id = start_run(conn, template, fields, ana, origin="test")
    run = loaded(db, run_id)
    assert run.template == template
    assert run.template_version == template.version
    assert (run.state, run.starter, run.started_by) == (RunState.OPEN, "Ana", "ana@nexafx.com")
    assert list(run.fields.items()) == [
        ("date", "2026-11-30"),
        ("version", "1.10"),
        ("deployed_by", "ana@nexafx.com"),
        ("notes", "<b>x</b>\nsecond"),
    ]
    assert (run.progress.total, run.progress.closed) == (142, 0)
    assert counted(db, "ops.checklist_items") == 142


def test_a_run_keeps_the_definition_that_it_was_started_from(db: Database, run_id: int) -> None:
    assert loaded(db, run_id).template.canonical() == SMALL.canonical()


def test_a_summary_that_is_wrong_starts_nothing(db: Database, ana: Person, ben: Person) -> None:
    template = find_template("deployment")
    with db.begin() as conn:
        disable_person(conn, ben.email, actor="system", origin="test")
    given = {"date": "2026-11-30", "version": "1", "deployed_by": ben.email}
    error = refused(db, lambda conn: start_run(conn, template, given, ana, origin="test"))
    assert isinstance(error, UsageError)
    assert "deployed_by must be the e-mail of somebody with an account" in str(error)
    assert counted(db, "ops.checklist_runs") == 0


def test_starting_and_closing_take_the_right_to_start(db: Database, run_id: int) -> None:
    quin = person(db, "Quin", Role.QA_LEAD)
    assert isinstance(refused(db, lambda conn: start_run(conn, SMALL, {}, quin, origin="test")), Forbidden)
    error = refused(db, lambda conn: close_run(conn, run_id, quin, outcome=RunState.DONE, origin="test"))
    assert isinstance(error, Forbidden)
    assert str(error).startswith("You may not close a run")


def test_a_tick_shows_who_and_when_and_commits_with_its_event_and_audit_row(
    db: Database, run_id: int, ben: Person
) -> None:
    with db.begin() as conn:
        assert tick(conn, run_id, "all/one", 1, ben, origin="test", note="by hand") == 2
    mark = item(db, run_id, "all/one").mark
    assert (mark.state, mark.version, mark.by, mark.name) == (State.DONE, 2, "ben@nexafx.com", "Ben")
    assert mark.reason == "by hand"
    assert mark.at is not None
    assert mark.at.utcoffset() is not None
    with db.read() as conn:
        event = list_events(conn, run_id)[0]
        row = conn.execute(text("SELECT * FROM ops.audit ORDER BY id DESC LIMIT 1")).one()
    assert (event.kind, event.item_id, event.name) == ("ticked", "all/one", "Ben")
    assert (event.old, event.new, event.note, event.at) == ("open", "done", "by hand", mark.at)
    assert (row.actor, row.action, row.entity, row.entity_id) == (
        "ben@nexafx.com", "item.ticked", "checklist_run", str(run_id),
    )  # fmt: skip
    assert row.old == {"item": "all/one", "state": "open", "version": 1}
    assert row.new == {"item": "all/one", "state": "done", "version": 2}
    assert (row.reason, row.origin) == ("by hand", "test")


def test_reopening_keeps_what_was(db: Database, run_id: int, ben: Person) -> None:
    with db.begin() as conn:
        tick(conn, run_id, "all/one", 1, ben, origin="test")
    with db.begin() as conn:
        untick(conn, run_id, "all/one", 2, ben, origin="test", note="it was not")
    with db.begin() as conn:
        mark_na(conn, run_id, "all/one", 3, ben, "no such thing here", origin="test")
    mark = item(db, run_id, "all/one").mark
    assert (mark.state, mark.version, mark.reason) == (State.NA, 4, "no such thing here")
    with db.read() as conn:
        history = [(one.kind, one.note) for one in list_events(conn, run_id, item_id="all/one")]
    assert history == [("na", "no such thing here"), ("unticked", "it was not"), ("ticked", None)]


def test_na_without_a_reason_writes_nothing(db: Database, run_id: int, ben: Person) -> None:
    error = refused(db, lambda conn: mark_na(conn, run_id, "all/one", 1, ben, " ", origin="test"))
    assert "say why it does not apply" in str(error)
    assert item(db, run_id, "all/one").mark.version == 1


def test_what_is_seen_late_is_told_who_was_faster(db: Database, run_id: int, ana: Person, ben: Person) -> None:
    with db.begin() as conn:
        tick(conn, run_id, "all/one", 1, ana, origin="test")
    error = refused(db, lambda conn: tick(conn, run_id, "all/one", 1, ben, origin="test"))
    assert isinstance(error, Conflict)
    assert str(error).startswith("Ana ticked “One” at ")


def test_who_waited_for_the_other_is_told_who_was_faster(db: Database, run_id: int, ana: Person, ben: Person) -> None:
    with ThreadPoolExecutor(1) as pool, db.begin() as first:
        tick(first, run_id, "all/one", 1, ana, origin="test")

        def late() -> int:
            with db.begin() as second:
                return tick(second, run_id, "all/one", 1, ben, origin="test")

        waiting = pool.submit(late)
        wait_for_a_lock(db)
        assert not waiting.done()
        first.commit()
        with pytest.raises(Conflict, match="Ana ticked “One”"):
            waiting.result(timeout=10)


def test_on_one_item_one_of_many_wins_and_every_other_one_is_told(db: Database, run_id: int) -> None:
    people = [person(db, f"P{number}", Role.DEVOPS) for number in range(8)]
    one = partial(tick, run_id=run_id, item_id="all/one", seen_version=1, origin="test")
    outcomes = _together([partial(one, actor=who) for who in people], db)
    winners = [who for who, outcome in zip(people, outcomes, strict=True) if outcome == 2]
    assert len(winners) == 1
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(conflicts) == 7
    assert all(str(one).startswith(f"{winners[0].name} ticked “One”") for one in conflicts)
    assert item(db, run_id, "all/one").mark.name == winners[0].name
    with db.read() as conn:
        assert len(list_events(conn, run_id, item_id="all/one")) == 1


def test_on_different_items_every_tick_holds(db: Database, ana: Person) -> None:
    template = find_template("deployment")
    seed.signers(db)
    with db.begin() as conn:
        fields = {"date": "2026-11-30", "version": "2", "deployed_by": ana.email}
        run_id = start_run(conn, template, fields, ana, origin="test")
    ids = [leaf.id for leaf in leaves(loaded(db, run_id).phases) if leaf.id.startswith(("configuration/", "testing/"))]
    same = partial(tick, run_id=run_id, seen_version=1, actor=ana, origin="test")
    outcomes = _together([partial(same, item_id=one) for one in ids[:8]], db)
    assert outcomes == [2] * 8
    assert loaded(db, run_id).progress.done == 8


def test_nothing_is_ticked_in_a_run_that_is_being_closed(db: Database, run_id: int, ana: Person, ben: Person) -> None:
    with db.begin() as conn:
        tick(conn, run_id, "all/one", 1, ana, origin="test")
        tick(conn, run_id, "all/two", 1, ana, origin="test")
    with ThreadPoolExecutor(1) as pool, db.begin() as first:
        close_run(first, run_id, ana, outcome=RunState.DONE, origin="test")

        def late() -> int:
            with db.begin() as second:
                return untick(second, run_id, "all/one", 2, ben, origin="test")

        waiting = pool.submit(late)
        wait_for_a_lock(db)
        first.commit()
        with pytest.raises(Refused, match="was closed by Ana"):
            waiting.result(timeout=10)
    assert item(db, run_id, "all/one").state is State.DONE


def test_a_run_closes_only_when_nothing_required_is_open(db: Database, run_id: int, ana: Person) -> None:
    error = refused(db, lambda conn: close_run(conn, run_id, ana, outcome=RunState.DONE, origin="test"))
    assert str(error) == f"Run {run_id} is not complete: “One”, “Two” must be done or N/A first."
    with db.begin() as conn:
        tick(conn, run_id, "all/one", 1, ana, origin="test")
        mark_na(conn, run_id, "all/two", 1, ana, "not today", origin="test")
    with db.begin() as conn:
        close_run(conn, run_id, ana, outcome=RunState.DONE, origin="test")
    run = loaded(db, run_id)
    assert (run.state, run.closer, run.closed_by) == (RunState.DONE, "Ana", "ana@nexafx.com")
    for action in (
        lambda conn: tick(conn, run_id, "all/three", 1, ana, origin="test"),
        lambda conn: comment(conn, run_id, None, "too late", ana, origin="test"),
        lambda conn: close_run(conn, run_id, ana, outcome=RunState.DONE, origin="test"),
    ):
        assert str(refused(db, action)).startswith(f"Run {run_id} was closed by Ana on ")


def test_a_run_is_abandoned_only_with_a_reason(db: Database, run_id: int, ana: Person) -> None:
    def abandon(conn: Connection, reason: str) -> None:
        close_run(conn, run_id, ana, outcome=RunState.ABANDONED, reason=reason, origin="test")

    assert isinstance(refused(db, lambda conn: abandon(conn, "")), UsageError)
    with db.begin() as conn:
        abandon(conn, "started twice")
    with db.read() as conn:
        event = list_events(conn, run_id)[0]
    assert (event.kind, event.note, loaded(db, run_id).state) == ("abandoned", "started twice", RunState.ABANDONED)


def test_a_comment_changes_no_version_and_is_counted(db: Database, run_id: int, ben: Person) -> None:
    with db.begin() as conn:
        comment(conn, run_id, "all/one", "<script>alert(1)</script>", ben, origin="test")
        comment(conn, run_id, None, "the whole list", ben, origin="test")
    line = item(db, run_id, "all/one")
    assert (line.mark.version, line.mark.comments, line.mark.by) == (1, 1, None)
    with db.read() as conn:
        notes = [(one.item_id, one.note) for one in list_events(conn, run_id) if one.kind == "comment"]
    assert notes == [(None, "the whole list"), ("all/one", "<script>alert(1)</script>")]
    viewer = person(db, "Vic", Role.VIEWER)
    assert isinstance(refused(db, lambda conn: comment(conn, run_id, None, "hi", viewer, origin="test")), Forbidden)
    assert isinstance(refused(db, lambda conn: comment(conn, run_id, "all/x", "hi", ben, origin="test")), NotFound)
    assert isinstance(refused(db, lambda conn: comment(conn, run_id, None, " ", ben, origin="test")), UsageError)


def test_a_run_that_is_not_there_is_not_found(db: Database, ben: Person) -> None:
    assert isinstance(refused(db, lambda conn: tick(conn, 4711, "all/one", 1, ben, origin="test")), NotFound)


def test_history_cannot_be_changed(db: Database, run_id: int) -> None:
    for statement in ("UPDATE ops.checklist_events SET note = 'x'", "DELETE FROM ops.checklist_events"):
        with pytest.raises(DBAPIError, match="append-only"), db.begin() as conn:
            conn.execute(text(statement))


def test_runs_are_listed_by_page_the_newest_first(db: Database, ana: Person) -> None:
    with db.begin() as conn:
        ids = [start_run(conn, SMALL, {}, ana, origin="test") for _ in range(3)]
        tick(conn, ids[0], "all/one", 1, ana, origin="test")
        mark_na(conn, ids[0], "all/two", 1, ana, "no", origin="test")
        close_run(conn, ids[0], ana, outcome=RunState.DONE, origin="test")
    with db.read() as conn:
        assert [one.id for one in list_runs(conn, limit=2)] == [ids[2], ids[1]]
        (last,) = list_runs(conn, before_id=ids[1])
        assert [one.id for one in list_runs(conn, state=RunState.OPEN)] == [ids[2], ids[1]]
        assert list_runs(conn, template_id="other") == []
    assert (last.id, last.title, last.state, last.closer) == (ids[0], "A small list", RunState.DONE, "Ana")
    assert (last.total, last.done, last.na) == (3, 1, 1)


def test_the_events_of_a_run_come_by_page(db: Database, run_id: int, ben: Person) -> None:
    with db.begin() as conn:
        for number in range(4):
            comment(conn, run_id, None, str(number), ben, origin="test")
    with db.read() as conn:
        first = list_events(conn, run_id, limit=2)
        second = list_events(conn, run_id, limit=2, before_id=first[-1].id)
    assert [one.note for one in (*first, *second)] == ["3", "2", "1", "0"]


def _together(actions: list[Action], db: Database) -> list[object]:
    """Each action in a transaction of its own, all at the same moment: what it returned, or its refusal."""
    barrier = Barrier(len(actions))

    def one(action: Action) -> object:
        try:
            with db.begin() as conn:
                conn.execute(text("SELECT 1"))  # connected and begun before anybody goes
                barrier.wait(timeout=10)
                return action(conn)
        except NexaError as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(one, actions))
