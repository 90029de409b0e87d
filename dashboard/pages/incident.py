"""What happened, who has it, what was done about it, and what came of it?"""

from __future__ import annotations

from datetime import timedelta

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries_alerts as alerts
from dashboard import queries_checklists as people
from dashboard import queries_incidents as reads
from dashboard.access import guarded_fragment, may, origin, require
from dashboard.actions import attempt
from dashboard.components import incident_actions as actions
from dashboard.components.actors import named
from dashboard.components.checklist_forms import words_form
from dashboard.components.incident_words import as_markdown, course, standing
from dashboard.components.instants import instant
from dashboard.components.job_actions import run_dialog
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import Html, join, link, plain, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, now
from jobs.alerts.bundle import INCIDENT_BUNDLE, LONGEST
from jobs.alerts.incidents import Incident, add_note
from jobs.core.errors import NotFound
from jobs.core.jobs import load_jobs
from jobs.core.people import Person
from jobs.core.permissions import Right

person = require(Right.VIEW)
MAY_ACT = may(person, Right.ACT_ON_ALERTS)
NAMES = dict(people.accounts())
_REFUSED = "nx-note-refused"
# What came just before is in the bundle too.
_BEFORE = timedelta(minutes=15)


def asked_for() -> Incident:
    """The incident that the address names; a sentence and the end of the page if there is none."""
    given = st.query_params.get("id", "")
    try:
        if not given.isascii() or not given.isdigit() or len(given) > 18:
            raise NotFound(f"The address names no incident: {given[:40]!r} is not a number." if given
                           else "No incident is named.")  # fmt: skip
        return reads.incident(int(given))
    except NotFound as error:
        page_head("There is no such incident", str(error))
        empty("One incident with its timeline, its alerts and its resolution stands here.",
              action=link("All incidents", url("incidents")))  # fmt: skip
        st.stop()


incident = asked_for()
PULSE = 4.0 if incident.open else None


@guarded_fragment(run_every=PULSE, parallel=False)
def head() -> None:
    seen = reads.incident(incident.id)
    if seen != incident:
        # Who has it, or that it has ended, decides what can be done below: the page is drawn anew.
        st.rerun()
    page_head(
        seen.title,
        join(
            standing(seen, NAMES),
            f" · incident {seen.id} · ",
            link("all incidents", url("incidents"), class_="nx-link nx-inline"),
        ),
    )
    if seen.resolution:
        show(tag("p", tag("b", "What ended it: "), seen.resolution, class_="nx-prose"))


def acts() -> None:
    """What this person may do with it."""
    with st.container(key="nx-incidentacts", horizontal=True, gap="small"):
        if MAY_ACT and incident.open:
            if st.button("Resolve", key="resolve", type="primary", icon=":material/check:"):
                firing = sum(one.state == "firing" for one in alerts.of_incident(incident.id))
                actions.ask_resolve(incident, firing)
            if st.button("Hand over", key="handover", icon=":material/person_add:"):
                actions.ask_hand_over(incident)
            if st.button("Correct", key="correct", icon=":material/edit:"):
                actions.ask_correct(incident)
        if MAY_ACT and not incident.open and may(person, Right.START_CHECKLIST) and _reviewable():
            st.button("Start the post-incident review", key="review", type="primary", icon=":material/fact_check:",
                      on_click=actions.start_review, args=(incident,))  # fmt: skip
        job = load_jobs().get(INCIDENT_BUNDLE)
        if (
            job is not None
            and may(person, Right.RUN_JOBS)
            and st.button("Bundle", key="bundle", icon=":material/folder_zip:", help="Runs, logs, samples, alerts of its time in one file")
        ):  # fmt: skip
            run_dialog(job, key=f"bundle-{incident.id}", given=_window())
        st.download_button(
            "Timeline as Markdown", data=_document, file_name=f"incident-{incident.id}.md", mime="text/markdown",
            key="nx-export", type="tertiary", icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _document() -> bytes:
    return as_markdown(incident, reads.timeline(incident.id), NAMES).encode()


def _window() -> dict[str, str]:
    """From when until when the bundle reaches, as its form takes it."""
    until = incident.resolved_at or now()
    since = max(incident.began_at - _BEFORE, until - LONGEST)
    return {"since": since.isoformat(timespec="seconds"), "until": until.isoformat(timespec="seconds")}


def _reviewable() -> bool:
    """Whether a review can be started: there is none, or it was abandoned."""
    run = reads.review(incident.review_run) if incident.review_run is not None else None
    return run is None or run.state == "abandoned"


def facts() -> None:
    """Since when, until when, who; and where it is reviewed."""
    rows: list[tuple[str, object]] = [
        ("Began", join(instant(incident.began_at), ", ", age(incident.began_at))),
        ("Opened", join(instant(incident.opened_at), " by ", named(incident.opened_by, NAMES))),
        ("Has it", named(incident.lead, NAMES)),
    ]
    if incident.resolved_at is not None:
        rows.append(("Resolved", join(instant(incident.resolved_at), " by ", named(incident.resolved_by, NAMES))))
        rows.append(("Review", _review()))
    show(tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in rows), class_="nx-facts"))


def _review() -> Html:
    run = reads.review(incident.review_run) if incident.review_run is not None else None
    if run is None:
        return tag("span", "not started yet", class_="nx-quiet")
    done = f"{run.done + run.na} of {run.total} lines done"
    return join(
        link(f"checklist run {run.id}", url("checklist", id=run.id), class_="nx-link nx-inline"),
        f", {run.state}, {done}",
    )


@guarded_fragment(run_every=PULSE, parallel=False)
def its_alerts() -> None:
    found = alerts.of_incident(incident.id)
    section("Alerts", f"{sum(one.state == 'firing' for one in found)} firing" if found else "")
    if not found:
        empty(
            "No alert belongs to it.", "Add those that have to do with it: what happens to them stands in the timeline."
        )
    for one in found:
        with st.container(key=f"nx-incidentalert-{one.id}", horizontal=True, vertical_alignment="top", gap="medium"):
            state = chip(
                one.severity if one.state == "firing" else "resolved", None if one.state == "firing" else "resolved"
            )
            show(tag("div", state, " ", link(one.sentence, url("alert", id=one.id), class_="nx-link nx-inline")))
            if MAY_ACT and st.button("Take out", key=f"out-{one.id}", type="tertiary", help=f"Take alert {one.id} out"):
                actions.ask_remove(incident, one)
    if MAY_ACT and incident.open and st.button("Add alerts", key="addalerts", icon=":material/add:"):
        actions.ask_add(incident, alerts.without_incident())


@guarded_fragment(run_every=PULSE)
def timeline() -> None:
    section("Timeline", "newest last, follows; times in UTC" if incident.open else "newest last, times in UTC")
    show(course(reads.timeline(incident.id), NAMES))


def note() -> None:
    """A few words into the timeline, for those who may."""

    def written(body: str) -> bool:
        def command(conn: Connection, actor: Person) -> bool:
            add_note(conn, incident.id, body, actor, origin=origin())
            return True

        return bool(attempt(Right.ACT_ON_ALERTS, command, lambda said: st.session_state.update({_REFUSED: said})))

    words_form(f"note-{incident.id}", label="Add a note", verb="Add it to the timeline", command=written)
    if said := st.session_state.pop(_REFUSED, None):
        st.error(plain(said), icon=":material/error:")


head()
acts()
facts()
its_alerts()
timeline()
if MAY_ACT:
    note()
