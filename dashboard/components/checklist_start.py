"""Starting a run: the summary that its definition asks for, what will happen, and a look at the lines beforehand."""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from checklists.grammar import FieldKind, SummaryField
from checklists.lines import Kind, TrackedItem, build
from checklists.schema import Template
from checklists.store import start_run
from checklists.tracker import LONGEST_NOTE
from dashboard import queries_checklists as reads
from dashboard.access import origin
from dashboard.components.checklist_commands import attempt, one_at_a_time, refusal
from dashboard.components.checklist_fields import summary_field, written
from dashboard.components.checklist_words import rich, role_word
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import now
from jobs.core.people import Person
from jobs.core.permissions import Right

_STARTED = "nx-cl-started"


def start_form(template: Template, person: Person) -> None:
    """Asks for the summary, says what starting means, and leads to the run once there is one."""
    started = st.session_state.get(_STARTED, {}).get(template.id)
    if started is not None:
        show(
            tag("p", chip("done", f"Run {started} has started")),
            tag("p", link(f"Open run {started}", url("checklist", id=started), class_="nx-link nx-onward")),
        )
        return
    place = f"start/{template.id}"

    def command(conn: Connection, actor: Person) -> int:
        values = {field.id: written(st.session_state.get(_key(template, field))) for field in template.fields}
        urgent = str(st.session_state.get(_urgent(template), ""))
        return start_run(conn, template, values, actor, origin=origin(), urgent=urgent)

    def sent() -> None:
        with one_at_a_time():
            begun = st.session_state.setdefault(_STARTED, {})
            # Otherwise a second press that was under way.
            if template.id not in begun and (run_id := attempt(place, command, right=Right.START_CHECKLIST)):
                begun[template.id] = run_id

    names = {**dict(reads.accounts()), person.email: person.name}
    with st.form(f"nx-start-{template.id}", border=False):
        for field in template.fields:
            summary_field(field, key=_key(template, field), names=names, value=_at_first(field, person))
        if template.kind == "deployment":
            with st.expander("Expedite it", icon=":material/bolt:"):
                show(tag("p", "It then goes ahead before its gates are signed, shows as expedited everywhere, and "
                              "somebody else must review that within 48 hours.", class_="nx-quiet"))  # fmt: skip
                st.text_area("Why it cannot wait", key=_urgent(template), max_chars=LONGEST_NOTE, height=72)
        show(
            tag("p", f"Starts a run of {template.lines} lines that everybody sees, in your name. It keeps to the "
                     "definition as it stands now, also when the definition changes later.", class_="nx-quiet"),
            refusal(place),
        )  # fmt: skip
        st.form_submit_button("Start the run", type="primary", on_click=sent)


def forget_started() -> None:
    """Lets a definition be started once more: its last start has been seen."""
    st.session_state.pop(_STARTED, None)


def _at_first(field: SummaryField, person: Person) -> str | None:
    """What a required field begins with: today, or whoever starts the run."""
    if not field.required:
        return None
    return {FieldKind.DATE: now().date().isoformat(), FieldKind.USER: person.email}.get(field.type)


def _key(template: Template, field: SummaryField) -> str:
    return f"nx-field-{template.id}-{field.id}"


def _urgent(template: Template) -> str:
    return f"nx-urgent-{template.id}"


def preview(template: Template) -> None:
    """The definition's phases and lines, as a run would begin."""
    show(
        *(
            tag(
                "details",
                tag(
                    "summary",
                    tag("span", phase.definition.title),
                    tag("span", f"{phase.progress.total}", class_="nx-note nx-num"),
                ),
                tag("p", f"Waits for {', '.join(phase.waits_for)}.", class_="nx-note") if phase.waits_for else "",
                tag("ul", *(_previewed(item) for item in phase.items), class_="nx-cl-plain"),
                class_="nx-cl-preview",
            )
            for phase in build(template, {})
        )
    )


def _previewed(item: TrackedItem) -> Html:
    repeat = item.definition.repeat
    remarks = [f"{repeat.times} times" if repeat is not None else "", _optional(item), _for(item)]
    said = ", ".join(remark for remark in remarks if remark)
    children = item.children if item.kind is Kind.GROUP else ()
    return tag(
        "li",
        join(rich(item.text), tag("span", f" {said}", class_="nx-note") if said else ""),
        tag("ul", *(_previewed(child) for child in children), class_="nx-cl-plain") if children else "",
    )


def _optional(item: TrackedItem) -> str:
    return "optional" if item.definition.need == "optional" else ""


def _for(item: TrackedItem) -> str:
    return f"for {role_word(item.role)}" if item.role is not None else ""
