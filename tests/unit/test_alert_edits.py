"""Rules that cannot be are refused in a sentence; the shipped ones can be, and everything they name exists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checklists.load import definition_files
from jobs.alerts.edits import accepted
from jobs.alerts.model import Rule, Step
from jobs.alerts.shipped import SHIPPED
from jobs.alerts.signals import SIGNALS
from jobs.core.errors import UsageError

FOLDS = {name: rule.folds_into for name, rule in SHIPPED.items()}
MINE = Rule("my-disk", "My disk", "host.disk_used_ratio", ">=", 0.5, "warn", (Step(0, "team"),), for_s=60)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "My Disk"}, "no name of a rule"),
        ({"title": " "}, "a title"),
        ({"signal": "host.disk_use_ratio"}, "did you mean host.disk_used_ratio"),
        ({"comparison": "=>"}, "no comparison"),
        ({"threshold": float("nan")}, "a number"),
        ({"for_s": -1}, "0 s to 7 days"),
        ({"repeat_s": 5}, "every minute"),
        ({"steps": ()}, "first step"),
        ({"steps": (Step(60, "team"),)}, "first step"),
        ({"steps": (Step(0, "team"), Step(60, "team"), Step(30, "team"))}, "order"),
        ({"steps": (Step(0, "everybody"),)}, "cannot be told"),
        ({"steps": (Step(0, "role:devop"),)}, "did you mean devops"),
        ({"steps": (Step(0, "person:nobody@example.org"),)}, "Nobody who may sign in"),
        ({"steps": (Step(0, "channel:slak://"),)}, "did you mean slack://"),
        ({"folds_into": ("disk-ful",)}, "did you mean disk-full"),
        ({"folds_into": ("my-disk",)}, "follow from itself"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_a_sentence(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        accepted(replace(MINE, **change), folds=FOLDS, people=(), channels=("slack://",))


def test_two_rules_cannot_explain_each_other() -> None:
    folds = {**FOLDS, "my-disk": ("disk-full",)}
    with pytest.raises(UsageError, match="cannot both explain"):
        accepted(replace(SHIPPED["disk-full"], folds_into=("my-disk",)), folds=folds, people=(), channels=())


@pytest.mark.parametrize("rule", SHIPPED.values(), ids=SHIPPED)
def test_the_shipped_rules_can_be(rule: Rule) -> None:
    others = {name: folds for name, folds in FOLDS.items() if name != rule.name}
    assert accepted(rule, folds=others, people=(), channels=()) == rule


def test_the_runbooks_of_the_shipped_rules_are_shipped_checklists() -> None:
    runbooks = {rule.runbook for rule in SHIPPED.values()} - {None}
    assert runbooks
    assert runbooks <= {file.stem for file in definition_files()}


def test_every_signal_that_says_how_well_something_does_has_a_rule() -> None:
    # These explain a rule's reading, or say what is meant to be so.
    only_shown = {"job.paused", "horizon.age_s", "horizon.lag", "pending.count"}
    assert set(SIGNALS) - {rule.signal for rule in SHIPPED.values()} == only_shown
