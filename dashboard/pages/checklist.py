"""What stands between us and the end of this checklist, and whose turn is it?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import streamlit as st

from checklists.lines import TrackedPhase
from checklists.reads import ChecklistRun, RunState
from checklists.schema import Template
from checklists.tracker import may_change
from dashboard import queries_checklists as reads
from dashboard.access import guarded_fragment, may, require, signed_in
from dashboard.components import checklist_about as about
from dashboard.components.checklist_checks import checks_bar
from dashboard.components.checklist_choice import chosen_run
from dashboard.components.checklist_commands import just_tried, place_of, refusal
from dashboard.components.checklist_export import export
from dashboard.components.checklist_find import find_bar
from dashboard.components.checklist_forms import words_form
from dashboard.components.checklist_keys import keys_help
from dashboard.components.checklist_lines import draw_lines, phase_words
from dashboard.components.checklist_panel import comment_on
from dashboard.components.checklist_people import mentions_of, names_to_offer, people_bar
from dashboard.components.checklist_steps import blockers, onward, steps
from dashboard.components.checklist_view import View
from dashboard.components.checklist_words import bar, code_line, counted, happened, role_word, standing, told
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.pager import before_id, pager
from dashboard.components.sign_bar import sign_bar
from dashboard.components.times import now
from dashboard.proving import under_way
from jobs.core.people import Person
from jobs.core.permissions import Right

PULSE = 2.0  # seconds between two looks at what others did
person = require(Right.VIEW)


def chosen_phase(run: ChecklistRun, item_id: str | None) -> TrackedPhase:
    """The phase that the address names, else the first in which this person can go on."""
    named = st.query_params.get("phase") or (item_id or "").partition("/")[0]
    for phase in run.phases:
        if phase.definition.id == named:
            return phase
    under_way = [phase for phase in run.phases if not phase.progress.complete]
    mine = [
        phase
        for phase in under_way
        if not phase.waits_for and any(may_change(line, person.roles) for line in phase.left)
    ]
    return next(iter(mine + under_way), run.phases[0])


@guarded_fragment(run_every=PULSE, parallel=False)
def pulse(run_id: int, drawn: tuple[object, ...], turns: datetime | None) -> None:
    """Draws the page again when it is not as it was `drawn`, by whomever, or when the clock `turns` something."""
    if as_it_is(run_id, reads.run(run_id).version) != drawn or (turns is not None and now() >= turns):
        st.rerun()


def as_it_is(run_id: int, version: str) -> tuple[object, ...]:
    """What tells one state of the page from the next: what happened last, the checks under way, who named this person."""
    return version, under_way(run_id), tuple(mention.event_id for mention in reads.mentions(person.email))


@guarded_fragment(parallel=False)
def work(run_id: int, phase_id: str, item_id: str | None) -> None:
    """Head, steps and the lines of one phase: all that a tick changes, redrawn together.

    What stands here keeps its place from look to look, whatever there is to say, so that nothing is taken away from
    under somebody's hands.
    """
    run = reads.run_now(run_id) if just_tried() else reads.run(run_id)
    phase = next(phase for phase in run.phases if phase.definition.id == phase_id)
    reader = signed_in()
    titles = {template.id: template.title for template in reads.templates() if isinstance(template, Template)}
    head(run)
    people_bar(run, reader, titles)
    mentions_of(run.id, reader)
    if len(run.phases) > 1:
        show(steps(run.id, run.phases, phase))
    sieve = find_bar()
    view = View(run, phase, item_id, reader, sieve, under_way(run.id), titles)
    if sieve.active:
        found(view)
        return
    section(phase.definition.title, phase.definition.section or "")
    show(tag("p", phase_words(phase), class_="nx-quiet"), blockers(run.id, phase, run.phases), not_yours(run, phase))
    checks_bar(view)
    with st.container(key="nx-cl-lines", gap=None):
        draw_lines(view, phase.items)
    if len(run.phases) > 1:
        show(onward(run.id, run.phases, phase))


def found(view: View) -> None:
    """The lines that are searched for, of all phases."""
    hits = [(phase, view.sieve.sift(phase.items, view.person)) for phase in view.run.phases]
    number = sum(1 for _, items in hits for item in items for _ in item.leaves)
    section(f"{number} {'line' if number == 1 else 'lines'} found", "in all phases")
    if not number:
        empty("No line is like that.", "Take a word out, or choose other lines.")
    with st.container(key="nx-cl-lines", gap=None):
        for phase, items in hits:
            if items:
                show(tag("h3", phase.definition.title, class_="nx-cl-title"))
                draw_lines(replace(view, phase=phase), items)


def head(run: ChecklistRun) -> None:
    version = run.fields.get("version")
    name = join(run.template.title, tag("span", f" {version}", class_="nx-cl-version") if version else "")
    others = link("All checklists", url("checklists"), class_="nx-link nx-inline")
    page_head(name, join(standing(run), " · ", others))
    show(
        tag(
            "div",
            bar(run.progress.closed, run.progress.total, "Progress of the run"),
            tag("p", counted(run.progress)),
            class_="nx-cl-progress",
        )
    )


def not_yours(run: ChecklistRun, phase: TrackedPhase) -> Html:
    """Why somebody finds nothing here that they can tick; nothing for those who do."""
    if run.state is not RunState.OPEN:
        return Html("")
    if not may(person, Right.TICK):
        return tag("p", "You may look at checklists, not tick them.", class_="nx-note")
    if any(may_change(line, person.roles) for line in phase.lines):
        return Html("")
    roles = sorted({role_word(line.role) for line in phase.lines if line.role is not None})
    return tag("p", f"These lines are for {' and '.join(roles)}; you can comment on them.", class_="nx-note")


def history(run_id: int, before: int | None) -> None:
    """What happened in the whole run, the newest first."""
    found = reads.events(run_id, None, before)
    shown = found[: reads.PAGE]
    told_of = {event.item_id for event in shown}
    labels = {
        line.id: link(code_line(line.label), url("checklist", id=run_id, phase=phase.definition.id, item=line.id))
        for phase in reads.run(run_id).phases
        for line in phase.lines
        if line.id in told_of
    }
    show(happened([told(event, labels) for event in shown]))
    pager("checklist", older=shown[-1].id if len(found) > reads.PAGE else None)


def comment_form(run: ChecklistRun) -> None:
    words_form(
        f"nx-comment-{place_of(run.id)}", label="Comment on the whole run", verb="Comment",
        command=lambda words: comment_on(run.id, None, words),
    )  # fmt: skip
    if said := refusal(place_of(run.id)):
        show(said)


def names_of(person: Person) -> dict[str, str]:
    """Names by e-mail of everybody with an account, for the fields that name somebody."""
    return {**dict(reads.accounts()), person.email: person.name}


run = chosen_run("One run of a checklist, line by line, will stand here.")
drawn = as_it_is(run.id, run.version)
item = st.query_params.get("item")
phase = chosen_phase(run, item)
work(run.id, phase.definition.id, item)
left, right = st.columns(2, gap="large")
with left:
    about.summary(run, names_of(person))
    with st.container(key="nx-cl-run-acts", horizontal=True, gap="small"):
        about.correction(run, names_of(person), person)
        export(run)
    sign_bar(run.id)
    about.contacts(run.template)
with right:
    about.reference(run.template)
section("What happened", "the newest first")
if run.state is RunState.OPEN and may(person, Right.TICK):
    comment_form(run)
show(names_to_offer(), keys_help())
history(run.id, before_id())
if run.state is RunState.OPEN and may(person, Right.START_CHECKLIST):
    about.closing(run)
show(
    tag("p", esc(f"Run {run.id} of {run.template.id}, version {run.template_version[:12]}; the definition's next review: "),
        about.review(run.template), ".", class_="nx-note nx-cl-foot")
)  # fmt: skip
if run.state is RunState.OPEN:
    pulse(run.id, drawn, run.turns_at)
