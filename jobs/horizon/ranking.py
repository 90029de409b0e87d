"""Which server to ask first: an order from what the last probe saw, without I/O and without a clock.

A frozen server comes last, since asking it is only worth it when there is no other; then those that did not answer,
those that are behind, and those that are slow. Among equals the configured order decides, so that the choice does not
flutter with every millisecond. A server without a fresh sample counts as well: only asking shows how it does. A stand-in comes after all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobs.horizon.breaker import CLOSED, Breaker, allows
from jobs.horizon.health import Thresholds


@dataclass(frozen=True, slots=True)
class Seen:
    """What the newest sample says about a server; `latest_ledger` None: it did not answer."""

    latest_ledger: int | None
    age_s: float | None
    lag: int | None
    latency_ms: float | None
    passphrase: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configured server, by its label, as the database knows it."""

    server: str
    position: int
    """In the configured order."""
    breaker: Breaker = CLOSED
    frozen: bool = False
    seen: Seen | None = None
    """None: no sample, or none that is fresh."""
    stand_in: bool = False
    """Asked only when no other server can be used: Stellar RPC."""


def allowed(candidates: Iterable[Candidate], passphrase: str, limits: Thresholds, now: datetime) -> list[Candidate]:
    """The servers that their breakers allow, the best first."""
    every = list(candidates)
    highest = highest_ledger(every, passphrase)
    return sorted(
        (candidate for candidate in every if allows(candidate.breaker, now)),
        key=lambda candidate: _demerits(candidate, passphrase, limits, highest),
    )


def next_due(candidates: Iterable[Candidate]) -> Candidate | None:
    """Of servers that were all left, the one whose try is due first; None without any."""
    left = [(candidate.breaker.retry_at, candidate) for candidate in candidates]
    due = [(at, candidate.position, candidate) for at, candidate in left if at is not None]
    return min(due, key=lambda item: item[:2])[2] if due else None


def highest_ledger(candidates: Iterable[Candidate], passphrase: str) -> int:
    """The newest ledger that a server on our network was seen with; 0 if none was."""
    return max(
        (
            candidate.seen.latest_ledger or 0
            for candidate in candidates
            if candidate.seen is not None and candidate.seen.passphrase == passphrase and not candidate.frozen
        ),
        default=0,
    )


def _demerits(
    candidate: Candidate, passphrase: str, limits: Thresholds, highest: int
) -> tuple[bool, bool, bool, bool, bool, int]:
    seen = candidate.seen
    if seen is None:
        return candidate.stand_in, candidate.frozen, False, False, False, candidate.position
    wrong = candidate.frozen or (seen.passphrase is not None and seen.passphrase != passphrase)
    silent = seen.latest_ledger is None
    behind = (
        (seen.age_s is not None and seen.age_s > limits.age_warn_s)
        or (seen.lag is not None and seen.lag >= limits.lag_warn)
        or (seen.latest_ledger is not None and highest - seen.latest_ledger >= limits.lag_warn)
    )
    slow = seen.latency_ms is not None and seen.latency_ms > limits.p95_warn_ms
    return candidate.stand_in, wrong, silent, behind, slow, candidate.position
