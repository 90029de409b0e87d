"""The form of a rule: a field for everything it says, in the signal's own unit, and how to read them.

The fields stand outside of a form, so that what they mean and what the rule would have done is seen while it is changed;
nothing is saved before a dialog has named the consequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from dashboard.components.markup import show, tag
from jobs.alerts.edits import MOST_STEPS, SEVERITIES
from jobs.alerts.model import COMPARISONS, Rule, Step
from jobs.alerts.signals import SIGNALS, Signal
from jobs.alerts.words import COMPARED
from jobs.core.permissions import Role

NEW = Rule("", "", "job.failures", ">=", 3.0, "warn", (Step(0, "team"),), version=0)
"""What a new rule begins with."""
_NONE = "none"


def draw(
    seen: Rule, *, key: str, rules: Mapping[str, str], runbooks: Mapping[str, str], people: Mapping[str, str],
    channels: Sequence[str],
) -> Rule:  # fmt: skip
    """The fields, filled with the rule as it stands; returns the rule that they say now.

    `rules` and `runbooks` are titles by name, `people` names by address.
    """
    if seen.version == 0:
        name = st.text_input("Name", key=f"{key}-name", max_chars=60, placeholder="as in deposits-late",
                             help="Small letters, digits and hyphens; it stays.")  # fmt: skip
    else:
        name = seen.name
    title = st.text_input("Title: what people are told", value=seen.title, key=f"{key}-title", max_chars=120)
    signals = {**{one.name: one for one in SIGNALS.values()}}
    chosen = st.selectbox("What is watched", list(signals), index=_place(list(signals), seen.signal), key=f"{key}-signal",
                          format_func=lambda name: f"{signals[name].title} ({name})")  # fmt: skip
    signal = signals[chosen]
    _meaning(signal)
    comparison, threshold = _limit(seen, signal, key)
    held, severity, repeat = st.columns(3)
    for_m = held.number_input("Holds for (minutes)", min_value=0.0, max_value=10_080.0, value=seen.for_s / 60,
                              step=1.0, format="%g", key=f"{key}-for")  # fmt: skip
    severe = severity.selectbox("How bad", SEVERITIES, index=SEVERITIES.index(seen.severity), key=f"{key}-severity")
    repeat_m = repeat.number_input("Reminder every (minutes; 0: none)", min_value=0.0, max_value=10_080.0,
                                   value=(seen.repeat_s or 0) / 60, step=5.0, format="%g", key=f"{key}-repeat")  # fmt: skip
    subject = seen.subject
    if signal.subject:
        subject = st.text_input(f"Of which: {signal.subject}", value=seen.subject, key=f"{key}-subject", max_chars=200,
                                help="Patterns such as reconcile-*, separated by commas; !name leaves one out; * is all.")  # fmt: skip
    steps = _steps(seen, key, people, channels)
    others = [other for other in rules if other != seen.name]
    folds = st.multiselect("Follows from: nobody is told of it while one of these fires", others,
                           default=[one for one in seen.folds_into if one in others], key=f"{key}-folds",
                           format_func=lambda name: f"{rules[name]} ({name})", placeholder="No other rule explains it",
                           help="A critical alert follows from critical ones only.")  # fmt: skip
    books = [_NONE, *runbooks]
    runbook = st.selectbox("Runbook: the checklist to start", books, index=_place(books, seen.runbook or _NONE),
                           key=f"{key}-runbook", format_func=lambda name: f"{runbooks[name]} ({name})" if name in runbooks else name)  # fmt: skip
    enabled = st.checkbox("On: it is evaluated", value=seen.enabled, key=f"{key}-enabled")
    return replace(
        seen,
        name=name.strip(),
        title=title,
        signal=chosen,
        subject=subject if signal.subject else "*",
        comparison=comparison,
        threshold=threshold,
        for_s=round(for_m * 60),
        severity="critical" if severe == "critical" else "warn",
        steps=steps,
        repeat_s=round(repeat_m * 60) or None,
        folds_into=tuple(folds),
        runbook=None if runbook == _NONE else runbook,
        enabled=enabled,
    )


def _meaning(signal: Signal) -> None:
    bad = "more is worse" if signal.bad == "high" else "less is worse"
    show(tag("p", f"{signal.means} In: {signal.unit.value}; {bad}.", class_="nx-quiet"))


def _limit(seen: Rule, signal: Signal, key: str) -> tuple[str, float]:
    """How it is compared with what; another signal begins with its own way of being bad."""
    same = signal.name == seen.signal
    first = seen.comparison if same else ">=" if signal.bad == "high" else "<"
    how, much = st.columns(2)
    known = list(COMPARISONS)
    comparison = how.selectbox("Too much is", known, index=known.index(first), key=f"{key}-{signal.name}-comparison",
                               format_func=COMPARED.__getitem__)  # fmt: skip
    threshold = much.number_input(f"This ({signal.unit.value})", value=seen.threshold if same else 1.0, format="%g",
                                  key=f"{key}-{signal.name}-threshold")  # fmt: skip
    return comparison, float(threshold)


def _steps(seen: Rule, key: str, people: Mapping[str, str], channels: Sequence[str]) -> tuple[Step, ...]:
    """Who is told after how long; one row more than is filled in."""
    st.caption("Who is told, until somebody has it")
    known = [
        "team", "on-call", *(f"role:{role}" for role in Role), *(f"person:{one}" for one in people),
        *(f"channel:{one}" for one in channels),
    ]  # fmt: skip
    # Whoever has left since still stands in the rule, until they are replaced.
    known += [step.to for step in seen.steps if step.to not in known]
    found: list[Step] = []
    for place in range(MOST_STEPS):
        was = seen.steps[place] if place < len(seen.steps) else None
        when, whom = st.columns([1, 3])
        minutes = when.number_input("After (minutes)", min_value=0.0, max_value=10_080.0, step=5.0, format="%g",
                                    value=was.after_s / 60 if was else 15.0 * place, key=f"{key}-after-{place}")  # fmt: skip
        to = whom.selectbox("Tell", [_NONE, *known], index=known.index(was.to) + 1 if was else 0, key=f"{key}-to-{place}",
                            format_func=lambda to: to.replace(":", ": ").replace("_", " "))  # fmt: skip
        if to != _NONE:
            found.append(Step(round(minutes * 60), to))
        elif place >= len(seen.steps):
            break
    return tuple(found)


def _place(options: Sequence[str], value: str) -> int:
    return list(options).index(value) if value in options else 0
