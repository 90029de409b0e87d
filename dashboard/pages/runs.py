"""What ran, and how did it end? As a list, by what went wrong, and over time."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from dashboard import charts
from dashboard import lanes as drawing
from dashboard import queries_jobs as reads
from dashboard import queries_runs as over_time
from dashboard.access import guarded_fragment, may, require
from dashboard.components.failure_groups import draw_groups
from dashboard.components.filters import RANGES, choice, time_shown
from dashboard.components.job_words import asked_by, counted, first_line
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.pager import before_id, first_page, pager
from dashboard.components.states import chip, word
from dashboard.components.times import age, city, lasted, local_zone
from dashboard.queries_jobs import Filters, RunLine
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right

person = require(Right.VIEW)
MOST_COUNTERS = 4
NAMES = tuple(sorted({*load_jobs(), *(schedule.name for schedule in reads.schedules())}))
LIST, MISSED, FAILURES, TIMELINE = "list", "missed", "failures", "timeline"
_KINDS = {"real runs": False, "dry runs": True}


def chosen(view: str) -> Filters:
    """The filters, which stand in the address."""
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        job = choice("Job", NAMES, key="job")
        if view == MISSED:
            return Filters(job, "missed")
        state = choice("State", [word(name) for name in reads.STATES], key="state")
        trigger = choice("Asked for by", reads.TRIGGERS, key="trigger")
        kind = choice("Dry run", _KINDS, key="kind")
    named = next((name for name in reads.STATES if word(name) == state), None)
    return Filters(job, named, trigger, _KINDS[kind] if kind is not None else None)


@guarded_fragment(run_every=5, parallel=False)
def listed(filters: Filters, before: int | None, newest: int) -> None:
    """The rows as they stand; which rows they are stays as it was when the page was opened, so that nothing jumps."""
    if before is None:
        _newer(filters, newest)
    rows = reads.run_list(filters, newest + 1 if before is None else before)
    if not rows:
        _nothing(filters, before)
        return
    table(
        ("Run", "Job", "State", "Asked for by", "Started", "Took", "What it did"),
        [
            (
                link(tag("b", str(run.id)), url("run", id=run.id), title=f"Run {run.id} of {run.job}"),
                tag("div", run.job, tag("div", "dry run", class_="nx-note") if run.dry_run else ""),
                chip(run.state),
                tag("div", asked_by(run), tag("div", first_line(run.reason), class_="nx-note") if run.reason else ""),
                age(run.started_at, none="not started"),
                lasted(run.seconds),
                did(run),
            )
            for run in rows
        ],
        numeric=(5,),
        label="Runs, newest first",
    )
    shown = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    pager("runs", older=rows[-1].id if len(rows) == reads.PAGE else None, shown=f"{shown}, newest first")


def did(run: RunLine) -> Html:
    """The counters in short; before them, for what did not succeed, why."""
    counts = [f"{counted(name)} {count:,}" for name, count in run.counters.items() if count][:MOST_COUNTERS]
    if run.state == "running" and run.done is not None and run.total:
        counts.insert(0, f"{run.done:,} of {run.total:,}")
    why = tag("div", first_line(run.error)) if run.error and run.state != "succeeded" else ""
    return tag("div", why, tag("div", ", ".join(counts), class_="nx-note") if counts or not why else "")


def _newer(filters: Filters, newest: int) -> None:
    """Says that there are newer runs than the list shows; showing them is up to the reader."""
    newer = reads.newer_runs(filters, newest)
    if not newer:
        return
    count = f"{reads.NEWER_MOST}+" if newer > reads.NEWER_MOST else str(newer)
    label = f"Show {count} newer {'run' if newer == 1 else 'runs'}"
    if st.button(label, key="newer", type="tertiary", icon=":material/arrow_upward:"):
        st.rerun()


def _nothing(filters: Filters, before: int | None) -> None:
    if filters == Filters(state="missed") and before is None:
        empty(
            "No slot was missed.", "Slots that no worker claimed in time will stand here, with how many and since when."
        )
    elif filters != Filters() or before is not None:
        empty("No run matches.", "Take a filter away to see more.", action=link("Show every run", url("runs")))
    else:
        empty("Every run with its state, its counters and its error will stand here.",
              "Jobs run by their schedules as soon as a worker is up; Run now on the page Jobs starts one at once.",
              action=link("Jobs", url("jobs")))  # fmt: skip


def narrowed() -> tuple[str | None, str, timedelta]:
    """The job and the time that the failures and the timeline are narrowed to."""
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        job = choice("Job", NAMES, key="job")
        return job, *time_shown(RANGES, default="24h")


def failures() -> None:
    # Not drawn anew by itself: a list that one reads and presses buttons in must hold still.
    job, said, length = narrowed()
    draw_groups(over_time.failures(length, job), said=said, may_run=may(person, Right.RUN_JOBS))


@guarded_fragment(run_every=30)
def timeline(job: str | None, said: str, length: timedelta) -> None:
    found = over_time.lanes(NAMES if job is None else (job,), length)
    names = [name for name in NAMES if any(bar.job == name for bar in found.bars)]
    section("Timeline", join(f"the last {said}, times in {city(local_zone())}, as of ", age(found.until)))
    if not names:
        empty("No run ended in this time.", "Choose a longer one, or run a job on the page Jobs.")
        return
    runs, failed = sum(bar.runs for bar in found.bars), sum(bar.failed for bar in found.bars)
    alt = f"{runs:,} runs of {len(names)} jobs in the last {said}, {failed:,} of them failed"
    charts.draw(drawing.timeline(found, names), key="lanes", alt=alt)
    worst = [bar for bar in found.bars if bar.failed]
    table(
        ("Job", "Runs", "Failed", "Newest failure"),
        [_lane(name, [bar for bar in found.bars if bar.job == name], [bar for bar in worst if bar.job == name])
         for name in names],
        numeric=(1, 2), label="Runs of the timeline by job",
    )  # fmt: skip


def _lane(name: str, bars: list[over_time.Bar], worst: list[over_time.Bar]) -> tuple[object, ...]:
    newest = worst[-1] if worst else None
    return (
        link(name, url("runs", job=name)),
        f"{sum(bar.runs for bar in bars):,}",
        f"{sum(bar.failed for bar in bars):,}",
        tag(
            "div",
            link(f"run {newest.run_id}", url("run", id=newest.run_id)),
            tag("div", age(newest.last), class_="nx-note"),
        )
        if newest
        else "–",
    )


page_head("Runs", "What ran, who asked for it and how it ended.")
view = st.segmented_control(
    "View", [LIST, MISSED, FAILURES, TIMELINE], default=LIST, required=True, key="view", bind="query-params",
    label_visibility="collapsed", on_change=first_page,
)  # fmt: skip
if view == FAILURES:
    failures()
elif view == TIMELINE:
    timeline(*narrowed())
else:
    listed(chosen(view or LIST), before_id(), reads.newest_run())
