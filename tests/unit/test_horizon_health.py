from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.health import Facts, Thresholds, Verdict, frozen_reason, is_behind, judge
from jobs.horizon.model import FeeStats, Frozen, Health, Root

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
LIMITS = Thresholds()
WELL = Root(
    server="https://horizon.example",
    horizon_version="24.0.0",
    core_version="24.1.0",
    network_passphrase="Test",
    latest_ledger=1000,
    latest_closed_at=NOW - timedelta(seconds=4),
    elder_ledger=2,
    core_ledger=1000,
    ingest_ledger=1000,
    protocol=24,
    supported_protocol=24,
    server_time=NOW,
    latency_ms=12.0,
)
FEES = FeeStats(1000, "0.5", 100, 100, 100, 1000)


def aged(seconds: float) -> Root:
    return replace(WELL, latest_closed_at=NOW - timedelta(seconds=seconds))


def only(facts: Facts) -> tuple[str, Verdict, str]:
    (reason,) = judge(facts, LIMITS).reasons
    return reason.signal, reason.verdict, reason.sentence


def test_a_well_server_has_no_reasons() -> None:
    judgement = judge(Facts(root=WELL, health=Health(True, True, True), fees=FEES, requests=50, p95_ms=80), LIMITS)
    assert (judgement.verdict, judgement.reasons) == (Verdict.OK, ())


@pytest.mark.parametrize(
    ("root", "signal", "verdict"),
    [
        (aged(20), None, Verdict.OK),
        (aged(21), "age", Verdict.WARN),
        (aged(60), "age", Verdict.WARN),
        (aged(61), "age", Verdict.CRITICAL),
        (replace(WELL, core_ledger=1002), None, Verdict.OK),
        (replace(WELL, core_ledger=1003), "lag", Verdict.WARN),
        (replace(WELL, core_ledger=1010), "lag", Verdict.CRITICAL),
        (replace(WELL, core_ledger=0), None, Verdict.OK),
        (replace(WELL, elder_ledger=1001), "retention", Verdict.CRITICAL),
        (replace(WELL, protocol=25), "protocol", Verdict.CRITICAL),
    ],
)
def test_each_figure_of_the_root_has_its_thresholds(root: Root, signal: str | None, verdict: Verdict) -> None:
    judgement = judge(Facts(root=root), LIMITS)
    assert judgement.verdict is verdict
    assert [reason.signal for reason in judgement.reasons] == ([signal] if signal else [])


@pytest.mark.parametrize(
    ("facts", "signal", "verdict"),
    [
        (Facts(ingestion_lag_s=30), None, Verdict.OK),
        (Facts(ingestion_lag_s=31), "ingestion", Verdict.WARN),
        (Facts(ingestion_lag_s=121), "ingestion", Verdict.CRITICAL),
        (Facts(health=Health(True, True, False)), "health", Verdict.CRITICAL),
        (Facts(p95_ms=2001, requests=10), "latency", Verdict.WARN),
        (Facts(p95_ms=10_001, requests=10), "latency", Verdict.CRITICAL),
        (Facts(p95_ms=10_001, requests=9), None, Verdict.OK),
        (Facts(no_answer="It did not answer."), "latency", Verdict.CRITICAL),
        (Facts(not_asked="The budget is spent."), "budget", Verdict.WARN),
        (Facts(budget_left=0.2), None, Verdict.OK),
        (Facts(budget_left=0.19), "budget", Verdict.WARN),
        (Facts(budget_left=0.04), "budget", Verdict.CRITICAL),
        (Facts(fees=replace(FEES, capacity_usage="0.91")), "fees", Verdict.WARN),
        (Facts(errors=5, requests=100), None, Verdict.OK),
        (Facts(errors=6, requests=100), "errors", Verdict.WARN),
        (Facts(errors=26, requests=100), "errors", Verdict.CRITICAL),
        (Facts(errors=3, requests=3), None, Verdict.OK),
        (Facts(frozen=Frozen("s", "regress", "It went back.")), "regress", Verdict.CRITICAL),
    ],
)
def test_each_other_signal_has_its_thresholds(facts: Facts, signal: str | None, verdict: Verdict) -> None:
    judgement = judge(facts, LIMITS)
    assert judgement.verdict is verdict
    assert [reason.signal for reason in judgement.reasons] == ([signal] if signal else [])


def test_reasons_are_sentences_with_figure_and_threshold() -> None:
    assert only(Facts(root=aged(75)))[2] == "The newest ledger is 75 s old (critical above 60 s)."
    assert only(Facts(root=replace(WELL, core_ledger=1004)))[2] == (
        "The history is 4 ledgers behind the core (warn from 3)."
    )
    assert only(Facts(errors=30, requests=100, errors_by_kind="429 30"))[2] == (
        "30% of requests fail (critical above 25%): 429 30."
    )
    assert only(Facts(root=aged(9000)))[2] == "The newest ledger is 2 h old (critical above 60 s)."


def test_the_worst_reason_comes_first() -> None:
    facts = Facts(root=replace(aged(30), protocol=99), fees=replace(FEES, capacity_usage="1"))
    assert [reason.verdict for reason in judge(facts, LIMITS).reasons] == [
        Verdict.CRITICAL, Verdict.WARN, Verdict.WARN,
    ]  # fmt: skip


def test_age_is_measured_by_the_servers_clock_before_ours() -> None:
    skewed = replace(WELL, latest_closed_at=NOW - timedelta(hours=2, seconds=4), server_time=NOW - timedelta(hours=2))
    assert judge(Facts(root=skewed, now=NOW), LIMITS).verdict is Verdict.OK
    assert judge(Facts(root=replace(skewed, server_time=None), now=NOW), LIMITS).verdict is Verdict.CRITICAL


def test_a_server_that_does_not_say_its_time_counts_as_behind() -> None:
    assert is_behind(replace(WELL, server_time=None), LIMITS)
    assert not is_behind(WELL, LIMITS)


@given(age=st.floats(0, 200), lag=st.integers(0, 20))
def test_a_server_is_behind_exactly_when_lag_or_age_is_at_warn(age: float, lag: int) -> None:
    root = replace(aged(age), core_ledger=1000 + lag)
    signals = {reason.signal for reason in judge(Facts(root=root), LIMITS).reasons}
    assert is_behind(root, LIMITS) is bool(signals & {"age", "lag"})


@given(highest=st.none() | st.integers(0, 2000), right=st.booleans())
def test_a_server_is_frozen_exactly_on_another_network_or_below_the_highest_ledger(
    highest: int | None, right: bool
) -> None:
    frozen = frozen_reason(WELL, "Test" if right else "Other", highest)
    regress = highest is not None and highest > WELL.latest_ledger
    assert (frozen is None) is (right and not regress)
    if frozen is not None:
        assert frozen.signal == ("regress" if right else "network")
