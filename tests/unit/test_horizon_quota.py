from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.quota import Told, block_of, burst_of, pause_of, rate_of, read_retry_after, read_told
from jobs.horizon.sandbox.limiter import RateLimiter

limits = st.integers(1, 10_000_000)
said = st.builds(Told, st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 3600)).map(
    lambda told: Told(told.limit, min(told.limit, told.remaining), told.reset_s)
)


@given(per_hour=limits)
def test_burst_and_block_never_pass_the_hours_limit(per_hour: int) -> None:
    assert 1 <= block_of(per_hour) <= burst_of(per_hour) <= per_hour
    assert block_of(per_hour) <= 100


@given(per_hour=limits, told=st.none() | said)
def test_the_rate_is_never_above_ours_and_never_stands_still(per_hour: int, told: Told | None) -> None:
    assert 0 < rate_of(per_hour, told) <= max(per_hour, 1) / 3600


@given(told=said)
def test_while_something_remains_nobody_pauses_and_no_pause_is_longer_than_the_reset(told: Told) -> None:
    pause = pause_of(told)
    assert (pause == 0) if told.remaining else (pause <= max(told.reset_s, 1))


def test_the_usual_limit_of_101_is_a_burst_and_not_an_hours_limit() -> None:
    assert rate_of(3600, Told(101, 51, 50)) == 1.0
    assert pause_of(Told(101, 0, 101)) == 1.0


def test_a_lower_limit_of_the_server_wins() -> None:
    assert rate_of(3600, Told(101, 91, 101)) == 0.1
    assert rate_of(3600, Told(1800, 1800, 3000)) == 0.5


def test_a_limit_counted_by_the_hour_gives_nothing_back_before_its_reset() -> None:
    assert pause_of(Told(3600, 0, 1234)) == 1234.0


@given(per_hour=st.integers(60, 100_000), spent=st.integers(1, 100))
def test_the_rate_of_horizons_own_limiter_is_found_from_its_headers(per_hour: int, spent: int) -> None:
    limiter = RateLimiter(per_hour, clock=lambda: 0.0)
    for _ in range(spent):
        verdict = limiter.take()
    told = Told(verdict.limit, verdict.remaining, verdict.reset)
    found = rate_of(10**9, told)
    assert found >= per_hour / 3600 * 0.99
    if told.reset_s > 1:
        rounding = told.reset_s / (told.reset_s - 1) * (spent + 1) / spent  # both headers are whole numbers
        assert found <= max(told.limit / 3600, per_hour / 3600 * rounding) * 1.01


@given(text=st.text(max_size=20))
def test_absurd_headers_are_no_limit_and_no_error(text: str) -> None:
    headers = {"X-RateLimit-Limit": text, "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "1", "Retry-After": text}
    told, wait = read_told(headers), read_retry_after(headers)
    assert told is None or told.limit == int(text)
    assert wait is None or 0 <= wait <= 3600


def test_absent_headers_say_nothing() -> None:
    assert read_told({}) is None
    assert read_told({"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "3"}) is None
    assert read_retry_after({}) is None
    assert read_retry_after({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}) is None


def test_a_retry_after_is_bounded() -> None:
    assert read_retry_after({"Retry-After": "999999"}) == 3600.0
