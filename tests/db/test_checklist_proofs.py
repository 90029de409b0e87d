"""Items prove themselves against the real database: results are kept, passes tick, and nobody ticks twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st
from sqlalchemy import text

from checklists.checks import registry
from checklists.checks.model import REGISTRY, CheckContext, CheckParams, CheckResult, check, failed, passed
from checklists.lines import Standing, State, TrackedItem, leaves
from checklists.proofs import canonical, prove, prove_all
from checklists.proving import to_prove
from checklists.reads import RunState, list_events, load_run
from checklists.schema import Template
from checklists.store import close_run, start_run, untick
from checklists.tracker import Refused
from jobs.core.db import Database
from jobs.core.people import Person
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.run.execute import execute
from jobs.run.store import RunRow, request_run
from tests.ui import seed
from tests.ui.checklist_runs import who

LIST = Template.model_validate(
    {
        "schema": 1,
        "id": "proofs",
        "title": "Proofs",
        "kind": "deployment",
        "phases": [
            {
                "id": "all",
                "mode": "read-do",
                "items": [
                    {"id": "say", "do": "Say it", "check": {"use": "test.says", "effect": "block", "ttl": "1h"}},
                    {"id": "then", "do": "Then", "check": {"use": "test.says", "effect": "tick"}},
                ],
            }
        ],
    }
)
HERE = {"origin": "test"}


class Nothing(CheckParams): ...


class World:
    """What the check of these tests finds, and where two of them meet."""

    holds = True
    barrier: threading.Barrier | None = None


@pytest.fixture(autouse=True)
def world() -> Iterator[World]:
    """A check of these tests' own among the shipped ones."""
    found = World()

    def says(_context: CheckContext, _params: Nothing) -> CheckResult:
        if found.barrier is not None:
            found.barrier.wait(10)
        return passed("It says so.", rows=3) if found.holds else failed("It says no.", "Ask it again.")

    check("test.says", title="It says so", params=Nothing)(says)
    registry.list_checks.cache_clear()
    yield found
    del REGISTRY["test.says"]
    registry.list_checks.cache_clear()


class Case(NamedTuple):
    db: Database
    settings: Settings
    run_id: int
    ana: Person

    def line(self, item: str) -> TrackedItem:
        with self.db.read() as conn:
            return next(line for line in leaves(load_run(conn, self.run_id).phases) if line.id == f"all/{item}")

    def results(self) -> int:
        with self.db.read() as conn:
            return int(conn.execute(text("SELECT count(*) FROM ops.checklist_checks")).scalar_one())


@pytest.fixture
def case(db: Database, settings: Settings) -> Case:
    ana = who(db, seed.person(db, Role.RELEASE_MANAGER))
    with db.begin() as conn:
        return Case(db, settings, start_run(conn, LIST, {}, ana, origin="test"), ana)


def test_a_pass_ticks_in_the_persons_name_and_keeps_its_output_with_a_hash(case: Case) -> None:
    proof = prove(case.db, case.settings, case.run_id, "all/say", case.ana, **HERE)
    assert (proof.verdict, proof.ticked, proof.held_back) == ("passed", True, None)
    line = case.line("say")
    assert (line.mark.state, line.mark.by, line.standing) == (State.DONE, case.ana.email, Standing.PASSED)
    with case.db.read() as conn:
        row = conn.execute(text("SELECT *, expires_at - ran_at AS ttl FROM ops.checklist_checks")).one()
        kinds = [event.kind for event in list_events(conn, case.run_id, item_id="all/say")]
        audited = conn.execute(text("SELECT new FROM ops.audit WHERE action = 'item.check'")).scalar_one()
    assert (row.output, row.ran_by, round(row.ttl.total_seconds())) == ({"rows": 3}, case.ana.email, 3600)
    assert row.sha256 == canonical(row.output)[1] == audited["sha256"]
    assert kinds == ["ticked", "check"]


def test_a_failure_and_a_pass_out_of_turn_are_kept_and_tick_nothing(case: Case, world: World) -> None:
    early = prove(case.db, case.settings, case.run_id, "all/then", case.ana, **HERE)
    assert not early.ticked
    assert early.held_back == "“All” goes in order: “Say it” comes first."
    world.holds = False
    proof = prove(case.db, case.settings, case.run_id, "all/say", case.ana, **HERE)
    assert (proof.ticked, proof.mend) == (False, "Ask it again.")
    assert (case.line("say").mark.state, case.line("say").standing) == (State.OPEN, Standing.FAILED)
    assert case.results() == 2


def test_two_people_with_the_same_check_leave_two_results_and_one_tick(case: Case, world: World) -> None:
    ben = who(case.db, seed.person(case.db, Role.ADMINISTRATOR))
    world.barrier = threading.Barrier(2)
    ticked: list[bool] = []

    def go(person: Person) -> None:
        ticked.append(prove(case.db, case.settings, case.run_id, "all/say", person, **HERE).ticked)

    threads = [threading.Thread(target=go, args=(person,)) for person in (case.ana, ben)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ticked) == [False, True]
    assert (case.results(), case.line("say").mark.version) == (2, 2)


def test_all_checks_of_a_phase_come_one_by_one_and_a_closed_run_takes_none(case: Case) -> None:
    with case.db.read() as conn:
        run = load_run(conn, case.run_id)
    wanted = [(run.id, line) for line in to_prove(run.phases[0], run.read_at)]
    found = list(prove_all(case.db, case.settings, wanted, case.ana, **HERE))
    assert {proof.item_id for proof in found} == {"all/say", "all/then"}
    with case.db.begin() as conn:
        close_run(conn, case.run_id, case.ana, outcome=RunState.ABANDONED, reason="over", origin="test")
    with pytest.raises(Refused, match="is closed"):
        prove(case.db, case.settings, case.run_id, "all/say", case.ana, **HERE)


def refresh(case: Case) -> RunRow:
    with case.db.begin() as conn:
        # Its time is over: the trigger that keeps results as they are must be out of the way to say so.
        conn.execute(text("ALTER TABLE ops.checklist_checks DISABLE TRIGGER USER"))
        conn.execute(text("UPDATE ops.checklist_checks SET expires_at = now() - interval '1 minute'"))
        conn.execute(text("ALTER TABLE ops.checklist_checks ENABLE TRIGGER USER"))
        job_run = request_run(conn, job="refresh-checks", actor="ada@nexafx.test")
    return execute(case.db, case.settings, job_run, worker_id=None)


def test_what_is_stale_runs_again_by_itself_and_ticks_as_what_it_is(case: Case, world: World) -> None:
    assert refresh(case).counters == {"ticked": 0}  # what nobody has run yet is left to people
    world.holds = False
    prove(case.db, case.settings, case.run_id, "all/say", case.ana, **HERE)
    world.holds = True
    assert refresh(case).counters == {"passed": 1, "ticked": 1}
    assert case.line("say").mark.by == "system"


def test_a_line_that_a_person_reopened_is_not_ticked_behind_their_back(case: Case) -> None:
    prove(case.db, case.settings, case.run_id, "all/say", case.ana, **HERE)
    with case.db.begin() as conn:
        untick(conn, case.run_id, "all/say", 2, case.ana, note="the wrong server", origin="test")
    assert refresh(case).counters == {"passed": 1, "ticked": 0}
    assert case.line("say").mark.state is State.OPEN


@trials(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_kept_has_the_same_hash_when_it_is_read_again(value: object) -> None:
    written, digest = canonical({"seen": value})
    assert canonical(orjson.loads(written))[1] == digest
