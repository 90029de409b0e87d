"""Will PostgreSQL hold for a month?"""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from dashboard import charts
from dashboard import queries_probes as reads
from dashboard.access import guarded_fragment, require, told
from dashboard.components import database_words as words
from dashboard.components.concerns import concerns
from dashboard.components.filters import Shown, time_of_charts
from dashboard.components.layout import empty, page_head, section, tiles
from dashboard.components.marks import list_marks
from dashboard.components.times import age, city, local_zone, now
from dashboard.queries_marks import marks
from jobs.core.permissions import Right
from jobs.horizon.health import Verdict
from jobs.probes.attention import STALE_INTERVALS
from jobs.probes.courses import Course, Key
from jobs.probes.database import SUBJECT
from jobs.probes.latest import Figures
from jobs.probes.outlook import of_database, room_in_words, worst

require(Right.VIEW)
_SAID = {
    Verdict.OK: "The database will hold for a month",
    Verdict.WARN: "The database will hold only if somebody sees to it",
    Verdict.CRITICAL: "The database will not hold",
}
_WANTED: tuple[Key, ...] = (
    (SUBJECT, "database.connect_ms", "mean"), (SUBJECT, "database.connect_ms", "most"),
    (SUBJECT, "database.size_bytes", "most"), (SUBJECT, "database.connections", "most"),
    (SUBJECT, "database.cache_hit_ratio", "mean"),
)  # fmt: skip
_MEAN, _MOST, _GUESS = 0, 3, 4


def is_stale(figures: Figures) -> bool:
    """Whether the probe has been silent for three of its intervals: then nothing here is green."""
    return (now() - figures.at).total_seconds() > STALE_INTERVALS * words.EVERY_S


@guarded_fragment(run_every=10)
def glance() -> None:
    figures, lists = reads.database_figures(), reads.database_lists()
    if figures is None:
        page_head("The database has not been probed yet")
        empty(
            "Size, growth, connections and locks will stand here.", "The job probe-database measures them every 30 s."
        )
        return
    if is_stale(figures):
        page_head("Nobody knows how the database does: the probe is silent", age(figures.at, interval_s=words.EVERY_S))
    else:
        found = of_database(figures.values, {kind: listed.entries for kind, listed in lists.items()})
        verdict = worst(found)
        known = verdict is not Verdict.OK or "database.growth_bytes_per_day" in figures.values
        lead = room_in_words(figures.values)
        page_head(_SAID[verdict] if known else "The database does well now", f"{lead[0].upper()}{lead[1:]}.")
        concerns(found)
    tiles(words.tiles_of(figures, stale=is_stale(figures)))


@guarded_fragment(run_every=30)
def details(shown: Shown) -> None:
    """Charts and lists; one tile of two parts that fail alone, because each tile costs a look at who looks and a thread."""
    with told():
        courses(shown)
    with told():
        lists()


def courses(shown: Shown) -> None:
    found = reads.courses(_WANTED, shown.window)
    if not found.by_key:
        empty("No samples in this time.", "Choose a longer one, or wait for the probe.")
        return
    happened = marks(shown.window)
    frame = charts.Frame(found.since, found.until, happened)
    usual, slowest, size, connections, hits = (found.of(*key) for key in _WANTED)
    left, right = st.columns(2, gap="large")
    with left:
        section("Time to connect", f"times in {city(local_zone())}")
        lines = [
            charts.Line("mean", usual.at, usual.values, _MEAN),
            charts.Line("slowest", slowest.at, slowest.values, _MOST),
        ]
        charts.draw(
            charts.course(lines, unit="ms", frame=frame),
            key="connect", alt=f"How long connecting took, mean and slowest, over {shown.words}",
        )  # fmt: skip
        section("Connections", "the most of each stretch, against the limit")
        charts.draw(
            charts.course([charts.Line("connections", connections.at, connections.values)], unit="",
                          thresholds=_limit(), frame=frame),
            key="connections", alt=f"Connections over {shown.words}",
        )  # fmt: skip
    with right:
        section("Size", "dashed: as it grows now")
        lines, unit = charts.in_bytes([charts.Line("size", size.at, size.values), *_guess(size, shown)])
        charts.draw(
            charts.course(lines, unit=unit, frame=frame), key="size", alt=f"Size over {shown.words}, and to come"
        )
        section("Blocks from memory", "the rest is read from disk")
        charts.draw(
            charts.course([charts.Line("from memory", hits.at, charts.in_percent(hits.values))], unit="%", frame=frame),
            key="hits", alt=f"Share of blocks that came from memory over {shown.words}",
        )  # fmt: skip
    list_marks(happened)


def _limit() -> list[charts.Threshold]:
    figures = reads.database_figures()
    ratio = figures.values.get("database.connections_ratio") if figures else None
    if figures is None or not ratio:
        return []
    limit = figures.values["database.connections"] / ratio
    return [charts.Threshold(limit, "critical", f"limit: {limit:,.0f}", always=True)]


def _guess(size: Course, shown: Shown) -> list[charts.Line]:
    """Where the size goes at its growth of the last week, for a third of the time shown; only where it reaches now."""
    figures = reads.database_figures()
    growth = figures.values.get("database.growth_bytes_per_day") if figures else None
    last = size.values[-1] if size else None
    if growth is None or growth <= 0 or last is None or shown.window.until is not None:
        return []
    ahead = shown.window.length / 3
    then = last + growth * (ahead / timedelta(days=1))
    return [charts.Line("to come", (size.at[-1], size.at[-1] + ahead), (last, then), _GUESS, guess=True)]


def lists() -> None:
    words.lists_of(reads.database_lists())


glance()
details(time_of_charts("database"))
