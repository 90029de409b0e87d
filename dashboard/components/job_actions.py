"""What a person can do to jobs and runs from a page: run now, pause, resume, stop, repeat what failed alike.

Each dialog names what will happen before it happens. Its button acts in `on_click`, so that a wrong value is told
beside its field and leaves the dialog open; the command asks for the right again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries
from dashboard.access import origin
from dashboard.actions import WHERE_WHY_STANDS, ask, attempt, confirm, refusal_to
from dashboard.components.instants import written
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.param_form import draw_fields, read_fields
from dashboard.components.states import chip
from dashboard.components.times import now
from jobs.core.flags import Flag
from jobs.core.jobs import Job, load_jobs
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.run.again import MOST_AGAIN, Repeat, repeat_runs
from jobs.run.failures import Group
from jobs.run.store import RunRow, request_run, stop_run
from jobs.schedule.store import pause, resume

# What a run of a job behind this flag changes, to complete "Runs <job> now …".
_CHANGES: Mapping[Flag, str] = {
    Flag.RECONCILIATION: " on PENDING transactions; money may move",
    Flag.RETRY: " on FAILED transactions of the last 24 hours; money may move",
    Flag.CLEANUP: "; old notifications are deleted for good",
}
_LENGTHS: Mapping[str, timedelta | None] = {
    "until it is resumed": None,
    "15 minutes": timedelta(minutes=15),
    "1 hour": timedelta(hours=1),
    "4 hours": timedelta(hours=4),
    "24 hours": timedelta(hours=24),
    "7 days": timedelta(days=7),
}


def run_dialog(job: Job, *, key: str, given: Mapping[str, Any] | None = None, dry_run: bool = False) -> None:
    """Opens the dialog that runs a job: its parameters (`given` ones filled in), dry run, why.

    Call it where a button was pressed, outside of fragments. Once the run is queued the dialog leads to its page.
    """
    problem, started = f"{key}-problem", f"{key}-started"

    def confirmed() -> None:
        if started in st.session_state:
            return  # a second click that was under way
        state = st.session_state
        params, reason = read_fields(job.params, key=key), str(state.get(f"{key}-why", "")).strip()

        def command(conn: Connection, person: Person) -> int:
            return request_run(
                conn, job=job.name, params=params, dry_run=bool(state.get(f"{key}-dry")), actor=person.email,
                reason=reason or None, origin=origin(),
            )  # fmt: skip

        if (run_id := attempt(Right.RUN_JOBS, command, refusal_to(problem))) is not None:
            st.session_state[started] = run_id

    def body() -> None:
        if (run_id := st.session_state.get(started)) is not None:
            show(
                tag("p", chip("queued", f"Run {run_id} is queued"), " A worker takes it within a moment."),
                tag("p", link(f"Follow run {run_id}", url("run", id=run_id), class_="nx-link nx-onward")),
            )
            return
        show(tag("p", job.does, class_="nx-quiet"))
        draw_fields(job.params, key=key, given=given or {})
        dry = st.checkbox("Dry run: decide everything, change nothing", value=dry_run, key=f"{key}-dry")
        show(tag("p", consequence(job, dry=dry), class_="nx-strong"), _switched(job))
        st.text_area("Why (optional)", key=f"{key}-why", max_chars=500, height=88, placeholder=WHERE_WHY_STANDS)
        confirm(f"Run {job.name} dry" if dry else f"Run {job.name}", problem, key=key, on_click=confirmed)

    for name in (problem, started):
        st.session_state.pop(name, None)
    st.dialog(job.title)(body)()


def consequence(job: Job, *, dry: bool) -> str:
    """What pressing the button does, in one sentence."""
    if dry:
        return f"Runs {job.name} now and changes nothing: dry run."
    return f"Runs {job.name} now{'' if job.flag is None else _CHANGES.get(job.flag, '')}."


def _switched(job: Job) -> object:
    """What the flags make of the run, when they make something of it."""
    off = {state.flag for state in queries.standing().facts.flags if state.unusual}
    if job.flag is not None and job.flag in off:
        return tag("p", chip("warn", f"{job.flag.value} is off"), ": the run will be skipped.")
    if Flag.DRY_RUN in off:
        return tag("p", chip("warn", "dryRun is on"), ": whatever is chosen here, nothing is changed.")
    return ""


def ask_pause(name: str, *, key: str) -> None:
    """Opens the dialog that pauses a job's schedule: for how long, and why."""

    def command(conn: Connection, person: Person, reason: str) -> str:
        length = _chosen(key)
        until = None if length is None else now() + length
        pause(conn, name, actor=person.email, reason=reason, until=until, origin=origin())
        return f"{name} is paused."

    def consequence() -> Html:
        st.selectbox("For how long", list(_LENGTHS), key=f"{key}-length")
        length = _chosen(key)
        until = (
            " until somebody resumes it" if length is None else join(" until ", written(now() + length, seconds=False))
        )
        return join(
            tag("p", "No run of ", name, " starts by its schedule", until, ".", class_="nx-strong"),
            tag("p", "What runs goes on, and it can still be run by hand.", class_="nx-quiet"),
        )

    ask(f"Pause {name}", consequence, verb=f"Pause {name}", right=Right.PAUSE_JOBS, command=command, key=key)


