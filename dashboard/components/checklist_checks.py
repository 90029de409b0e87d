"""All checks of a phase at once: how they stand, how far a round is, and the buttons that start one."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from checklists.lines import Standing, TrackedItem, leaves
from checklists.proving import to_prove
from dashboard.access import as_known_now
from dashboard.components.checklist_commands import place_of, refusal, refuse
from dashboard.components.checklist_view import View
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.states import chip
from dashboard.proving import check_lines
from jobs.core import permissions
from jobs.core.errors import NexaError
from jobs.core.permissions import Right

_SAID = {
    Standing.FAILED: ("critical", "failed"),
    Standing.UNABLE: ("warn", "cannot run"),
    Standing.STALE: ("stale", "too old"),
    Standing.PASSED: ("ok", "passed"),
    Standing.GATHERED: ("note", "to judge"),
}


def checks_bar(view: View) -> None:
    """One line above the lines; nothing in a phase without checks."""
    phase_id = view.phase.definition.id
    checked = [line for line in leaves([view.phase]) if line.definition.check is not None]
    with st.container(key="nx-cl-checks", horizontal=True, gap="small", vertical_alignment="center"):
        if not checked:
            return
        round_ = view.under_way.phases.get(phase_id)
        if round_ is not None:
            done, total = round_
            st.progress(done / total, text=f"{done} of {total} checks have run")
            return
        show(tag("p", _counted(checked), refusal(_place(view))))
        if not view.works:
            return
        stale = to_prove(view.phase, view.run.read_at, stale_only=True)
        wanted = to_prove(view.phase, view.run.read_at)
        if wanted:
            st.button(
                f"Run all checks ({len(wanted)})", key=f"nx-prove-{place_of(view.run.id, phase_id)}",
                icon=":material/playlist_play:", on_click=_start, args=(view, wanted),
            )  # fmt: skip
        if stale:
            st.button(
                f"Those too old ({len(stale)})", key=f"nx-stale-{place_of(view.run.id, phase_id)}", type="tertiary",
                icon=":material/update:", on_click=_start, args=(view, stale),
            )  # fmt: skip


def _counted(checked: list[TrackedItem]) -> Html:
    counts = Counter(line.standing for line in checked)
    said: list[object] = []
    for standing, (tone, word) in _SAID.items():
        if counts[standing]:
            said += [chip(tone, f"{counts[standing]} {word}"), "  "]
    if counts[None]:
        said.append(tag("span", f"{counts[None]} not run yet", class_="nx-quiet"))
    return join("Checks: ", *said)


def _place(view: View) -> str:
    return place_of(view.run.id, f"{view.phase.definition.id}/*")


def _start(view: View, lines: tuple[TrackedItem, ...]) -> None:
    try:
        person = as_known_now()
        permissions.require(person, Right.TICK)
    except NexaError as error:
        refuse(_place(view), str(error))
        return
    check_lines(view.run.id, view.phase.definition.id, lines, person)
