"""When a run is tried again: pure."""

from __future__ import annotations

FIRST_S = 15.0
MOST_S = 600.0


def retry_after_s(*, attempt: int, retries: int) -> float | None:
    """Seconds from the end of an attempt, counted from 1, to the next, doubling each time; None if it was the last."""
    if attempt > retries:
        return None
    return float(min(MOST_S, FIRST_S * 2 ** (attempt - 1)))
