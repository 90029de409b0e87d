"""What a server's figures mean: verdicts and sentences from facts, without I/O and without a clock.

The age of the newest ledger is the primary signal: a server that stopped ingesting together with its core reports a
lag of 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from jobs.horizon.model import FeeStats, Frozen, Health, Root


class Verdict(StrEnum):
    """How a server does; the order of the members is the order of severity."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"


_SEVERITY = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal that is not well, in words."""

    signal: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a signal warns and when it is critical; seconds, ledgers, milliseconds and shares of one."""

    age_warn_s: float = 20
    age_critical_s: float = 60
    lag_warn: int = 3
    lag_critical: int = 10
    ingestion_warn_s: float = 30
    ingestion_critical_s: float = 120
    p95_warn_ms: float = 2_000
    p95_critical_ms: float = 10_000
    budget_warn: float = 0.20
    budget_critical: float = 0.05
    capacity_warn: Decimal = Decimal("0.9")
    errors_warn: float = 0.05
    errors_critical: float = 0.25
    answers_least: int = 10
    """With fewer requests in the window, shares and percentiles say nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a server at one moment; None: not known, and then not judged."""

    root: Root | None = None
    no_answer: str | None = None
    """Why there is no root, in words."""
    not_asked: str | None = None
    """Why nothing was asked at all: the budget is spent."""
    now: datetime | None = None
    """The database's clock, used only where the server sent no `Date`."""
    frozen: Frozen | None = None
    health: Health | None = None
    fees: FeeStats | None = None
    ingestion_lag_s: float | None = None
    """For how long the ingested ledger has differed from the latest."""
    p95_ms: float | None = None
    requests: int = 0
    """In the window of p95 and errors."""
    errors: int = 0
    """Of those: 429, 5xx, time-outs and broken connections."""
    errors_by_kind: str = ""
    budget_left: float | None = None
    """What is left of the hour's requests, as a share of one."""
    budget_by_job: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and why: the worst reason first. No reason: all is well."""

    verdict: Verdict
    reasons: tuple[Reason, ...]


def age_s(root: Root, now: datetime | None) -> float | None:
    """Seconds since the newest ledger closed, by the server's clock, else by `now`; None without either."""
    clock = root.server_time or now
    return None if clock is None else max(0.0, (clock - root.latest_closed_at).total_seconds())


def ledger_lag(root: Root) -> int:
    """Ledgers that the core has and the history has not; never below 0."""
    return max(0, root.core_ledger - root.latest_ledger)


def is_behind(root: Root, thresholds: Thresholds) -> bool:
    """Whether lag or age is at *warn* or worse, so that an absent transaction proves nothing.

    Never by our own clock: without the server's `Date` the age is unknown, and unknown counts as behind.
    """
    age = age_s(root, None)
    return (
        age is None
        or age > thresholds.age_warn_s
        or ledger_lag(root) >= thresholds.lag_warn
        or root.elder_ledger > root.latest_ledger
    )


def frozen_reason(root: Root, passphrase: str, highest: int | None) -> Frozen | None:
    """Why no transaction may change state on this server's answers; None: nothing speaks against it.

    `highest` is the highest ledger known *before* the server was asked: one learnt meanwhile by another worker would
    make a regress out of two answers that crossed.
    """
    if root.network_passphrase != passphrase:
        return Frozen(
            root.server,
            "network",
            f"The server is on the network “{root.network_passphrase}”, configured is “{passphrase}”.",
        )
    if highest is not None and root.latest_ledger < highest:
        return Frozen(
            root.server,
            "regress",
            f"The newest ledger went back from {highest:,} to {root.latest_ledger:,}: the network was reset, or "
            "another server answers.",
        )
    return None


def judge(facts: Facts, thresholds: Thresholds) -> Judgement:
    """The verdict on a server and its reasons, the worst first."""
    reasons = sorted(_reasons(facts, thresholds), key=lambda reason: -_SEVERITY[reason.verdict])
    return Judgement(reasons[0].verdict if reasons else Verdict.OK, tuple(reasons))


