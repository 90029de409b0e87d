"""The last runs of a job as bars, oldest left: red stands out, each bar leads to its run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.components.markup import Html, tag, url
from dashboard.components.states import tone, word
from dashboard.components.times import both, lasted


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: how it ended and how long it took (seconds; None: it never started)."""

    run_id: int
    state: str
    at: datetime
    seconds: float | None


def strip(bars: Sequence[Bar], label: str) -> Html:
    """Bars whose height is the duration on a logarithmic scale, against the longest."""
    longest = max((bar.seconds or 0.0 for bar in bars), default=0.0)
    return tag("div", *(_bar(bar, longest) for bar in bars), class_="nx-strip", role="group", aria_label=label)


def _bar(bar: Bar, longest: float) -> Html:
    share = math.log1p(bar.seconds or 0.0) / math.log1p(longest) if longest > 0 else 0.0
    said = f"Run {bar.run_id} {word(bar.state)}, {lasted(bar.seconds)}, {both(bar.at)}"
    # Heights come in eight steps by class, and the title is its name for a screen reader, too: a style and a label of
    # its own for each bar would be most of the page's bytes.
    return tag(
        "a",
        href=url("run", id=bar.run_id),
        class_=f"nx-link nx-bar nx-{tone(bar.state)} nx-h{1 + round(7 * share)}",
        tabindex=-1,
        title=said,
    )
