"""The rate limit that Horizon uses: a leaky bucket (GCRA) that refills by the clock.

Source: the generic cell rate algorithm as in the Go library `throttled`, which gives Horizon its three headers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one request was told; times in whole seconds. `retry_after` None: it may pass."""

    limit: int
    remaining: int
    reset: int
    retry_after: int | None

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [
            (b"x-ratelimit-limit", str(self.limit).encode()),
            (b"x-ratelimit-remaining", str(self.remaining).encode()),
            (b"x-ratelimit-reset", str(self.reset).encode()),
        ]
        if self.retry_after is not None:
            found.append((b"retry-after", str(self.retry_after).encode()))
        return found


class RateLimiter:
    """`per_hour` requests in the long run, `burst` more at once; one bucket for everybody."""

    def __init__(self, per_hour: float, burst: int = 100, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 3600 / per_hour if per_hour else 3600.0
        self._limit = burst + 1
        self._clock = clock
        self._full_at = clock()
        """When the bucket will be full again; every request moves it on by one gap."""

    def take(self) -> Verdict:
        """Spend one request, or say when the next may come."""
        now = self._clock()
        after = max(self._full_at, now) + self._gap
        opens = after - self._limit * self._gap
        if opens > now:
            return Verdict(self._limit, 0, ceil(self._full_at - now), max(1, ceil(opens - now)))
        self._full_at = after
        left = int((self._limit * self._gap - (after - now)) / self._gap)
        return Verdict(self._limit, left, ceil(after - now), None)
