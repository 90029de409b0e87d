"""What ran, and how did it end?"""

from __future__ import annotations

import streamlit as st

from dashboard import queries_jobs as reads
from dashboard.access import guarded_fragment, require
from dashboard.components.filters import choice
from dashboard.components.job_words import asked_by, counted, first_line
from dashboard.components.layout import empty, page_head, table
from dashboard.components.markup import Html, link, tag, url
from dashboard.components.pager import before_id, pager
from dashboard.components.states import chip, word
from dashboard.components.times import age, lasted
from dashboard.queries_jobs import Filters, RunLine
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right

require(Right.VIEW)
MOST_COUNTERS = 4
_KINDS = {"real runs": False, "dry runs": True}


def chosen() -> Filters:
    """The filters, which stand in the address."""
    names = sorted({*load_jobs(), *(schedule.name for schedule in reads.schedules())})
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        job = choice("Job", names, key="job")
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
    pager("runs", older=rows[-1].id if len(rows) == reads.PAGE else None, shown=f"{len(rows)} runs, newest first")


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
    if filters != Filters() or before is not None:
        empty("No run matches.", "Take a filter away to see more.", action=link("Show every run", url("runs")))
    else:
        empty("Every run with its state, its counters and its error will stand here.",
              "Jobs run by their schedules as soon as a worker is up; Run now on the page Jobs starts one at once.",
              action=link("Jobs", url("jobs")))  # fmt: skip


page_head("Runs", "What ran, who asked for it and how it ended; newest first.")
wanted = chosen()
listed(wanted, before_id(), reads.newest_run())
