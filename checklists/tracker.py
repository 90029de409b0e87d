"""What a run of a checklist is, and what may happen to it next.

Pure: a definition and the marks of its items go in, phases with progress come out, and a command is either a change or
a refusal with one sentence. The rules:

- An item is open, done, or marked N/A with a reason; from done and N/A the only way leads back to open.
- A repeated item is a group of its occurrences (1 to n), each with a mark of its own, so that the ninth hour of
  twenty-four has its own who and when.
- A group is not marked itself. `all`: closed when no required child is open. `any`: closed when one child is done.
- Ticks follow the order: phases named in `after` are complete first, and in a read-do phase every required item above
  is closed. N/A may be said ahead of time. Reopening is always possible, keeps later ticks, and stops further ones.
- The role of the item, else of what it stands in, may change it; administrators and release managers may change all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checklists.grammar import odd_character
from checklists.schema import Item, Mode, Phase, Template
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound, UsageError
from jobs.core.permissions import Right, Role, allowed


class Refused(NexaError):
    """The list's own rules do not allow it, or not yet."""


MAY_CHANGE_ALL = frozenset({Role.ADMINISTRATOR, Role.RELEASE_MANAGER})
LONGEST_NOTE = 2000


class State(StrEnum):
    """Of one item; a note and an untouched group are open."""

    OPEN = "open"
    DONE = "done"
    NA = "na"


class Command(StrEnum):
    """What a person does to one item."""

    TICK = "tick"
    UNTICK = "untick"
    MARK_NA = "mark as N/A"

    @property
    def target(self) -> State:
        """The state that it leads to."""
        return {Command.TICK: State.DONE, Command.UNTICK: State.OPEN, Command.MARK_NA: State.NA}[self]


class Kind(StrEnum):
    """What stands on a line: something to tick, a group of such things, or a note."""

    ITEM = "item"
    GROUP = "group"
    REPEAT = "repeat"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Mark:
    """The last change of one item: `by` is a person's e-mail, `name` their name, `at` is UTC."""

    state: State = State.OPEN
    version: int = 1
    by: str | None = None
    name: str | None = None
    at: datetime | None = None
    reason: str | None = None
    comments: int = 0


@dataclass(frozen=True, slots=True)
class TrackedItem:
    """One line of a run; `definition` has its snippet, help and need, `occurrence` counts a repeat from 1."""

    id: str
    kind: Kind
    definition: Item
    role: Role | None
    mark: Mark
    children: tuple[TrackedItem, ...] = ()
    occurrence: int | None = None

    @property
    def text(self) -> str:
        return self.definition.text

    @property
    def label(self) -> str:
        """The text, with its place in a repeat."""
        repeat = self.definition.repeat
        return f"{self.text} ({self.occurrence} of {repeat.times})" if repeat and self.occurrence else self.text

    @property
    def state(self) -> State:
        """Its mark's, or what its children roll up to."""
        if self.kind is Kind.ITEM:
            return self.mark.state
        states = {child.state for child in self.children if child.kind is not Kind.NOTE}
        if State.DONE in states and not self._holding:
            return State.DONE
        return State.NA if states == {State.NA} else State.OPEN

    @property
    def leaves(self) -> Iterator[TrackedItem]:
        """The lines that have a mark, in order."""
        if self.kind is Kind.ITEM:
            yield self
        for child in self.children:
            yield from child.leaves

    @property
    def open_required(self) -> tuple[TrackedItem, ...]:
        """The lines that must still be closed for the phase's sake."""
        return () if self.definition.need == "optional" else self._holding

    @property
    def _holding(self) -> tuple[TrackedItem, ...]:
        """The lines that keep this line from being closed."""
        open_leaves = tuple(line for line in self.leaves if line.mark.state is State.OPEN)
        if self.kind is not Kind.GROUP:
            return open_leaves
        if self.definition.rollup == "all":
            return tuple(line for child in self.children for line in child.open_required)
        return () if any(child.state is State.DONE for child in self.children) else open_leaves


@dataclass(frozen=True, slots=True)
class Progress:
    """Lines with a mark, counted; `required_open` is what keeps it from being complete."""

    total: int
    done: int
    na: int
    required_open: int

    @property
    def closed(self) -> int:
        return self.done + self.na

    @property
    def complete(self) -> bool:
        return self.required_open == 0


