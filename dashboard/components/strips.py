"""The last runs of a job as bars, oldest left: red stands out, each bar leads to its run.

A page has hundreds of bars, so each says no more than it must: a bar without a tone has gone well, the day is left out
of a time of today's, and one that was written before is not written again. What a bar says follows from its run, the
reader's zone and the day alone, so what is remembered is never out of date.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from dashboard.components.markup import Html, tag, url
from dashboard.components.states import tone, word
from dashboard.components.times import clocks, lasted, local_zone, now

_WRITTEN = 16_384
"""Bars that are remembered, a few hundred bytes each: those of a large desk in the zones of all its readers."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: how it ended and how long it took (seconds; None: it never started)."""

    run_id: int
    state: str
    at: datetime
    seconds: float | None


def strip(bars: Sequence[Bar], label: str) -> Html:
    """Bars whose height is the duration on a logarithmic scale, against the longest."""
    longest = math.log1p(max((bar.seconds or 0.0 for bar in bars), default=0.0))
    zone, today = local_zone(), now().date()
    written = (
        # Heights come in eight steps by class: a style of its own for each bar would be most of the page's bytes.
        _bar(bar.run_id, bar.state, bar.at, bar.seconds, 1 + round(7 * math.log1p(bar.seconds or 0.0) / (longest or 1.0)),
             zone, today)
        for bar in bars
    )  # fmt: skip
    return tag("div", *written, class_="nx-strip", role="group", aria_label=label)


@lru_cache(maxsize=_WRITTEN)
def _bar(
    run_id: int, state: str, at: datetime, seconds: float | None, height: int, zone: ZoneInfo, today: date
) -> Html:
    kind = tone(state)
    return tag(
        "a",
        class_=f"nx-h{height}" if kind == "ok" else f"nx-{kind} nx-h{height}",
        href=url("run", id=run_id),
        tabindex=-1,
        # It is the bar's name for a screen reader, too.
        title=f"Run {run_id} {word(state)}, {lasted(seconds)}, {', '.join(filter(None, clocks(at, zone, today)))}",
    )
