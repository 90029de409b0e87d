"""How far a host's clock is from the database's, told from questions that take time themselves.

As in NTP (RFC 5905): the answer is taken to have been written in the middle of its round trip, and of several answers
the one with the shortest round trip counts, because its middle is known best. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

SKEW_WARN_MS = 1000.0
"""From here on a person is told: slots start that much too early or too late on that host."""
MOST_ROUND_TRIP_MS = 1000.0
"""An answer that took longer says nothing that could be warned about."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One question: the host's clock before and after it, and the database's clock in the answer."""

    asked: datetime
    database: datetime
    answered: datetime

    @property
    def round_trip_ms(self) -> float:
        return (self.answered - self.asked).total_seconds() * 1000

    @property
    def skew_ms(self) -> float:
        middle = self.asked + (self.answered - self.asked) / 2
        return (middle - self.database).total_seconds() * 1000


def skew_ms(readings: Iterable[Reading]) -> float | None:
    """Milliseconds by which the host's clock is ahead of the database's; below zero: behind.

    None if no answer came fast enough to tell, or the host's clock was set back during each of them.
    """
    usable = [reading for reading in readings if 0 <= reading.round_trip_ms <= MOST_ROUND_TRIP_MS]
    return min(usable, key=lambda reading: reading.round_trip_ms).skew_ms if usable else None


def in_words(skew: float) -> str:
    """The skew as a person says it: "2.3 s ahead", "340 ms behind", "within a millisecond"."""
    size = abs(skew)
    if size < 1:
        return "within a millisecond"
    length = f"{size:,.0f} ms" if size < SKEW_WARN_MS else f"{size / 1000:,.1f} s"
    return f"{length} {'ahead' if skew > 0 else 'behind'}"


def is_skewed(skew: float | None) -> bool:
    """Whether somebody has to set the clock."""
    return skew is not None and abs(skew) > SKEW_WARN_MS
