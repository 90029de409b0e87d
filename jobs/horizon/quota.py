"""What a server says about its rate limit, and what that allows: arithmetic without I/O.

Horizon's limiter is GCRA: a burst that refills steadily. Its `X-RateLimit-Limit` is then the burst (101 for the usual
3,600 an hour), although the documentation calls it the hour's limit, and a gateway in front may really count by the
hour. Both readings are served: what is spent, and the seconds until all of it is back, give the rate; `Remaining` is
never passed, whatever it means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

BURST = 100
"""Horizon's usual burst; its limiter reports a limit of one more."""
LONGEST_PAUSE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Told:
    """The `X-RateLimit-*` headers of one answer: requests, requests, seconds until the limit is whole again."""

    limit: int
    remaining: int
    reset_s: int


def read_told(headers: Mapping[str, str]) -> Told | None:
    """The rate-limit headers; None unless all three are there and make sense."""
    values = [_whole(headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining", "Reset")]
    limit, remaining, reset = values
    if limit is None or remaining is None or reset is None or limit == 0 or limit > 2**31 - 1:
        return None
    return Told(limit, min(remaining, limit), min(reset, int(LONGEST_PAUSE_S)))


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, at most an hour; None if it is absent or no whole number."""
    seconds = _whole(headers.get("Retry-After"))
    return None if seconds is None else min(float(seconds), LONGEST_PAUSE_S)


def burst_of(per_hour: int) -> int:
    """How many requests may go at once: Horizon's burst or a second's worth, never more than the hour's limit."""
    return min(per_hour, max(BURST, per_hour // 3600))


def block_of(per_hour: int) -> int:
    """How many requests a worker takes from the shared budget at a time: a quarter of the burst, at most 100."""
    return max(1, min(100, burst_of(per_hour) // 4))


def rate_of(per_hour: int, told: Told | None) -> float:
    """Requests a second that may be spent for long: ours, or the server's if that is lower."""
    ours = per_hour / 3600
    if told is None or told.reset_s <= 1:
        return ours  # `Reset` is rounded up: with 1 the true rate may be anything
    steady = (told.limit - told.remaining) / (told.reset_s - 1)
    return max(min(ours, max(told.limit / 3600, steady)), 1 / 3600)


def pause_of(told: Told) -> float:
    """Seconds to send nothing after an answer: 0 while something remains.

    Nothing remains: a limit no higher than Horizon's burst gives one request back after its share of the reset; a
    higher one counts by the hour and gives nothing back before.
    """
    if told.remaining > 0:
        return 0.0
    return float(told.reset_s) if told.limit > BURST + 1 else float(math.ceil(told.reset_s / told.limit))


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else None
