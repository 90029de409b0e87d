"""How many transactions of a scope lie in a stretch of ledgers, from the few pages that were read of it.

Pure arithmetic. A page counts exactly what it covers, empty ledgers included. Between two pages nothing is known: there
the geometric mean of the densities at both edges is taken, because traffic differs by magnitudes (a burst after quiet
hours), and the middle of two magnitudes is wrong by the least factor. Densities are transactions per 1,000 ledgers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

FOREVER = 2**32
"""Beyond every ledger: the newest page is also the end of what there is."""
_EDGE = 50
"""Transactions of a page that tell how dense it is at an edge: a page may reach from quiet hours into a burst."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ledgers `since` to `until` (excluded) that one page covers: what they hold, and how dense at either edge."""

    since: int
    until: int
    count: int
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a scope: stretches in the order of their ledgers, the newest page last."""

    stretches: tuple[Stretch, ...]

    @property
    def reaches(self) -> int:
        """The first ledger that the newest page shows as a whole; 0: it shows all there is."""
        return self.stretches[-1].since

    def add(self, stretch: Stretch) -> Known:
        """With one more page."""
        return Known(tuple(sorted((*self.stretches, stretch), key=lambda one: (one.since, one.until))))

    def begin(self, ledger: int) -> int:
        """The first ledger from `ledger` on that no page has covered."""
        for stretch in self.stretches:
            if stretch.since <= ledger < stretch.until:
                ledger = stretch.until
        return ledger

    def transactions(self, since: int, until: int) -> int:
        """How many there are about in ledgers `since` to `until` (excluded)."""
        found = sum(
            density * (min(until, last) - max(since, first)) // 1000
            for first, last, density in self.gaps()
            if min(until, last) > max(since, first)
        )
        for stretch in self.stretches:
            shared = min(until, stretch.until) - max(since, stretch.since)
            if shared > 0:
                found += stretch.count * shared // (stretch.until - stretch.since)
        return found

    def gaps(self) -> Iterator[tuple[int, int, int]]:
        """The stretches that no page covers, up to the newest page: first ledger, last (excluded), density."""
        before: Stretch | None = None
        covered = 0
        for stretch in self.stretches:
            if stretch.since > covered:
                density = stretch.begins if before is None else isqrt(before.ends * stretch.begins)
                yield covered, stretch.since, density
            before, covered = stretch, max(covered, stretch.until)


def newest(tokens: Sequence[int], *, full: bool) -> Known:
    """What the newest page tells (TOIDs, newest first); not `full`: there is nothing older."""
    if not tokens or not full:
        return Known((Stretch(0, FOREVER, len(tokens), 0, 0),))
    first = tokens[-1] >> 32
    whole = sum(token >> 32 > first for token in tokens)
    return Known((Stretch(first + 1, FOREVER, whole, _density(tokens[-_EDGE:]), 0),))


def covered(tokens: Sequence[int], since: int, *, full: bool) -> Stretch:
    """What a page from ledger `since` on tells (TOIDs, oldest first); not `full`: there is nothing newer."""
    if not tokens or not full:
        return Stretch(since, FOREVER, len(tokens), 0, 0)
    last = tokens[-1] >> 32
    whole = sum(token >> 32 < last for token in tokens)
    return Stretch(since, last, whole, _density(tokens[:_EDGE]), _density(tokens[-_EDGE:]))


def _density(tokens: Sequence[int]) -> int:
    return len(tokens) * 1000 // (abs((tokens[0] >> 32) - (tokens[-1] >> 32)) + 1)
