"""How a course of any length is read, and where a line breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.probes.spans import LONGEST, MOST_POINTS, Grid, Window, broken, grid, with_gaps

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("length", "until", "step", "source"),
    [
        (HOUR, None, timedelta(seconds=15), "sample"),
        (6 * HOUR, None, 2 * MINUTE, "minute"),
        (DAY, None, 10 * MINUTE, "minute"),
        (7 * DAY, None, HOUR, "hour"),
        (30 * DAY, None, 3 * HOUR, "hour"),
        (365 * DAY, None, 2 * DAY, "day"),
        # What is older than a source is kept is read from the next coarser one.
        (HOUR, NOW - 3 * DAY, MINUTE, "minute"),
        (HOUR, NOW - 40 * DAY, HOUR, "hour"),
        (DAY, NOW - 800 * DAY, DAY, "day"),
    ],
)
def test_a_window_is_read_from_what_fits_it(
    length: timedelta, until: datetime | None, step: timedelta, source: str
) -> None:
    assert grid(Window(length, until), NOW) == Grid(step, source)  # type: ignore[arg-type]


@given(st.timedeltas(MINUTE, LONGEST), st.timedeltas(timedelta(0), 900 * DAY))
def test_no_window_has_more_points_than_a_chart(length: timedelta, ago: timedelta) -> None:
    assert length / grid(Window(length, NOW - ago), NOW).step <= MOST_POINTS


@pytest.mark.parametrize(
    ("minutes", "gaps"),
    [
        ((), 0),
        ((0,), 0),
        ((0, 1, 2, 3), 0),
        ((0, 1, 1.9, 3.1, 4), 0),  # a probe's clock is not the grid's
        ((0, 1, 2, 12, 13), 1),
        ((0, 1, 2, 12, 13, 40, 41), 2),
        ((0, 1, 2, 20, 40, 60, 80), 4),  # more gaps than not
        ((0, 30, 60, 90), 0),  # what is measured seldom has no gaps for that
    ],
)
def test_a_line_breaks_where_several_points_are_missing(minutes: tuple[float, ...], gaps: int) -> None:
    at = [NOW + minute * MINUTE for minute in minutes]
    whole, places = with_gaps(at, timedelta(seconds=15))
    values = broken(at, places)
    assert [value for value in values if value is not None] == at
    assert values.count(None) == len(places) == gaps
    assert all(value in (one, None) for one, value in zip(whole, values, strict=True)), "each value at its time"
    assert list(whole) == sorted(whole)
