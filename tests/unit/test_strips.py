"""Bars of a strip: what they say to somebody who points at one, and what the page leaves out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.job_words import Said
from dashboard.components.markup import join
from dashboard.components.strips import Bar, strip
from dashboard.components.times import now
from dashboard.queries_runs import _days_over

LONG_AGO = datetime(2026, 3, 9, 2, 14, 5, tzinfo=UTC)


def test_a_bar_says_which_run_how_it_ended_and_when() -> None:
    said = strip([Bar(12, "timed_out", LONG_AGO, 0.4)], "Last runs of backup")
    assert 'aria-label="Last runs of backup"' in said
    assert 'href="/run?id=12"' in said
    assert 'title="Run 12 timed out, 0.4 s, 9 Mar 02:14:05 UTC"' in said


def test_the_day_is_left_out_of_a_time_of_todays() -> None:
    at = now()
    assert f', {at:%H:%M:%S} UTC"' in strip([Bar(12, "succeeded", at, 1.0)], "")


@pytest.mark.parametrize(
    ("state", "shape"),
    [
        ("succeeded", ""),
        ("failed", "nx-critical "),
        ("lost", "nx-critical "),
        ("missed", "nx-warn "),
        ("running", "nx-busy "),
    ],
)
def test_what_did_not_go_well_has_a_shape_of_its_own(state: str, shape: str) -> None:
    assert f'class="{shape}nx-h1"' in strip([Bar(12, state, LONG_AGO, None)], "")


@given(st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=20))
def test_the_longest_is_the_highest_and_none_is_out_of_the_scale(seconds: list[float | None]) -> None:
    said = strip([Bar(n, "succeeded", LONG_AGO, length) for n, length in enumerate(seconds)], "")
    heights = [int(found) for found in re.findall(r"nx-h(\d+)", said)]
    assert len(heights) == len(seconds)
    assert all(1 <= height <= 8 for height in heights)
    if any(seconds):
        assert heights[max(range(len(seconds)), key=lambda n: seconds[n] or 0.0)] == 8


def test_what_failed_comes_before_what_somebody_has_switched_off_and_all_that_is_well() -> None:
    states = ["ok", "paused", "wait", "off", "critical", "queued", "warn", "failed"]
    said = sorted((Said(state, "", join()) for state in states), key=lambda one: one.rank)
    assert [one.state for one in said][:5] == ["failed", "critical", "warn", "off", "paused"]
    assert all(one.well for one in said[5:])


@given(st.timedeltas(timedelta(), timedelta(days=400)))
def test_a_week_is_whole_days_that_are_over_and_two_ends_that_are_counted_anew(later: timedelta) -> None:
    at, day = LONG_AGO + later, timedelta(days=1)
    week = at - 7 * day
    over = _days_over(week, at)
    assert over == [over[0] + n * day for n in range(len(over))], "one after another"
    assert len(over) in (5, 6)
    assert timedelta() <= over[0] - week <= day
    assert timedelta(hours=1) <= at - (over[-1] + day) <= day + timedelta(hours=1)
