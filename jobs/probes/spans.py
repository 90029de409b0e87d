"""How a course of any length is read: in steps of which length, from samples or from what they were rolled up to. Pure.

A chart has at most `MOST_POINTS` points, and a read touches few rows for each of them: so the coarsest source is taken
that still fits the step. What is older than a source is kept comes from the next coarser one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, TypeVar

T = TypeVar("T")
MOST_POINTS = 400
GAP = 3
"""No point for so many of a course's usual distances is a gap: the clock of a probe is not that of the grid.

Usual is the lower quartile, so that many gaps do not become what is usual, nor does one restart.
"""

Source = Literal["sample", "minute", "hour", "day"]

_STEPS: tuple[tuple[timedelta, Source], ...] = (
    (timedelta(seconds=15), "sample"),
    (timedelta(minutes=1), "minute"),
    (timedelta(minutes=5), "minute"),
    (timedelta(hours=1), "hour"),
    (timedelta(hours=2), "hour"),
    (timedelta(days=1), "day"),
    (timedelta(days=2), "day"),
)
LONGEST = _STEPS[-1][0] * MOST_POINTS
_KEPT: dict[Source, timedelta] = {
    "sample": timedelta(hours=47),
    "minute": timedelta(days=29),
    "hour": timedelta(days=729),
}


@dataclass(frozen=True, slots=True)
class Window:
    """The time that charts show: so long, until then; None: until now. At most `LONGEST`."""

    length: timedelta
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """How a window is read: a point a step, made of this source."""

    step: timedelta
    source: Source


def grid(window: Window, now: datetime, *, least: Source = "sample") -> Grid:
    """The finest grid that fits the window; `least` is the finest source there is."""
    old = now - (window.until or now) + window.length
    finest = [source for _, source in _STEPS].index(least)
    for step, source in _STEPS[finest:]:
        if window.length / step <= MOST_POINTS and old <= _KEPT.get(source, old):
            return Grid(step, source)
    return Grid(*_STEPS[-1])


def with_gaps(points: Sequence[tuple[datetime, T]], step: timedelta) -> list[tuple[datetime, T | None]]:
    """The points with a None in every hole between them, so that a line drawn through them breaks there."""
    apart = [later[0] - earlier[0] for earlier, later in pairwise(points)]
    usual = sorted(apart)[len(apart) // 4] if apart else step
    whole: list[tuple[datetime, T | None]] = list(points[:1])
    for point, distance in zip(points[1:], apart, strict=True):
        if distance > max(step, usual) * GAP:
            whole.append((point[0] - distance + step, None))
        whole.append(point)
    return whole
