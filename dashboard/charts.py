"""Figures: `graph_objects` only, quiet, with direct labels and threshold lines, in the colours of the theme.

At most `MOST_POINTS` points a line: bucket in SQL. A thing has the same colour in every figure: `colour_of()` gives it
by its place in a fixed order, not by where it happens to stand in a chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import plotly.graph_objects as go
import streamlit as st

from dashboard.components.times import local_zone

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

# What the lower axis and the margins take of a figure's height, and what a label takes of it.
_AXIS_PX, _LABEL_PX = 56, 15


@dataclass(frozen=True, slots=True)
class Line:
    """A course: a name, and a value at each time; None is a gap. `place` chooses the colour."""

    name: str
    at: Sequence[datetime]
    values: Sequence[float | None]
    place: int = 0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level that matters; `state` is warn or critical."""

    value: float
    state: str
    label: str


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


def course(lines: Sequence[Line], *, unit: str, thresholds: Sequence[Threshold] = (), height: int = 220) -> go.Figure:
    """Values over time. A threshold is drawn when the values come near it, so that it never flattens them."""
    colours = ink()
    zone = local_zone()
    figure = go.Figure()
    for line in lines:
        if len(line.at) > MOST_POINTS:
            raise ValueError(f"{line.name} has {len(line.at)} points: bucket them in SQL, {MOST_POINTS} at most")
        figure.add_scatter(
            x=[at.astimezone(zone).replace(tzinfo=None) for at in line.at],
            y=list(line.values),
            name=line.name,
            mode="lines",
            line={"color": colour_of(line.place), "width": 1.75},
            connectgaps=False,
            hovertemplate=f"%{{y:,.1f}} {unit}<extra>{line.name}</extra>",
        )
    top = max((value for line in lines for value in line.values if value is not None), default=0.0)
    shown = [item for item in thresholds if item.value <= max(top * 1.6, min(t.value for t in thresholds) * 1.15)]
    for item in shown:
        figure.add_hline(
            y=item.value,
            line={"color": colours[item.state], "width": 1, "dash": "dot"},
            annotation={"text": item.label, "font": {"color": colours[item.state], "size": 12}, "xanchor": "left"},
            annotation_position="top left",
        )
    figure.update_layout(**layout(colours, height, right=110 if len(lines) > 1 else 8))
    ceiling = max([top, *(item.value for item in shown)], default=1.0) * 1.12 or 1.0
    if len(lines) > 1:
        _label_ends(figure, lines, ceiling, height)
    figure.update_yaxes(range=[0, ceiling], ticksuffix=f" {unit}")
    return figure


def _label_ends(figure: go.Figure, lines: Sequence[Line], ceiling: float, height: int) -> None:
    """Writes each line's name where it ends, lowest first, pushed up where two would cover each other."""
    ends = [(_last(line.values), line) for line in lines]
    pixels = (height - _AXIS_PX) / ceiling
    free_from = 0.0
    for value, line in sorted(((value, line) for value, line in ends if value is not None), key=lambda end: end[0]):
        at = max(value * pixels, free_from)
        free_from = at + _LABEL_PX
        figure.add_annotation(
            x=1, xref="paper", y=value, text=line.name, font={"color": colour_of(line.place), "size": 12},
            showarrow=False, xanchor="left", yanchor="middle", xshift=6, yshift=at - value * pixels,
        )  # fmt: skip


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def layout(colours: Mapping[str, str], height: int, *, right: int) -> dict[str, object]:
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
        "dragmode": False,
        "xaxis": {
            **axis,
            "nticks": 6,
            "tickformat": "%H:%M\n%-d %b",
            "hoverformat": "%-d %b %H:%M:%S",
            "linecolor": colours["line"],
            "showline": True,
            "automargin": True,
        },
        "yaxis": {**axis, "gridcolor": colours["line"], "showgrid": True, "nticks": 4, "automargin": True},
    }


def draw(figure: go.Figure, *, key: str, alt: str) -> None:
    """Puts a figure on the page; `alt` says in a sentence what it shows, for those who do not see it."""
    st.plotly_chart(figure, theme=None, key=key, alt=alt, config={"displayModeBar": False, "responsive": True})
