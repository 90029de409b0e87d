"""Which indexes are worth rebuilding: measured by pgstattuple where it is installed, estimated elsewhere.

The estimate compares an index's pages with those that its rows need at the usual fill of 90 %: header, line pointer and
the columns' mean widths as ANALYZE found them. It knows nothing of deduplication, so it calls an index too small rather
than bloated. Pure: the decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEAST_BYTES = 8 << 20
"""Below this an index costs nothing, bloated or not."""
LEAST_WASTE = 0.4
"""A B-tree that lives settles at about a third of free space by itself; rebuilding that would be for weeks only."""


@dataclass(frozen=True, slots=True)
class Index:
    """A B-tree index: how large it is, how much of that it needs, and whether that was measured."""

    name: str
    """With its schema, quoted as a statement needs it."""
    bytes: int
    needed: int
    measured: bool

    @property
    def waste(self) -> float:
        """The share that rebuilding gives back, 0 to 1."""
        return max(0.0, 1 - self.needed / self.bytes) if self.bytes else 0.0


def worth_rebuilding(indexes: Iterable[Index], most: int) -> list[Index]:
    """At most so many, those first that give most back."""
    bloated = [one for one in indexes if one.bytes >= LEAST_BYTES and one.waste >= LEAST_WASTE]
    return sorted(bloated, key=lambda one: one.needed - one.bytes)[:most]
