"""When a server is left, and when it is tried again: a circuit breaker's rules, without I/O and without a clock.

Closed: the server is used, and failures in a row are counted. Open: it has been left, because it failed too often or
because none of its answers counts (frozen); each time it fails again the pause doubles, up to a limit. Half-open: the
pause is over and one try may go ahead, whose outcome closes or opens again. What a request that began before the
opening says about an open server changes nothing. See Nygard, *Release It!*, "Circuit Breaker".

`now` is the database's clock everywhere, because the workers of several hosts share the state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

OPENS_AFTER = 3
"""Failures in a row."""
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)
TRIAL = timedelta(minutes=2)
"""A try without an outcome for so long was given up by its worker: another one may try."""


class State(StrEnum):
    """What a breaker allows: every use, none, or one try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """One server's breaker. Of a closed one only `failures` may differ from its default."""

    failures: int = 0
    """In a row, whether a choice of the server failed or a request to it."""
    openings: int = 0
    """In a row: how often it was left without having done well in between."""
    left_at: datetime | None = None
    """Since when it has been left; None: it is closed."""
    left_reason: str | None = None
    retry_at: datetime | None = None
    """When one try may go ahead; set exactly when `left_at` is."""
    trial_until: datetime | None = None
    """A try is under way, and is believed in until then."""


CLOSED = Breaker()


def state_of(breaker: Breaker, now: datetime) -> State:
    """The state at this moment."""
    if breaker.left_at is None or breaker.retry_at is None:
        return State.CLOSED
    if breaker.trial_until is not None or now >= breaker.retry_at:
        return State.HALF_OPEN
    return State.OPEN


def allows(breaker: Breaker, now: datetime) -> bool:
    """Whether the server may be used now: always when closed, by one try at a time when half-open."""
    match state_of(breaker, now):
        case State.CLOSED:
            return True
        case State.HALF_OPEN:
            return breaker.trial_until is None or now >= breaker.trial_until
        case _:
            return False


def tried(breaker: Breaker, now: datetime) -> Breaker:
    """A use begins: of a server that was left it is the one try, whose outcome is awaited."""
    return breaker if breaker.left_at is None else replace(breaker, trial_until=now + TRIAL)


def succeeded(breaker: Breaker) -> Breaker:
    """A use ended well: forgets every failure, unless the server has been left and this was not the try."""
    return CLOSED if breaker.left_at is None or breaker.trial_until is not None else breaker


def failed(breaker: Breaker, now: datetime, reason: str, times: int = 1) -> Breaker:
    """A use failed, `times` requests in a row; leaves the server from the third failure, or when it was the try."""
    if breaker.left_at is not None and breaker.trial_until is None:
        return breaker
    counted = replace(breaker, failures=breaker.failures + times)
    if counted.left_at is None and counted.failures < OPENS_AFTER:
        return counted
    return _opened(counted, now, reason)


def froze(breaker: Breaker, now: datetime, reason: str) -> Breaker:
    """No answer of the server counts: left at once, however well it did before."""
    if breaker.left_at is not None and breaker.trial_until is None:
        return breaker
    return _opened(replace(breaker, failures=breaker.failures + 1), now, reason)


def pause_of(openings: int) -> timedelta:
    """For how long a server is left the n-th time in a row."""
    # Beyond some doublings the limit holds anyway, and a power without bound would be a number without bound.
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(openings - 1, 16)))


def _opened(breaker: Breaker, now: datetime, reason: str) -> Breaker:
    openings = breaker.openings + 1
    return replace(
        breaker,
        openings=openings,
        left_at=breaker.left_at or now,
        left_reason=reason,
        retry_at=now + pause_of(openings),
        trial_until=None,
    )
