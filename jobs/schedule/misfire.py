"""What becomes of slots that nobody claimed: pure rules.

`skip` runs none of them, `once` runs the newest, `all` runs each, up to a bound. What is not run leaves one visible
row that says how many slots it stands for: an hour without workers is one row of a 15-second schedule, not 240.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

MOST_CAUGHT_UP = 20


@dataclass(frozen=True, slots=True)
class Missed:
    """The slots that will not run: the row stands at `slot`, the newest of them."""

    slot: datetime
    first: datetime
    count: int

    @property
    def sentence(self) -> str:
        """What the row says."""
        if self.count == 1:
            return "No worker claimed this slot in time, so it did not run."
        first = f"{self.first:%Y-%m-%d %H:%M:%S} UTC"
        return f"No worker claimed {self.count} slots in time, from {first} to this one, so they did not run."


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The slots to run now, oldest first, and those given up."""

    run: tuple[datetime, ...]
    missed: Missed | None


def catch_up(
    policy: Literal["skip", "once", "all"], unclaimed: Sequence[datetime], most: int = MOST_CAUGHT_UP
) -> CatchUp:
    """Divides the unclaimed slots, given oldest first, by the schedule's misfire policy."""
    keep = {"skip": 0, "once": 1, "all": most}[policy]
    given_up = unclaimed[: max(0, len(unclaimed) - keep)]
    missed = Missed(given_up[-1], given_up[0], len(given_up)) if given_up else None
    return CatchUp(tuple(unclaimed[len(given_up) :]), missed)
