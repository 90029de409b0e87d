"""A trend says only what its past allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.probes.trend import Points, days_until_empty, per_day

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def line(start: float, daily: float, hours: int = 48) -> Points:
    return [(NOON + timedelta(hours=hour), start + daily * hour / 24) for hour in range(hours)]


@pytest.mark.parametrize(
    ("points", "growth", "days"),
    [
        ([], None, None),
        (line(100, -10, hours=1), None, None),
        (line(100, -10, hours=5), None, None),
        (line(100, -10), -10, 8.04),
        (line(100, 10), 10, None),
        (line(100, 0), 0, None),
        (line(1e6, -1), -1, None),
        ([(NOON, 5.0)] * 5, None, None),
    ],
)
def test_days_until_the_disk_is_full(points: Points, growth: float | None, days: float | None) -> None:
    assert per_day(points) == pytest.approx(growth)
    assert days_until_empty(points) == pytest.approx(days, abs=0.01)


@given(st.floats(10, 1e12), st.floats(-0.5, 0.5), st.lists(st.floats(-0.01, 0.01), min_size=24, max_size=48))
def test_noise_does_not_turn_a_trend(start: float, daily: float, noise: list[float]) -> None:
    points = [(at, value * (1 + off)) for (at, value), off in zip(line(start, daily * start), noise, strict=False)]
    found = per_day(points)
    assert found is not None
    assert found == pytest.approx(daily * start, abs=0.1 * start)
    days = days_until_empty(points)
    assert days is None or days >= 0
