"""What may happen to an item: the rules of the tracker, by table, and by hypothesis over many people and commands."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checklists.lines import Kind, Mark, State, TrackedItem, TrackedPhase, build, count, leaves
from checklists.schema import Template
from checklists.summary import read_summary
from checklists.tracker import Command, Hand, Refused, clean, decide, may_change, why_not
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound, UsageError
from jobs.core.permissions import Role

ADA = "ada@nexafx.com"
ADMIN = frozenset({Role.ADMINISTRATOR})
DEVOPS = frozenset({Role.DEVOPS})
RELEASE = Template.model_validate(
    {
        "schema": 1,
        "id": "release",
        "title": "Release",
        "kind": "deployment",
        "fields": {
            "date": {"title": "Date", "type": "date", "required": "true"},
            "by": {"title": "By", "type": "user", "required": "true"},
            "notes": {"title": "Notes", "type": "markdown"},
        },
        "phases": [
            {
                "id": "plan",
                "title": "Plan",
                "role": "devops",
                "items": [
                    "Write it down",
                    {"id": "maybe", "do": "Ask around", "need": "optional"},
                    {"id": "always", "do": "Back up", "na": "never"},
                    {"id": "read", "do": "Read it", "role": "developer"},
                    {"id": "alerts", "do": "Alert on", "items": ["Errors", {"do": "Speed", "need": "optional"}]},
                    {"id": "either", "do": "Warn", "rollup": "any", "items": ["By mail", "By phone"]},
                ],
            },
            {
                "id": "steps",
                "title": "Steps",
                "mode": "read-do",
                "after": ["plan"],
                "items": [
                    "One",
                    {"note": "Breathe"},
                    {"id": "perhaps", "do": "Perhaps", "need": "optional"},
                    {"id": "watch", "do": "Watch", "repeat": {"every": "1h", "times": 3}},
                    {"id": "last", "do": "Last"},
                ],
            },
        ],
    }
)
PLAN = {
    name: Mark(State.DONE)
    for name in ("plan/write-it-down", "plan/always", "plan/read", "plan/alerts/errors", "plan/either/by-mail")
}


def marked(**states: State) -> dict[str, Mark]:
    return {name: Mark(state) for name, state in states.items()}


def run(marks: dict[str, Mark] | None = None) -> tuple[TrackedPhase, ...]:
    return build(RELEASE, marks or {})


def line(phases: tuple[TrackedPhase, ...], item_id: str) -> TrackedItem:
    def walk(items: tuple[TrackedItem, ...]) -> list[TrackedItem]:
        return [one for item in items for one in (item, *walk(item.children))]

    return next(item for phase in phases for item in walk(phase.items) if item.id == item_id)


def refusal(
    marks: dict[str, Mark],
    item_id: str,
    command: Command = Command.TICK,
    roles: frozenset[Role] = ADMIN,
    reason: str | None = None,
) -> tuple[type[NexaError], str]:
    with pytest.raises(NexaError) as error:
        decide(run(marks), item_id, command, seen_version=1, hand=Hand(ADA, roles, reason=reason))
    return type(error.value), str(error.value)


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [
        (State.OPEN, Command.TICK, State.DONE),
        (State.OPEN, Command.MARK_NA, State.NA),
        (State.DONE, Command.UNTICK, State.OPEN),
        (State.NA, Command.UNTICK, State.OPEN),
    ],
)
def test_an_item_goes_from_open_to_done_or_na_and_back(before: State, command: Command, after: State) -> None:
    phases = run({"plan/write-it-down": Mark(before)})
    change = decide(phases, "plan/write-it-down", command, seen_version=1, hand=Hand(ADA, ADMIN, reason=" because "))
    assert (change.old, change.new, change.reason) == (before, after, "because")


@pytest.mark.parametrize(
    ("before", "command", "sentence"),
    [
        (State.OPEN, Command.UNTICK, "“Write it down” is open already."),
        (State.DONE, Command.TICK, "“Write it down” is done already."),
        (State.DONE, Command.MARK_NA, "“Write it down” is done already."),
        (State.NA, Command.TICK, "“Write it down” is marked N/A: reopen it first."),
        (State.NA, Command.MARK_NA, "“Write it down” is marked N/A: reopen it first."),
    ],
)
def test_every_other_way_is_refused_with_its_reason(before: State, command: Command, sentence: str) -> None:
    assert refusal({"plan/write-it-down": Mark(before)}, "plan/write-it-down", command, reason="x") == (
        Refused,
        sentence,
    )


@pytest.mark.parametrize("reason", [None, "", "  \n "])
def test_na_needs_a_reason(reason: str | None) -> None:
    kind, sentence = refusal({}, "plan/write-it-down", Command.MARK_NA, reason=reason)
    assert kind is UsageError
    assert sentence == "“Write it down” can only be marked N/A with a reason: say why it does not apply."


def test_an_item_that_always_applies_cannot_be_na() -> None:
    assert refusal({}, "plan/always", Command.MARK_NA, reason="no time") == (
        Refused,
        "“Back up” always applies: it cannot be marked N/A.",
    )


def test_a_stale_version_names_who_did_what_when() -> None:
    mark = Mark(State.DONE, 2, "ana@nexafx.com", "Ana", datetime(2026, 11, 3, 14, 2, 9, tzinfo=UTC))
    assert refusal({"plan/write-it-down": mark}, "plan/write-it-down") == (
        Conflict,
        "Ana ticked “Write it down” at 14:02:09 UTC on 3 November, after you saw it: look again first.",
    )


@pytest.mark.parametrize(
    ("item_id", "roles", "may"),
    [
        ("plan/write-it-down", DEVOPS, True),
        ("plan/write-it-down", frozenset({Role.DEVELOPER}), False),
        ("plan/read", DEVOPS, False),  # the item's role stands before the phase's
        ("plan/read", frozenset({Role.DEVELOPER}), True),
        ("plan/read", frozenset({Role.RELEASE_MANAGER}), True),
        ("plan/read", ADMIN, True),
        ("plan/alerts/errors", DEVOPS, True),  # a child has its phase's role
        ("steps/one", frozenset({Role.QA_LEAD}), True),  # nobody's: anybody who ticks
        ("steps/one", frozenset({Role.VIEWER}), False),
    ],
)
def test_the_role_of_the_item_or_of_its_phase_may_change_it(item_id: str, roles: frozenset[Role], may: bool) -> None:
    assert may_change(line(run(PLAN), item_id), roles) is may
    if not may:
        kind, sentence = refusal({}, item_id, Command.TICK, roles)
        assert kind is Forbidden
        assert "is not yours to tick" in sentence


def test_what_is_not_a_line_to_tick_is_not_found() -> None:
    for item_id in ("plan/alerts", "steps/breathe", "steps/watch", "plan/nothing", "plan"):
        assert refusal({}, item_id)[0] is NotFound


def test_a_phase_waits_for_the_phases_before_it() -> None:
    assert run()[1].waits_for == ("Plan",)
    assert refusal({}, "steps/one") == (Refused, "“Steps” waits until this is complete: Plan.")
    assert run(PLAN)[1].waits_for == ()
    assert decide(run(PLAN), "steps/one", Command.TICK, seen_version=1, hand=Hand(ADA, ADMIN)).new is State.DONE


def test_na_may_be_said_ahead_of_time() -> None:
    change = decide(run(), "steps/last", Command.MARK_NA, seen_version=1, hand=Hand(ADA, ADMIN, reason="not this time"))
    assert change.new is State.NA


def test_a_read_do_phase_goes_in_order_and_optional_items_may_be_left_out() -> None:
    assert refusal(PLAN, "steps/watch/1") == (Refused, "“Steps” goes in order: “One” comes first.")
    marks = PLAN | {"steps/one": Mark(State.DONE)}
    assert decide(run(marks), "steps/watch/1", Command.TICK, seen_version=1, hand=Hand(ADA, ADMIN))
    assert refusal(marks, "steps/watch/2") == (Refused, "“Steps” goes in order: “Watch (1 of 3)” comes first.")
    marks |= {f"steps/watch/{n}": Mark(State.NA) for n in (1, 2, 3)}
    assert decide(run(marks), "steps/last", Command.TICK, seen_version=1, hand=Hand(ADA, ADMIN))


def test_reopening_keeps_later_ticks_and_stops_further_ones() -> None:
    marks = PLAN | {"steps/one": Mark(State.DONE), "steps/watch/1": Mark(State.DONE)}
    assert decide(run(marks), "steps/one", Command.UNTICK, seen_version=1, hand=Hand(ADA, ADMIN)).new is State.OPEN
    marks["steps/one"] = Mark(State.OPEN)
    assert line(run(marks), "steps/watch/1").state is State.DONE
    assert refusal(marks, "steps/watch/2")[1] == "“Steps” goes in order: “One” comes first."


@pytest.mark.parametrize(
    ("errors", "speed", "state"),
    [
        (State.OPEN, State.OPEN, State.OPEN),
        (State.OPEN, State.DONE, State.OPEN),
        (State.DONE, State.OPEN, State.DONE),  # the other child is optional
        (State.NA, State.OPEN, State.OPEN),
        (State.NA, State.NA, State.NA),
        (State.NA, State.DONE, State.DONE),
    ],
)
def test_a_group_of_all_is_done_when_no_required_child_is_open(errors: State, speed: State, state: State) -> None:
    phases = run({"plan/alerts/errors": Mark(errors), "plan/alerts/speed": Mark(speed)})
    assert line(phases, "plan/alerts").state is state


@pytest.mark.parametrize(
    ("mail", "phone", "state", "open_required"),
    [
        (State.OPEN, State.OPEN, State.OPEN, 2),
        (State.OPEN, State.DONE, State.DONE, 0),
        (State.NA, State.OPEN, State.OPEN, 1),
        (State.NA, State.NA, State.NA, 0),
    ],
)
def test_a_group_of_any_is_done_with_one_child(mail: State, phone: State, state: State, open_required: int) -> None:
    group = line(run({"plan/either/by-mail": Mark(mail), "plan/either/by-phone": Mark(phone)}), "plan/either")
    assert (group.state, len(group.open_required)) == (state, open_required)


def test_a_repeat_is_a_line_for_each_time_and_done_with_the_last() -> None:
    watch = line(run(), "steps/watch")
    assert (watch.kind, [child.label for child in watch.children]) == (
        Kind.REPEAT,
        ["Watch (1 of 3)", "Watch (2 of 3)", "Watch (3 of 3)"],
    )
    marks = {f"steps/watch/{n}": Mark(State.DONE) for n in (1, 2)}
    assert line(run(marks), "steps/watch").state is State.OPEN
    assert line(run(marks | {"steps/watch/3": Mark(State.DONE)}), "steps/watch").state is State.DONE


def test_progress_counts_lines_and_what_is_still_required() -> None:
    plan, steps = run(PLAN | {"steps/last": Mark(State.NA)})
    assert (plan.progress.total, plan.progress.done, plan.progress.required_open) == (8, 5, 0)
    assert plan.progress.complete
    assert (steps.progress.total, steps.progress.na, steps.progress.required_open) == (6, 1, 4)
    assert steps.progress.closed == 1


def test_a_page_can_ask_why_not_before_anybody_tries() -> None:
    plan, steps = run()
    assert why_not(plan, plan.items[0], Command.TICK, Hand(ADA, DEVOPS)) is None
    assert (
        why_not(steps, steps.items[0], Command.TICK, Hand(ADA, DEVOPS)) == "“Steps” waits until this is complete: Plan."
    )


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\x00b", "a\u202eb", "a\ud800b", "a\rb"])
def test_text_that_does_not_show_as_itself_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"The reason holds the character U\+"):
        clean(text, "The reason")


def test_text_is_kept_as_it_is_up_to_a_length() -> None:
    assert clean(" <b>one</b>\r\n[red]two[/] ", "x") == "<b>one</b>\n[red]two[/]"
    with pytest.raises(UsageError, match="2,001 characters"):
        clean("x" * 2001, "The reason")


def test_a_summary_is_kept_as_it_was_meant() -> None:
    given = {"by": "Ana@NexaFX.com ", "date": "2026-11-30", "notes": ""}
    assert read_summary(RELEASE, given, {"ana@nexafx.com"}) == {"date": "2026-11-30", "by": "ana@nexafx.com"}


def test_a_summary_that_is_wrong_says_everything_that_is() -> None:
    with pytest.raises(UsageError) as error:
        read_summary(RELEASE, {"date": "20261130", "note": "x"}, {"ana@nexafx.com"})
    assert str(error.value) == (
        "“Release” cannot start: there is no field 'note', did you mean notes?; date must be a date such as 2026-11-30,"
        " not '20261130'; by is missing: it is the By."
    )
    with pytest.raises(UsageError, match="must be the e-mail of somebody with an account"):
        read_summary(RELEASE, {"date": "2026-11-30", "by": "bob"}, {"ana@nexafx.com"})


LINES = [leaf.id for leaf in leaves(run())]
COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(LINES),
        st.sampled_from(Command),
        st.integers(0, 1),  # how many versions ago the person looked
        st.sets(st.sampled_from(Role), min_size=1).map(frozenset),
        st.sampled_from([None, "because"]),
    ),
    max_size=60,
)


@given(COMMANDS)
@settings(deadline=None)
def test_whatever_many_people_try_an_accepted_tick_was_its_turn_and_a_refused_one_changes_nothing(
    commands: list[tuple[str, Command, int, frozenset[Role], str | None]],
) -> None:
    marks = {name: Mark() for name in LINES}
    for item_id, command, behind, roles, reason in commands:
        phases = run(marks)
        mark = marks[item_id]
        try:
            change = decide(
                phases, item_id, command, seen_version=mark.version - behind, hand=Hand(ADA, roles, reason=reason)
            )
        except NexaError:
            continue
        assert behind == 0
        assert change.old is mark.state
        assert change.new is command.target
        assert (change.old is State.OPEN) != (change.new is State.OPEN)
        assert may_change(change.item, roles)
        if command is Command.MARK_NA:
            assert change.reason is not None
        if command is Command.TICK and item_id.startswith("steps/"):
            assert phases[0].progress.complete
            above = LINES[LINES.index("steps/one") : LINES.index(item_id)]
            assert all(marks[name].state is not State.OPEN for name in above if name != "steps/perhaps")
        marks[item_id] = Mark(change.new, mark.version + 1, reason=change.reason)
    for phase in run(marks):
        progress = phase.progress
        states = [leaf.mark.state for leaf in leaves([phase])]
        assert progress.total == len(states)
        assert progress.closed == len(states) - states.count(State.OPEN)
        assert progress.complete == all(not item.open_required for item in phase.items)
        for item in phase.items:
            if item.state is State.DONE and item.definition.need == "required":
                assert item.open_required == ()


@given(st.dictionaries(st.sampled_from(LINES), st.sampled_from(State)))
@settings(deadline=None)
def test_whatever_the_states_closing_what_is_required_completes_the_run(states: dict[str, State]) -> None:
    marks = {name: Mark(state) for name, state in states.items()}
    while True:
        phases = run(marks)
        still = [line for phase in phases for item in phase.items for line in item.open_required]
        assert count(phases).required_open == len(still)
        if not still:
            break
        change = decide(phases, still[0].id, Command.TICK, seen_version=1, hand=Hand(ADA, ADMIN))
        marks[still[0].id] = Mark(change.new)
    assert all(phase.progress.complete and not phase.waits_for for phase in run(marks))
