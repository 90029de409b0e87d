"""Faults are named, checked, limited to paths and to a number of answers; the rate limit refills by the clock."""

from __future__ import annotations

import pytest

from jobs.core.errors import UsageError
from jobs.horizon.sandbox.faults import KINDS, FaultName, Faults
from jobs.horizon.sandbox.limiter import RateLimiter


def test_every_fault_says_what_it_does() -> None:
    assert set(KINDS) == set(FaultName)


def test_faults_are_switched_on_by_name_with_their_usual_value() -> None:
    faults = Faults("latency=20", "lag")
    assert {fault.name: fault.value for fault in faults.active()} == {"latency": "20", "lag": "10"}


@pytest.mark.parametrize("spec", ["nonsense", "latency=soon", "reset=3", "rate-limit=1,many"])
def test_a_wrong_fault_is_named_in_a_sentence(spec: str) -> None:
    with pytest.raises(UsageError, match=spec.partition("=")[0]):
        Faults(spec)


def test_a_fault_keeps_to_its_path_and_ends_after_its_times() -> None:
    faults = Faults()
    faults.set("timeout", path="/transactions", times=2)
    assert faults.take(FaultName.TIMEOUT, "/") is None
    taken = [faults.take(FaultName.TIMEOUT, "/transactions/ab") is not None for _ in range(3)]
    assert taken == [True, True, False]
    assert faults.active() == []


def test_the_rate_limit_allows_a_burst_and_then_one_request_a_gap() -> None:
    now = [0.0]
    limiter = RateLimiter(3600, burst=2, clock=lambda: now[0])
    first = [limiter.take() for _ in range(4)]
    assert [verdict.retry_after for verdict in first] == [None, None, None, 1]
    assert [verdict.remaining for verdict in first] == [2, 1, 0, 0]
    assert {verdict.limit for verdict in first} == {3}
    now[0] = 1.0
    assert limiter.take().retry_after is None
    assert limiter.take().retry_after == 1
    now[0] = 10.0
    assert limiter.take().remaining == 2
