"""Failures by kind: how often, since when, in which jobs, one of them to look at, and all of them to run again."""

from __future__ import annotations

import streamlit as st

from dashboard.components.job_actions import ask_repeat
from dashboard.components.job_words import first_line
from dashboard.components.layout import empty, section
from dashboard.components.markup import Html, join, link, plain, show, tag, url
from dashboard.components.states import chip, word
from dashboard.components.times import age
from dashboard.queries_runs import Failures
from jobs.run.again import MOST_READ, Repeat
from jobs.run.failures import Group

MOST_GROUPS = 25


def draw_groups(found: Failures, *, said: str, may_run: bool) -> None:
    """The groups, the one with the newest failure first; `said` names the window."""
    total = sum(len(group.runs) for group in found.groups)
    kinds = "1 kind" if len(found.groups) == 1 else f"{len(found.groups)} kinds"
    most = f", of the newest {MOST_READ:,}" if found.cut else ""
    section(
        f"{total:,} failed in {kinds}{most}" if total else "Nothing failed",
        join(f"the last {said}, as of ", age(found.read_at)),
    )
    if not total:
        empty(f"No run failed, ran out of time or was lost in the last {said}.", "Choose a longer time to see more.")
        return
    for group in found.groups[:MOST_GROUPS]:
        with st.container(key=f"nx-failgroup-{group.key}", horizontal=True, vertical_alignment="top", gap="medium"):
            left = found.left.get(group.key, ())
            show(_group(group, left))
            if may_run and left:
                label = f"Retry all ({len(left):,})"
                meaning = plain(f"{label}: {group.message}")
                if st.button(label, key=f"repeat-{group.key}", icon=":material/replay:", help=meaning):
                    ask_repeat(group, left, key=f"repeat-form-{group.key}")
    if len(found.groups) > MOST_GROUPS:
        show(tag("p", f"and {len(found.groups) - MOST_GROUPS} kinds more, all older", class_="nx-note"))


def _group(group: Group, left: tuple[Repeat, ...]) -> Html:
    count = "once" if len(group.runs) == 1 else f"{len(group.runs):,} times"
    newest = group.newest
    since = "" if len(group.runs) == 1 else join(", first ", age(group.first))
    sample = first_line(newest.error)
    jobs = [link(name, url("runs", job=name)) for name in group.jobs]
    return tag(
        "div",
        tag("h3", group.message),
        tag(
            "div",
            chip(newest.state, f"{word(newest.state)} {count}"),
            tag("span", "last ", age(group.last), since),
            tag("span", *_listed(jobs)),
            tag("span", group.error_class) if group.error_class else "",
            class_="nx-note nx-numbers",
        ),
        tag(
            "p",
            link(f"run {newest.id}", url("run", id=newest.id), class_="nx-link nx-inline"),
            f": {sample}" if sample and sample != group.message else "",
            class_="nx-note",
        ),
        "" if left else tag("div", "Nothing is left to repeat: later runs have taken their place.", class_="nx-note"),
        class_="nx-failgroup",
    )


def _listed(items: list[Html]) -> list[object]:
    return [piece for place, item in enumerate(items) for piece in ((", ", item) if place else (item,))]
