"""What a rule would have done, by hand and against a look at every single minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.keeping import GONE
from jobs.alerts.model import Rule, Step
from jobs.alerts.preview import LENGTH, Point, Preview, Span, previewed

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
RULE = Rule("disk", "A disk", "host.disk_used_ratio", ">=", 1, "warn", (Step(0, "team"),), for_s=120)


def at(minutes: int) -> datetime:
    """So many minutes after the beginning of the last hour."""
    return NOW - timedelta(minutes=60 - minutes)


def seen(values: Sequence[tuple[int, float | None]], watched: Sequence[tuple[int, int]] = ((0, 60),)) -> Preview:
    points = [Point("here", at(minute), value) for minute, value in values]
    return previewed(RULE, points, [Span(at(since), at(until)) for since, until in watched], NOW)


@pytest.mark.parametrize(
    ("values", "watched", "episodes"),
    [
        ([(0, 0.0)], [(0, 60)], []),
        ([(0, 0.0), (10, 1.0), (30, 0.0)], [(0, 60)], [(12, 30)]),
        ([(0, 0.0), (10, 1.0), (11, 0.0)], [(0, 60)], []),  # not for long enough
        ([(0, 0.0), (10, 1.0), (20, None), (30, 1.0), (40, 0.0)], [(0, 60)], [(12, 40)]),  # no data ends nothing
        ([(0, 0.0), (10, None), (50, 0.0)], [(0, 60)], []),  # and begins nothing
        ([(0, 0.0), (10, 1.0), (20, GONE)], [(0, 60)], [(12, 20)]),  # measured no more: that ends it
        ([(0, 1.0)], [(0, 60)], [(2, 60)]),  # it goes on
        ([(0, 0.0), (10, 1.0), (25, 0.0)], [(0, 20), (40, 60)], [(12, 40)]),  # over in the gap: seen after it
        ([(0, 0.0), (25, 1.0)], [(0, 20), (40, 60)], [(42, 60)]),  # begun in the gap: seen after it
        ([(0, 0.0), (19, 1.0)], [(0, 20), (40, 60)], [(40, 60)]),  # the gap counts for how long it holds
    ],
)
def test_by_hand(
    values: list[tuple[int, float | None]], watched: list[tuple[int, int]], episodes: list[tuple[int, int]]
) -> None:
    found = seen(values, watched).episodes
    assert [(one.since, one.until) for one in found] == [(at(since), at(until)) for since, until in episodes]


def test_it_says_how_often_and_for_how_long_and_since_when_there_is_data_and_what_is_missing() -> None:
    one = seen([(0, 0.0), (10, 1.0), (30, 0.0), (40, 1.0)], [(0, 35), (38, 60)])
    assert one.sentence == (
        "Would have fired 2 times within the last 60 min, since when there is data (11:00 UTC), for 36 min in all;"
        " a gap of 3 min in all, of which nothing is known."
    )
    assert seen([(0, 0.0)]).sentence.startswith("Would not have fired within the last 60 min")
    assert previewed(RULE, [], [], NOW).sentence == "There are no readings yet: they begin with the next evaluation."
    whole = previewed(RULE, [Point("here", NOW - LENGTH * 2, 0.0)], [Span(NOW - LENGTH * 2, NOW)], NOW)
    assert whole.sentence == "Would not have fired within the last 7 days."


def naive(
    rule: Rule, course: Sequence[Point], watched: Sequence[Span], minutes: int
) -> list[tuple[datetime, datetime]]:
    """The rule looked at once a minute, as the evaluation does it."""
    found, began, fired = [], None, None
    for minute in range(minutes):
        now = at(minute)
        value = next((point.value for point in reversed(course) if point.at <= now), None)
        if value is None or not any(span.since <= now < span.until for span in watched):
            continue
        if rule.holds(value):
            began = began or now
            if fired is None and now - began >= rule.held_for:
                fired = now
        else:
            if fired is not None:
                found.append((fired, now))
            began = fired = None
    return found + ([(fired, NOW)] if fired is not None else [])


MINUTES = st.lists(st.integers(0, 59), unique=True, max_size=12)
VALUES = st.sampled_from([None, 0.0, 1.0])


@given(MINUTES, st.lists(VALUES, min_size=12, max_size=12), MINUTES, st.integers(0, 3))
def test_as_a_look_at_every_minute_would_have_it(
    moments: list[int], values: list[float | None], edges: list[int], held: int
) -> None:
    rule = replace(RULE, for_s=held * 60)
    course = [Point("here", at(minute), value) for minute, value in zip(sorted(moments), values, strict=False)]
    ordered = sorted(edges)
    watched = [Span(at(one), at(other)) for one, other in zip(ordered[::2], ordered[1::2], strict=False)]
    found = previewed(rule, course, watched, NOW).episodes
    assert [(one.since, one.until) for one in found] == naive(rule, course, watched, 60)
