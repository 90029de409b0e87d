"""What an item takes besides a tick: evidence, a wait, a passing check, a second person, a choice, a reason."""

from datetime import UTC, datetime, timedelta

import pytest

from checklists.lines import CheckState, Facts, Mark, Standing, State, TrackedItem, TrackedPhase, build, leaves
from checklists.mentions import mentioned
from checklists.schema import Template
from checklists.tracker import Command, Hand, decide
from jobs.core.errors import NexaError
from jobs.core.permissions import Role

ADMIN = frozenset({Role.ADMINISTRATOR})
START = datetime(2026, 11, 25, 9, tzinfo=UTC)
NOON = START + timedelta(hours=3)
RELEASE = Template.model_validate(
    {
        "schema": 1,
        "id": "release",
        "title": "Release",
        "kind": "deployment",
        "fields": {"network": {"title": "Network"}},
        "phases": [
            {
                "id": "proof",
                "items": [
                    {"id": "backup", "do": "Back up", "check": {"use": "backup.latest", "effect": "block"}},
                    {"id": "lint", "do": "Lint", "check": "commands.run"},
                    {"id": "hash", "do": "Pay", "evidence": [{"type": "text", "label": "hash"}], "need": "optional"},
                    {"id": "pair", "do": "Compare", "verify_by": "second-person", "need": "optional"},
                    {
                        "id": "public",
                        "do": "Announce",
                        "when": {"field": "network", "is": "PUBLIC"},
                        "assignee": "ben@nexafx.com",
                    },
                ],
            },
            {
                "id": "steps",
                "mode": "read-do",
                "after": ["proof"],
                "gate": {"signed": ["qa_lead"], "checks": "green"},
                "items": [
                    "Deploy",
                    {"id": "soak", "do": "Watch it", "wait": "15m"},
                    {"id": "go", "do": "Go on?", "decide": {"continue": "next", "rollback": {"start": "rollback"}}},
                    {"id": "logs", "do": "Read logs", "repeat": {"every": "1h", "times": 3}},
                ],
            },
        ],
        "signoff": [{"role": "qa_lead", "meaning": "verified"}],
    }
)


def check(verdict: Standing, *, at: datetime = START, ttl: timedelta = timedelta(days=1)) -> CheckState:
    return CheckState(verdict, "it is so", at, at + ttl)


GREEN = {"proof/backup": check(Standing.PASSED), "proof/lint": check(Standing.PASSED)}
DONE = Mark(State.DONE, 2, "ada@nexafx.com", "Ada", START + timedelta(hours=1))
PROOF = {"proof/backup": DONE, "proof/lint": DONE}
READY = Facts({}, START, NOON, GREEN, frozenset({Role.QA_LEAD}))


def run(marks: dict[str, Mark] | None = None, facts: Facts = READY) -> tuple[TrackedPhase, ...]:
    return build(RELEASE, marks or {}, facts)


def line(phases: tuple[TrackedPhase, ...], item_id: str) -> TrackedItem:
    return next(one for one in leaves(phases) if one.id == item_id)


def said(phases: tuple[TrackedPhase, ...], item_id: str, command: Command = Command.TICK, **words: object) -> str:
    """What a command is refused with, or nothing."""
    hand = Hand(**{"actor": "ben@nexafx.com", "roles": ADMIN, "now": NOON, **words})  # type: ignore[arg-type]
    try:
        decide(phases, item_id, command, seen_version=line(phases, item_id).mark.version, hand=hand)
    except NexaError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({}, "“Back up” takes a passing check: run it first."),
        ({"proof/backup": check(Standing.FAILED)}, "“Back up” takes a passing check: it said “it is so”."),
        ({"proof/backup": check(Standing.UNABLE)}, "“Back up” takes a passing check: it said “it is so”."),
        (
            {"proof/backup": check(Standing.PASSED, ttl=timedelta(hours=1))},
            "“Back up” takes a passing check: the last result is of 09:00 UTC on 25 November, run it again.",
        ),
        (GREEN, ""),
    ],
)
def test_a_block_is_ticked_only_on_a_check_that_passes_now(checks: dict[str, CheckState], words: str) -> None:
    assert said(run(facts=Facts({}, START, NOON, checks)), "proof/backup") == words


def test_a_failing_check_lets_a_person_tick_with_a_reason_and_holds_if_it_fails_afterwards() -> None:
    failing = Facts({}, START, NOON, {"proof/lint": check(Standing.FAILED)})
    wanted = "The check of “Lint” fails (it is so): say why you tick it all the same."
    assert said(run(facts=failing), "proof/lint") == wanted
    assert said(run(facts=failing), "proof/lint", reason="a known warning") == ""
    assert line(run(PROOF, failing), "proof/lint").holds is None
    later = Facts({}, START, NOON, {"proof/lint": check(Standing.FAILED, at=NOON)})
    assert line(run(PROOF, later), "proof/lint").holds == "its check has failed since: it is so"


def test_evidence_that_is_asked_for_comes_before_the_tick() -> None:
    assert said(run(), "proof/hash") == "“Pay” takes evidence first: hash."
    assert said(run({"proof/hash": Mark(evidence=("hash",))}), "proof/hash") == ""


