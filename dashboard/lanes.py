"""The timeline of runs as a figure: a lane a job, a bar for each run or for several close together.

A failed or missed run carries a mark of its own shape, because a bar of a few pixels is told by more than its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from dashboard import charts
from dashboard.components.states import tone, word
from dashboard.components.times import local_zone
from dashboard.queries_runs import Bar, Lanes

_LANE_PX = 44
_MARKS = {"critical": "diamond", "warn": "triangle-up"}


def timeline(found: Lanes, names: Sequence[str]) -> charts.Spec:
    """The lanes of these jobs, the first on top; each job's name stands above its lane."""
    ink = charts.ink()
    zone = local_zone()
    traces: list[charts.Spec] = []
    place = {name: len(names) - index for index, name in enumerate(names)}
    # What is drawn later lies on top: failures last.
    for kind in ("off", "ok", "warn", "busy", "critical"):
        bars = [bar for bar in found.bars if tone(bar.state) == kind and bar.job in place]
        if not bars:
            continue
        spans = [_drawn(bar, found.step) for bar in bars]
        lanes = [place[bar.job] for bar in bars]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "base": charts.local_times(tuple(first for first, _ in spans), zone),
                "x": [length.total_seconds() * 1000 for _, length in spans],
                "y": lanes,
                "width": 0.34,
                "marker": {"color": ink[kind], "line": {"width": 0}},
                "customdata": [_said(bar) for bar in bars],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
        if kind in _MARKS:
            look = {"symbol": _MARKS[kind], "size": 9, "color": ink[kind], "line": {"color": ink["paper"], "width": 1}}
            middles = tuple(first + length / 2 for first, length in spans)
            traces.append(
                {
                    "type": "scatter", "mode": "markers", "x": charts.local_times(middles, zone), "y": lanes,
                    "marker": look, "hoverinfo": "skip",
                }
            )  # fmt: skip
    labels = [
        {
            "x": 0, "xref": "paper", "y": place[name], "text": escape(name), "font": {"color": ink["quiet"], "size": 12},
            "showarrow": False, "xanchor": "left", "yanchor": "bottom", "yshift": 9,
        }
        for name in names
    ]  # fmt: skip
    style = charts.layout(ink, _LANE_PX * len(names) + 48, right=8)
    style["xaxis"] |= {"range": charts.local_times((found.since, found.until), zone), "type": "date"}
    style["yaxis"] |= {"visible": False, "range": [0.6, len(names) + 0.85]}
    style["hoverlabel"] |= {"align": "left"}
    return {"data": traces, "layout": {**style, "annotations": labels, "barmode": "overlay", "hovermode": "closest"}}


def _drawn(bar: Bar, step: timedelta) -> tuple[datetime, timedelta]:
    """Where a bar begins and how long it is drawn: as long as it was, and never too short to be seen."""
    length = max(bar.last - bar.first, step / 2)
    return bar.last - length, length


def _said(bar: Bar) -> str:
    first, last = (at.time().isoformat("seconds") for at in (bar.first, bar.last))
    when = f"{first} to {last} UTC"
    if bar.runs == 1:
        return f"{escape(bar.job)}<br>run {bar.run_id} {word(bar.state)}<br>{when}"
    worst = f", {bar.failed:,} failed" if bar.failed else ""
    return f"{escape(bar.job)}<br>{bar.runs:,} runs{worst}, run {bar.run_id} {word(bar.state)}<br>{when}"
