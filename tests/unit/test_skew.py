"""A host's clock against the database's: the middle of the shortest round trip tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.run.skew import MOST_ROUND_TRIP_MS, Reading, in_words, is_skewed, skew_ms

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def reading(ahead_ms: float, there_ms: float, back_ms: float) -> Reading:
    """A question whose way there and back took so long, on a host whose clock is so much ahead."""
    asked = NOON + timedelta(milliseconds=ahead_ms)
    return Reading(asked, NOON + timedelta(milliseconds=there_ms), asked + timedelta(milliseconds=there_ms + back_ms))


@given(st.floats(-1e7, 1e7), st.floats(0, MOST_ROUND_TRIP_MS / 2 - 1), st.floats(0, MOST_ROUND_TRIP_MS / 2 - 1))
def test_it_is_wrong_by_half_the_round_trip_at_most(ahead: float, there: float, back: float) -> None:
    found = skew_ms([reading(ahead, there, back)])
    assert found is not None
    assert abs(found - ahead) <= (there + back) / 2 + 0.01


def test_equal_ways_cancel_out_and_the_shortest_round_trip_counts() -> None:
    assert skew_ms([reading(-2300, 40, 40)]) == pytest.approx(-2300, abs=0.01)
    assert skew_ms([reading(5, 300, 0), reading(5, 1, 1), reading(5, 0, 200)]) == pytest.approx(5, abs=0.01)


def test_what_took_too_long_or_went_backwards_tells_nothing() -> None:
    assert skew_ms([]) is None
    assert skew_ms([reading(0, MOST_ROUND_TRIP_MS, 1)]) is None
    assert skew_ms([reading(0, 0, -5000)]) is None


@pytest.mark.parametrize(
    ("skew", "words", "told"),
    [
        (0.4, "within a millisecond", False),
        (-340.2, "340 ms behind", False),
        (1000.0, "1.0 s ahead", False),
        (2310.0, "2.3 s ahead", True),
        (-3_600_000.0, "3,600.0 s behind", True),
    ],
)
def test_it_is_said_in_words_and_beyond_a_second_somebody_is_told(skew: float, words: str, told: bool) -> None:
    assert in_words(skew) == words
    assert is_skewed(skew) is told
    assert not is_skewed(None)
