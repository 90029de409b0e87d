"""What is remembered of a run is what is so: whatever anybody does to it is in the next look."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from checklists.evidence import withdraw
from checklists.history import keep
from checklists.lines import Standing, leaves
from checklists.reads import ChecklistRun, Moment, RunState, load_run
from checklists.remembered import Remembered, is_as_read
from checklists.store import assign, close_run, comment, hand_over, mark_na, set_field, tick, untick, verify
from jobs.core.db import Database
from tests.db.signing import ABOVE_THE_GATE, DEVELOPER, DEVOPS, HERE, QA_LEAD, RELEASE, Floor, note
from tests.unit.runs import STARTED, run_of

Step = Callable[[Floor, Connection], object]


class Looker:
    """Somebody who looks again and again, and whoever reads all of it each time."""

    def __init__(self, db: Database, most: int = 100) -> None:
        self.db, self.memory = db, Remembered(most)

    def look(self, run_id: int) -> ChecklistRun:
        return self.looks(run_id)[0]

    def looks(self, *run_ids: int) -> tuple[ChecklistRun, ...]:
        with self.db.read() as conn:
            return self.memory.look(conn, run_ids)

    def sees_all(self, run_id: int) -> ChecklistRun:
        """Looks, and proves that nothing is missing."""
        seen = self.look(run_id)
        with self.db.read() as conn:
            assert replace(seen, read_at=(now := load_run(conn, run_id)).read_at) == now
        return seen


@pytest.fixture
def looker(db: Database) -> Looker:
    return Looker(db)


def _said(floor: Floor, conn: Connection) -> None:
    """A check's result, kept with its event as `proofs` does."""
    conn.execute(
        text(
            "INSERT INTO ops.checklist_checks (run_id, item_id, name, params, verdict, summary, output, sha256,"
            " expires_at, ran_by) VALUES (:id, 'test/suite', 'suite.green', '{}', 'passed', 'it passed', '{}', 'aa',"
            " clock_timestamp() + interval '1 hour', 'test')"
        ),
        {"id": floor.run_id},
    )
    keep(conn, floor.run_id, floor.starter, "check", "test", item_id="test/suite", became="passed")


# Each is something that one person does while others look; in this order every one of them is allowed.
STEPS: dict[str, Step] = {
    "a tick": lambda it, c: tick(c, it.run_id, "build/compile", 1, it.starter, **HERE),
    "a tick taken back": lambda it, c: untick(c, it.run_id, "build/compile", 2, it.starter, **HERE),
    "a line that does not apply": lambda it, c: mark_na(c, it.run_id, "build/compile", 3, it.starter, "old", **HERE),
    "evidence": lambda it, c: note(c, it.run_id, it.starter),
    "evidence withdrawn": lambda it, c: withdraw(c, it.run_id, 1, it.starter, "wrong", **HERE),
    "a comment": lambda it, c: comment(c, it.run_id, "ship/watch", "Mind the gap.", it.starter, **HERE),
    "a line given away": lambda it, c: assign(
        c, it.run_id, "ship/watch", it.starter, assignee=it.people[DEVOPS].email, **HERE
    ),
    "a hand-over": lambda it, c: hand_over(c, it.run_id, it.people[DEVOPS].email, it.starter, "all yours", **HERE),
    "a correction": lambda it, c: set_field(c, it.run_id, "version", "2.4.1", 1, it.starter, "typo", **HERE),
    "a check": _said,
    "a second person's line": lambda it, c: tick(c, it.run_id, "test/pair", 1, it.starter, **HERE),
    "a second person": lambda it, c: verify(c, it.run_id, "test/pair", 2, it.people[QA_LEAD], **HERE),
    "a new name": lambda it, c: c.execute(text("UPDATE ops.people SET name = 'Rhea Roe' WHERE name = 'Rhea'")),
    "a run that is given up": lambda it, c: close_run(
        c, it.run_id, it.starter, outcome=RunState.ABANDONED, reason="no need", **HERE
    ),
}