def _chosen(key: str) -> timedelta | None:
    return _LENGTHS[st.session_state.get(f"{key}-length", next(iter(_LENGTHS)))]


def ask_resume(name: str, *, key: str) -> None:
    """Opens the dialog that lets a paused schedule go on."""

    def command(conn: Connection, person: Person, reason: str) -> str:
        resume(conn, name, actor=person.email, reason=reason, origin=origin())
        return f"{name} runs on its schedule again."

    what = f"{name} starts by its schedule again from now on; what lay within the pause is not made good."
    ask(f"Resume {name}", what, verb=f"Resume {name}", right=Right.PAUSE_JOBS, command=command, key=key)


def ask_stop(run: RunRow, *, key: str) -> None:
    """Opens the dialog that stops a queued or running run."""

    def command(conn: Connection, person: Person, reason: str) -> str:
        stop_run(conn, run.id, person.email, reason, origin=origin())
        return f"Run {run.id} is asked to stop." if run.state == "running" else f"Run {run.id} will not start."

    what = (
        f"Asks run {run.id} to stop at its next batch: what it has done stays done, the rest waits for the next run."
        if run.state == "running"
        else f"Takes run {run.id} out of the queue: it will not start."
    )
    ask(f"Stop run {run.id}", what, verb=f"Stop run {run.id}", right=Right.STOP_RUNS, command=command, key=key)


def ask_repeat(group: Group, left: Sequence[Repeat], *, key: str) -> None:
    """Opens the dialog that runs a whole group of failures again: which runs, and what they change."""
    chosen = left[:MOST_AGAIN]

    def command(conn: Connection, person: Person, reason: str) -> str:
        # Those that the dialog has named and no others, whatever has failed meanwhile.
        ids = [repeat.id for repeat in chosen]
        queued = repeat_runs(conn, ids, actor=person.email, reason=reason, origin=origin())
        return f"Run {queued[0]} is queued." if len(queued) == 1 else f"{len(queued)} runs are queued."

    many = "1 run" if len(chosen) == 1 else f"{len(chosen)} runs"
    what = join(
        tag("p", f"Queues {many} now:", class_="nx-strong"),
        tag("ul", *(tag("li", line) for line in repeats_in_words(chosen)), class_="nx-list"),
        tag("p", _left_out(len(group.runs), len(left)), class_="nx-quiet"),
    )
    ask("Retry all of this group", lambda: what, verb=f"Retry {many}", right=Right.RUN_JOBS, command=command, key=key)


def repeats_in_words(left: Sequence[Repeat]) -> list[str]:
    """What running these again does, a line a job."""
    jobs = load_jobs()
    lines = []
    for (name, dry), count in Counter((repeat.job, repeat.dry_run) for repeat in left).items():
        flag = jobs[name].flag if name in jobs else None
        effect = "; dry, nothing is changed" if dry else "" if flag is None else _CHANGES.get(flag, "")
        lines.append(f"{name}{f', {count} times' if count > 1 else ''}{effect}")
    return lines


def _left_out(failed: int, left: int) -> str:
    if left > MOST_AGAIN:
        return f"The newest {MOST_AGAIN} of the {left:,} that can be repeated; press again for the others."
    if failed > left:
        return (
            f"{failed:,} failed like this. Of those that would do the same only the newest runs again, and none that"
            " a later run has replaced."
        )
    return "Each runs with the parameters that it had."
