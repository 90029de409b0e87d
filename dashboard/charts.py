"""Figures as plotly.js reads them, quiet, with direct labels and threshold lines, in the colours of the theme.

At most `MOST_POINTS` points a line: bucket in SQL. A thing has the same colour in every figure: `colour_of()` gives it
by its place in a fixed order, not by where it happens to stand in a chart.

A figure is plain data and goes to the browser as it is. Making a `go.Figure` of it checks each value and copies all of
them three times, 5 to 12 ms a chart, for what this file alone writes: so the tests do it, for every kind of figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st
from plotly.basedatatypes import BaseFigure

from dashboard.components.marks import marks_on
from dashboard.components.times import local_zone, now
from dashboard.queries_marks import Mark
from jobs.probes.attention import span

Spec = dict[str, Any]
"""A figure as plotly.js reads it: `data` and `layout`."""
MOST_POINTS = 500
# Six hues that hold a contrast of 3:1 on the ground of their mode; none is the green, amber or red of a state.
_HUES = {
    "light": ("#2f55d4", "#0b7f83", "#8a4fbf", "#9d5a2b", "#5c626e", "#b0307f"),
    "dark": ("#8ea6ff", "#4cc4c0", "#c59bf0", "#e0a070", "#9aa1ae", "#f08ccb"),
}
# The same colours as in `assets/desk.css`.
_INK = {
    "light": {
        "text": "#1a1d24", "quiet": "#5c626e", "line": "#e3e5ea", "paper": "#ffffff", "ok": "#8fcdb0",
        "warn": "#a35a00", "critical": "#c62a2f", "busy": "#2f55d4", "off": "#9aa1ae",
    },
    "dark": {
        "text": "#e8eaef", "quiet": "#9aa1ae", "line": "#2a2e38", "paper": "#101217", "ok": "#2f7d5a",
        "warn": "#f0b04a", "critical": "#ff7b76", "busy": "#8ea6ff", "off": "#5c626e",
    },
}  # fmt: skip
_FONT = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'

# A threshold that is further above the values than so many times would leave nothing of their course.
_NEAR = 5
# What the lower axis and the margins take of a figure's height, and what a label takes of it.
_AXIS_PX, _LABEL_PX = 56, 15


_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


@dataclass(frozen=True, slots=True)
class Line:
    """A course: a name, and a value at each time; None is a gap. `place` chooses the colour.

    `guess`: what may come, drawn in dashes.
    """

    name: str
    at: tuple[datetime, ...]
    values: Sequence[float | None]
    place: int = 0
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level that matters; `state` is warn or critical. `always`: also far above all values, which it then flattens."""

    value: float
    state: str
    label: str
    always: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What the charts of a page share: the time they show, whether there is data in it or not, and what happened then."""

    since: datetime
    until: datetime
    marks: Sequence[Mark] = ()


def mode() -> str:
    """The theme the reader has: "light" or "dark"."""
    return "dark" if st.context.theme.type == "dark" else "light"


def ink() -> Mapping[str, str]:
    """The colours of text, lines and states in the reader's theme."""
    return _INK[mode()]


def colour_of(place: int) -> str:
    """The colour of the thing at this place of its fixed order (servers as configured, jobs by name …)."""
    hues = _HUES[mode()]
    return hues[place % len(hues)]


def in_bytes(lines: Sequence[Line], per: str = "") -> tuple[list[Line], str]:
    """Lines of bytes in the largest unit that suits them, and that unit; `per` goes behind it: "/s"."""
    top = max((value for line in lines for value in line.values if value is not None), default=0.0)
    factor, unit = next(((factor, unit) for factor, unit in _BYTES if top >= factor), (1, "B"))
    scaled = [
        replace(line, values=[None if value is None else value / factor for value in line.values]) for line in lines
    ]
    return scaled, f"{unit}{per}"


def in_percent(values: Sequence[float | None]) -> list[float | None]:
    """Shares of one as hundredths."""
    return [None if value is None else value * 100 for value in values]


def course(
    lines: Sequence[Line],
    *,
    unit: str,
    thresholds: Sequence[Threshold] = (),
    height: int = 220,
    frame: Frame | None = None,
) -> Spec:
    """Values over time. A threshold is drawn when the values come near it, so that it never flattens them.

    With a frame the chart shows its whole time, so that data which ended early ends early, and marks what happened in it.
    """
    colours = ink()
    zone = local_zone()
    traces = [_trace(line, unit, zone) for line in lines]
    known = [line for line in lines if line.at and not line.guess]
    if known:
        traces.append(_ages(max(known, key=lambda line: len(line.at)).at, zone))
    known_values = [value for line in lines for value in line.values if value is not None]
    top, bottom = max(known_values, default=0.0), min(known_values, default=0.0)
    shown = [item for item in thresholds if item.always or item.value <= top * _NEAR]
    # What goes below zero (the days of a certificate that has expired) has its room there.
    floor = min(0.0, bottom * 1.12)
    ceiling = max(0.0, top, *(item.value for item in shown)) * 1.12 or (1.0 if floor == 0 else 0.0)
    shapes, labels = [_level(item, colours) for item in shown], [_level_label(item, colours) for item in shown]
    if len(lines) > 1:
        labels += _end_labels(lines, ceiling - floor, height)
    style = layout(colours, height, right=110 if len(lines) > 1 else 8)
    style["xaxis"] |= {"type": "date"}
    style["yaxis"] |= {"range": [floor, ceiling], "ticksuffix": f" {unit}"}
    if frame is not None:
        end = max((at for line in lines if line.guess for at in line.at), default=frame.until)
        style["xaxis"] |= {"range": local_times((frame.since, end), zone)}
        local = partial(local_times, zone=zone)
        marked, trace = marks_on(
            frame.marks, since=frame.since, until=frame.until, local=local, top=ceiling, colours=colours
        )
        shapes += marked
        traces.append(trace)
    return {"data": traces, "layout": {**style, "shapes": shapes, "annotations": labels}}


