from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.breaker import (
    CLOSED,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OPENS_AFTER,
    TRIAL,
    Breaker,
    State,
    allows,
    failed,
    froze,
    pause_of,
    state_of,
    succeeded,
    tried,
)

NOW = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
LEFT = failed(CLOSED, NOW, "It does not answer.", 3)
TRYING = tried(LEFT, NOW + FIRST_PAUSE)


@pytest.mark.parametrize(
    ("breaker", "after", "state", "allowed"),
    [
        (CLOSED, timedelta(0), State.CLOSED, True),
        (Breaker(failures=2), timedelta(0), State.CLOSED, True),
        (LEFT, timedelta(0), State.OPEN, False),
        (LEFT, FIRST_PAUSE - timedelta(seconds=1), State.OPEN, False),
        (LEFT, FIRST_PAUSE, State.HALF_OPEN, True),
        (TRYING, FIRST_PAUSE, State.HALF_OPEN, False),
        (TRYING, FIRST_PAUSE + TRIAL - timedelta(seconds=1), State.HALF_OPEN, False),
        (TRYING, FIRST_PAUSE + TRIAL, State.HALF_OPEN, True),  # its worker was killed
    ],
)
def test_what_each_state_allows(breaker: Breaker, after: timedelta, state: State, allowed: bool) -> None:
    assert (state_of(breaker, NOW + after), allows(breaker, NOW + after)) == (state, allowed)


def test_three_failures_in_a_row_leave_a_server_and_a_success_in_between_forgets_them() -> None:
    twice = failed(failed(CLOSED, NOW, "no"), NOW, "no")
    assert state_of(twice, NOW) is State.CLOSED
    assert succeeded(twice) == CLOSED
    left = failed(twice, NOW, "the third")
    assert (left.left_at, left.left_reason, left.retry_at) == (NOW, "the third", NOW + FIRST_PAUSE)


def test_a_frozen_server_is_left_at_once() -> None:
    assert froze(CLOSED, NOW, "another network").left_at == NOW


def test_the_try_decides_and_the_time_of_leaving_stays() -> None:
    later = NOW + FIRST_PAUSE
    assert succeeded(TRYING) == CLOSED
    for again in (failed(TRYING, later, "again"), froze(TRYING, later, "again")):
        assert (again.left_at, again.openings, again.retry_at) == (NOW, 2, later + 2 * FIRST_PAUSE)
        assert again.trial_until is None


def test_what_was_under_way_when_a_server_was_left_changes_nothing() -> None:
    assert failed(LEFT, NOW, "late") == LEFT
    assert froze(LEFT, NOW, "late") == LEFT
    assert succeeded(LEFT) == LEFT


def test_the_pause_doubles_up_to_its_limit() -> None:
    assert [pause_of(n).total_seconds() for n in range(1, 8)] == [30, 60, 120, 240, 480, 600, 600]
    assert pause_of(10**6) == LONGEST_PAUSE


steps = st.lists(
    st.tuples(st.sampled_from(["fail", "freeze", "succeed", "try"]), st.integers(0, 900), st.integers(1, 30)),
    max_size=40,
)


@given(steps=steps)
def test_whatever_happens_a_server_comes_back_within_the_longest_pause(steps: list[tuple[str, int, int]]) -> None:
    breaker, now = CLOSED, NOW
    for step, seconds, times in steps:
        now += timedelta(seconds=seconds)
        before = breaker
        match step:
            case "fail":
                breaker = failed(breaker, now, "no", times)
            case "freeze":
                breaker = froze(breaker, now, "no")
            case "succeed":
                breaker = succeeded(breaker)
            case _ if allows(breaker, now):
                breaker = tried(breaker, now)
        assert (breaker.left_at is None) == (breaker.retry_at is None)
        assert breaker.left_at is not None or breaker.failures < OPENS_AFTER
        if state_of(before, now) is State.OPEN:
            assert breaker == before  # only time opens a way back
        if breaker.retry_at is not None:
            assert breaker.retry_at <= now + LONGEST_PAUSE
        assert allows(breaker, now + max(LONGEST_PAUSE, TRIAL))


@given(failures=st.integers(1, 60))
def test_a_server_that_never_recovers_is_tried_ever_more_rarely_but_always_again(failures: int) -> None:
    breaker, now, pauses = failed(CLOSED, NOW, "no", OPENS_AFTER), NOW, []
    for _ in range(failures):
        assert breaker.retry_at is not None
        pauses.append(breaker.retry_at - now)
        now = breaker.retry_at
        breaker = failed(tried(breaker, now), now, "no")
    assert pauses == sorted(pauses)
    assert max(pauses) <= LONGEST_PAUSE
