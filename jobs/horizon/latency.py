"""Latency as counts in fixed buckets: small enough to add up over minutes, workers and servers, and still give p95.

Percentiles are interpolated inside their bucket, as Prometheus does; the last bucket is open, so what falls there is
reported as its lower bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

BOUNDS_MS: tuple[float, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
"""Upper bounds, inclusive, in milliseconds; one more bucket takes what is slower than the last."""

SIZE = len(BOUNDS_MS) + 1


def bucket_of(latency_ms: float) -> int:
    """The index of the bucket that counts a latency."""
    return bisect_left(BOUNDS_MS, latency_ms)


def merge(histograms: Iterable[Sequence[int]]) -> list[int]:
    """The sum of histograms of `SIZE` buckets; none gives zeros. Raises ValueError on another size."""
    total = [0] * SIZE
    for histogram in histograms:
        for index, (have, more) in enumerate(zip(total, histogram, strict=True)):
            total[index] = have + more
    return total


def percentile(buckets: Sequence[int], q: float) -> float | None:
    """The latency in milliseconds that a share `q` (0 to 1) of the requests stayed below; None without requests."""
    count = sum(buckets)
    if count == 0:
        return None
    rank, passed = q * count, 0
    for index, here in enumerate(buckets):
        if here and passed + here >= rank:
            if index == len(BOUNDS_MS):
                break
            low = BOUNDS_MS[index - 1] if index else 0.0
            return low + (BOUNDS_MS[index] - low) * max(0.0, rank - passed) / here
        passed += here
    return BOUNDS_MS[-1]