def _trace(line: Line, unit: str, zone: ZoneInfo) -> Spec:
    if len(line.at) > MOST_POINTS:
        raise ValueError(f"{line.name} has {len(line.at)} points: bucket them in SQL, {MOST_POINTS} at most")
    return {
        "type": "scatter",
        "mode": "lines",
        "name": line.name,
        "x": local_times(line.at, zone),
        "y": line.values,
        "line": {"color": colour_of(line.place), "width": 1.75, "dash": "dash" if line.guess else "solid"},
        "connectgaps": False,
        "hovertemplate": f"%{{y:,.1f}} {unit}<extra>{line.name}</extra>",
    }


def _ages(at: tuple[datetime, ...], zone: ZoneInfo) -> Spec:
    """A line that nobody sees, which says on hover how old the values are."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": local_times(at, zone),
        "y": (0.0,) * len(at),
        "line": {"width": 0},
        "customdata": _ages_in_words(at, now().replace(microsecond=0)),
        "hovertemplate": "%{customdata}<extra></extra>",
    }


# The lines of a page have their times in common: these two are made once for all of its charts.
@lru_cache(maxsize=64)
def local_times(at: tuple[datetime, ...], zone: ZoneInfo) -> tuple[str, ...]:
    """Times as a figure holds them: what the clock shows in the zone, as text, for a number would be the browser's."""
    return tuple(one.astimezone(zone).replace(tzinfo=None).isoformat(timespec="milliseconds") for one in at)


@lru_cache(maxsize=64)
def _ages_in_words(at: tuple[datetime, ...], present: datetime) -> tuple[str, ...]:
    return tuple(f"{span((present - one).total_seconds())} ago" for one in at)


def _level(item: Threshold, colours: Mapping[str, str]) -> Spec:
    """A threshold's line across the whole chart."""
    line = {"color": colours[item.state], "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": item.value, "y1": item.value, "line": line}


def _level_label(item: Threshold, colours: Mapping[str, str]) -> Spec:
    font = {"color": colours[item.state], "size": 12}
    return {
        "text": item.label, "font": font, "xref": "paper", "x": 0, "y": item.value, "showarrow": False, "xanchor": "left",
        "yanchor": "bottom",
    }  # fmt: skip


def _end_labels(lines: Sequence[Line], reach: float, height: int) -> list[Spec]:
    """Each line's name where it ends, lowest first, pushed up where two would cover each other."""
    ends = [(_last(line.values), line) for line in lines]
    pixels = (height - _AXIS_PX) / reach
    free_from = -inf
    labels: list[Spec] = []
    for value, line in sorted(((value, line) for value, line in ends if value is not None), key=lambda end: end[0]):
        at = max(value * pixels, free_from)
        free_from = at + _LABEL_PX
        labels.append(
            {
                "x": 1, "xref": "paper", "y": value, "text": line.name, "showarrow": False, "xanchor": "left",
                "yanchor": "middle", "xshift": 6, "yshift": at - value * pixels,
                "font": {"color": colour_of(line.place), "size": 12},
            }
        )  # fmt: skip
    return labels


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def layout(colours: Mapping[str, str], height: int, *, right: int) -> Spec:
    """What all figures share: their height and right margin in pixels, quiet axes, no chart junk."""
    axis = {
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"color": colours["quiet"], "size": 12},
    }
    return {
        "height": height,
        "margin": {"l": 0, "r": right, "t": 12, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "color": colours["text"], "size": 13},
        "showlegend": False,
        "hovermode": "x unified",
        # Opaque: what it says stands above the lines.
        "hoverlabel": {"bgcolor": colours["paper"], "bordercolor": colours["line"], "font": {"color": colours["text"]}},
        "dragmode": False,
        "xaxis": {
            **axis,
            "nticks": 6,
            "tickformat": "%H:%M\n%-d %b",
            "hoverformat": "%-d %b %H:%M:%S",
            "linecolor": colours["line"],
            "spikecolor": colours["quiet"],
            "spikethickness": 1,
            "showline": True,
            "automargin": True,
        },
        "yaxis": {**axis, "gridcolor": colours["line"], "showgrid": True, "nticks": 4, "automargin": True},
    }


def draw(figure: Spec, *, key: str, alt: str) -> None:
    """Puts a figure on the page; `alt` says in a sentence what it shows, for those who do not see it."""
    st.plotly_chart(_AsItIs(figure), theme=None, key=key, alt=alt, config={"displayModeBar": False, "responsive": True})


class _AsItIs(BaseFigure):  # type: ignore[misc]  # plotly has no types
    """A figure of which Streamlit takes the plain data, unchecked and not copied; it is nothing else of a figure."""

    def __init__(self, spec: Spec) -> None:
        # Not that of its kind, which does what this class is there to spare.
        self._spec = spec

    def to_dict(self) -> Spec:
        return self._spec