def test_a_second_person_is_somebody_else_and_holds_the_line_until_then() -> None:
    ticked = run({"proof/pair": DONE})
    assert line(ticked, "proof/pair").holds == "a second person must verify it"
    assert said(ticked, "proof/pair", Command.VERIFY, actor="ada@nexafx.com") == (
        "You ticked “Compare” yourself: somebody else verifies it."
    )
    assert said(ticked, "proof/pair", Command.VERIFY) == ""
    verified = run({"proof/pair": Mark(State.DONE, 3, "ada@nexafx.com", verified_by="ben@nexafx.com", verifier="Ben")})
    assert line(verified, "proof/pair").holds is None
    assert said(verified, "proof/pair", Command.VERIFY) == "“Compare” was verified by Ben already."


def test_what_a_field_rules_out_is_na_by_itself() -> None:
    assert line(run(), "proof/public").state is State.NA
    assert said(run(), "proof/public") == "“Announce” does not apply here: it is only for runs whose Network is PUBLIC."
    assert line(run(facts=Facts({"network": "PUBLIC"}, START, NOON)), "proof/public").state is State.OPEN


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts({}, START, NOON, GREEN), "The gate of “Steps” is closed: it takes the signature of QA Lead."),
        (
            Facts({}, START, NOON, {**GREEN, "proof/lint": check(Standing.UNABLE)}, frozenset({Role.QA_LEAD})),
            "The gate of “Steps” is closed: it takes a green check of “Lint” (it could not run).",
        ),
        (READY, ""),
    ],
)
def test_a_gate_wants_its_signatures_and_green_checks(facts: Facts, words: str) -> None:
    assert said(run(PROOF, facts), "steps/deploy") == words


def test_a_wait_begins_when_what_stands_above_is_done() -> None:
    assert said(run(PROOF), "steps/soak") == "“Steps” goes in order: “Deploy” comes first."
    deployed = Mark(State.DONE, 2, "ada@nexafx.com", "Ada", NOON - timedelta(minutes=14))
    assert said(run({**PROOF, "steps/deploy": deployed}), "steps/soak") == (
        "“Watch it” waits until 12:01 UTC on 25 November."
    )
    deployed = Mark(State.DONE, 2, "ada@nexafx.com", "Ada", NOON - timedelta(minutes=15))
    assert said(run({**PROOF, "steps/deploy": deployed}), "steps/soak") == ""


def test_a_decision_takes_one_of_its_choices_and_another_list_goes_first() -> None:
    marks = {**PROOF, "steps/deploy": DONE, "steps/soak": DONE}
    assert said(run(marks), "steps/go") == "“Go on?”: choose one of continue, rollback."
    assert said(run(marks), "steps/go", choice="stop") == "“Go on?”: choose one of continue, rollback, not 'stop'."
    assert said(run(marks), "steps/go", choice="rollback") == ""
    assert said(run(), "proof/lint", choice="x") == "“Lint”: it is no decision, take the choice out."
    back = run({**marks, "steps/go": Mark(State.DONE, 2, "ada@nexafx.com", choice="rollback")})
    assert said(back, "steps/logs/1") == ("“Steps” goes in order: “Go on?” comes first, it was decided to rollback.")
    onward = run({**marks, "steps/go": Mark(State.DONE, 2, "ada@nexafx.com", choice="continue")})
    assert said(onward, "steps/logs/1") == ""


def test_an_hour_that_is_ticked_before_its_time_is_marked_as_early() -> None:
    marks = {**PROOF, **dict.fromkeys(("steps/deploy", "steps/soak", "steps/logs/1", "steps/logs/2"), DONE)}
    marks["steps/go"] = Mark(State.DONE, 2, choice="continue")
    phases = run(marks)
    third = line(phases, "steps/logs/3")
    assert (third.opens_at, third.due_at) == (START + timedelta(hours=3), START + timedelta(hours=4))
    assert said(phases, "steps/logs/3") == ""
    assert [line(phases, f"steps/logs/{hour}").early for hour in (1, 2, 3)] == [False, True, False]


def test_a_late_entry_takes_a_reason_and_a_time_that_has_been() -> None:
    late = START + timedelta(minutes=30)
    assert said(run(), "proof/lint", performed_at=late) == "“Lint” is entered late: say why."
    assert said(run(), "proof/lint", performed_at=late, reason="no network down there") == ""
    future = "“Lint” cannot have been done in the future: leave the time out to tick it now."
    assert said(run(), "proof/lint", performed_at=NOON + timedelta(minutes=1), reason="soon") == future


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("@ada please look", ("ada@nexafx.com",)),
        ("ask @ada@nexafx.com, or @Ben.", ("ada@nexafx.com", "ben@nexafx.com")),
        ("mail ada@nexafx.com", ()),
        ("@sam is two people, @nobody is none", ()),
    ],
)
def test_a_mention_is_an_address_or_what_only_one_person_has_before_it(words: str, named: tuple[str, ...]) -> None:
    people = ("ada@nexafx.com", "ben@nexafx.com", "sam@nexafx.com", "sam@example.org")
    assert mentioned(words, people) == named
