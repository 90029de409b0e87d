"""The phases of a run as steps: how far each is, which waits for which, and the one that is open."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from checklists.lines import TrackedPhase
from dashboard.components.checklist_facts import names_line
from dashboard.components.checklist_words import bar, step_state
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.states import shape


def steps(run_id: int, phases: Sequence[TrackedPhase], current: TrackedPhase) -> Html:
    """Every phase by section, each a link that opens it."""
    numbered = list(enumerate(phases, start=1))
    groups = groupby(numbered, key=lambda entry: entry[1].definition.section)
    return tag(
        "nav",
        *(
            tag(
                "section",
                tag("p", section or "\u00a0", class_="nx-cl-over" if section else "nx-cl-over nx-cl-blank"),
                tag("ol", *(_step(run_id, number, phase, phase is current) for number, phase in members)),
            )
            for section, members in groups
        ),
        class_="nx-cl-steps",
        aria_label="Phases",
    )


def _step(run_id: int, number: int, phase: TrackedPhase, current: bool) -> Html:
    progress = phase.progress
    state, word = step_state(phase)
    title = phase.definition.title
    wanted = (*phase.waits_for, *phase.gate)
    waits = f" for {', '.join(wanted)}" if wanted and not progress.complete else ""
    said = f"{number}. {title}: {progress.closed} of {progress.total}, {word}{waits}"
    return tag(
        "li",
        link(
            join(
                tag("span", shape(state), tag("span", str(number), class_="nx-cl-number"),
                    tag("span", f"{progress.closed}/{progress.total}", class_="nx-note nx-num"), class_="nx-cl-count"),
                tag("span", title, class_="nx-cl-name"),
                bar(progress.closed, progress.total, f"{title}: progress"),
            ),
            url("checklist", id=run_id, phase=phase.definition.id),
            class_="nx-link nx-cl-step",
            title=said,
            aria_label=said,
            aria_current="step" if current else None,
        ),
    )  # fmt: skip


def blockers(run_id: int, phase: TrackedPhase, phases: Sequence[TrackedPhase]) -> Html:
    """What must be so before a tick here: phases by name with what is open in them, and what the gate still wants."""
    if not phase.waits_for and not phase.gate:
        return Html("")
    ahead = [other for other in phases if other.definition.title in phase.waits_for]
    title = phase.definition.title
    does, what = ("waits", " until this is complete:") if ahead else ("has a gate", " that still wants:")
    return tag(
        "div",
        tag("p", shape("warn"), tag("b", f"{title} {does}"), what),
        tag("ul", *(_ahead(run_id, other) for other in ahead), *(tag("li", wanted) for wanted in phase.gate)),
        class_="nx-cl-blocked",
    )


def _ahead(run_id: int, phase: TrackedPhase) -> Html:
    """A phase that others wait for, with its first open lines by name."""
    left = phase.left
    more = f" and {len(left) - 2} more" if len(left) > 2 else ""
    named = ", ".join(names_line(line) for line in left[:2])
    return tag(
        "li",
        link(phase.definition.title, url("checklist", id=run_id, phase=phase.definition.id)),
        tag("span", f" {len(left)} open: {named}{more}", class_="nx-note"),
    )


def onward(run_id: int, phases: Sequence[TrackedPhase], current: TrackedPhase) -> Html:
    """To the phases before and after this one."""
    place = phases.index(current)
    before = phases[place - 1] if place > 0 else None
    after = phases[place + 1] if place + 1 < len(phases) else None

    def to(phase: TrackedPhase, words: str) -> Html:
        return link(
            join(tag("span", words, class_="nx-note"), phase.definition.title),
            url("checklist", id=run_id, phase=phase.definition.id),
        )

    return tag(
        "nav",
        to(before, "Before") if before is not None else tag("span"),
        to(after, "Next") if after is not None else "",
        class_="nx-cl-onward",
        aria_label="Phases before and after",
    )
