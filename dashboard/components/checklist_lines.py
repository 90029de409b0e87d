"""The lines of one phase: boxes to tick, groups, repeats, notes, and what belongs to each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from checklists.grammar import duration_text
from checklists.lines import Kind, State, TrackedItem, TrackedPhase
from checklists.reads import ChecklistRun, RunState
from checklists.schema import Mode
from checklists.tracker import Command, Hand, why_not
from dashboard.components.checklist_commands import place_of, refusal, tick_box
from dashboard.components.checklist_panel import panel
from dashboard.components.checklist_words import counted, plain, rich, role_word, who
from dashboard.components.instants import instant
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip, shape
from jobs.core.people import Person


@dataclass(frozen=True, slots=True)
class View:
    """What one browser looks at: the phase of a run, the line that stands open, and what its person may tick."""

    run: ChecklistRun
    phase: TrackedPhase
    open_item: str | None
    person: Person

    @property
    def next_id(self) -> str | None:
        """In a phase that goes in order: the line whose turn it is."""
        if self.phase.definition.mode is not Mode.READ_DO or self.run.state is not RunState.OPEN:
            return None
        return next((line.id for item in self.phase.items for line in item.open_required), None)

    def may(self, command: Command, item: TrackedItem) -> bool:
        """Whether this person can do this to the line now."""
        return self.run.state is RunState.OPEN and why_not(self.phase, item, command, self.hand) is None

    @property
    def hand(self) -> Hand:
        """This person, now."""
        return Hand(self.person.email, self.person.roles, self.run.read_at)

    def address(self, item: TrackedItem | None) -> str:
        """Of this phase with the line opened, or with none."""
        return url(
            "checklist", id=self.run.id, phase=self.phase.definition.id, item=item.id if item is not None else None
        )


def draw_lines(view: View) -> None:
    """All lines of the phase, in order."""
    for item in view.phase.items:
        _draw(view, item, depth=0)


def _draw(view: View, item: TrackedItem, *, depth: int) -> None:
    if item.kind is Kind.NOTE:
        show(
            tag(
                "div", tag("i", class_="nx-cl-info", aria_hidden="true"), tag("p", rich(item.text)), class_="nx-cl-note"
            )
        )
        return
    if item.kind is Kind.ITEM:
        _line(view, item, depth)
        return
    show(_group_head(item))
    if item.kind is Kind.REPEAT:
        with st.container(key=f"nx-cl-times-{_slug(item.id)}", horizontal=True, gap=None):
            for child in item.children:
                _occurrence(view, child)
        _belongings(item)
        for child in item.children:
            _opened(view, child)
        return
    _belongings(item)
    for child in item.children:
        _draw(view, child, depth=depth + 1)


def _line(view: View, item: TrackedItem, depth: int) -> None:
    turn = "-now" if view.next_id == item.id else ""
    with st.container(key=f"nx-cl-line{turn}-{depth}-{_slug(item.id)}", horizontal=True, gap=None):
        tick_box(view.run.id, item, disabled=not view.may(_toggle(item), item))
        show(
            tag(
                "div",
                tag(
                    "div", rich(item.text), *_remarks(view, item), class_=f"nx-cl-text nx-cl-is-{item.mark.state.value}"
                ),
                who(item),
                refusal(place_of(view.run.id, item.id)),
            ),
            _more(view, item),
        )
    _belongings(item)
    _opened(view, item)


def _toggle(item: TrackedItem) -> Command:
    """What a click on the box would be; a line that does not apply is reopened from its details."""
    return Command.UNTICK if item.mark.state is State.DONE else Command.TICK


def _remarks(view: View, item: TrackedItem) -> Iterable[Html]:
    if view.next_id == item.id:
        yield chip("running", "next")
    if item.definition.need == "optional":
        yield tag("span", "optional", class_="nx-note")
    if item.role is not None and item.role is not view.phase.definition.role:
        yield tag("span", f"for {role_word(item.role)}", class_="nx-note")


def _more(view: View, item: TrackedItem, *, words: str = "Details") -> Html:
    """Leads to the line's details and back; says how many comments wait there."""
    opened = view.open_item == item.id
    comments = item.mark.comments
    said = f"{comments} {'comment' if comments == 1 else 'comments'}" if comments else words
    return link(
        "Close" if opened else said,
        view.address(None if opened else item),
        class_="nx-link nx-cl-more",
        aria_label=f"{'Close' if opened else 'Details'}: {plain(item.label)}",
        aria_expanded=str(opened).lower(),
    )


def _group_head(item: TrackedItem) -> Html:
    done = sum(line.mark.state is not State.OPEN for line in item.leaves)
    total = sum(1 for _ in item.leaves)
    if item.definition.repeat is not None:
        repeat = item.definition.repeat
        rule = f"one every {duration_text(repeat.every)}"
    else:
        rule = "one of them is enough" if item.definition.rollup == "any" else "all of them"
    state = item.state if item.state is not State.OPEN else ("running" if done else "open")
    return tag(
        "div",
        shape(state),
        tag("div", tag("span", rich(item.text)), class_="nx-cl-text"),
        tag("div", f"{done} of {total}, {rule}", class_="nx-note"),
        class_="nx-cl-group",
    )


def _occurrence(view: View, item: TrackedItem) -> None:
    """One of many ticks of the same: its number, and who and when in small."""
    mark = item.mark
    by = (
        join((mark.name or "").split(" ")[0], " ", instant(mark.at, seconds=False))
        if mark.state is not State.OPEN and mark.at
        else ""
    )
    with st.container(key=f"nx-cl-time-{_slug(item.id)}", horizontal=True, gap=None):
        tick_box(view.run.id, item, disabled=not view.may(_toggle(item), item))
        show(
            tag(
                "div",
                tag("span", str(item.occurrence), class_="nx-num"),
                join(" ", shape("na")) if mark.state is State.NA else "",
                tag("div", by, class_="nx-cl-who"),
            ),
            _more(view, item, words="···"),
        )
    if said := refusal(place_of(view.run.id, item.id)):
        show(said)


def _belongings(item: TrackedItem) -> None:
    """The help and the snippet of a line, under it."""
    if item.definition.help is not None:
        show(tag("p", rich(item.definition.help), class_="nx-cl-help"))
    if item.definition.snippet is not None:
        with st.container(key=f"nx-cl-code-{_slug(item.id)}"):
            st.code(item.definition.snippet.text, language=item.definition.snippet.lang, wrap_lines=True)


def _opened(view: View, item: TrackedItem) -> None:
    if view.open_item == item.id:
        with st.container(key=f"nx-cl-panel-{_slug(item.id)}"):
            panel(
                view.run.id,
                item,
                can={command for command in Command if view.may(command, item)},
                open_run=view.run.state is RunState.OPEN,
                roles=view.person.roles,
            )


def phase_words(phase: TrackedPhase) -> Html:
    """How the phase is worked through, and how far it is."""
    definition = phase.definition
    how = "in order, line by line" if definition.mode is Mode.READ_DO else "in any order"
    ticker = f", by {role_word(definition.role)}" if definition.role is not None else ""
    return join(f"{counted(phase.progress)} · {how}{ticker}")


def _slug(item_id: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", item_id)
