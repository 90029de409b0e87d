"""What changes if this run moves to the newest version of its definition?"""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from checklists.difference import Difference
from checklists.moving import Move, move_run, newer
from checklists.reads import ChecklistRun, RunState
from checklists.schema import Template
from checklists.tracker import LONGEST_NOTE
from dashboard import queries_checklists as reads
from dashboard.access import may, origin, require
from dashboard.components.checklist_choice import chosen_run
from dashboard.components.checklist_commands import attempt, one_at_a_time, place_of, refusal
from dashboard.components.checklist_words import rich, standing
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import Html, join, link, show, tag, url
from jobs.core.people import Person
from jobs.core.permissions import Right

person = require(Right.VIEW)


def newest_of(run: ChecklistRun) -> Move | None:
    """Where the run could move; None if it is up to date, or its definition is broken or gone."""
    found = next((one for one in reads.templates() if one.id == run.template.id), None)
    return newer(run, found) if isinstance(found, Template) and run.state is RunState.OPEN else None


def changes(difference: Difference) -> None:
    """New, reworded and removed lines, in words."""
    _listed("New lines, open", [rich(text) for _, text in difference.new])
    _listed(
        "Reworded lines, open again",
        [
            join(tag("s", rich(one.old)), " ", rich(one.new))
            if one.old != one.new
            else join(rich(one.new), tag("span", " takes something else", class_="nx-note"))
            for one in difference.reworded
        ],
    )
    _listed("Removed lines, kept to read", [rich(text) for _, text in difference.removed])
    kept = f"{difference.kept} {'line stays as it is' if difference.kept == 1 else 'lines stay as they are'}."
    show(tag("p", kept, class_="nx-quiet"))


def _listed(title: str, lines: list[Html]) -> None:
    if lines:
        section(title, f"{len(lines)}")
        show(tag("ul", *(tag("li", line) for line in lines), class_="nx-sg-list"))


def form(run: ChecklistRun, move: Move) -> None:
    """What the newer summary asks for besides, why, and the button."""
    place = place_of(run.id)
    titles = {field.id: field.title for field in move.to.fields}

    def sent() -> None:
        fields = {name: str(st.session_state.get(f"nx-move-{name}", "")) for name in move.asked}
        why = str(st.session_state.get("nx-move-why", ""))

        def command(conn: Connection, actor: Person) -> bool:
            move_run(conn, run.id, move.to.version, actor, why, origin=origin(), fields=fields)
            return True

        with one_at_a_time():
            attempt(place, command, right=Right.START_CHECKLIST)

    section("Move it")
    void = sum(one.holds for one in run.signatures)
    with st.form(f"nx-move-{run.id}", border=False):
        for name in move.asked:
            st.text_input(titles[name], key=f"nx-move-{name}", max_chars=200)
        st.text_area("Why", key="nx-move-why", max_chars=LONGEST_NOTE, height=72)
        show(
            tag("p", f"{void or 'No'} {'signature becomes' if void == 1 else 'signatures become'} void. "
                     "There is no way back to the older version.", class_="nx-quiet"),
            refusal(place),
        )  # fmt: skip
        st.form_submit_button("Move the run", type="primary", icon=":material/update:", on_click=sent)


run = chosen_run("What a newer version of its definition changes in a run will stand here.")
move = newest_of(run)
back = link("Back to the list", url("checklist", id=run.id), class_="nx-link nx-inline")
page_head(
    join("Move ", run.template.title, " to its newest version"), join(f"run {run.id} · ", standing(run), " · ", back)
)
if move is None:
    empty("This run follows the newest version of its definition; there is nothing to move to.", "", back)
else:
    changes(move.difference)
    if may(person, Right.START_CHECKLIST):
        form(run, move)
    else:
        show(tag("p", "A release manager, devops or on-call moves it.", class_="nx-note"))
if run.retired:
    section("Lines that earlier moves took out", f"{len(run.retired)}")
    show(
        tag("ul", *(
            tag("li", rich(one.text), tag("div", f"{one.state} {one.name or ''}", tag("q", one.reason or ""), class_="nx-note"))
            for one in run.retired
        ), class_="nx-sg-list")
    )  # fmt: skip
