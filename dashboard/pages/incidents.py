"""Which incidents are open, who has them, and what were the last ones?"""

from __future__ import annotations

import streamlit as st

from dashboard import queries_checklists as people
from dashboard import queries_incidents as reads
from dashboard.access import guarded_fragment, may, require
from dashboard.components.actors import named
from dashboard.components.incident_actions import ask_open
from dashboard.components.incident_words import hurt, incident_line
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import join, link, show, tag, url
from dashboard.components.pager import before_id, pager
from dashboard.components.states import chip
from dashboard.components.times import age
from dashboard.queries_incidents import IncidentLine
from jobs.core.permissions import Right

person = require(Right.VIEW)
MAY_ACT = may(person, Right.ACT_ON_ALERTS)
NAMES = dict(people.accounts())


@guarded_fragment(run_every=5)
def in_hand() -> None:
    found = reads.in_hand()
    if not found:
        page_head("No incident is open", "One is opened from an alert, or by hand, when people have to work together.")
        return
    count = "One incident is" if len(found) == 1 else f"{len(found)} incidents are"
    page_head(f"{count} open", "The worst first, and of those the oldest.")
    show(*(incident_line(line, NAMES) for line in found))


def acts() -> None:
    """Open one by hand, for those who may."""
    if not MAY_ACT:
        return
    with st.container(key="nx-incidentacts", horizontal=True, gap="small"):
        if st.button("Open an incident", key="open", icon=":material/emergency_heat:"):
            ask_open(person, key="open-form")


@guarded_fragment(run_every=30)
def ended(before: int | None) -> None:
    section("Ended", "newest first")
    found = reads.ended(before)
    shown = found[: reads.PAGE]
    if not shown:
        if before is not None:
            empty("No older ones.", action=link("The newest", url("incidents")))
        else:
            empty(
                "Incidents that have ended will stand here.", "Each with its timeline, its resolution and its review."
            )
    else:
        table(("Incident", "How bad", "Began", "Hurt for", "Resolved by", "What ended it", "Review"),
              [_row(line) for line in shown], label="Incidents that have ended")  # fmt: skip
    pager("incidents", older=shown[-1].incident.id if len(found) > reads.PAGE else None)


def _row(line: IncidentLine) -> tuple[object, ...]:
    one = line.incident
    return (
        join(link(one.title, url("incident", id=one.id)), tag("div", f"incident {one.id}", class_="nx-note")),
        chip(one.severity),
        age(one.began_at),
        hurt(one),
        named(one.resolved_by, NAMES),
        tag("div", one.resolution or "", class_="nx-words"),
        link(f"run {one.review_run}", url("checklist", id=one.review_run)) if one.review_run else "none yet",
    )


in_hand()
acts()
ended(before_id())
