"""How things stand: what is wrong by the facts, joined with what fires and with what people did about it.

A problem (`jobs.probes.attention`) is found afresh at every look; an alert of the same signal and subject remembers since
when, who has it, which silence keeps it quiet and which incident it belongs to. One place joins the two, so that the line
on top, Overview, the wall and the tab say the same. An alert of a rule of one's own, which no problem stands for, is a
concern by itself. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.alerts.model import Alert, Silence
from jobs.probes.attention import Problem, Severity

_ORDER = list(Severity)


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is not resolved: who leads it, and the ids of its alerts."""

    id: int
    title: str
    severity: str
    began_at: datetime
    lead: str
    alerts: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that needs a person, or that somebody has."""

    severity: Severity
    """The worse of what the facts say and what the rule says."""
    sentence: str
    since: datetime | None
    link: str
    signal: str
    subject: str
    alert: Alert | None = None
    """What fires for it: the one that people are told of, and among those the worst, the oldest of them."""
    quiet: Silence | None = None
    """Why nobody is told of it."""
    incident: OpenIncident | None = None
    follows: tuple[Concern, ...] = ()
    """What follows from it: its own list, which does not count."""

    @property
    def taken_by(self) -> str | None:
        """Who has it; None: nobody yet."""
        return None if self.alert is None else self.alert.acknowledged_by


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is wrong, worst first and the oldest first; and apart from it what nobody is to be told of now."""

    concerns: tuple[Concern, ...] = ()
    quiet: tuple[Concern, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The severity that stands for all; None when all is well. What is silenced does not count."""
        return self.concerns[0].severity if self.concerns else None

    @property
    def urgent(self) -> tuple[Concern, ...]:
        """Without what is only to be known."""
        return tuple(item for item in self.concerns if item.severity is not Severity.NOTE)


@dataclass(frozen=True, slots=True)
class _Found:
    """A concern with all the alerts of its signal and subject."""

    concern: Concern
    alerts: frozenset[int]


def look(
    problems: Sequence[Problem],
    alerts: Sequence[Alert],
    silences: Sequence[Silence],
    incidents: Sequence[OpenIncident],
    now: datetime,
) -> Outlook:
    """The problems and the alerts that fire as one list; alerts that do not fire are left out."""
    about: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        if alert.state == "firing":
            about.setdefault((alert.signal, alert.subject), []).append(alert)
    # One alert is one concern: what else is wrong of the same (a second worker of a host) stands under the first.
    wrong: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        wrong.setdefault((problem.signal, problem.subject), []).append(problem)
    found = [_of_problems(same, about.get(key, []), silences, incidents, now) for key, same in wrong.items()]
    for key, firing in about.items():
        if key not in wrong:
            found.append(_of_alerts(firing, silences, incidents, now))
    top = _under_their_cause(found, now)
    return Outlook(
        tuple(item for item in top if item.quiet is None), tuple(item for item in top if item.quiet is not None)
    )


def _of_problems(
    problems: Sequence[Problem],
    firing: Sequence[Alert],
    silences: Sequence[Silence],
    incidents: Sequence[OpenIncident],
    now: datetime,
) -> _Found:
    concern, *more = (
        Concern(one.severity, one.sentence, one.since, one.link, one.signal, one.subject) for one in problems
    )
    concern = replace(concern, follows=tuple(more))
    if firing:
        return _with_alerts(concern, firing, silences, incidents, now)
    # Without an alert there is no rule's name to match: only what keeps every rule quiet covers it.
    quiet = _longest(one for one in silences if one.covers("", concern.subject, now))
    return _Found(replace(concern, quiet=quiet), frozenset())


def _of_alerts(
    firing: Sequence[Alert], silences: Sequence[Silence], incidents: Sequence[OpenIncident], now: datetime
) -> _Found:
    first = _foremost(firing, silences, now)
    severity = Severity(first.severity)
    concern = Concern(severity, first.sentence, first.began_at, first.link, first.signal, first.subject)
    return _with_alerts(concern, firing, silences, incidents, now)


def _with_alerts(
    concern: Concern,
    firing: Sequence[Alert],
    silences: Sequence[Silence],
    incidents: Sequence[OpenIncident],
    now: datetime,
) -> _Found:
    alert, ids = _foremost(firing, silences, now), frozenset(one.id for one in firing)
    return _Found(
        replace(
            concern,
            severity=min(concern.severity, Severity(alert.severity), key=_ORDER.index),
            since=concern.since or alert.began_at,
            alert=alert,
            quiet=_silence_of(alert, silences, now),
            incident=next((one for one in incidents if one.alerts & ids), None),
        ),
        ids,
    )


def _foremost(firing: Sequence[Alert], silences: Sequence[Silence], now: datetime) -> Alert:
    return min(
        firing,
        key=lambda one: (
            _silence_of(one, silences, now) is not None,
            one.folded_into is not None,
            _ORDER.index(Severity(one.severity)),
            one.began_at,
            one.id,
        ),
    )


def _silence_of(alert: Alert, silences: Sequence[Silence], now: datetime) -> Silence | None:
    return _longest(one for one in silences if one.covers(alert.rule, alert.subject, now))


def _longest(silences: Iterable[Silence]) -> Silence | None:
    return max(silences, key=lambda one: one.ends_at, default=None)


def _under_their_cause(found: Sequence[_Found], now: datetime) -> tuple[Concern, ...]:
    """Each concern whose alert is folded stands under the one that the alert of its cause belongs to."""
    place = {alert: index for index, item in enumerate(found) for alert in item.alerts}
    cause = {
        index: place[item.concern.alert.folded_into]
        for index, item in enumerate(found)
        if item.concern.alert is not None and item.concern.alert.folded_into in place
    }
    under: dict[int, list[Concern]] = {}
    for index, item in enumerate(found):
        under.setdefault(_root(index, cause), []).append(item.concern)
    return _sorted(
        [
            replace(found[root].concern, follows=_sorted(_without(found[root].concern, group), now))
            for root, group in under.items()
        ],
        now,
    )


def _without(root: Concern, group: Sequence[Concern]) -> list[Concern]:
    """All concerns of a group but its root, those that stand under one of them beside it."""
    own = [replace(one, follows=()) for one in group if one is not root]
    return [*own, *(more for one in group for more in one.follows)]


def _root(index: int, cause: Mapping[int, int]) -> int:
    """What it follows from at last; itself where the way leads round, so that nothing is ever lost from sight."""
    passed, at = {index}, index
    while (above := cause.get(at)) is not None:
        if above in passed:
            return index
        passed.add(above)
        at = above
    return at


def _sorted(concerns: Sequence[Concern], now: datetime) -> tuple[Concern, ...]:
    return tuple(sorted(concerns, key=lambda item: (_ORDER.index(item.severity), item.since or now)))
