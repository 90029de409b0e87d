"""How long a run may still take, by the speed of its last minute. Pure.

A run that begins with a long look, or that slows down at the end, is misjudged by its average: so whoever watches
remembers how far it was at each look, and the rate is told from the looks of the last while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

RECENT = timedelta(seconds=60)
_LEAST = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Look:
    """How much was done at a time."""

    at: datetime
    done: int


def remember(looks: Sequence[Look], look: Look) -> tuple[Look, ...]:
    """The looks with one more, without those that are too old; a run that begins anew is a run of its own."""
    if looks and look.done < looks[-1].done:
        return (look,)
    kept = [one for one in looks if look.at - RECENT <= one.at < look.at]
    return (*kept, look)


def seconds_left(looks: Sequence[Look], total: int, *, started: datetime | None) -> float | None:
    """Seconds until `total` is done: at the rate of the looks, or of the whole run while they are too close together.

    None while nothing is done, and while nothing has moved: nobody can tell.
    """
    if not looks:
        return None
    last = looks[-1]
    if last.done >= total:
        return 0.0
    since = looks[0] if last.at - looks[0].at >= _LEAST else None
    if since is None:
        since = Look(started, 0) if started is not None else last
    length, done = (last.at - since.at).total_seconds(), last.done - since.done
    return length * (total - last.done) / done if done > 0 and length > 0 else None
