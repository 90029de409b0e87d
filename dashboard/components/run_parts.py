"""The parts of a run's page: figures, progress, course of time, and the facts about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson
import streamlit as st

from dashboard.components.eta import Look, remember, seconds_left
from dashboard.components.instants import instant
from dashboard.components.job_words import asked_by, counted
from dashboard.components.layout import tiles
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.numbers import figure
from dashboard.components.states import chip
from dashboard.components.times import lasted
from dashboard.queries_jobs import Neighbours, RunLine
from jobs.probes.attention import span
from jobs.run.store import RunRow


def counters(run: RunRow) -> None:
    """What it counted, as figures; what stayed at nothing comes last and quiet."""
    if not run.counters:
        return
    some = [figure(f"{count:,}", label=counted(name)) for name, count in run.counters.items() if count]
    none = [counted(name) for name, count in run.counters.items() if not count]
    if some:
        tiles(some)
    if none:
        show(tag("p", "None: ", ", ".join(none), class_="nx-note nx-zeros"))


def progress(run: RunRow, now: datetime) -> None:
    """How far it is and how long it may still take; nothing for what says no total or does not run."""
    if run.state != "running" or run.progress_done is None or not run.progress_total:
        return
    done, total = run.progress_done, run.progress_total
    key = f"looks-{run.id}"
    looks = st.session_state[key] = remember(st.session_state.get(key, ()), Look(now, done))
    left = seconds_left(looks, total, started=run.started_at)
    words = f"{done:,} of {total:,}" + (f", about {span(left)} left" if left is not None else "")
    st.progress(max(0.0, min(1.0, done / total)), text=words)


def timeline(run: RunRow) -> None:
    """Queued, started, ended: when, and how long it was between them."""
    due = run.slot or run.queued_at
    steps = [_step("Queued", run.queued_at, join("for its slot ", instant(run.slot)) if run.slot else "")]
    if run.started_at is not None:
        waited = max(0.0, (run.started_at - due).total_seconds())
        since = "after its slot" if run.slot else "after it was queued"
        steps.append(_step("Started", run.started_at, f"{lasted(waited)} {since}" if waited >= 0.1 else "at once"))
    elif not run.finished:
        steps.append(_step("Started", None, "waits for a worker"))
    if run.finished_at is not None:
        steps.append(_step("Ended", run.finished_at, f"after {lasted(run.duration_s)}" if run.started_at else ""))
    elif run.started_at is not None:
        steps.append(_step("Ended", None, f"{run.stop_by} asked it to stop" if run.stop_by else "still running"))
    show(tag("ol", *steps, class_="nx-course"))


def _step(name: str, at: datetime | None, note: object) -> Html:
    return tag(
        "li",
        tag("div", name, class_="nx-label"),
        tag("div", instant(at) if at is not None else "–"),
        tag("div", note, class_="nx-note"),
        class_=None if at is not None else "nx-ahead",
    )


def facts(run: RunRow, retries: Sequence[RunLine], near: Neighbours) -> None:
    """What was asked for, by whom and why, and where it ran."""
    rows: list[tuple[str, object]] = [("Asked for by", asked_by(run))]
    if run.reason:
        rows.append(("Why", run.reason))
    rows.append(("Parameters", _params(run)))
    rows.append(("Dry run", "yes: it decides everything and changes nothing" if run.dry_run else "no"))
    if run.started_at is not None:
        worker = (
            f", worker {str(run.worker_id)[:8]}"
            if run.worker_id
            else ", at a shell"
            if run.triggered_by.startswith("cli:")
            else ""
        )
        rows.append(("Where", f"{run.host or 'unknown host'}{worker}"))
    if run.attempt:
        rows.append(("Attempt", str(run.attempt)))
    if run.retry_of is not None:
        rows.append(("Repeats", link(f"run {run.retry_of}", url("run", id=run.retry_of), class_="nx-link nx-inline")))
    if retries:
        rows.append(("Repeated by", join(*(tag("div", _retry(item)) for item in retries))))
    if run.stop_by is not None:
        rows.append(("Stopped by", run.stop_by))
    others = {
        "the last success": near.success,
        "the run before it": near.before if near.before != near.success else None,
    }
    compared = [
        link(f"{name}, run {other}", url("compare", id=run.id, **{"with": other}), class_="nx-link nx-inline")
        for name, other in others.items()
        if other is not None
    ]
    if compared and run.started_at is not None:
        rows.append(("Compare with", join(*(tag("div", one) for one in compared))))
    show(tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in rows), class_="nx-facts"))


def _params(run: RunRow) -> Html:
    given = {name: value for name, value in run.params.items() if value is not None}
    if not given:
        return esc("the defaults")
    return join(*(tag("div", f"{counted(name)}: ", _shown(value)) for name, value in given.items()))


def _shown(value: object) -> Html:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return tag("span", text, class_="nx-mono")


def _retry(item: RunLine) -> Html:
    return join(link(f"run {item.id}", url("run", id=item.id), class_="nx-link nx-inline"), " ", chip(item.state))
