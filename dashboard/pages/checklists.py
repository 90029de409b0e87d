"""Which checklists are in hand, how far are they, and which can be started?"""

from __future__ import annotations

import streamlit as st

from checklists.lines import Progress
from checklists.load import BrokenTemplate
from checklists.reads import RunState
from checklists.schema import Template
from checklists.signoff import unfilled
from dashboard import queries_checklists as reads
from dashboard.access import guarded_fragment, may, require
from dashboard.components.checklist_about import review
from dashboard.components.checklist_start import forget_started, preview, start_form
from dashboard.components.checklist_words import DID, bar, counted
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.pager import before_id, first_page, pager
from dashboard.components.states import chip, shape
from dashboard.components.times import age
from dashboard.queries_checklists import RunLine
from jobs.core.permissions import Right

person = require(Right.VIEW)
MAY_START = may(person, Right.START_CHECKLIST)
STATES = {"in hand": RunState.OPEN, "done": RunState.DONE, "abandoned": RunState.ABANDONED}


@guarded_fragment(run_every=5, parallel=False)
def listed(state: RunState, before: int | None) -> None:
    """The runs in one state, the newest first."""
    found = reads.runs(state, before)
    shown = found[: reads.PAGE]
    if not shown:
        if before is not None:
            empty("No older ones.")
        elif state is RunState.OPEN:
            empty("Checklists that are being worked through will stand here.",
                  "Start one below." if MAY_START else "A release manager, devops or on-call starts them.")  # fmt: skip
        else:
            empty(f"Checklists that are {state.value} will stand here.")
    else:
        show(tag("ul", *(run_line(line) for line in shown), class_="nx-cl-runs"))
    pager("checklists", older=shown[-1].summary.id if len(found) > reads.PAGE else None)


def run_line(line: RunLine) -> Html:
    """One run: what, how far, who touched it last."""
    run = line.summary
    version = run.fields.get("version")
    name = join(run.title, tag("span", f" {version}", class_="nx-cl-version") if version else "")
    # What is required is not counted here: a list says how far, the run's own page what is missing.
    words = counted(Progress(run.total, run.done, run.na, 0))
    return tag(
        "li",
        tag("div", link(name, url("checklist", id=run.id), class_="nx-link nx-strong"),
            tag("div", chip("warn", "expedited") if run.urgent else "", f" run {run.id} · {run.kind}", class_="nx-note")),
        tag("div", bar(run.done + run.na, run.total, f"Progress of run {run.id}"), tag("div", words, class_="nx-note")),
        tag("div", line.touch.name, " ", DID.get(line.touch.kind, line.touch.kind),
            tag("div", age(line.touch.at), class_="nx-note")),
    )  # fmt: skip


def offered() -> None:
    """The definitions, the broken ones too: a list that somebody looks for never just vanishes."""
    section("Definitions", "what can be started")
    whole = [item for item in reads.templates() if isinstance(item, Template)]
    broken = [item for item in reads.templates() if isinstance(item, BrokenTemplate)]
    if broken:
        show(tag("ul", *(line for item in broken for line in faults(item)), class_="nx-problems"))
    table(
        ("Checklist", "Kind", "Lines", "Next review", "Next step"),
        [
            (
                join(link(item.title, url("checklists", template=item.id)), unsignable(item)),
                item.kind,
                str(item.lines),
                review(item),
                link("Start" if MAY_START else "Look inside", url("checklists", template=item.id),
                     class_="nx-link nx-inline", aria_label=f"{'Start' if MAY_START else 'Look inside'}: {item.title}"),
            )
            for item in whole
        ],
        numeric=(2, 4),
    )  # fmt: skip


def unsignable(item: Template) -> Html:
    """Which roles of its sign-off nobody could fill, so that it cannot start; nothing if people can."""
    short = unfilled(item, reads.people())
    return Html("") if short is None else tag("div", chip("warn", "cannot start"), f" {short}", class_="nx-note")


def faults(broken: BrokenTemplate) -> list[Html]:
    """What is wrong with a definition, by file and line, and how to mend it."""
    return [
        tag("li", shape("warn"),
            tag("span", tag("b", broken.id), " cannot be used: ", fault.what, tag("div", fault.mend, class_="nx-note")),
            tag("span", f"{fault.file.rsplit('/', 1)[-1]}:{fault.line}", class_="nx-mono"))
        for fault in broken.faults
    ]  # fmt: skip


def definition(template_id: str) -> None:
    """One definition: start it, and look at its lines."""
    back = link("All checklists", url("checklists"), class_="nx-link nx-inline")
    found = next((item for item in reads.templates() if item.id == template_id), None)
    if found is None:
        page_head("There is no such checklist")
        empty(f"No definition has the name “{template_id[:60]}”.", "Choose one from the list.", back)
        return
    if isinstance(found, BrokenTemplate):
        page_head(join(chip("warn", "broken"), f" {found.id}"), "It can be started when its file is mended.")
        show(tag("ul", *faults(found), class_="nx-problems"), tag("p", back))
        return
    phases = f"{len(found.phases)} {'phase' if len(found.phases) == 1 else 'phases'}"
    page_head(
        found.title, join(f"{found.kind} · {phases}, {found.lines} lines · next review ", review(found), " · ", back)
    )
    left, right = st.columns([2, 3], gap="large") if MAY_START else (None, st.container())
    if left is not None:
        with left:
            section("Start a run")
            if short := unsignable(found):
                show(short)
            start_form(found, person)
    with right:
        section("What is in it")
        preview(found)


if chosen := st.query_params.get("template"):
    definition(chosen)
else:
    forget_started()
    in_hand = len(reads.runs(RunState.OPEN))
    number = f"{reads.PAGE} or more checklists are" if in_hand > reads.PAGE else (
        "One checklist is" if in_hand == 1 else f"{in_hand or 'No'} checklists are"
    )  # fmt: skip
    page_head(f"{number} in hand")
    word = st.segmented_control(
        "Runs shown", list(STATES), default="in hand", required=True, key="state", bind="query-params",
        label_visibility="collapsed", on_change=first_page,
    )  # fmt: skip
    listed(STATES[word or "in hand"], before_id())
    offered()
