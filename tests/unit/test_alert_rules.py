"""What becomes of alerts, step by step and by any history of readings: nothing is told twice, lost, or ended by a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.model import Alert, Reading, Rule, Step, fits, only
from jobs.alerts.rules import (
    CALM,
    CHANGED,
    DELETED,
    FLAPS,
    GONE,
    RECOVERED,
    SWITCHED_OFF,
    UNFOLD_AFTER,
    Change,
    advance,
    fold,
)

NOW = datetime(2026, 3, 1, 2, 14, tzinfo=UTC)
TICK = timedelta(seconds=15)
FAILING = Rule("job-failing", "A job fails", "job.failures", ">=", 3, "critical", (Step(0, "team"),))
HELD = replace(FAILING, for_s=60)


def reading(value: float | None, subject: str = "backup", signal: str = "job.failures") -> Reading:
    return Reading(signal, subject, value, f"{subject} has failed {value} times", f"/runs?job={subject}")


class Desk:
    """Alerts as the tables keep them, evaluated reading by reading."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = list(rules)
        self.alerts: list[Alert] = []
        self.now = NOW

    def sees(self, *readings: Reading, after: timedelta = TICK) -> list[Change]:
        self.now += after
        since = self.now - timedelta(hours=1)
        lately: dict[tuple[str, str], int] = {}
        for alert in self.alerts:
            if alert.state == "resolved" and alert.fired_at is not None and alert.fired_at > since:
                lately[alert.rule, alert.subject] = lately.get((alert.rule, alert.subject), 0) + 1
        changes = advance(self.rules, self.open, readings, lately, self.now)
        for change in changes:
            if change.before is not None:
                self.alerts = [alert for alert in self.alerts if alert.id != change.before.id]
            if change.after is not None:
                number = change.after.id or max((alert.id for alert in self.alerts), default=0) + 1
                self.alerts.append(replace(change.after, id=number))
        return changes

    @property
    def open(self) -> list[Alert]:
        return [alert for alert in self.alerts if alert.state != "resolved"]

    @property
    def states(self) -> list[str]:
        return [alert.state for alert in self.alerts]

    def folds(self) -> None:
        ended = {alert.id: alert.resolved_at for alert in self.alerts if alert.resolved_at is not None}
        for one in fold(self.rules, self.open, ended, self.now):
            self.alerts = [
                replace(alert, folded_into=one.into) if alert.id == one.alert.id else alert for alert in self.alerts
            ]

    def into(self) -> dict[str, str | None]:
        named = {alert.id: f"{alert.rule} {alert.subject}".strip() for alert in self.alerts}
        return {
            named[alert.id]: named[alert.folded_into] if alert.folded_into is not None else None for alert in self.open
        }


def test_it_fires_at_once_where_the_rule_waits_for_nothing() -> None:
    desk = Desk(FAILING)
    (change,) = desk.sees(reading(3))
    assert change.fired
    assert (desk.states, desk.alerts[0].sentence) == (["firing"], "backup has failed 3 times")


def test_it_fires_once_it_has_held_for_as_long_as_the_rule_says() -> None:
    desk = Desk(HELD)
    seen = []
    for _ in range(5):
        desk.sees(reading(3))
        seen.append(desk.states)
    assert seen == [["pending"]] * 4 + [["firing"]]


def test_what_was_pending_and_recovers_leaves_nothing() -> None:
    desk = Desk(HELD)
    desk.sees(reading(3))
    desk.sees(reading(0))
    assert desk.alerts == []


def test_it_is_resolved_when_the_condition_holds_no_more() -> None:
    desk = Desk(FAILING)
    desk.sees(reading(3))
    (change,) = desk.sees(reading(0))
    assert change.resolved
    assert (desk.states, desk.alerts[0].resolution) == (["resolved"], RECOVERED)


@pytest.mark.parametrize(
    ("rules", "readings", "why"),
    [
        ([], [reading(3)], DELETED),
        ([replace(FAILING, enabled=False)], [reading(3)], SWITCHED_OFF),
        ([replace(FAILING, subject="reconcile-*")], [reading(3)], CHANGED),
        ([replace(FAILING, signal="job.missed")], [reading(3)], CHANGED),
        ([FAILING], [], GONE),
        ([FAILING], [reading(None)], None),
    ],
)
def test_why_it_ends(rules: Sequence[Rule], readings: Sequence[Reading], why: str | None) -> None:
    desk = Desk(FAILING)
    desk.sees(reading(3))
    desk.rules = list(rules)
    desk.sees(*readings)
    assert desk.alerts[0].resolution == why


def test_without_data_it_stays_and_says_since_when_and_nothing_begins() -> None:
    desk = Desk(FAILING)
    desk.sees(reading(3))
    for _ in range(3):
        desk.sees(reading(None), reading(None, "prune"))
    (alert,) = desk.alerts
    assert (alert.state, alert.value) == ("firing", None)
    assert alert.sentence == "backup has failed 3 times; no data since 02:14 UTC"
    desk.sees(reading(4))
    assert (desk.alerts[0].value, desk.alerts[0].sentence) == (4, "backup has failed 4 times")


