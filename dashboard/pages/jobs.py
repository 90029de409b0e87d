"""Does everything run as it should?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import queries
from dashboard import queries_jobs as reads
from dashboard import queries_runs as figured
from dashboard.access import guarded_fragment, may, require
from dashboard.components.broken_jobs import show_broken_jobs
from dashboard.components.instants import instant
from dashboard.components.job_actions import ask_pause, ask_resume, run_dialog
from dashboard.components.job_figures import figures
from dashboard.components.job_words import OPEN, Said, busy_of, paused_now, standing_of
from dashboard.components.layout import empty, page_head, problems
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.states import chip
from dashboard.components.strips import Bar, strip
from dashboard.components.times import age, clock, lasted, now
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right
from jobs.core.settings import Settings, variables
from jobs.probes.attention import Problem, Severity
from jobs.probes.model import Facts
from jobs.schedule.broken import broken_jobs
from jobs.schedule.model import Schedule
from jobs.schedule.words import in_words, next_fires

person = require(Right.VIEW)
JOBS = load_jobs()
SCHEDULES: Mapping[str, Schedule] = {schedule.name: schedule for schedule in reads.schedules()}
NAMES = tuple(sorted({*JOBS, *SCHEDULES}))
BARS = 30  # runs that a strip shows: each wide enough to be pointed at


def standings() -> Mapping[str, Said]:
    """How each job stands, what is wrong first."""
    facts, strips = queries.standing().facts, queries.job_strips(NAMES, BARS)
    said = {name: _standing(name, facts, strips[name]) for name in NAMES}
    return dict(sorted(said.items(), key=lambda item: item[1].rank))


@guarded_fragment(run_every=5, parallel=False)
def living(head: DeltaGenerator, places: Mapping[str, DeltaGenerator]) -> None:
    """What changes by itself; the buttons stand outside, so that nothing is redrawn under a finger or a dialog.

    For the same reason the rows stay in the order of the places, whatever becomes of the jobs meanwhile.
    """
    schedules = {schedule.name: schedule for schedule in reads.schedules()}
    strips, counted, said = queries.job_strips(NAMES, BARS), figured.figures(NAMES), standings()
    as_of = age(counted.read_at)
    with head.container():
        page_head(*_headline(said))
        problems(_elsewhere(queries.standing().problems))
    for name, place in places.items():
        numbers = figures(counted.jobs.get(name), as_of)
        place.html(_row(name, schedules.get(name), said[name], strips[name], numbers))


def _elsewhere(found: Sequence[Problem]) -> list[Problem]:
    """What concerns the jobs and stands in none of their rows: workers, and flags that are no single job's."""
    flags = tuple(f"{job.flag.value} " for job in JOBS.values() if job.flag is not None)
    here = [
        item for item in found if item.link in ("/jobs", "/workers", "/flags") and item.severity is not Severity.NOTE
    ]
    return [item for item in here if not item.sentence.startswith(flags)]


def _standing(name: str, facts: Facts, bars: Sequence[Bar]) -> Said:
    if name not in JOBS:
        return Said("warn", "unknown to this version", join("it has a schedule, but no installed package brings it"))
    job = next((item for item in facts.jobs if item.name == name), None)
    if JOBS[name].schedule is None and job is None:
        return Said("wait", "runs when asked", join())
    needs = JOBS[name].needs
    if needs is not None and job is not None and not job.enabled:
        return Said("wait", "not set up", join(f"it needs {variables(Settings.model_fields[needs])[0]}"))
    flag = next((state for state in facts.flags if state.flag is JOBS[name].flag), None)
    return standing_of(job, flag, bars, now())


def _headline(said: Mapping[str, Said]) -> tuple[str, str]:
    """Whether everything runs as it should, and what does not."""
    ill = [name for name, item in said.items() if not item.well]
    if not ill and (broken := broken_jobs()):
        names = ", ".join(it.name for it in broken)
        return (
            f"{names} {'is' if len(broken) == 1 else 'are'} broken",
            f"The {len(said)} jobs that work run as they should.",
        )
    if not ill:
        return f"All {len(said)} jobs run as they should", "What each does, how it stands, and when it runs next."
    if len(ill) > 1:
        return f"{len(ill)} of {len(said)} jobs need a look", ", ".join(ill)
    alone = said[ill[0]]
    verb = "" if alone.state == "failed" else "is "
    return f"{ill[0]} {verb}{alone.words}", f"The other {len(said) - 1} run as they should."


def _row(name: str, schedule: Schedule | None, said: Said, bars: Sequence[Bar], numbers: Html) -> Html:
    job = JOBS.get(name)
    return tag(
        "div",
        tag(
            "div",
            tag("h2", link(name, url("runs", job=name), title=f"All runs of {name}")),
            tag("div", job.does if job else "", class_="nx-note"),
        ),
        tag("div", said.markup, busy_of(bars)),
        tag("div", *_when(schedule, asked=job is not None and job.schedule is None)),
        tag("div", strip(bars, f"Last runs of {name}"), tag("div", _last(bars), class_="nx-note nx-last"), numbers),
        class_="nx-jobrow",
    )


def _when(schedule: Schedule | None, *, asked: bool) -> tuple[object, ...]:
    if schedule is None:
        return (tag("div", "whenever somebody runs it" if asked else "no schedule yet"),)
    coming: object
    if due := next_fires(schedule, now(), 3):
        then = [join(", then " if place == 0 else ", ", clock(at)) for place, at in enumerate(due[1:])]
        coming = join("next ", instant(due[0]), *then)
    else:
        coming = "no next run until it is resumed" if schedule.enabled else "no next run while it is off"
    words = link(in_words(schedule), url("schedule", name=schedule.name), title=f"The schedule of {schedule.name}")
    return tag("div", words), tag("div", coming, class_="nx-note")


def _last(bars: Sequence[Bar]) -> Html:
    ended = [bar for bar in bars if bar.state not in OPEN]
    if not ended:
        return tag("span", "no run has ended yet")
    last = ended[-1]
    return join(
        tag("span", link(chip(last.state), url("run", id=last.run_id)), " ", age(last.at)),
        tag("span", "" if last.seconds is None else f"took {lasted(last.seconds)}"),
    )


def actions(name: str) -> None:
    """The buttons of a row: only what this person may do."""
    if name in JOBS and may(person, Right.RUN_JOBS) and _button("Run now", "run", name, icon=":material/play_arrow:"):
        run_dialog(JOBS[name], key=f"run-form-{name}")
    if name not in SCHEDULES or not may(person, Right.PAUSE_JOBS):
        return
    if paused_now(SCHEDULES[name], now()):
        if _button("Resume", "resume", name):
            ask_resume(name, key=f"resume-form-{name}")
    elif _button("Pause", "pause", name):
        ask_pause(name, key=f"pause-form-{name}")


def _button(label: str, verb: str, name: str, icon: str | None = None) -> bool:
    kind: Literal["secondary", "tertiary"] = "secondary" if icon else "tertiary"
    return st.button(label, key=f"{verb}-{name}", help=f"{label}: {name}", icon=icon, type=kind, width="stretch")


if not NAMES:
    page_head("Jobs")
    empty("Every job with its schedule, its last result and its next run will stand here.",
          "They come with the installed packages and the first worker: `nexaops worker`.")  # fmt: skip
    st.stop()
top = st.empty()
show_broken_jobs()
rows: dict[str, DeltaGenerator] = {}
# One grid of rows and buttons (engine.css), not a container for each: those would be half of what the page costs.
with st.container(key="nx-joblist"):
    for each in standings():
        rows[each] = st.empty()
        actions(each)
living(top, rows)
