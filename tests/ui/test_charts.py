"""A chart's figure: its whole time, gaps, marks that can be pointed at, thresholds near the values, readable units.

Plotly checks each of them here, for it does not on a page.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest
import time_machine
from streamlit.testing.v1 import AppTest

from dashboard import charts
from dashboard.lanes import timeline
from dashboard.queries_marks import Mark
from dashboard.queries_runs import Bar, Lanes

NOW = datetime.now(UTC).replace(microsecond=0)
AT = tuple(NOW - timedelta(minutes=minutes) for minutes in (30, 20, 10))


def line(*values: float | None, name: str = "a", place: int = 0) -> charts.Line:
    return charts.Line(name, AT[: len(values)], values, place)


def a_page(figure: dict[str, object]) -> None:
    from dashboard import charts  # noqa: PLC0415 - it is a script of its own

    charts.draw(figure, key="it", alt="What it shows")


def course(lines: list[charts.Line], **how: Any) -> go.Figure:
    return go.Figure(charts.course(lines, **how))


def test_a_gap_breaks_the_line_and_the_time_shown_is_whole() -> None:
    frame = charts.Frame(NOW - timedelta(hours=6), NOW)
    figure = course([line(1.0, None, 3.0)], unit="s", frame=frame)
    assert figure.data[0].connectgaps is False
    assert list(figure.data[0].y) == [1.0, None, 3.0]
    assert figure.layout.xaxis.range == tuple(
        at.replace(tzinfo=None).isoformat(timespec="milliseconds") for at in (frame.since, frame.until)
    )


def test_the_pointer_says_value_unit_and_age() -> None:
    with time_machine.travel(NOW, tick=False):
        figure = course([line(1.0, 2.0, 3.0)], unit="ms")
    assert figure.data[0].hovertemplate == "%{y:,.1f} ms<extra>a</extra>"
    assert list(figure.data[1].customdata) == ["30 min ago", "20 min ago", "10 min ago"]


@pytest.mark.parametrize(("level", "always", "drawn"), [(4.0, False, True), (400.0, False, False), (400.0, True, True)])
def test_a_threshold_is_drawn_where_it_says_something(level: float, always: bool, drawn: bool) -> None:
    figure = course(
        [line(1.0, 2.0, 3.0)], unit="s", thresholds=[charts.Threshold(level, "warn", "attention", always=always)]
    )
    assert [note.text for note in figure.layout.annotations] == (["attention"] if drawn else [])
    assert len(figure.layout.shapes) == drawn
    assert (figure.layout.yaxis.range[1] > level) is drawn


def test_what_goes_below_zero_is_on_the_chart_the_right_way_up() -> None:
    figure = course([line(-1.0, -2.0, -3.0)], unit="d", thresholds=[charts.Threshold(14, "warn", "14", always=True)])
    low, high = figure.layout.yaxis.range
    assert low < -3 < 14 < high
    low, high = course([line(-1.0, -2.0, -3.0)], unit="d").layout.yaxis.range
    assert low < -3 < high


def test_marks_are_lines_bands_and_points_and_their_words_are_no_markup() -> None:
    since = NOW - timedelta(hours=1)
    marks = (
        Mark("incident", "<b>It</b> & that", since - timedelta(hours=3), NOW + timedelta(hours=1), "/incident?id=1"),
        Mark("deployment", "Version 2.4.0 runs", AT[1], None, "/releases"),
    )
    figure = course([line(1.0, 2.0, 3.0)], unit="s", frame=charts.Frame(since, NOW, marks))
    assert [shape.type for shape in figure.layout.shapes] == ["line", "line", "rect"]
    band = figure.layout.shapes[2]
    assert (band.x0, band.x1) == figure.layout.xaxis.range, "no further than the chart"
    points = figure.data[-1]
    assert list(points.customdata) == ["&lt;b>It&lt;/b> &amp; that", "Version 2.4.0 runs"]
    assert len(set(points.marker.symbol)) == 2, "not by colour alone"


def test_what_overlaps_is_one_band() -> None:
    def incident(begin: int, end: int) -> Mark:
        return Mark("incident", "It", NOW - timedelta(minutes=begin), NOW - timedelta(minutes=end), "/incident?id=1")

    frame = charts.Frame(NOW - timedelta(hours=1), NOW, (incident(50, 30), incident(40, 20), incident(10, 5)))
    figure = course([line(1.0, 2.0, 3.0)], unit="s", frame=frame)
    assert len([shape for shape in figure.layout.shapes if shape.type == "rect"]) == 2


def test_lines_that_end_together_have_names_that_do_not_cover_each_other() -> None:
    figure = course([line(1.0, 1.0, 5.0), line(1.0, 1.0, 5.0, name="b", place=1)], unit="s")
    first, second = figure.layout.annotations
    assert abs(first.yshift - second.yshift) >= 15


def test_bytes_are_told_in_the_unit_that_suits_them() -> None:
    lines, unit = charts.in_bytes([line(0.0, None, 3.0 * 2**30)], "/s")
    assert (list(lines[0].values), unit) == ([0.0, None, 3.0], "GiB/s")
    assert charts.in_bytes([])[1] == "B"


def test_too_many_points_are_refused() -> None:
    many = tuple(NOW for _ in range(charts.MOST_POINTS + 1))
    with pytest.raises(ValueError, match="bucket them in SQL"):
        course([charts.Line("a", many, [1.0] * len(many))], unit="s")


def test_a_page_sends_a_figure_as_it_was_written_and_nothing_else() -> None:
    figure = charts.course([line(1.0, None, 3.0)], unit="s", thresholds=[charts.Threshold(2.0, "warn", "attention")])
    (chart,) = AppTest.from_function(a_page, kwargs={"figure": figure}).run().get("plotly_chart")
    assert json.loads(chart.proto.spec) == json.loads(json.dumps(figure))


@pytest.mark.parametrize("state", ["succeeded", "missed", "failed"])
def test_a_lane_has_a_bar_and_what_is_not_well_a_mark_of_its_own_shape(state: str) -> None:
    bar = Bar("backup", state, 7, 3, 1, AT[0], AT[1])
    figure = go.Figure(timeline(Lanes(AT[0], NOW, timedelta(minutes=1), (bar,)), ["backup", "verify-ledger"]))
    drawn, *marks = figure.data
    assert list(drawn.x) == [timedelta(minutes=10).total_seconds() * 1000]
    assert list(drawn.base) == [AT[0].replace(tzinfo=None).isoformat(timespec="milliseconds")]
    assert [mark.marker.symbol for mark in marks] == {"missed": ["triangle-up"], "failed": ["diamond"]}.get(state, [])
    assert f"{AT[0]:%H:%M:%S} to {AT[1]:%H:%M:%S} UTC" in drawn.customdata[0]


def test_when_the_clocks_go_back_the_times_on_the_axis_do_too() -> None:
    summer = datetime(2026, 10, 25, 0, 59, tzinfo=UTC)
    assert charts.local_times((summer, summer + timedelta(minutes=2)), ZoneInfo("Europe/Berlin")) == (
        "2026-10-25T02:59:00.000",
        "2026-10-25T02:01:00.000",
    )


def test_without_any_value_there_is_still_a_chart() -> None:
    assert course([], unit="s", frame=charts.Frame(NOW - timedelta(hours=1), NOW)).layout.yaxis.range[1] > 0
