"""Deployments, flags, incidents and maintenance on charts: thin lines and bands, named on hover, and listed below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import plotly.graph_objects as go
import streamlit as st

from dashboard.components.layout import table
from dashboard.components.markup import join, link, tag
from dashboard.components.times import age, clock
from dashboard.queries_marks import Mark

# A shape for each, so that colour alone says nothing; the ink is that of states only where it is one.
_SYMBOLS = {"incident": "diamond", "maintenance": "square", "deployment": "triangle-down", "flag": "circle"}
_INKS = {"incident": "critical", "maintenance": "off", "deployment": "text", "flag": "quiet"}
_BAND = 0.1


def draw_marks(
    figure: go.Figure,
    marks: Sequence[Mark],
    *,
    since: datetime,
    until: datetime,
    local: Callable[[datetime], datetime],
    top: float,
    colours: Mapping[str, str],
) -> None:
    """Puts marks on a figure whose times are `local` and whose values reach up to `top`."""
    shapes = []
    for mark in marks:
        begin, colour = max(mark.at, since), colours[_INKS[mark.kind]]
        shapes.append(
            {"type": "line", "xref": "x", "yref": "paper", "x0": local(begin), "x1": local(begin), "y0": 0, "y1": 1,
             "line": {"color": colour, "width": 1, "dash": "dot"}, "layer": "below"}
        )  # fmt: skip
        if mark.until is not None:
            shapes.append(
                {"type": "rect", "xref": "x", "yref": "paper", "x0": local(begin), "x1": local(min(mark.until, until)),
                 "y0": 0, "y1": 1, "fillcolor": colour, "opacity": _BAND, "line": {"width": 0}, "layer": "below"}
            )  # fmt: skip
    figure.update_layout(shapes=[*figure.layout.shapes, *shapes])
    figure.add_scatter(
        x=[local(max(mark.at, since)) for mark in marks],
        y=[top] * len(marks),
        mode="markers",
        marker={
            "symbol": [_SYMBOLS[mark.kind] for mark in marks],
            "color": [colours[_INKS[mark.kind]] for mark in marks],
            "size": 8,
        },
        # Somebody wrote it: a figure's text reads some markup.
        customdata=[mark.label.replace("&", "&amp;").replace("<", "&lt;") for mark in marks],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )


def list_marks(marks: Sequence[Mark]) -> None:
    """The same in words, for those who do not hover; nothing for none."""
    if not marks:
        return
    with st.expander(f"Marked on the charts: {len(marks)}"):
        table(
            ("When", "What"),
            [
                (
                    join(clock(mark.at), tag("div", age(mark.at), class_="nx-note")),
                    link(mark.label, mark.link),
                )
                for mark in reversed(marks)
            ],
            label="Marked on the charts",
        )
