from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.breaker import CLOSED, Breaker, failed, tried
from jobs.horizon.health import Thresholds
from jobs.horizon.ranking import Candidate, Seen, allowed, next_due

NOW = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
OURS = "Our network"


def seen(**changes: object) -> Seen:
    usual = {"latest_ledger": 1000, "age_s": 4.0, "lag": 0, "latency_ms": 90.0, "passphrase": OURS}
    return Seen(**{**usual, **changes})  # type: ignore[arg-type]


def order(*candidates: Candidate) -> list[str]:
    return [candidate.server for candidate in allowed(candidates, OURS, Thresholds(), NOW)]


def test_among_equals_the_configured_order_decides() -> None:
    fast = seen(latency_ms=10.0, latest_ledger=1002)
    assert order(Candidate("a", 0, seen=seen()), Candidate("b", 1, seen=fast), Candidate("c", 2)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "worse",
    [
        seen(passphrase="Another network"),
        seen(latest_ledger=None, passphrase=None),
        seen(latest_ledger=997),
        seen(lag=3),
        seen(age_s=21.0),
        seen(latency_ms=2001.0),
    ],
)
def test_each_fault_lets_the_next_server_go_first(worse: Seen) -> None:
    assert order(Candidate("a", 0, seen=worse), Candidate("b", 1, seen=seen())) == ["b", "a"]


def test_the_worse_the_fault_the_later_the_server() -> None:
    assert order(
        Candidate("frozen", 0, frozen=True, seen=seen()),
        Candidate("silent", 1, seen=seen(latest_ledger=None)),
        Candidate("behind", 2, seen=seen(lag=9)),
        Candidate("slow", 3, seen=seen(latency_ms=9000.0)),
        Candidate("well", 4, seen=seen()),
    ) == ["well", "slow", "behind", "silent", "frozen"]


def test_a_stand_in_comes_after_every_other_server() -> None:
    worst = Candidate("frozen", 0, frozen=True, seen=seen(latest_ledger=None))
    assert order(Candidate("rpc", 1, stand_in=True), worst) == ["frozen", "rpc"]


def test_a_higher_ledger_of_another_network_lets_nobody_look_behind() -> None:
    other = Candidate("other", 2, seen=seen(latest_ledger=9_000_000, passphrase="Another network"))
    assert order(Candidate("a", 0, seen=seen()), Candidate("b", 1, seen=seen()), other) == ["a", "b", "other"]


def test_a_server_that_was_left_is_out_until_its_try_is_due_and_then_only_for_one() -> None:
    left = failed(CLOSED, NOW, "no", 3)
    assert order(Candidate("a", 0, left), Candidate("b", 1)) == ["b"]
    due = Breaker(3, 1, NOW - timedelta(minutes=1), "no", NOW)
    assert order(Candidate("a", 0, due), Candidate("b", 1)) == ["a", "b"]
    assert order(Candidate("a", 0, tried(due, NOW)), Candidate("b", 1)) == ["b"]


def test_of_servers_that_were_all_left_the_one_due_first_is_next() -> None:
    early, late = failed(CLOSED, NOW, "no", 3), failed(CLOSED, NOW + timedelta(seconds=9), "no", 3)
    found = next_due([Candidate("a", 0, late), Candidate("b", 1, early), Candidate("c", 2, early)])
    assert found is not None
    assert found.server == "b"
    assert next_due([Candidate("a", 0)]) is None


samples = st.none() | st.builds(
    Seen,
    latest_ledger=st.none() | st.integers(0, 2**32 - 1),
    age_s=st.none() | st.floats(0, 1e6),
    lag=st.none() | st.integers(0, 1000),
    latency_ms=st.none() | st.floats(0, 1e6),
    passphrase=st.sampled_from([None, OURS, "Another network"]),
)


@given(found=st.lists(st.tuples(samples, st.booleans()), max_size=6))
def test_every_server_that_may_be_used_is_in_the_order_once(found: list[tuple[Seen | None, bool]]) -> None:
    candidates = [Candidate(str(i), i, frozen=frozen, seen=sample) for i, (sample, frozen) in enumerate(found)]
    assert sorted(order(*candidates)) == sorted(candidate.server for candidate in candidates)
