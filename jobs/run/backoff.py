"""When a run is tried again: pure."""

from __future__ import annotations

FIRST_S, MOST_S = 15.0, 600.0
"""The waits of what has no schedule that says others: the first, and the longest."""


def retry_after_s(*, attempt: int, retries: int, first_s: float, most_s: float) -> float | None:
    """Seconds from the end of an attempt, counted from 1, to the next: `first_s`, doubling each time up to `most_s`.

    None if it was the last.
    """
    if attempt > retries:
        return None
    return float(min(most_s, first_s * 2 ** (attempt - 1)))
