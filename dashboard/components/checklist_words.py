"""Checklists in words and small markup: texts with their code, progress, who and when, what an event did."""

from __future__ import annotations

import re
from collections.abc import Mapping

from checklists.lines import Progress, TrackedPhase
from checklists.proofs import SYSTEM
from checklists.reads import ChecklistRun, Event, RunState
from dashboard.components.instants import instant
from dashboard.components.markup import Html, esc, join, tag
from dashboard.components.states import chip
from jobs.core.permissions import Role

DID: Mapping[str, str] = {
    "started": "started the run",
    "ticked": "ticked",
    "unticked": "reopened",
    "na": "marked as not applying",
    "comment": "commented",
    "verified": "verified",
    "assigned": "assigned",
    "check": "ran the check of",
    "action": "pressed the button of",
    "evidence": "left evidence on",
    "evidence withdrawn": "withdrew evidence from",
    "handed over": "handed the run over",
    "corrected": "corrected the summary",
    "closed": "closed the run as done",
    "abandoned": "abandoned the run",
    "signed": "signed",
    "rejected": "rejected",
    "signature void": "changed what was signed, and a signature became void",
    "delegated": "let somebody sign for them",
    "delegation revoked": "took that leave back",
    "moved": "moved the run to a newer version",
}


def rich(text: str) -> Html:
    """A text of a definition: what stands between backticks as code, everything else to the letter."""
    pieces = re.split(r"`([^`\n]+)`", text)
    return join(*(tag("code", piece) if index % 2 else piece for index, piece in enumerate(pieces)))


def plain(text: str) -> str:
    """The same without its backticks, where markup has no place."""
    return text.replace("`", "")


def role_word(role: Role) -> str:
    """ "qa lead", "on-call"."""
    return role.value.replace("_", " ")


def counted(progress: Progress) -> str:
    """ "38 of 142 lines done, 2 do not apply, 97 required ones are open"."""
    said = [f"{progress.done} of {progress.total} {'line' if progress.total == 1 else 'lines'} done"]
    if progress.na:
        said.append(f"{progress.na} {'does' if progress.na == 1 else 'do'} not apply")
    if progress.required_open:
        said.append(f"{progress.required_open} required still open")
    return ", ".join(said)


def bar(closed: int, total: int, label: str) -> Html:
    """A thin bar, beside words that say the same."""
    return tag("progress", max=max(total, 1), value=closed, class_="nx-cl-bar", aria_label=label)


def step_state(phase: TrackedPhase) -> tuple[str, str]:
    """Of a phase as a step: a state with a shape, and its word."""
    if phase.progress.complete:
        return "done", "complete"
    if phase.waits_for or phase.gate:
        return "waits", "waits"
    return ("running", "under way") if phase.progress.closed else ("open", "to do")


def standing(run: ChecklistRun) -> Html:
    """The run's state with who brought it there and when."""
    hurried = join(chip("warn", "expedited"), " · ") if run.urgent is not None else ""
    if run.state is RunState.OPEN or run.closed_at is None:
        return join(
            hurried, chip("running", "in hand"), " started by ", run.starter, ", ",
            instant(run.started_at, seconds=False),
        )  # fmt: skip
    return join(hurried, chip(run.state.value), " by ", run.closer, ", ", instant(run.closed_at, seconds=False))


def by_name(actor: str | None, name: str | None) -> str:
    """Who did it, as people say it; what a check did that nobody asked for is never a person's."""
    return "its check, by itself" if actor == SYSTEM.email else name or actor or "somebody"


def told(event: Event, labels: Mapping[str, Html]) -> Html:
    """One event as a line: when, who, what, and in their own words why; `labels` by item id."""
    about = labels.get(event.item_id or "")
    words = join(": ", tag("q", event.note)) if event.note else ""
    did = DID.get(event.kind, event.kind)
    did = did if about else did.removesuffix(" of").removesuffix(" on").removesuffix(" from")
    name = "nexaops, by itself," if event.actor == SYSTEM.email else event.name
    return tag(
        "li",
        instant(event.at),
        tag(
            "div", tag("b", name), " ", did, join(" ", about) if about else "",
            _became(event), words,
        ),
    )  # fmt: skip


def _became(event: Event) -> Html:
    """What came of it, where the kind alone does not say."""
    match event.kind:
        case "check":
            tones = {"passed": "ok", "failed": "critical", "unable": "warn"}
            return join(", ", chip(tones.get(event.new or "", "note"), event.new or ""))
        case "ticked" if event.new not in (None, "done"):
            return join(", decided ", tag("b", event.new))
        case "corrected" | "handed over":
            return esc(f", {event.old or 'nothing'} → {event.new or 'nothing'}")
        case "assigned":
            return esc(f", to {event.new or 'nobody'}")
        case "evidence" | "evidence withdrawn":
            return esc(f", {event.new or event.old}")
    return Html("")


def happened(lines: list[Html]) -> Html:
    """Events under one another."""
    return tag("ul", *lines, class_="nx-cl-events")


def code_line(text: str) -> Html:
    """A text shortened to what a link in a list can carry."""
    short = text if len(text) <= 70 else f"{text[:69].rstrip()}…"
    return rich(short) if short.count("`") % 2 == 0 else esc(plain(short))
