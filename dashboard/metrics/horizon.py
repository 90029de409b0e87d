"""Horizon's servers: what the probe's newest sample says while it is fresh, and what requests cost in the last hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from dashboard.metrics.families import bounded, figure, gauge, stamp
from jobs.horizon.breaker import State, state_of
from jobs.probes.attention import is_stale, ledgers_behind
from jobs.probes.figures import Requests, Sample
from jobs.probes.model import Facts

_VERDICTS = ("ok", "warn", "critical")


def servers(facts: Facts) -> Iterator[Metric]:
    """How each server does; what is past three probe intervals is left out."""
    every = [((server.server,), server) for server in facts.servers]
    fresh = [(name, one) for name, one in every if one.sampled_at is not None and not is_stale(one.sampled_at, facts)]
    yield gauge("horizon_ledger_age_seconds", "Age of the newest ledger when probed.", ["server"],
                [(name, one.age_s) for name, one in fresh])  # fmt: skip
    yield gauge("horizon_lag_ledgers", "Ledgers behind the core.", ["server"], [(name, one.lag) for name, one in fresh])
    yield gauge("horizon_latest_ledger", "The newest ledger that it has.", ["server"],
                [(name, one.latest_ledger) for name, one in fresh])  # fmt: skip
    yield gauge("horizon_verdict", "What the probe says of a server is the one with 1.", ["server", "verdict"],
                [((*name, verdict), float(one.verdict == verdict)) for name, one in fresh
                 for verdict in _VERDICTS])  # fmt: skip
    yield gauge("horizon_probe_timestamp_seconds", "When it was probed.", ["server"],
                [(name, stamp(one.sampled_at)) for name, one in every])  # fmt: skip
    yield gauge("horizon_frozen", "Whether nothing is settled on it until somebody has looked.", ["server"],
                [(name, one.frozen_at is not None) for name, one in every])  # fmt: skip
    yield gauge("horizon_behind_ledgers", "Ledgers behind the server that has come furthest.", ["server"],
                [((name,), ledgers) for name, ledgers in ledgers_behind(facts).items()])  # fmt: skip
    yield gauge(
        "horizon_breaker", "The state of a server's circuit breaker is the one with 1: closed is in use.",
        ["server", "state"],
        [((*name, state.value), float(state is state_of(one.breaker, facts.now))) for name, one in every
         for state in State],
    )  # fmt: skip


def fees(samples: Sequence[Sample], facts: Facts) -> Iterator[Metric]:
    """What a transaction costs on each server's network, of samples that are fresh."""
    fresh = [(sample.server, sample) for sample in samples if not is_stale(sample.at, facts)]
    kinds = ("fee_p50", "fee_p95", "max_fee_p95")
    yield gauge(
        "horizon_fee_stroops", "Fees of the last ledgers: fee_p50 and fee_p95 charged, max_fee_p95 offered.",
        ["server", "fee"], [((name, kind), getattr(one, kind)) for name, one in fresh for kind in kinds],
    )  # fmt: skip
    yield gauge(
        "horizon_capacity_usage_ratio", "How full the last ledgers were.", ["server"],
        [((name,), None if one.capacity_usage is None else float(one.capacity_usage)) for name, one in fresh],
    )  # fmt: skip
    yield gauge(
        "horizon_retention_ledgers", "Ledgers that a server keeps.", ["server"],
        [((name,), one.latest_ledger - one.elder_ledger) for name, one in fresh
         if one.latest_ledger is not None and one.elder_ledger is not None],
    )  # fmt: skip


def requests(hour: Requests, limit: int) -> Iterator[Metric]:
    """What was asked of all servers in the last hour; `limit` requests an hour are ours, 0 is no limit."""
    yield gauge(
        "horizon_latency_seconds", "Latency of the last hour's requests.", ["endpoint", "percentile"],
        [((item.name, percentile), None if value is None else value / 1000) for item in hour.latency
         for percentile, value in (("50", item.p50), ("95", item.p95), ("99", item.p99))],
    )  # fmt: skip
    yield figure("horizon_requests_last_hour", "Requests of the last hour, to all servers.", hour.total)
    yield gauge("horizon_spent_last_hour", "The same by the job that asked.", ["job_name"],
                bounded({job: float(count) for job, count in hour.by_job}))  # fmt: skip
    yield gauge("horizon_errors_last_hour", "Of them, those without an answer, by what came instead.", ["outcome"],
                bounded({outcome: float(count) for outcome, count in hour.errors}))  # fmt: skip
    yield figure("horizon_error_ratio", "The share of the last hour's requests without an answer.", hour.error_share)
    yield figure("horizon_budget_limit", "Requests an hour that all workers together may send.", limit or None)
    left = max(0, limit - hour.total) if limit else None
    yield figure("horizon_budget_remaining", "Requests left of the hour's budget.", left)
