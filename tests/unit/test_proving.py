"""Which checks are worth running, and when a pass ticks: the rules by tables."""

from datetime import UTC, datetime, timedelta

import pytest

from checklists.checks.model import Verdict
from checklists.lines import CheckState, Facts, Mark, Standing, State, TrackedPhase, build, leaves
from checklists.proving import may_tick, stale_lines, to_prove
from checklists.schema import Template

START = datetime(2026, 11, 25, 9, tzinfo=UTC)
NOON = START + timedelta(hours=3)
LIST = Template.model_validate(
    {
        "schema": 1,
        "id": "list",
        "title": "List",
        "kind": "deployment",
        "phases": [
            {
                "id": "all",
                "items": [
                    {"id": "tick", "do": "Tick", "check": "flags.equals"},
                    {"id": "block", "do": "Block", "check": {"use": "flags.equals", "effect": "block"}},
                    {"id": "look", "do": "Look", "check": {"use": "flags.equals", "effect": "inform"}},
                    {"id": "by-hand", "do": "By hand"},
                    {"id": "hourly", "do": "Hourly", "check": "flags.equals", "repeat": {"every": "2h", "times": 3}},
                ],
            }
        ],
    }
)


def phase(marks: dict[str, Mark] | None = None, checks: dict[str, CheckState] | None = None) -> TrackedPhase:
    return build(LIST, marks or {}, Facts({}, START, NOON, checks or {}))[0]


def result(verdict: Standing, ends: datetime) -> CheckState:
    return CheckState(verdict, "so it is", START, ends)


def test_all_checks_of_a_phase_are_those_that_mean_something_now() -> None:
    # At noon the first occurrence (from 9) and the second (from 11) have begun, the third has not.
    assert [line.id for line in to_prove(phase(), NOON)] == [
        "all/tick", "all/block", "all/look", "all/hourly/1", "all/hourly/2"
    ]  # fmt: skip
    without = phase({"all/tick": Mark(State.NA, 2)})
    assert "all/tick" not in [line.id for line in to_prove(without, NOON)]


def test_only_what_was_proven_and_is_too_old_is_stale_the_oldest_first() -> None:
    checks = {
        "all/tick": result(Standing.PASSED, NOON - timedelta(minutes=5)),
        "all/block": result(Standing.FAILED, NOON - timedelta(hours=1)),
        "all/look": result(Standing.GATHERED, NOON + timedelta(seconds=1)),
    }
    assert [line.id for line in stale_lines([phase(checks=checks)], NOON)] == ["all/block", "all/tick"]


@pytest.mark.parametrize(
    ("item", "mark", "verdict", "by_itself", "ticks"),
    [
        ("tick", Mark(), Verdict.PASSED, False, True),
        ("tick", Mark(), Verdict.PASSED, True, True),
        ("block", Mark(), Verdict.PASSED, True, True),
        ("look", Mark(), Verdict.PASSED, False, False),
        ("tick", Mark(), Verdict.FAILED, False, False),
        ("tick", Mark(), Verdict.UNABLE, False, False),
        ("tick", Mark(), Verdict.GATHERED, False, False),
        ("tick", Mark(State.DONE, 1), Verdict.PASSED, False, False),
        ("tick", Mark(State.OPEN, 3), Verdict.PASSED, False, False),  # reopened while the check ran
    ],
)
def test_a_pass_ticks_what_it_began_with(item: str, mark: Mark, verdict: Verdict, by_itself: bool, ticks: bool) -> None:
    line = next(line for line in leaves([phase({f"all/{item}": mark})]) if line.id == f"all/{item}")
    assert may_tick(line, verdict, 1, by_itself=by_itself) is ticks


def test_what_a_person_reopened_is_not_ticked_by_a_check_that_nobody_asked_for() -> None:
    (line, *_) = leaves([phase({"all/tick": Mark(State.OPEN, 3)})])
    assert may_tick(line, Verdict.PASSED, 3, by_itself=False)
    assert not may_tick(line, Verdict.PASSED, 3, by_itself=True)
