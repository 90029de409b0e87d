"""How a course of any length is read: in steps of which length, from samples or from what they were rolled up to. Pure.

A chart has at most `MOST_POINTS` points, and a read touches few rows for each of them: so the coarsest source is taken
that still fits the step. What is older than a source is kept comes from the next coarser one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, TypeVar

T = TypeVar("T")
MOST_POINTS = 250
GAP = 3
"""No point for so many of a course's usual distances is a gap: the clock of a probe is not that of the grid.

Usual is the lower quartile, so that many gaps do not become what is usual, nor does one restart.
"""

Source = Literal["sample", "minute", "hour", "day"]

_STEPS: tuple[tuple[timedelta, Source], ...] = (
    (timedelta(seconds=15), "sample"),
    (timedelta(minutes=1), "minute"),
    (timedelta(minutes=2), "minute"),
    (timedelta(minutes=10), "minute"),
    (timedelta(hours=1), "hour"),
    (timedelta(hours=3), "hour"),
    (timedelta(days=1), "day"),
    (timedelta(days=2), "day"),
    (timedelta(days=4), "day"),
)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
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


def rolled_until(source: Source, minute: datetime | None, hour: datetime | None) -> datetime:
    """Up to when a source's buckets are whole, by the newest minute and hour: from then on samples are to be read.

    The bucket that the newest minute lies in may still grow. Without a minute the hours are of long ago, and whole.
    """
    if source == "sample" or (minute is None and hour is None):
        return _BEGINNING
    if minute is None:
        return (hour or _BEGINNING) + timedelta(hours=1)
    minute = minute.astimezone(UTC)
    if source == "minute":
        return minute
    return minute.replace(minute=0) if source == "hour" else minute.replace(hour=0, minute=0)


def with_gaps(at: Sequence[datetime], step: timedelta) -> tuple[tuple[datetime, ...], tuple[int, ...]]:
    """The times with one more in every hole between them, and the places of those: see `broken`."""
    apart = [later - earlier for earlier, later in pairwise(at)]
    usual = sorted(apart)[len(apart) // 4] if apart else step
    longest = max(step, usual) * GAP
    whole, gaps = list(at[:1]), []
    for earlier, later in pairwise(at):
        if later - earlier > longest:
            gaps.append(len(whole))
            whole.append(earlier + step)
        whole.append(later)
    return tuple(whole), tuple(gaps)


def broken(values: Iterable[T], gaps: Iterable[int]) -> tuple[T | None, ...]:
    """The values with a None at each of these places, so that a line drawn through them breaks there."""
    whole: list[T | None] = list(values)
    for place in gaps:
        whole.insert(place, None)
    return tuple(whole)
