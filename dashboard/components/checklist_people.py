"""Who has the run, until when, what it comes from and led to, and what names the person who looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import streamlit as st
from sqlalchemy import Connection

from checklists.mentions import Mention, seen
from checklists.reads import ChecklistRun, RunState
from checklists.store import hand_over
from checklists.tracker import LONGEST_NOTE
from dashboard import queries_checklists as reads
from dashboard.access import origin
from dashboard.components.checklist_commands import attempt, place_of, refusal
from dashboard.components.checklist_forms import turn_form, turn_of
from dashboard.components.instants import instant
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age
from jobs.core.people import Person
from jobs.core.permissions import Right, allowed


def people_bar(run: ChecklistRun, person: Person, titles: dict[str, str]) -> None:
    """One line: who has it, when it is due, parent and children; and the button to hand it over."""
    with st.container(key="nx-cl-people", horizontal=True, gap="small", vertical_alignment="center"):
        show(tag("p", join(*_between(_standing(run, person, titles), " · "))))
        if run.state is RunState.OPEN and allowed(person.roles, Right.TICK):
            key = f"nx-hand-over-{run.id}"
            with st.popover("Hand over…", key=f"{key}-pop-{turn_of(key)}", type="tertiary", icon=":material/forward:"):
                _hand_over(run, key)


def _standing(run: ChecklistRun, person: Person, titles: dict[str, str]) -> Iterator[Html]:
    whose = "You have it" if run.lead == person.email else f"{run.leader} has it"
    yield tag("b", whose if run.state is RunState.OPEN else f"{run.leader} had it")
    if run.due_at is not None:
        late = run.state is RunState.OPEN and run.due_at < run.read_at
        yield join(chip("warn", "overdue") if late else "due", " ", instant(run.due_at, seconds=False))
    if run.parent is not None:
        parent, item = run.parent
        phase = item.partition("/")[0]
        yield join(
            "started by a decision in ",
            link(f"run {parent}", url("checklist", id=parent, phase=phase, item=item), class_="nx-link nx-inline"),
        )
    for child in run.children.values():
        yield join(
            "its decision started ", link(f"run {child}", url("checklist", id=child), class_="nx-link nx-inline")
        )


def _between(parts: Iterator[Html], what: str) -> Iterator[object]:
    for number, part in enumerate(parts):
        if number:
            yield what
        yield part


def _hand_over(run: ChecklistRun, key: str) -> None:
    able = {one.email: one.name for one in reads.people() if allowed(one.roles, Right.TICK) and one.email != run.lead}

    def fields(prefix: str) -> None:
        st.selectbox(
            "To whom", list(able), index=None, placeholder="Choose somebody", key=f"{prefix}-to",
            format_func=lambda email: able.get(email, email),
        )  # fmt: skip
        st.text_area(
            "What they need to know", key=f"{prefix}-note", max_chars=LONGEST_NOTE, height=96,
            placeholder="what is done, what is under way, what to watch",
        )  # fmt: skip
        if said := refusal(_place(run)):
            show(said)

    def command(value: Callable[[str], Any]) -> bool:
        def give(conn: Connection, person: Person) -> bool:
            hand_over(conn, run.id, value("-to") or "Nobody", person, value("-note") or "", origin=origin())
            return True

        return bool(attempt(_place(run), give))

    turn_form(key, fields=fields, verb="Hand it over", command=command)


def _place(run: ChecklistRun) -> str:
    return f"{place_of(run.id)}hand-over"


def mentions_of(run_id: int, person: Person) -> None:
    """What names this person and was not seen yet, here first; one press says that it was."""
    found = reads.mentions(person.email)
    with st.container(key="nx-cl-mentions", gap=None):
        if not found:
            return
        show(tag("ul", *(_mention(mention, run_id) for mention in found[:5]), class_="nx-cl-events"))
        here = [mention for mention in found if mention.run_id == run_id]
        if here:
            st.button(
                f"Seen ({len(here)})", key=f"nx-seen-{here[0].event_id}", type="tertiary", icon=":material/done_all:",
                on_click=_seen, args=(run_id,),
            )  # fmt: skip


def _mention(mention: Mention, run_id: int) -> Html:
    phase = (mention.item_id or "").partition("/")[0] or None
    where = "this run" if mention.run_id == run_id else f"“{mention.title}”, run {mention.run_id}"
    to = url("checklist", id=mention.run_id, phase=phase, item=mention.item_id)
    return tag(
        "li",
        age(mention.at),
        tag("div", tag("b", mention.by), " named you in ", link(where, to, class_="nx-link nx-inline"), ": ",
            tag("q", mention.words)),
    )  # fmt: skip


def _seen(run_id: int) -> None:
    def command(conn: Connection, person: Person) -> bool:
        seen(conn, person.email, run_id)
        return True

    attempt(place_of(run_id), command, right=Right.VIEW)


def names_to_offer() -> Html:
    """Whom an @ in a comment can name, for `checklist.js` to offer while somebody types."""
    names = [tag("li", one.name, data_at=one.email.partition("@")[0]) for one in reads.people()]
    return tag("ul", *names, class_="nx-cl-names", aria_hidden="true")
