"""What is to be told of an alert now: its next step, a reminder, that it is over, or nothing. Pure.

One step after another, each once. A step waits for its delay since the alert fired, and for as long after the step before
it was told as lies between the two: when a silence ends, or the desk comes back, the first hears of it at once and has
the time that the rule gives them before the next is woken. Reminders begin when every step was told, and go to all of
them. Whoever has acknowledged it has it, and what is folded into another alert, silenced or in its quiet hours waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from jobs.alerts.model import Alert, Rule

ON_CALL = "on-call"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step tells, as the rule names them; of `on-call` the person of which rota, in the order of their places.

    The first step for whoever is on call means the first rota, the second such step the second one.
    """

    to: str
    place: int = 1


@dataclass(frozen=True, slots=True)
class Due:
    """What is due. `step`: so many of the rule's steps have been told once it is.

    `resolved` names nobody: it goes to those who were told.
    """

    kind: Literal["step", "reminder", "resolved"]
    step: int
    targets: tuple[Target, ...] = ()


def due(alert: Alert, rule: Rule, *, silenced: bool, quiet: bool, now: datetime) -> Due | None:
    """What is to be told of the alert at `now`; None: nothing.

    A resolved alert is one of which it was not told yet that it is over.
    """
    if silenced or quiet or alert.state == "pending":
        return None
    if alert.state == "resolved":
        return Due("resolved", alert.step) if alert.told_at is not None else None
    # What flaps and is calm at this moment is no news: if it comes back it goes on, otherwise it is over.
    if alert.acknowledged_at is not None or alert.folded_into is not None or alert.quiet_since is not None:
        return None
    if alert.step < len(rule.steps):
        return _next_step(alert, rule, now)
    if rule.repeat_s is None or alert.told_at is None or now < alert.told_at + timedelta(seconds=rule.repeat_s):
        return None
    return Due("reminder", alert.step, _targets(rule, 0, len(rule.steps)))


def next_step_at(alert: Alert, rule: Rule) -> datetime | None:
    """When the next step is due if nobody acknowledges it and nothing keeps it quiet; None: there is none any more."""
    if alert.fired_at is None or alert.step >= len(rule.steps):
        return None
    delay = rule.steps[alert.step].after_s
    since_fired = alert.fired_at + timedelta(seconds=delay)
    if alert.step == 0 or alert.told_at is None:
        return since_fired
    return max(since_fired, alert.told_at + timedelta(seconds=delay - rule.steps[alert.step - 1].after_s))


def _next_step(alert: Alert, rule: Rule, now: datetime) -> Due | None:
    at = next_step_at(alert, rule)
    if at is None or now < at:
        return None
    # Steps with the same delay are one.
    delay = rule.steps[alert.step].after_s
    told = alert.step + sum(1 for _ in takewhile(lambda step: step.after_s == delay, rule.steps[alert.step :]))
    return Due("step", told, _targets(rule, alert.step, told))


def _targets(rule: Rule, first: int, last: int) -> tuple[Target, ...]:
    """Whom the steps from `first` up to before `last` tell, each once."""
    found = []
    place = 0
    for number, step in enumerate(rule.steps[:last]):
        place += step.to == ON_CALL
        if number >= first:
            found.append(Target(step.to, place) if step.to == ON_CALL else Target(step.to))
    return tuple(dict.fromkeys(found))
