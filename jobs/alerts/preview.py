"""What a rule would have done within the last seven days, from the readings that were kept.

The decision is a step function with gaps: a reading stands until the next one, and while nothing was watched, or there was
no data, nothing begins and nothing ends, as in the evaluation itself. Flapping is left out: it changes how long an alert
stays, and not what the rule sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from jobs.alerts.model import Rule
from jobs.probes.attention import moment, span

LENGTH = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Point:
    """What a subject read from `at` on; None: no data; not a number: it was measured no more, which ends what fired."""

    subject: str
    at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time; the end is not part of it."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class Episode:
    """A time for which the rule would have fired; `goes_on`: until now."""

    subject: str
    since: datetime
    until: datetime
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """Every episode, the oldest first; `gaps`: when nothing was watched; `data_since` None: there is none yet."""

    episodes: tuple[Episode, ...]
    gaps: tuple[Span, ...]
    data_since: datetime | None
    until: datetime

    @property
    def firing(self) -> timedelta:
        """How long they lasted in all."""
        return sum((one.until - one.since for one in self.episodes), timedelta())

    @property
    def sentence(self) -> str:
        """ "Would have fired 3 times within the last 7 days, for 41 min in all."."""
        if self.data_since is None:
            return "There are no readings yet: they begin with the next evaluation."
        past = self.until - self.data_since
        within = "the last 7 days" if past >= LENGTH - timedelta(hours=1) else f"the last {span(past.total_seconds())}"
        since = (
            "" if within == "the last 7 days" else f", since when there is data ({moment(self.data_since, self.until)})"
        )
        if not self.episodes:
            said = f"Would not have fired within {within}{since}"
        else:
            times = "once" if len(self.episodes) == 1 else f"{len(self.episodes):,} times"
            said = f"Would have fired {times} within {within}{since}, for {span(self.firing.total_seconds())} in all"
        if not self.gaps:
            return f"{said}."
        lost = span(sum((gap.length for gap in self.gaps), timedelta()).total_seconds())
        gaps = "a gap" if len(self.gaps) == 1 else f"{len(self.gaps):,} gaps"
        return f"{said}; {gaps} of {lost} in all, of which nothing is known."


def previewed(rule: Rule, points: Sequence[Point], watched: Sequence[Span], now: datetime) -> Preview:
    """What the rule would have done: `points` by subject and time, beginning with what stood before; `watched` by time."""
    since = now - LENGTH
    stretches = [Span(max(one.since, since), min(one.until, now)) for one in watched if one.until > since]
    if not stretches:
        return Preview((), (), None, now)
    gaps = [Span(one.until, other.since) for one, other in pairwise(stretches) if other.since > one.until]
    if stretches[-1].until < now - timedelta(minutes=1):
        gaps.append(Span(stretches[-1].until, now))
    episodes: list[Episode] = []
    for subject, course in groupby(points, key=lambda point: point.subject):
        episodes += _episodes(rule, subject, list(course), stretches, now)
    return Preview(
        tuple(sorted(episodes, key=lambda one: (one.since, one.subject))), tuple(gaps), stretches[0].since, now
    )


def _episodes(
    rule: Rule, subject: str, course: Sequence[Point], watched: Sequence[Span], now: datetime
) -> list[Episode]:
    found: list[Episode] = []
    began_at: datetime | None = None
    fired_at: datetime | None = None
    for stretch, value in _seen(course, watched):
        if rule.holds(value):
            began_at = began_at or stretch.since
            due = max(stretch.since, began_at + rule.held_for)
            if fired_at is None and due < stretch.until:
                fired_at = due
            continue
        if fired_at is not None:
            found.append(Episode(subject, fired_at, stretch.since, goes_on=False))
        began_at = fired_at = None
    if fired_at is not None:
        found.append(Episode(subject, fired_at, now, goes_on=True))
    return found


def _seen(course: Sequence[Point], watched: Sequence[Span]) -> list[tuple[Span, float]]:
    """What was read while it was watched, piece by piece; without what had no data."""
    pieces: list[tuple[Span, float]] = []
    ends = [*(point.at for point in course[1:]), watched[-1].until]
    first = 0
    for point, end in zip(course, ends, strict=True):
        while first < len(watched) and watched[first].until <= point.at:
            first += 1
        for stretch in watched[first:]:
            if stretch.since >= end:
                break
            piece = Span(max(point.at, stretch.since), min(end, stretch.until))
            if point.value is not None and piece.since < piece.until:
                pieces.append((piece, point.value))
    return pieces
