"""What becomes of alerts: pending, firing, resolved, folded into what explains them. Pure.

Rules, open alerts and readings come in with the clock, changes go out. Where there is no data nothing begins and nothing
ends: a gap is no recovery. An alert that comes and goes is flapping and stays until it has been quiet for a while, so
that nobody is told of it again and again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.alerts.model import Alert, Reading, Rule
from jobs.alerts.signals import SIGNALS
from jobs.probes.attention import moment

FLAPS = 3
"""So many times fired within FLAPPING_WITHIN, this one included: it is flapping."""
FLAPPING_WITHIN = timedelta(hours=1)
CALM = timedelta(minutes=15)
"""For so long the condition has to hold no more until what flapped is resolved."""
UNFOLD_AFTER = timedelta(minutes=1)
"""After what explained an alert was resolved: what follows from it needs a moment to recover as well."""
RECOVERED, SWITCHED_OFF, DELETED = "recovered", "the rule was switched off", "the rule was deleted"
CHANGED, GONE = "the rule was changed", "no longer measured"

Key = tuple[str, str]
"""Of an alert that is open: the rule's name and the subject. There is at most one."""


@dataclass(frozen=True, slots=True)
class Change:
    """An alert as it was and as it is now; `before` None: it is new; `after` None: what was pending never fired."""

    before: Alert | None
    after: Alert | None

    @property
    def fired(self) -> bool:
        """Whether it fires from now on."""
        return self.after is not None and self.after.state == "firing" and not _fires(self.before)

    @property
    def resolved(self) -> bool:
        """Whether it fires no more."""
        return self.after is not None and self.after.state == "resolved"


def advance(
    rules: Sequence[Rule],
    alerts: Sequence[Alert],
    readings: Sequence[Reading],
    fired_lately: Mapping[Key, int],
    now: datetime,
) -> list[Change]:
    """What changes with these readings. `alerts`: the open ones; `fired_lately`: how often what has been resolved meanwhile
    had fired within FLAPPING_WITHIN."""
    named = {rule.name: rule for rule in rules}
    read = {(reading.signal, reading.subject): reading for reading in readings}
    changes = []
    for alert in alerts:
        rule = named.get(alert.rule)
        why = _ended(rule, alert, read)
        if rule is None or why is not None:
            after = _resolve(alert, why or DELETED, now)
        else:
            after = _go_on(rule, alert, read[alert.signal, alert.subject], fired_lately, now)
        if after != alert:
            changes.append(Change(alert, after))
    taken = {(alert.rule, alert.subject) for alert in alerts}
    return changes + _begin(rules, readings, taken, fired_lately, now)


def _begin(
    rules: Sequence[Rule],
    readings: Sequence[Reading],
    taken: Collection[Key],
    fired_lately: Mapping[Key, int],
    now: datetime,
) -> list[Change]:
    by_signal: dict[str, list[Reading]] = {}
    for reading in readings:
        by_signal.setdefault(reading.signal, []).append(reading)
    changes = []
    for rule in rules:
        if not rule.enabled:
            continue
        for reading in by_signal.get(rule.signal, ()):
            if reading.value is None or (rule.name, reading.subject) in taken:
                continue
            if rule.concerns(reading.signal, reading.subject) and rule.holds(reading.value):
                alert = Alert(
                    id=0, rule=rule.name, signal=reading.signal, subject=reading.subject, state="pending",
                    severity=rule.severity, value=reading.value, sentence=reading.sentence, link=reading.link,
                    began_at=now, fired_at=None, seen_at=now,
                )  # fmt: skip
                changes.append(Change(None, _fire_if_due(rule, alert, fired_lately, now)))
    return changes


def _ended(rule: Rule | None, alert: Alert, read: Mapping[tuple[str, str], Reading]) -> str | None:
    """Why it ends whatever it reads; None: it does not."""
    if rule is None:
        return DELETED
    if not rule.enabled:
        return SWITCHED_OFF
    if not rule.concerns(alert.signal, alert.subject):
        return CHANGED
    return None if (alert.signal, alert.subject) in read else GONE