def _reasons(facts: Facts, limits: Thresholds) -> Iterator[Reason]:
    if facts.not_asked is not None:
        yield Reason("budget", Verdict.WARN, facts.not_asked)
    if facts.no_answer is not None:
        yield Reason("latency", Verdict.CRITICAL, facts.no_answer)
    if facts.frozen is not None:
        yield Reason(facts.frozen.signal, Verdict.CRITICAL, facts.frozen.reason)
    if facts.root is not None:
        yield from _of_root(facts.root, facts.now, limits)
    yield from _of_health(facts.health)
    yield from _of_history(facts, limits)
    if facts.fees is not None and Decimal(facts.fees.capacity_usage) > limits.capacity_warn:
        used = Decimal(facts.fees.capacity_usage) * 100
        yield Reason("fees", Verdict.WARN, f"Ledgers are {used:.0f} % full (warn above {limits.capacity_warn:.0%}).")


def _of_root(root: Root, now: datetime | None, limits: Thresholds) -> Iterator[Reason]:
    age = age_s(root, now)
    if age is not None and (found := _above(age, limits.age_warn_s, limits.age_critical_s)):
        limit = limits.age_critical_s if found is Verdict.CRITICAL else limits.age_warn_s
        yield Reason("age", found, f"The newest ledger is {_duration(age)} old ({found} above {_duration(limit)}).")
    lag = ledger_lag(root)
    if lag >= limits.lag_warn:
        found = Verdict.CRITICAL if lag >= limits.lag_critical else Verdict.WARN
        limit = limits.lag_critical if found is Verdict.CRITICAL else limits.lag_warn
        yield Reason("lag", found, f"The history is {lag:,} ledgers behind the core ({found} from {limit}).")
    if root.elder_ledger > root.latest_ledger:
        yield Reason(
            "retention",
            Verdict.CRITICAL,
            f"The oldest ledger ({root.elder_ledger:,}) is newer than the newest ({root.latest_ledger:,}), "
            "which is impossible.",
        )
    if root.protocol > root.supported_protocol:
        yield Reason(
            "protocol",
            Verdict.CRITICAL,
            f"The network runs protocol {root.protocol}, this server knows only {root.supported_protocol}: "
            "Horizon must be upgraded.",
        )


def _of_health(health: Health | None) -> Iterator[Reason]:
    if health is None:
        return
    for well, sentence in (
        (health.database_connected, "Horizon has lost its database (/health)."),
        (health.core_up, "Horizon's core does not answer (/health)."),
        (health.core_synced, "Horizon's core is not in step with the network (/health)."),
    ):
        if not well:
            yield Reason("health", Verdict.CRITICAL, sentence)


def _of_history(facts: Facts, limits: Thresholds) -> Iterator[Reason]:
    if facts.ingestion_lag_s is not None and (
        found := _above(facts.ingestion_lag_s, limits.ingestion_warn_s, limits.ingestion_critical_s)
    ):
        limit = limits.ingestion_critical_s if found is Verdict.CRITICAL else limits.ingestion_warn_s
        yield Reason(
            "ingestion",
            found,
            f"Ingestion has been behind the history for {_duration(facts.ingestion_lag_s)} "
            f"({found} above {_duration(limit)}).",
        )
    if facts.requests >= limits.answers_least:
        if facts.p95_ms is not None and (found := _above(facts.p95_ms, limits.p95_warn_ms, limits.p95_critical_ms)):
            limit = limits.p95_critical_ms if found is Verdict.CRITICAL else limits.p95_warn_ms
            yield Reason(
                "latency",
                found,
                f"The slowest 5 % of answers take {facts.p95_ms / 1000:.1f} s or more ({found} above "
                f"{limit / 1000:.0f} s).",
            )
        share = facts.errors / facts.requests
        if found := _above(share, limits.errors_warn, limits.errors_critical):
            limit = limits.errors_critical if found is Verdict.CRITICAL else limits.errors_warn
            kinds = f": {facts.errors_by_kind}" if facts.errors_by_kind else ""
            yield Reason("errors", found, f"{share:.0%} of requests fail ({found} above {limit:.0%}){kinds}.")
    left = facts.budget_left
    if left is not None and left < limits.budget_warn:
        found = Verdict.CRITICAL if left < limits.budget_critical else Verdict.WARN
        limit = limits.budget_critical if found is Verdict.CRITICAL else limits.budget_warn
        spent = f": {facts.budget_by_job}" if facts.budget_by_job else ""
        yield Reason("budget", found, f"{left:.0%} of the hour's requests are left ({found} below {limit:.0%}){spent}.")


def _above(value: float, warn: float, critical: float) -> Verdict | None:
    if value > critical:
        return Verdict.CRITICAL
    return Verdict.WARN if value > warn else None


def _duration(seconds: float) -> str:
    """75 s, 4 min, 3 h, 12 days: as exact as a person needs it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:,.0f} days"
