"""The lines of one phase: boxes to tick, decisions, groups, repeats, notes, and what belongs to each.

Every line is one container of its own at a place that never moves, whatever comes and goes within it: a line above that
gets a remark must not take a half-written comment away from a line below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from checklists.grammar import duration_text
from checklists.lines import Kind, State, TrackedItem, TrackedPhase
from checklists.schema import Mode
from checklists.tracker import Command, wants_reason
from dashboard.components.checklist_acts import acts, has_acts, why_prompt
from dashboard.components.checklist_commands import place_of, refusal, tick_box
from dashboard.components.checklist_facts import facts, when_due
from dashboard.components.checklist_panel import panel
from dashboard.components.checklist_view import View, slug
from dashboard.components.checklist_words import by_name, counted, plain, rich, role_word
from dashboard.components.instants import instant
from dashboard.components.markup import Html, join, link, show, tag
from dashboard.components.states import chip, shape


def draw_lines(view: View, items: Sequence[TrackedItem]) -> None:
    """Lines of the view's phase, in order."""
    for item in items:
        _draw(view, item, depth=0)


def _draw(view: View, item: TrackedItem, *, depth: int) -> None:
    if item.kind is Kind.NOTE:
        show(
            tag(
                "div", tag("i", class_="nx-cl-info", aria_hidden="true"), tag("p", rich(item.text)), class_="nx-cl-note"
            )
        )
        return
    with st.container(key=f"nx-cl-row-{slug(item.id)}", gap=None):
        if item.kind is Kind.ITEM:
            _line(view, item, depth)
            return
        show(_group_head(item))
        if item.kind is Kind.REPEAT:
            with st.container(key=f"nx-cl-times-{slug(item.id)}", horizontal=True, gap=None):
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
    with st.container(key=f"nx-cl-line{turn}-{depth}-{slug(item.id)}", horizontal=True, gap=None):
        if item.definition.decide:
            show(tag("span", shape(item.mark.state.value), class_="nx-cl-fork"))
        else:
            _box(view, item)
        show(
            tag(
                "div",
                tag(
                    "div", rich(item.text), *_remarks(view, item), class_=f"nx-cl-text nx-cl-is-{item.mark.state.value}"
                ),
                facts(view, item),
                refusal(place_of(view.run.id, item.id)),
            ),
            _more(view, item),
        )
        if view.works and has_acts(item):
            acts(view, item)
        why_prompt(view, item)
    _belongings(item)
    _opened(view, item)


def _box(view: View, item: TrackedItem) -> None:
    toggle = Command.UNTICK if item.mark.state is State.DONE else Command.TICK
    asks = wants_reason(item, view.hand) if toggle is Command.TICK else None
    tick_box(view.run.id, item, disabled=not view.may(toggle, item), asks=asks)


def _remarks(view: View, item: TrackedItem) -> Iterable[Html]:
    if view.next_id == item.id:
        yield chip("running", "next")
    if item.definition.need == "optional":
        yield tag("span", "optional", class_="nx-note")
    if item.definition.verify_by is not None and item.mark.verified_at is None:
        yield tag("span", "two people", class_="nx-note")
    if item.role is not None and item.role is not view.phase.definition.role:
        yield tag("span", f"for {role_word(item.role)}", class_="nx-note")
    for label in item.definition.tags:
        yield tag("span", f"#{label}", class_="nx-note")


def _more(view: View, item: TrackedItem, *, words: str = "Details") -> Html:
    """Leads to the line's details and back; says how many comments wait there."""
    opened = view.open_item == item.id
    comments = item.mark.comments
    said = f"{comments} {'comment' if comments == 1 else 'comments'}" if comments else words
    return link(
        "Close" if opened else said,
        view.address(None if opened else item),
        class_="nx-link nx-cl-more nx-stay",
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
    """One of many ticks of the same: its number, and who and when, or when it is due, in small."""
    mark = item.mark
    said: object = when_due(item, view.run.read_at)
    if mark.state is not State.OPEN and mark.at:
        first = by_name(mark.by, mark.name).split(" ")[0].rstrip(",")
        said = join(first, " ", instant(mark.at, seconds=False), " · early" if item.early else "")
    standing = item.standing.value if item.standing is not None else None
    tones = {"passed": "ok", "failed": "critical", "unable": "warn", "gathered": "note", "stale": "stale"}
    proof = chip(tones[standing], "too old" if standing == "stale" else standing) if standing is not None else ""
    with st.container(key=f"nx-cl-time-{slug(item.id)}", horizontal=True, gap=None):
        _box(view, item)
        show(
            tag(
                "div",
                tag("span", str(item.occurrence), class_="nx-num"),
                join(" ", shape("na")) if mark.state is State.NA else "",
                tag("div", said, class_="nx-cl-who"),
                tag("div", proof, class_="nx-cl-who") if proof else "",
                refusal(place_of(view.run.id, item.id)),
            ),
            _more(view, item, words="···"),
        )
        why_prompt(view, item)


def _belongings(item: TrackedItem) -> None:
    """The help and the snippet of a line, under it."""
    if item.definition.help is not None:
        show(tag("p", rich(item.definition.help), class_="nx-cl-help"))
    if item.definition.snippet is not None:
        with st.container(key=f"nx-cl-code-{slug(item.id)}"):
            st.code(item.definition.snippet.text, language=item.definition.snippet.lang, wrap_lines=True)


def _opened(view: View, item: TrackedItem) -> None:
    if view.open_item == item.id:
        with st.container(key=f"nx-cl-panel-{slug(item.id)}"):
            panel(view, item)


def phase_words(phase: TrackedPhase) -> Html:
    """How the phase is worked through, and how far it is."""
    definition = phase.definition
    how = "in order, line by line" if definition.mode is Mode.READ_DO else "in any order"
    ticker = f", by {role_word(definition.role)}" if definition.role is not None else ""
    return join(f"{counted(phase.progress)} · {how}{ticker}")
