"""When does this job run, what would another schedule mean, and who changed it?"""

from __future__ import annotations

from itertools import groupby

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries_schedules as reads
from dashboard.access import may, origin, require, told
from dashboard.actions import ask, attempt
from dashboard.components.job_actions import ask_pause, ask_resume
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import Html, join, link, plain, show, tag, url
from dashboard.components.schedule_form import choose_kind, draw_schedule, read_schedule
from dashboard.components.schedule_parts import differences, past_line, say_ahead, standing, values_list
from dashboard.components.times import now
from jobs.core.audit_read import Happened
from jobs.core.errors import NotFound
from jobs.core.jobs import Job, load_jobs
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.schedule.editing import Proposal, edit, propose, undo, undoable
from jobs.schedule.model import Schedule
from jobs.schedule.preview import preview
from jobs.schedule.words import in_words

person = require(Right.VIEW)


def asked_for() -> Schedule:
    """The schedule that the address names; a sentence and the end of the page if there is none."""
    name = st.query_params.get("name", "")
    try:
        if not name:
            raise NotFound("No schedule is named.")
        return reads.schedule(name[:100])
    except NotFound as error:
        page_head("There is no such schedule", str(error))
        empty("One job's schedule, what it means, and what was done to it stands here.",
              action=link("All jobs", url("jobs")))  # fmt: skip
        st.stop()


def actions() -> None:
    """Pause or resume, as on the page Jobs."""
    with st.container(key="nx-scheduleacts", horizontal=True, gap="small"):
        if plan.paused(now()):
            if st.button("Resume", key="resume", icon=":material/play_arrow:", help=f"Resume {plan.name}"):
                ask_resume(plan.name, key=f"resume-form-{plan.name}")
        elif plan.enabled and st.button("Pause", key="pause", icon=":material/pause:", help=f"Pause {plan.name}"):
            ask_pause(plan.name, key=f"pause-form-{plan.name}")


def form(job: Job) -> None:
    """Fields, then a look at what they mean, then saving: nothing is changed before that."""
    section("Change it", "you see what it means before it is saved")
    # Another version of the schedule, another form: it begins with what stands now.
    key = f"schedule-{plan.name}-{plan.version}"
    kept, refused = f"{key}-proposal", f"{key}-refused"
    kind = choose_kind(plan, key=key)

    def look() -> None:
        st.session_state.pop(kept, None)
        st.session_state.pop(refused, None)
        changes = read_schedule(job, kind, key=key)

        def command(conn: Connection, _actor: Person) -> tuple[Proposal, dict[str, object]]:
            return propose(conn, plan.name, changes), changes

        if (
            found := attempt(Right.PAUSE_JOBS, command, lambda said: st.session_state.update({refused: said}))
        ) is not None:
            st.session_state[kept] = found

    with st.form(key, border=False, enter_to_submit=True):
        draw_schedule(plan, job, kind, key=key)
        st.form_submit_button("Show what it would do", on_click=look)
    if said := st.session_state.get(refused):
        st.error(plain(said), icon=":material/error:")
    if kept in st.session_state:
        offer(*st.session_state[kept], key=key)


def offer(proposal: Proposal, changes: dict[str, object], *, key: str) -> None:
    """What the edit would mean, and the button that saves it."""
    section("What it would do", "not saved yet")
    show(
        tag("p", f"It would run {in_words(proposal.draft)}.", class_="nx-strong"),
        differences(proposal.old, proposal.new),
    )
    say_ahead(proposal.draft, preview(proposal.draft, now()))

    def command(conn: Connection, actor: Person, reason: str) -> str:
        edit(conn, plan.name, changes, expected_version=proposal.seen.version, actor=actor.email, reason=reason,
             origin=origin())  # fmt: skip
        return f"{plan.name} is changed."

    if st.button(
        "Save", key="save", type="primary", icon=":material/save:", help=f"Change the schedule of {plan.name}"
    ):
        ask(f"Change the schedule of {plan.name}", lambda: meaning(proposal), verb="Save", right=Right.PAUSE_JOBS,
            command=command, key=f"{key}-save")  # fmt: skip


def meaning(proposal: Proposal) -> Html:
    """What saving does, in a dialog."""
    live = "From now on it runs" if proposal.draft.enabled else "It is off; when it is on, it runs"
    said = tag("p", f"{live} {in_words(proposal.draft)}. What runs now goes on.", class_="nx-strong")
    return join(said, differences(proposal.old, proposal.new))


def take_back(past: Happened) -> None:
    """The dialog that undoes one edit."""
    proposal = reads.undoing(plan.name, past.id)

    def command(conn: Connection, actor: Person, reason: str) -> str:
        undo(conn, plan.name, past.id, expected_version=proposal.seen.version, actor=actor.email, reason=reason,
             origin=origin())  # fmt: skip
        return f"The edit of {plan.name} is undone."

    ask(f"Undo change {past.id}", lambda: meaning(proposal), verb="Undo this change", right=Right.PAUSE_JOBS,
        command=command, key=f"undo-{past.id}-{plan.version}")  # fmt: skip


def past() -> None:
    """Everything that was done to it, newest first."""
    section("History", f"the newest {reads.SHOWN}, times in UTC")
    found = reads.history(plan.name)
    if not found:
        empty("Who changed, paused or resumed it, and why, will stand here.")
    # Those without a button go on the page together.
    for may_undo, some in groupby(found, key=lambda one: MAY_EDIT and undoable(one)):
        if not may_undo:
            show(tag("div", *map(past_line, some), class_="nx-pasts"))
            continue
        for each in some:
            key = f"nx-pastline-{each.id}"
            with st.container(key=key, horizontal=True, vertical_alignment="top", gap="medium"):
                show(past_line(each))
                if st.button("Undo", key=f"undo-{each.id}", type="tertiary", help=f"Undo change {each.id}"):
                    with told():
                        take_back(each)


plan = asked_for()
JOB = load_jobs().get(plan.name)
MAY_EDIT = JOB is not None and may(person, Right.PAUSE_JOBS)
page_head(
    f"{plan.name} runs {in_words(plan)}",
    join(standing(plan, now()), " · ", link("its runs", url("runs", job=plan.name), class_="nx-link nx-inline"), " · ",
         link("all jobs", url("jobs"), class_="nx-link nx-inline")),
)  # fmt: skip
if MAY_EDIT:
    actions()
section("As it stands")
say_ahead(plan, preview(plan, now()))
if JOB is None:
    show(tag("p", "No installed package brings this job: its schedule cannot be changed here.", class_="nx-note"))
if MAY_EDIT and JOB is not None:
    form(JOB)
else:
    show(values_list(plan))
past()
