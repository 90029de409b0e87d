"""What a rule may say: pure. One sentence a mistake, for page and shell alike."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import pairwise
from math import isfinite

from jobs.alerts.model import COMPARISONS, Rule, Step
from jobs.alerts.rules import reached
from jobs.alerts.signals import SIGNALS
from jobs.core.errors import UsageError
from jobs.core.permissions import Role

LONGEST_S = 7 * 86_400
MOST_STEPS = 12
SEVERITIES = ("warn", "critical")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def accepted(
    rule: Rule, *, folds: Mapping[str, Sequence[str]], people: Collection[str], channels: Collection[str]
) -> Rule:
    """The rule with its texts trimmed; UsageError for the first thing that is not accepted.

    `folds`: what every other rule folds into; `people`: the addresses of those who may sign in; `channels`: their names.
    """
    rule = replace(rule, title=" ".join(rule.title.split()), subject=rule.subject.strip() or "*")
    if _NAME.fullmatch(rule.name) is None or len(rule.name) > 60:
        raise UsageError(
            f"{rule.name!r} is no name of a rule: use small letters and digits, with hyphens between words."
        )
    if not rule.title:
        raise UsageError("Give the rule a title: it is what people are told.")
    if rule.signal not in SIGNALS:
        raise UsageError(f"There is no signal {rule.signal!r}{_near(rule.signal, SIGNALS)}")
    check_condition(rule)
    if rule.severity not in SEVERITIES:
        raise UsageError(f"{rule.severity!r} is no severity: say warn or critical.")
    if rule.repeat_s is not None and not 60 <= rule.repeat_s <= LONGEST_S:
        raise UsageError("Reminders come every minute to every 7 days, or not at all.")
    _check_steps(rule.steps, people, channels)
    _check_folds(rule, folds)
    return rule


def check_condition(rule: Rule) -> None:
    """UsageError if its condition cannot be evaluated."""
    if rule.comparison not in COMPARISONS:
        raise UsageError(f"{rule.comparison!r} is no comparison: say {', '.join(COMPARISONS)}.")
    if not isfinite(rule.threshold):
        raise UsageError("The threshold has to be a number.")
    if not 0 <= rule.for_s <= LONGEST_S:
        raise UsageError("A rule may hold back for 0 s to 7 days until it fires.")


def _check_steps(steps: Sequence[Step], people: Collection[str], channels: Collection[str]) -> None:
    if not steps or steps[0].after_s != 0:
        raise UsageError("The first step tells somebody at once: say whom after 0 s.")
    if len(steps) > MOST_STEPS:
        raise UsageError(f"A rule has {MOST_STEPS} steps at most.")
    if any(later.after_s < earlier.after_s for earlier, later in pairwise(steps)):
        raise UsageError("The steps have to be in the order of their times, the first at once.")
    if steps[-1].after_s > LONGEST_S:
        raise UsageError("The last step comes within 7 days.")
    for step in steps:
        kind, _, whom = step.to.partition(":")
        match kind, whom:
            case ("team" | "on-call", ""):
                pass
            case ("role", _):
                if whom not in list(Role):
                    raise UsageError(f"There is no role {whom!r}{_near(whom, list(Role))}")
            case ("person", _):
                if whom not in people:
                    raise UsageError(f"Nobody who may sign in has the address {whom!r}{_near(whom, people)}")
            case ("channel", _):
                if whom not in channels:
                    raise UsageError(f"NEXAOPS_NOTICE_URLS has no channel {whom!r}{_near(whom, channels)}")
            case _:
                raise UsageError(
                    f"{step.to!r} cannot be told: say team, on-call, role:<role>, person:<e-mail> or channel:<name>."
                )


def _check_folds(rule: Rule, folds: Mapping[str, Sequence[str]]) -> None:
    for into in rule.folds_into:
        if into == rule.name:
            raise UsageError("A rule cannot follow from itself.")
        if into not in folds:
            raise UsageError(f"There is no rule {into!r} to follow from{_near(into, folds)}")
        if rule.name in reached(into, {**folds, rule.name: ()}):
            raise UsageError(f"{into} follows from {rule.name} already: they cannot both explain each other.")


def _near(word: str, known: Collection[str]) -> str:
    near = get_close_matches(word, [str(one) for one in known], n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else "."