@dataclass(frozen=True, slots=True)
class TrackedPhase:
    """One phase of a run; `waits_for` has the titles of the phases that must be complete before a tick here."""

    definition: Phase
    items: tuple[TrackedItem, ...]
    progress: Progress
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted command: the line it changes, from what and to what, and the reason as it is kept."""

    item: TrackedItem
    old: State
    new: State
    reason: str | None


def build(template: Template, marks: Mapping[str, Mark]) -> tuple[TrackedPhase, ...]:
    """The phases of a run; without marks, those of a run that nobody has touched."""
    phases: dict[str, TrackedPhase] = {}
    for phase in template.phases:
        items = tuple(_line(item, phase.id, phase.role, marks) for item in phase.items)
        waits_for = tuple(phases[name].definition.title for name in phase.after if not phases[name].progress.complete)
        phases[phase.id] = TrackedPhase(phase, items, count(items), waits_for)
    return tuple(phases.values())


def count(items: Iterable[TrackedItem]) -> Progress:
    """The progress of some lines together."""
    items = tuple(items)
    states = [leaf.mark.state for item in items for leaf in item.leaves]
    required_open = sum(len(item.open_required) for item in items)
    return Progress(len(states), states.count(State.DONE), states.count(State.NA), required_open)


def leaves(phases: Iterable[TrackedPhase]) -> Iterator[TrackedItem]:
    """Every line that has a mark, in the order of the list."""
    for phase in phases:
        for item in phase.items:
            yield from item.leaves


def decide(
    phases: Iterable[TrackedPhase],
    item_id: str,
    command: Command,
    *,
    seen_version: int,
    roles: frozenset[Role],
    reason: str | None = None,
) -> Change:
    """What a command changes.

    Raises NotFound, Conflict (somebody was faster), Forbidden (role), Refused (the list's rules) or UsageError (no
    reason, or one that cannot be kept), each with one sentence.
    """
    phase, item = _find(phases, item_id)
    if item.mark.version != seen_version:
        raise Conflict(_faster(item))
    refusal = _refusal(phase, item, command, roles)
    if refusal is not None:
        raise refusal
    kept = clean(reason, "The reason")
    if command is Command.MARK_NA and kept is None:
        raise UsageError(f"“{item.label}” can only be marked N/A with a reason: say why it does not apply.")
    return Change(item, item.mark.state, command.target, kept)


def why_not(phase: TrackedPhase, item: TrackedItem, command: Command, roles: frozenset[Role]) -> str | None:
    """For a page: why this person cannot do this to the line now, in one sentence; None if they can."""
    refusal = _refusal(phase, item, command, roles)
    return None if refusal is None else str(refusal)


def may_change(item: TrackedItem, roles: frozenset[Role]) -> bool:
    """Whether one of the roles may change the line at all."""
    if not allowed(roles, Right.TICK):
        return False
    return item.role is None or item.role in roles or bool(MAY_CHANGE_ALL & roles)


def clean(value: str | None, what: str) -> str | None:
    """Text of a person as it is kept: trimmed, None if empty; UsageError if it cannot be kept or shown as it is."""
    kept = (value or "").replace("\r\n", "\n").strip()
    if len(kept) > LONGEST_NOTE:
        raise UsageError(f"{what} has {len(kept):,} characters: at most {LONGEST_NOTE:,} are kept.")
    odd = odd_character(kept)
    if odd is not None:
        raise UsageError(f"{what} holds the character {odd}, which does not show as itself: take it out.")
    return kept or None


def _line(item: Item, above: str, role: Role | None, marks: Mapping[str, Mark]) -> TrackedItem:
    path = f"{above}/{item.id}"
    role = item.role or role
    if item.note is not None:
        return TrackedItem(path, Kind.NOTE, item, role, Mark())
    if item.items:
        children = tuple(_line(child, path, role, marks) for child in item.items)
        return TrackedItem(path, Kind.GROUP, item, role, Mark(), children)
    if item.repeat is not None:
        occurrences = tuple(
            TrackedItem(f"{path}/{n}", Kind.ITEM, item, role, marks.get(f"{path}/{n}", Mark()), occurrence=n)
            for n in range(1, item.repeat.times + 1)
        )
        return TrackedItem(path, Kind.REPEAT, item, role, Mark(), occurrences)
    return TrackedItem(path, Kind.ITEM, item, role, marks.get(path, Mark()))


def _find(phases: Iterable[TrackedPhase], item_id: str) -> tuple[TrackedPhase, TrackedItem]:
    for phase in phases:
        for item in phase.items:
            for leaf in item.leaves:
                if leaf.id == item_id:
                    return phase, leaf
    raise NotFound(f"There is nothing to tick with the id {item_id!r} in this run: open the run again.")


def _refusal(phase: TrackedPhase, item: TrackedItem, command: Command, roles: frozenset[Role]) -> NexaError | None:
    if not may_change(item, roles):
        needed = f"the role {item.role}" if item.role is not None else "a role that ticks checklists"
        return Forbidden(f"“{item.label}” is not yours to {command}: it takes {needed}, or a release manager.")
    if (item.mark.state is State.OPEN) == (command is Command.UNTICK):
        now = {State.OPEN: "is open already", State.DONE: "is done already", State.NA: "is marked N/A: reopen it first"}
        return Refused(f"“{item.label}” {now[item.mark.state]}.")
    if command is Command.MARK_NA and item.definition.na == "never":
        return Refused(f"“{item.label}” always applies: it cannot be marked N/A.")
    if command is not Command.TICK:
        return None
    if phase.waits_for:
        return Refused(f"“{phase.definition.title}” waits until this is complete: {', '.join(phase.waits_for)}.")
    first = next(iter(_open_above(phase.items, item)), None) if phase.definition.mode is Mode.READ_DO else None
    if first is not None:
        return Refused(f"“{phase.definition.title}” goes in order: “{first.label}” comes first.")
    return None


def _open_above(items: Iterable[TrackedItem], target: TrackedItem) -> list[TrackedItem]:
    """The required lines above the target that are open; children of an `any` group do not wait for each other."""
    above: list[TrackedItem] = []
    for item in items:
        if item.id == target.id:
            break
        if target.id.startswith(f"{item.id}/"):
            within = [] if item.definition.rollup == "any" else _open_above(item.children, target)
            return above + within
        above += item.open_required
    return above


def _faster(item: TrackedItem) -> str:
    mark = item.mark
    did = {State.OPEN: "reopened", State.DONE: "ticked", State.NA: "marked as N/A"}[mark.state]
    when = f" at {mark.at:%H:%M:%S} UTC on {mark.at:%-d %B}" if mark.at is not None else ""
    return f"{mark.name or mark.by or 'Somebody'} {did} “{item.label}”{when}, after you saw it: look again first."