def test_what_comes_and_goes_is_told_once_more_and_then_stays_until_it_is_calm() -> None:
    desk = Desk(FAILING)
    for _ in range(FLAPS):
        desk.sees(reading(3))
        desk.sees(reading(0))
    assert desk.states == ["resolved", "resolved", "firing"]
    assert desk.open[0].flapping
    fired = [change for _ in range(20) for value in (3, 0) for change in desk.sees(reading(value)) if change.fired]
    assert fired == []
    desk.sees(reading(0), after=CALM - TICK)
    assert len(desk.open) == 1
    desk.sees(reading(0))
    assert desk.open == []


def test_a_subject_may_be_several_patterns_and_leave_some_out() -> None:
    assert [fits(name, "reconcile-*, retry-failed") for name in ("reconcile-pending", "retry-failed", "prune")] == [
        True,
        True,
        False,
    ]
    assert [fits(name, "!reconcile-*, !prune") for name in ("reconcile-pending", "prune", "backup")] == [
        False,
        False,
        True,
    ]


DOWN = Rule("horizon-down", "No Horizon", "horizon.usable", "<", 1, "critical", (Step(0, "team"),))
CHAIN = replace(FAILING, name="chain-job-failing", folds_into=("horizon-down",))
WARN = replace(FAILING, name="chain-job-failed", threshold=1, folds_into=("chain-job-failing", "horizon-down"))
NO_HORIZON, ONE_HORIZON = (reading(value, "", "horizon.usable") for value in (0.0, 1.0))


@given(st.text(min_size=1).map(str.strip).filter(bool))
def test_a_pattern_for_one_name_fits_it_whatever_stands_in_it(name: str) -> None:
    assert fits(name, only(name))
    assert not fits(f"{name}x", only(name))


def test_what_follows_from_something_is_folded_into_the_last_cause_and_stands_by_itself_later() -> None:
    desk = Desk(DOWN, CHAIN, WARN)
    desk.sees(NO_HORIZON, reading(3), reading(1, "prune"))
    desk.folds()
    assert desk.into() == {
        "horizon-down": None,
        "chain-job-failing backup": "horizon-down",
        "chain-job-failed backup": "horizon-down",
        "chain-job-failed prune": "horizon-down",
    }
    desk.sees(ONE_HORIZON, reading(3), reading(1, "prune"))
    desk.folds()
    assert set(desk.into().values()) == {"horizon-down"}, "it may need a moment to recover as well"
    desk.sees(ONE_HORIZON, reading(3), reading(1, "prune"), after=UNFOLD_AFTER)
    desk.folds()
    assert desk.into() == {
        "chain-job-failing backup": None,
        "chain-job-failed backup": "chain-job-failing backup",
        "chain-job-failed prune": None,
    }, "another job's failures explain nothing"


def test_what_is_critical_is_never_hidden_under_a_warning() -> None:
    desk = Desk(replace(DOWN, severity="warn"), replace(CHAIN, severity="critical"), replace(WARN, severity="warn"))
    desk.sees(NO_HORIZON, reading(3))
    desk.folds()
    assert desk.into() == {
        "horizon-down": None,
        "chain-job-failing backup": None,
        "chain-job-failed backup": "chain-job-failing backup",
    }


def test_rules_that_fold_into_each_other_hide_nothing() -> None:
    one = replace(FAILING, name="one", folds_into=("two",))
    two = replace(FAILING, name="two", folds_into=("one",))
    desk = Desk(one, two)
    desk.sees(reading(3))
    desk.folds()
    assert set(desk.into().values()) == {None}


ABSENT = -1.0
VALUES = st.sampled_from([ABSENT, None, 0.0, 1.0, 3.0])
LOOKS = st.lists(st.tuples(VALUES, VALUES, st.integers(0, 7)), max_size=25)


@given(LOOKS)
def test_any_history(looks: list[tuple[float | None, float | None, int]]) -> None:
    rules = [replace(HELD, name="held", threshold=1), replace(FAILING, folds_into=("held",))]
    desk = Desk(*rules)
    for one, other, coin in looks:
        values = {subject: value for subject, value in (("a", one), ("b", other)) if value != ABSENT}
        desk.rules = [replace(rules[0], enabled=coin & 1 == 0), rules[1]]
        after = CALM if coin & 2 else TICK
        if coin & 4:
            desk.alerts = [
                replace(alert, acknowledged_at=desk.now, acknowledged_by="ada", acknowledged_why="looking")
                if alert.state == "firing"
                else alert
                for alert in desk.alerts
            ]
        was = {alert.id: alert for alert in desk.open}
        changes = desk.sees(*(reading(value, subject) for subject, value in values.items()), after=after)
        keys = [(alert.rule, alert.subject) for alert in desk.open]
        assert len(keys) == len(set(keys)), "two open alerts of one rule and subject"
        for alert in desk.alerts:
            if alert.id in was and was[alert.id].acknowledged_by:
                assert alert.acknowledged_by == "ada", "an acknowledgement was lost"
        for change in changes:
            if change.after is not None and change.after.resolution == RECOVERED:
                value = values.get(change.after.subject)
                rule = next(rule for rule in desk.rules if rule.name == change.after.rule)
                assert value is not None, "resolved without data"
                assert not rule.holds(value), "resolved while it holds"
            if change.fired and change.after is not None:
                rule = next(rule for rule in desk.rules if rule.name == change.after.rule)
                fired_by = values[change.after.subject]
                assert fired_by is not None
                assert rule.holds(fired_by)
        desk.folds()
        explained = {alert.folded_into for alert in desk.open} - {None}
        for alert in desk.open:
            assert not (alert.id in explained and alert.folded_into is not None), "a chain of folds"
