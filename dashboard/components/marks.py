"""Deployments, flags, incidents and maintenance on charts: thin lines and bands, named on hover, and listed below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import streamlit as st

from dashboard.components.layout import table
from dashboard.components.markup import join, link, tag
from dashboard.components.times import age, clock
from dashboard.queries_marks import Mark

# A shape for each, so that colour alone says nothing; the ink is that of states only where it is one.
_SYMBOLS = {"incident": "diamond", "maintenance": "square", "deployment": "triangle-down", "flag": "circle"}
_INKS = {"incident": "critical", "maintenance": "off", "deployment": "text", "flag": "quiet"}
_BAND = 0.1


def marks_on(
    marks: Sequence[Mark],
    *,
    since: datetime,
    until: datetime,
    local: Callable[[tuple[datetime, ...]], tuple[str, ...]],
    top: float,
    colours: Mapping[str, str],
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Shapes, and a trace to point at, for a figure whose times are `local` and whose values reach up to `top`."""
    begins = local(tuple(max(mark.at, since) for mark in marks))
    inks = [colours[_INKS[mark.kind]] for mark in marks]
    whole = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    shapes: list[dict[str, object]] = [
        {**whole, "type": "line", "x0": begin, "x1": begin, "line": {"color": ink, "width": 1, "dash": "dot"}}
        for begin, ink in zip(begins, inks, strict=True)
    ]
    for kind, *ends in _bands(marks, since, until):
        begin, end = local(tuple(ends))
        look = {"fillcolor": colours[_INKS[kind]], "opacity": _BAND, "line": {"width": 0}}
        shapes.append({**whole, "type": "rect", "x0": begin, "x1": end, **look})
    trace: dict[str, object] = {
        "type": "scatter",
        "mode": "markers",
        "x": begins,
        "y": [top] * len(marks),
        "marker": {"symbol": [_SYMBOLS[mark.kind] for mark in marks], "color": inks, "size": 8, "line": {"width": 0}},
        # Somebody wrote it: a figure's text reads some markup.
        "customdata": [mark.label.replace("&", "&amp;").replace("<", "&lt;") for mark in marks],
        "hovertemplate": "%{customdata}<extra></extra>",
        "cliponaxis": False,
    }
    return shapes, trace


def _bands(marks: Sequence[Mark], since: datetime, until: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """From when to when something of a kind lasted; what overlaps is one band, for two would hide the lines below."""
    for kind in _SYMBOLS:
        lasting = sorted(
            (max(mark.at, since), min(mark.until, until))
            for mark in marks
            if mark.kind == kind and mark.until is not None
        )
        begun: tuple[datetime, datetime] | None = None
        for begin, end in lasting:
            if begun is not None and begin <= begun[1]:
                begun = (begun[0], max(begun[1], end))
                continue
            if begun is not None:
                yield kind, *begun
            begun = (begin, end)
        if begun is not None:
            yield kind, *begun


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
