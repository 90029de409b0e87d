"""What goes with a run besides its lines: summary, whom to call, what to have at hand, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import streamlit as st
from sqlalchemy import Connection

from checklists.grammar import FieldKind
from checklists.lines import Progress
from checklists.reads import ChecklistRun, RunState
from checklists.schema import Template
from checklists.signoff import unsigned
from checklists.store import close_run, set_field
from dashboard import queries_releases as reads
from dashboard.access import may, origin
from dashboard.actions import Command, ReasonedCommand, act, ask
from dashboard.components.checklist_commands import attempt, place_of, refusal
from dashboard.components.checklist_fields import summary_field, written
from dashboard.components.checklist_forms import turn_form, turn_of
from dashboard.components.checklist_words import rich, role_word
from dashboard.components.contacts import whom_to_call
from dashboard.components.layout import section
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import now
from jobs.core.people import Person
from jobs.core.permissions import Right

INCIDENT_FIELD = ("post-incident-review", "incident")
"""The list that reviews an incident, and its field with the incident's number."""


def summary(run: ChecklistRun, names: Mapping[str, str]) -> None:
    """The fields that were asked for at the start; `names` by e-mail."""
    if not run.template.fields:
        return
    section("Summary")
    rows = []
    for field in run.template.fields:
        value: object = run.fields.get(field.id) or tag("span", "not filled in", class_="nx-quiet")
        if field.type is FieldKind.USER and field.id in run.fields:
            email = run.fields[field.id]
            value = (
                join(names.get(email, email), tag("span", f" {email}", class_="nx-quiet")) if email in names else email
            )
        if (run.template.id, field.id) == INCIDENT_FIELD and run.fields.get(field.id, "").isdigit():
            value = link(
                f"incident {run.fields[field.id]}", url("incident", id=run.fields[field.id]), class_="nx-link nx-inline"
            )
        rows.append(join(tag("dt", field.title), tag("dd", value)))
    show(tag("dl", *rows, class_="nx-facts"))


def correction(run: ChecklistRun, names: Mapping[str, str], person: Person) -> None:
    """A line of the summary to be corrected, for those who may."""
    if run.template.fields and run.state is RunState.OPEN and may(person, Right.START_CHECKLIST):
        key = f"nx-correct-{run.id}"
        with st.popover("Correct…", key=f"{key}-pop-{turn_of(key)}", type="tertiary", icon=":material/edit:"):
            _correct(run, names, key)


def _correct(run: ChecklistRun, names: Mapping[str, str], key: str) -> None:
    """One line of the summary anew, with the reason; what it was stays in the history."""
    titles = {field.id: field for field in run.template.fields}
    chosen = st.selectbox("Line", list(titles), format_func=lambda name: titles[name].title, key=f"{key}-line")
    field = titles[chosen]
    place = f"{place_of(run.id)}correct"

    def fields(prefix: str) -> None:
        summary_field(field, key=f"{prefix}-{field.id}", names=names, value=run.fields.get(field.id))
        st.text_input("What was wrong", key=f"{prefix}-why", max_chars=500)
        if said := refusal(place):
            show(said)

    def command(value: Callable[[str], Any]) -> bool:
        return bool(
            attempt(
                place,
                lambda conn, person: set_field(
                    conn, run.id, field.id, written(value(f"-{field.id}")), run.fields_version, person,
                    value("-why") or "", origin=origin(),
                ),
                right=Right.START_CHECKLIST,
            )
        )  # fmt: skip

    turn_form(key, fields=fields, verb="Correct it", command=command)


def contacts(template: Template) -> None:
    """Whom to call."""
    if template.contacts:
        section("Whom to call")
        wanted = {contact.role for contact in template.contacts}
        show(whom_to_call([contact for contact in reads.contacts() if contact.role in wanted]))


def reference(template: Template) -> None:
    """What to have at hand: points to watch, snippets to copy."""
    for number, entry in enumerate(template.reference):
        section(entry.title)
        if entry.points:
            show(tag("ul", *(tag("li", rich(point)) for point in entry.points), class_="nx-cl-plain"))
        if entry.snippet is not None:
            with st.container(key=f"nx-cl-reference-{number}"):
                st.code(entry.snippet.text, language=entry.snippet.lang, wrap_lines=True)


def review(template: Template) -> Html:
    """When the definition itself is due to be looked at; late stands out."""
    if template.review is None:
        return tag("span", "no review planned", class_="nx-quiet")
    due = template.review.next
    words = f"{due:%-d %b %Y} by {role_word(template.review.owner)}"
    return chip("warn", f"review was due {words}") if due < now().date() else Html(words)


def closing(run: ChecklistRun) -> None:
    """Ends the run, for those who may: as done when nothing required is open, abandoned with a reason."""
    section("End this run")
    left = run.progress.required_open
    title = run.template.title
    kept = "Nobody can tick, comment or reopen anything in it afterwards; everything stays readable."
    unsigned_by = [line.title for line in unsigned(run)]
    with st.container(key="nx-cl-closing", horizontal=True, gap="small", vertical_alignment="center"):
        if run.progress.complete and unsigned_by:
            words = f"It can be closed as done when it is signed by {', '.join(unsigned_by)}."
            show(tag("p", words, class_="nx-quiet"))
        elif run.progress.complete:
            with st.popover("Close as done", type="primary", icon=":material/check_circle:"):
                show(
                    tag("p", f"Closes “{title}” as done: {'; '.join(_ends(run.progress))}."),
                    tag("p", kept, class_="nx-quiet"),
                )
                st.button("Close it as done", key="nx-cl-done", type="primary", on_click=act,
                          args=(Right.START_CHECKLIST, _done(run.id)))  # fmt: skip
        else:
            show(tag("p", f"It can be closed as done when the {left} required {'line' if left == 1 else 'lines'} that "
                          f"{'is' if left == 1 else 'are'} open {'is' if left == 1 else 'are'} done or do not apply.",
                     class_="nx-quiet"))  # fmt: skip
        if st.button("Abandon", key="nx-cl-abandon", icon=":material/block:"):
            ask(
                f"Abandon run {run.id}",
                f"Ends “{title}” with {left} required lines open. {kept}",
                verb="Abandon it", right=Right.START_CHECKLIST, command=_abandon(run.id), key=f"abandon-{run.id}",
            )  # fmt: skip


def _ends(progress: Progress) -> Iterator[str]:
    yield f"{progress.done} of {progress.total} lines done"
    if progress.na:
        yield f"{progress.na} that {'does' if progress.na == 1 else 'do'} not apply"
    if left := progress.total - progress.closed:
        yield f"{left} optional {'line' if left == 1 else 'lines'} left open"


def _done(run_id: int) -> Command:
    def command(conn: Connection, person: Person) -> str:
        close_run(conn, run_id, person, outcome=RunState.DONE, origin=origin())
        return f"Run {run_id} is done."

    return command


def _abandon(run_id: int) -> ReasonedCommand:
    def command(conn: Connection, person: Person, reason: str) -> str:
        close_run(conn, run_id, person, outcome=RunState.ABANDONED, reason=reason, origin=origin())
        return f"Run {run_id} is abandoned."

    return command