def _go_on(rule: Rule, alert: Alert, reading: Reading, fired_lately: Mapping[Key, int], now: datetime) -> Alert | None:
    if reading.value is None:
        if alert.value is None:
            return alert
        sentence = f"{alert.sentence}; no data since {moment(alert.seen_at, now)}"
        return replace(alert, value=None, sentence=sentence)
    alert = replace(alert, value=reading.value, sentence=reading.sentence, link=reading.link, seen_at=now)
    if rule.holds(reading.value):
        return _fire_if_due(rule, replace(alert, quiet_since=None), fired_lately, now)
    if not alert.flapping:
        return _resolve(alert, RECOVERED, now)
    quiet_since = alert.quiet_since or now
    if now - quiet_since >= CALM:
        return _resolve(alert, RECOVERED, now)
    return replace(alert, quiet_since=quiet_since)


def _fire_if_due(rule: Rule, alert: Alert, fired_lately: Mapping[Key, int], now: datetime) -> Alert:
    if _fires(alert) or now - alert.began_at < rule.held_for:
        return alert
    times = fired_lately.get((alert.rule, alert.subject), 0) + 1
    return replace(alert, state="firing", fired_at=now, flapping=times >= FLAPS)


def _resolve(alert: Alert, why: str, now: datetime) -> Alert | None:
    if not _fires(alert):
        return None
    return replace(alert, state="resolved", resolved_at=now, resolution=why, folded_into=None)


def _fires(alert: Alert | None) -> bool:
    return alert is not None and alert.state == "firing"


@dataclass(frozen=True, slots=True)
class Fold:
    """An alert that from now on follows from another; `into` None: it stands by itself again."""

    alert: Alert
    into: int | None


def fold(rules: Sequence[Rule], alerts: Sequence[Alert], ended: Mapping[int, datetime], now: datetime) -> list[Fold]:
    """Which firing alerts follow from which, where that changes. `ended`: when what explained some of them was resolved.

    What explains one is never explained by another: an alert goes to the last cause there is.
    """
    causes = _causes(rules)
    firing = sorted((alert for alert in alerts if _fires(alert)), key=lambda alert: (alert.fired_at or now, alert.id))
    by_rule: dict[str, list[Alert]] = {}
    for alert in firing:
        by_rule.setdefault(alert.rule, []).append(alert)
    # What has just lost its cause keeps it for a moment, and so does what would follow from that.
    kept = {
        alert.id: alert.folded_into
        for alert in firing
        if alert.folded_into is not None
        and alert.folded_into in ended
        and now - ended[alert.folded_into] < UNFOLD_AFTER
    }
    folds = []
    for alert in firing:
        into = _cause(alert, causes, by_rule, kept)
        if into != alert.folded_into:
            folds.append(Fold(alert, into))
    return folds


def _cause(
    alert: Alert,
    causes: Mapping[str, Sequence[str]],
    by_rule: Mapping[str, Sequence[Alert]],
    kept: Mapping[int, int],
) -> int | None:
    """The last cause of an alert that fires; ends, because causes go round in no circle."""
    if alert.id in kept:
        return kept[alert.id]
    candidates = [one for name in causes.get(alert.rule, ()) for one in by_rule.get(name, ()) if _explains(one, alert)]
    if not candidates:
        return None
    # The same subject explains it best; otherwise what the rule names first, and the oldest of that.
    cause = next((one for one in candidates if one.subject == alert.subject), candidates[0])
    return _cause(cause, causes, by_rule, kept) or cause.id


def _explains(cause: Alert, alert: Alert) -> bool:
    """Whether one can follow from the other: one job's failures never explain another job's, a server's do.

    What is critical never follows from a warning, which may be told to fewer people, or wait for the morning.
    """
    if alert.severity == "critical" and cause.severity != "critical":
        return False
    kind, of = (SIGNALS[one.signal].subject if one.signal in SIGNALS else "" for one in (cause, alert))
    return cause.subject == alert.subject or kind != of


def _causes(rules: Sequence[Rule]) -> dict[str, tuple[str, ...]]:
    """What each rule folds into, without what would lead back to itself."""
    named = {rule.name: rule.folds_into for rule in rules if rule.enabled}
    return {
        name: tuple(into for into in folds_into if name not in reached(into, named))
        for name, folds_into in named.items()
    }


def reached(name: str, named: Mapping[str, Sequence[str]]) -> set[str]:
    """The rule and everything that it folds into, over as many steps as there are."""
    found, coming = set(), [name]
    while coming:
        one = coming.pop()
        if one not in found:
            found.add(one)
            coming.extend(named.get(one, ()))
    return found
