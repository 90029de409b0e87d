"""What is told of an alert, and when: each step once, in order, and nothing while it is to be quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.escalate import Due, Target, due, next_step_at
from jobs.alerts.model import Alert, Rule, Step

FIRED = datetime(2026, 11, 28, 2, 14, tzinfo=UTC)
TEAM, ADA, BOB, DEVOPS = Target("team"), Target("on-call"), Target("on-call", 2), Target("role:devops")
RULE = Rule(
    "r", "R", "s", ">", 1, "critical",
    (Step(0, "team"), Step(0, "on-call"), Step(900, "on-call"), Step(1800, "role:devops")), repeat_s=3600,
)  # fmt: skip
ALERT = Alert(1, "r", "s", "", "firing", "critical", 2.0, "It burns", "/runs", FIRED, FIRED, FIRED)


def after(minutes: float) -> datetime:
    return FIRED + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("alert", "minutes", "what"),
    [
        (ALERT, 0, Due("step", 2, (TEAM, ADA))),
        (replace(ALERT, step=2, told_at=FIRED), 14.9, None),
        (replace(ALERT, step=2, told_at=FIRED), 15, Due("step", 3, (BOB,))),
        (replace(ALERT, step=3, told_at=after(15)), 30, Due("step", 4, (DEVOPS,))),
        # Told late, because it was silenced or nobody was there to tell it: the next has a quarter of an hour, too.
        (replace(ALERT, step=2, told_at=after(60)), 74, None),
        (replace(ALERT, step=2, told_at=after(60)), 75, Due("step", 3, (BOB,))),
        (replace(ALERT, step=4, told_at=after(30)), 89, None),
        (replace(ALERT, step=4, told_at=after(30)), 90, Due("reminder", 4, (TEAM, ADA, BOB, DEVOPS))),
        (replace(ALERT, acknowledged_at=FIRED, acknowledged_by="ada"), 60, None),
        (replace(ALERT, folded_into=7), 60, None),
        (replace(ALERT, step=4, told_at=after(30), flapping=True, quiet_since=after(88)), 90, None),
        (replace(ALERT, state="pending", fired_at=None), 60, None),
        (replace(ALERT, state="resolved", resolved_at=after(9)), 10, None),  # nobody had been told
        (replace(ALERT, state="resolved", resolved_at=after(9), step=2, told_at=FIRED), 10, Due("resolved", 2)),
        (
            replace(ALERT, state="resolved", acknowledged_at=FIRED, step=2, told_at=FIRED),
            10, Due("resolved", 2),
        ),
    ],
)  # fmt: skip
def test_what_is_due(alert: Alert, minutes: float, what: Due | None) -> None:
    assert due(alert, RULE, silenced=False, quiet=False, now=after(minutes)) == what
    for kept in ({"silenced": True, "quiet": False}, {"silenced": False, "quiet": True}):
        assert due(alert, RULE, **kept, now=after(minutes)) is None


def test_without_repeats_and_steps_nothing_more_is_told() -> None:
    told = replace(ALERT, step=4, told_at=FIRED)
    assert due(told, replace(RULE, repeat_s=None), silenced=False, quiet=False, now=after(9000)) is None
    assert due(ALERT, replace(RULE, steps=()), silenced=False, quiet=False, now=after(9000)) is None
    assert next_step_at(told, RULE) is None
    assert next_step_at(ALERT, RULE) == FIRED


STEPS = st.lists(
    st.tuples(st.sampled_from([0, 60, 300, 900, 900, 1800]), st.sampled_from(["team", "on-call", "role:devops"])),
    min_size=1, max_size=5,
).map(lambda found: tuple(Step(after_s, to) for after_s, to in sorted(found)))  # fmt: skip
# From minute to minute: nothing, a silence or quiet hours begin or end, somebody acknowledges it or takes that back.
DAY = st.lists(st.sampled_from(["", "", "", "silence", "quiet", "acknowledge"]), max_size=60)


@given(STEPS, DAY, st.sampled_from([None, 60, 600]))
def test_each_step_is_told_once_in_order_never_while_it_is_quiet_and_in_the_end_all_of_them(
    steps: tuple[Step, ...], events: list[str], repeat_s: int | None
) -> None:
    rule, alert = replace(RULE, steps=steps, repeat_s=repeat_s), ALERT
    on, told, reminded = {"silence": False, "quiet": False, "acknowledge": False}, [], False
    # Afterwards it fires on, and nobody does anything about it.
    for minute, event in enumerate([*events, *[""] * 240]):
        if event:
            on[event] = not on[event]
        if minute == len(events):
            on = dict.fromkeys(on, False)
        now = after(minute)
        alert = replace(alert, acknowledged_at=FIRED if on["acknowledge"] else None)
        found = due(alert, rule, silenced=on["silence"], quiet=on["quiet"], now=now)
        if found is None:
            continue
        assert not any(on.values())
        if found.kind == "step":
            assert found.step > alert.step
            assert now >= FIRED + timedelta(seconds=steps[found.step - 1].after_s)
            told += range(alert.step, found.step)
        else:
            assert (found.kind, alert.step) == ("reminder", len(steps))
            reminded = True
        alert = replace(alert, step=found.step, told_at=now)
    assert told == list(range(len(steps)))
    assert reminded is (repeat_s is not None)
