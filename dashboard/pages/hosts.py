"""Will the hosts that the workers run on hold for a month?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard import charts
from dashboard import queries_probes as reads
from dashboard.access import guarded_fragment, require
from dashboard.components.concerns import concerns
from dashboard.components.filters import Shown, time_of_charts
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.marks import list_marks
from dashboard.components.markup import link, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, city, local_zone, now
from dashboard.queries_marks import marks
from jobs.core.permissions import Right
from jobs.horizon.health import Verdict
from jobs.probes.attention import STALE_INTERVALS
from jobs.probes.courses import Courses, Part
from jobs.probes.host import EVERY_S
from jobs.probes.latest import Host
from jobs.probes.outlook import of_host, worst
from jobs.probes.units import size

require(Right.VIEW)
_DRAWN = 6
"""So many hosts are told apart by their colours."""
_WANTED: tuple[tuple[str, Part], ...] = (
    ("host.cpu_ratio", "mean"), ("host.memory_used_ratio", "mean"), ("host.disk_free_bytes", "least"),
    ("host.disk_read_bytes_per_s", "mean"), ("host.disk_write_bytes_per_s", "mean"),
    ("host.network_received_bytes_per_s", "mean"),
)  # fmt: skip


def is_silent(host: Host) -> bool:
    """Whether nothing has been heard of it for three intervals: then nothing about it is green."""
    return (now() - host.figures.at).total_seconds() > STALE_INTERVALS * EVERY_S


@guarded_fragment(run_every=10)
def rows() -> None:
    found = reads.hosts()
    heard = [host for host in found if not is_silent(host)]
    if not found:
        page_head("No host has been measured yet")
        empty("CPU, memory and disk of each host will stand here.", "Every worker measures its host: `nexaops worker`.")
        return
    judged = {host.name: of_host(host.name, host.figures.values) for host in heard}
    page_head(*_headline(found, heard, worst(one for concerned in judged.values() for one in concerned)))
    concerns([one for concerned in judged.values() for one in concerned])
    section("Hosts", "of the last two days")
    table(
        (
            "Host",
            "State",
            "CPU",
            "Memory",
            "Disk free",
            "Full in",
            "Disk read, written",
            "Network in, out",
            "Workers",
            "Measured",
        ),
        [_row(host, None if is_silent(host) else worst(judged[host.name])) for host in found],
        numeric=(2, 3, 4, 5, 8),
        label="Hosts",
    )


def _headline(found: Sequence[Host], heard: Sequence[Host], verdict: Verdict) -> tuple[str, str]:
    silent = len(found) - len(heard)
    lead = (
        f"{silent} of {len(found)} {'is' if silent == 1 else 'are'} silent: no worker there measures." if silent else ""
    )
    if not heard:
        return "Nobody knows how the hosts do: all are silent", lead
    what = "The host" if len(heard) == 1 else f"All {len(heard)} hosts that are measured"
    some = what if len(heard) == 1 else "Of the hosts, one or more"
    said = {
        Verdict.OK: f"{what} will hold for a month",
        Verdict.WARN: f"{some} will hold only if somebody sees to it",
        Verdict.CRITICAL: f"{some} will not hold",
    }
    return said[verdict], lead


def _row(host: Host, verdict: Verdict | None) -> tuple[object, ...]:
    """A host; with no verdict it is silent, and what it said last is grey."""
    values = host.figures.values

    def told(metric: str, write: Callable[[float], str]) -> object:
        value = values.get(f"host.{metric}")
        return "–" if value is None else tag("span", write(value), class_="nx-stale" if verdict is None else None)

    def pair(one: str, other: str) -> object:
        return tag("span", told(f"{one}_bytes_per_s", _per_s), ", ", told(f"{other}_bytes_per_s", _per_s))

    return (
        tag("b", host.name),
        chip("stale" if verdict is None else verdict.value),
        told("cpu_ratio", lambda value: f"{value:.0%}"),
        told("memory_used_ratio", lambda value: f"{value:.0%}"),
        told("disk_free_bytes", size),
        told("disk_full_days", lambda value: f"{value:,.0f} days"),
        pair("disk_read", "disk_write"),
        pair("network_received", "network_sent"),
        link(str(host.workers), url("workers")),
        age(host.figures.at, interval_s=EVERY_S),
    )


def _per_s(value: float) -> str:
    return f"{size(value)}/s"


@guarded_fragment(run_every=30)
def courses(shown: Shown) -> None:
    names = [host.name for host in reads.hosts()][:_DRAWN]
    found = reads.courses(tuple((name, *wanted) for name in names for wanted in _WANTED), shown.window)
    if not found.by_key:
        empty("No samples in this time.", "Choose a longer one, or wait for a worker to measure its host.")
        return
    happened = marks(shown.window)
    frame = charts.Frame(found.since, found.until, happened)
    left, right = st.columns(2, gap="large")
    with left:
        section("CPU", f"mean of each stretch, times in {city(local_zone())}")
        _percent("cpu_ratio", _lines(found, names, "cpu_ratio"), frame, f"CPU of each host over {shown.words}")
        section("Disk free", "the least of each stretch")
        lines = _lines(found, names, "disk_free_bytes", "least")
        _bytes("disk_free_bytes", lines, frame, f"Free disk space of each host over {shown.words}")
        section("Disk read", "mean of each stretch")
        lines = _lines(found, names, "disk_read_bytes_per_s")
        _bytes("disk_read", lines, frame, f"Bytes read from disk on each host over {shown.words}", "/s")
    with right:
        section("Memory", "mean of each stretch")
        lines = _lines(found, names, "memory_used_ratio")
        _percent("memory", lines, frame, f"Memory of each host over {shown.words}")
        section("Network in", "mean of each stretch")
        lines = _lines(found, names, "network_received_bytes_per_s")
        _bytes("network", lines, frame, f"Bytes received by each host over {shown.words}", "/s")
        section("Disk written", "mean of each stretch")
        lines = _lines(found, names, "disk_write_bytes_per_s")
        _bytes("disk_write", lines, frame, f"Bytes written to disk on each host over {shown.words}", "/s")
    list_marks(happened)


def _lines(found: Courses, names: Sequence[str], metric: str, part: Part = "mean") -> list[charts.Line]:
    courses = [(place, name, found.of(name, f"host.{metric}", part)) for place, name in enumerate(names)]
    return [charts.Line(name, course.at, course.values, place) for place, name, course in courses if course]


def _percent(key: str, lines: Sequence[charts.Line], frame: charts.Frame, alt: str) -> None:
    scaled = [charts.Line(line.name, line.at, charts.in_percent(line.values), line.place) for line in lines]
    charts.draw(charts.course(scaled, unit="%", frame=frame), key=key, alt=alt)


def _bytes(key: str, lines: Sequence[charts.Line], frame: charts.Frame, alt: str, per: str = "") -> None:
    scaled, unit = charts.in_bytes(lines, per)
    charts.draw(charts.course(scaled, unit=unit, frame=frame), key=key, alt=alt)


rows()
courses(time_of_charts("hosts"))
