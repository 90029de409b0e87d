"""The Horizon page's charts: how old ledgers are, how fast and how well the servers answer, and what the network asks for."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import charts
from dashboard import queries_probes as probes
from dashboard.components.filters import Shown
from dashboard.components.layout import empty, section
from dashboard.components.marks import list_marks
from dashboard.components.times import city, local_zone
from dashboard.queries_marks import marks
from jobs.core.settings import Settings
from jobs.probes.courses import Courses, Part
from jobs.probes.figures import Requests
from jobs.probes.samples import FAILURES

_WANTED: tuple[tuple[str, Part], ...] = (
    ("horizon.age_s", "most"), ("horizon.latency_ms", "most"), ("horizon.capacity_ratio", "most"),
    ("horizon.fee_p50_stroops", "mean"), ("horizon.fee_p95_stroops", "mean"),
)  # fmt: skip
# Servers have the places from 0 on, in the order in which they are configured.
_P50, _P95, _P99 = 4, 3, 5


def short(server: str) -> str:
    """A server's name without its scheme."""
    return server.partition("://")[2]


def horizon_charts(settings: Settings, servers: Sequence[str], shown: Shown, asked: Requests) -> None:
    """Six at most, all of the same time."""
    found = probes.courses(tuple((server, *wanted) for server in servers for wanted in _WANTED), shown.window)
    if not found.by_key and not asked.total:
        empty("No samples in this time.", "Choose a longer one, or wait for the probe.")
        return
    happened = marks(shown.window)
    frame = charts.Frame(found.since, found.until, happened)
    zone = f"times in {city(local_zone())}"
    left, right = st.columns(2, gap="large")
    with left:
        section("Age of the newest ledger", f"the worst of each stretch, {zone}")
        thresholds = [
            charts.Threshold(settings.horizon_age_warn_s, "warn", "attention"),
            charts.Threshold(settings.horizon_age_critical_s, "critical", "critical"),
        ]
        figure = charts.course(
            _by_server(found, servers, "horizon.age_s"), unit="s", thresholds=thresholds, frame=frame
        )
        charts.draw(figure, key="age", alt=f"Age of each server's newest ledger over {shown.words}")
        section("Latency of the probe", "the slowest of each stretch")
        figure = charts.course(_by_server(found, servers, "horizon.latency_ms"), unit="ms", frame=frame)
        charts.draw(figure, key="latency", alt=f"Latency of each server's answer to the probe over {shown.words}")
        section("Fees", "what transactions paid, in stroops")
        charts.draw(
            charts.course(_fees(found, servers), unit="stroops", frame=frame),
            key="fees", alt=f"Fees that were charged, median and p95, over {shown.words}",
        )  # fmt: skip
    with right:
        section("Latency of all requests", "p50, p95 and p99 of each stretch")
        figure = charts.course(_percentiles(asked), unit="ms", thresholds=_p95_limits(settings), frame=frame)
        charts.draw(figure, key="percentiles", alt=f"p50, p95 and p99 of all requests over {shown.words}")
        section("Requests that fail", "of each stretch's requests, by kind")
        figure = charts.course(_errors(asked), unit="%", thresholds=_error_limits(settings), frame=frame)
        charts.draw(figure, key="errors", alt=f"Share of requests that failed, by kind, over {shown.words}")
        section("How full ledgers are", "the fullest of each stretch")
        full = [
            charts.Line(line.name, line.at, charts.in_percent(line.values), line.place)
            for line in _by_server(found, servers, "horizon.capacity_ratio")
        ]
        limit = charts.Threshold(settings.horizon_capacity_warn * 100, "warn", "attention")
        charts.draw(
            charts.course(full, unit="%", thresholds=[limit], frame=frame),
            key="capacity", alt=f"How full ledgers were over {shown.words}",
        )  # fmt: skip
    list_marks(happened)


def _by_server(found: Courses, servers: Sequence[str], metric: str) -> list[charts.Line]:
    courses = [(place, server, found.of(server, metric, "most")) for place, server in enumerate(servers)]
    return [charts.Line(short(server), course.at, course.values, place) for place, server, course in courses if course]


def _fees(found: Courses, servers: Sequence[str]) -> list[charts.Line]:
    """The network's, as the first server tells them that has any: they are the same on all."""
    for server in servers:
        p50, p95 = (found.of(server, f"horizon.fee_{name}_stroops", "mean") for name in ("p50", "p95"))
        if p50:
            return [charts.Line("p50", p50.at, p50.values, _P50), charts.Line("p95", p95.at, p95.values, _P95)]
    return []


def _percentiles(asked: Requests) -> list[charts.Line]:
    at = tuple(at for at, _ in asked.course)
    moments = [moment for _, moment in asked.course]
    return [
        charts.Line("p50", at, [None if one is None else one.p50 for one in moments], _P50),
        charts.Line("p95", at, [None if one is None else one.p95 for one in moments], _P95),
        charts.Line("p99", at, [None if one is None else one.p99 for one in moments], _P99),
    ]


def _errors(asked: Requests) -> list[charts.Line]:
    """A line a kind that there is, in the order of `FAILURES`; where nothing failed one line of zeros."""
    at = tuple(at for at, _ in asked.course)
    there = [kind for kind, _ in asked.errors]
    order = list(FAILURES)
    lines = [
        charts.Line(
            FAILURES.get(kind, kind.replace("_", " ")),
            at,
            [None if one is None else one.errors.get(kind, 0) / one.requests * 100 for _, one in asked.course],
            order.index(kind) if kind in order else len(order),
        )
        for kind in sorted(there, key=lambda kind: order.index(kind) if kind in order else len(order))
    ]
    return lines or [charts.Line("none", at, [None if one is None else 0.0 for _, one in asked.course])]


def _p95_limits(settings: Settings) -> list[charts.Threshold]:
    return [
        charts.Threshold(settings.horizon_p95_warn_ms, "warn", "p95: attention"),
        charts.Threshold(settings.horizon_p95_critical_ms, "critical", "p95: critical"),
    ]


def _error_limits(settings: Settings) -> list[charts.Threshold]:
    return [
        charts.Threshold(settings.horizon_errors_warn * 100, "warn", "attention"),
        charts.Threshold(settings.horizon_errors_critical * 100, "critical", "critical"),
    ]