def test_whatever_anybody_does_is_in_the_next_look(db: Database, looker: Looker) -> None:
    floor = Floor(db)
    before = looker.look(floor.run_id)
    for name, step in STEPS.items():
        with db.begin() as conn:
            step(floor, conn)
        seen = looker.sees_all(floor.run_id)
        assert seen.version != before.version, name
        before = seen


def test_signatures_are_seen_and_so_is_what_makes_them_void(db: Database, looker: Looker) -> None:
    floor = Floor(db)
    floor.tick(ABOVE_THE_GATE)
    with db.begin() as conn:
        _said(floor, conn)
    assert looker.look(floor.run_id).phases[2].gate == ("the signature of QA Lead",)
    floor.sign(QA_LEAD)
    assert looker.sees_all(floor.run_id).phases[2].gate == ()
    with db.begin() as conn:  # by the command of somebody else
        untick(conn, floor.run_id, "build/compile", 2, floor.starter, **HERE)
    assert looker.sees_all(floor.run_id).signed == frozenset()
    floor.reject(DEVELOPER, "not yet", "build")
    assert looker.sees_all(floor.run_id).signatures[-1].reason == "not yet"


def test_of_two_commands_at_once_neither_is_missed_whichever_commits_last(db: Database, looker: Looker) -> None:
    floor = Floor(db)
    with db.begin() as slow:
        tick(slow, floor.run_id, "build/compile", 1, floor.starter, **HERE)  # has the lower number
        with db.begin() as quick:
            comment(quick, floor.run_id, "ship/watch", "Mind the gap.", floor.starter, **HERE)
        assert looker.sees_all(floor.run_id).progress.done == 0
    assert looker.sees_all(floor.run_id).progress.done == 1


def test_a_result_that_grows_too_old_is_seen_without_anybody_having_done_anything(db: Database, looker: Looker) -> None:
    floor = Floor(db)
    floor.result("test/suite", "passed", age="59 minutes 59.7 seconds")
    assert _suite(looker.look(floor.run_id)) is Standing.PASSED
    time.sleep(0.4)
    assert _suite(looker.sees_all(floor.run_id)) is Standing.STALE


def _suite(run: ChecklistRun) -> Standing | None:
    return next(line.standing for line in leaves(run.phases) if line.id == "test/suite")


def test_what_is_as_it_was_is_not_read_again_and_the_clock_goes_on(db: Database, looker: Looker) -> None:
    floor = Floor(db)
    other = floor.start()
    first, (again, unread) = looker.look(floor.run_id), looker.looks(floor.run_id, other)
    assert again.phases is first.phases
    assert again.read_at > first.read_at
    assert (again.id, unread.id) == (floor.run_id, other)
    assert [run.id for run in looker.looks(other, 999, floor.run_id)] == [other, floor.run_id]


def test_those_that_nobody_looks_at_are_forgotten_first(db: Database) -> None:
    floor = Floor(db)
    one, two, three = floor.run_id, floor.start(), floor.start()
    looker = Looker(db, most=2)
    first, second = looker.looks(one, two)
    looker.looks(one)
    looker.looks(three)
    assert looker.look(one).phases is first.phases
    assert looker.look(two).phases is not second.phases


@pytest.mark.parametrize(
    ("later", "version", "turns", "so"),
    [
        (10, "a", None, True),
        (10, "b", None, False),  # something happened
        (10, "a", 20, True),
        (20, "a", 20, False),  # the clock has turned something
        (30, "a", 20, False),
        (-10, "a", None, False),  # the clock was set back, perhaps behind a turn
    ],
)
def test_what_was_read_is_so_until_something_happens_or_the_clock_turns(
    later: int, version: str, turns: int | None, so: bool
) -> None:
    run = replace(
        run_of(RELEASE, {}), version="a", turns_at=None if turns is None else STARTED + timedelta(seconds=turns)
    )
    assert is_as_read(run, Moment(version, STARTED + timedelta(seconds=later))) is so
