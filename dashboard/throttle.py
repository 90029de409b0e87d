"""How often somebody may try within a while: kept in memory, so each process counts for itself."""

from __future__ import annotations

from collections import deque


class Throttle:
    """At most `tries` within any `window_s` seconds for one name: an address that signs in, a token that asks."""

    def __init__(self, tries: int, window_s: float) -> None:
        self._tries, self._window_s = tries, window_s
        self._seen: dict[str, deque[float]] = {}

    def admits(self, name: str, now: float) -> bool:
        """Counts a try at `now` (seconds of a monotonic clock); False if it is one too many."""
        if len(self._seen) > 10_000:
            self._seen.clear()
        tries = self._seen.setdefault(name, deque())
        while tries and now - tries[0] > self._window_s:
            tries.popleft()
        if len(tries) >= self._tries:
            return False
        tries.append(now)
        return True
