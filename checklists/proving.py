"""Which checks of a run are worth running now, and when a pass ticks its line.

Pure. The rules:

- A line that does not apply proves nothing; an occurrence of a repeat proves nothing before its time has come.
- A pass ticks an open line whose check has the effect `tick` or `block`, if nobody changed the line since the check
  began, and if it is the line's turn (which `tracker.decide` says).
- What a person has reopened is theirs to tick: there a check that runs by itself records its result only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from checklists.checks.model import Verdict
from checklists.grammar import Effect
from checklists.lines import Standing, State, TrackedItem, TrackedPhase, leaves


def why_not_proven(line: TrackedItem, now: datetime) -> str | None:
    """Why the line's check is not run now, in one sentence; None if it can be."""
    if line.definition.check is None:
        return f"“{line.label}” has no check: a person judges it."
    if line.mark.state is State.NA:
        return f"“{line.label}” does not apply: there is nothing to check."
    if line.occurrence is not None and line.mark.state is State.OPEN:
        if line.opens_at is None:
            return f"“{line.label}” is not due: its phase has not begun."
        if now < line.opens_at:
            return f"“{line.label}” is not due before {line.opens_at:%H:%M} UTC on {line.opens_at:%-d %B}."
    return None


def to_prove(phase: TrackedPhase, now: datetime, *, stale_only: bool = False) -> tuple[TrackedItem, ...]:
    """The lines of a phase whose check is run when somebody asks for all, or for those that are too old, in order."""
    return tuple(
        line
        for line in leaves([phase])
        if why_not_proven(line, now) is None and (line.standing is Standing.STALE or not stale_only)
    )


def stale_lines(phases: Iterable[TrackedPhase], now: datetime) -> tuple[TrackedItem, ...]:
    """The lines of a run whose last result is too old, the one that is too old for longest first."""
    found = [line for phase in phases for line in to_prove(phase, now, stale_only=True)]
    return tuple(sorted(found, key=lambda line: line.check.expires_at if line.check is not None else now))


def may_tick(line: TrackedItem, verdict: Verdict, seen_version: int, *, by_itself: bool) -> bool:
    """Whether a result ticks the line; `seen_version` is the line's when the check began."""
    check = line.definition.check
    if check is None or check.effect is Effect.INFORM or verdict is not Verdict.PASSED:
        return False
    if line.mark.state is not State.OPEN or line.mark.version != seen_version:
        return False
    return not (by_itself and line.mark.version > 1)
