"""A run of a checklist as it stands: its definition, the marks of its items and what is known besides, put together.

Pure. The rules:

- An item is open, done, or N/A with a reason. Where a field of the summary says so (`when`), it is N/A by itself.
- A repeated item is a group of its occurrences (1 to n), each with a mark of its own, so that the ninth hour of
  twenty-four has its own who and when. The n-th opens n-1 intervals after its phase did, and is due one later; a tick
  before it opens is marked as early.
- A group is not marked itself. `all`: closed when no required child is open. `any`: closed when one child is done.
- A line that is done can still hold its phase: until a second person has verified it, while it was decided that
  another list goes first, while its check has failed since, or has not passed although it must (`block`).
- A phase waits for the phases named in `after`, and at its gate for signatures and for the checks above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import chain

from checklists.grammar import Effect
from checklists.schema import Item, Mode, Phase, Template
from jobs.core.permissions import Role


class State(StrEnum):
    """Of one item; a note and an untouched group are open."""

    OPEN = "open"
    DONE = "done"
    NA = "na"


class Kind(StrEnum):
    """What stands on a line: something to tick, a group of such things, or a note."""

    ITEM = "item"
    GROUP = "group"
    REPEAT = "repeat"
    NOTE = "note"


class Standing(StrEnum):
    """What a check's last result is worth now."""

    PASSED = "passed"
    FAILED = "failed"
    UNABLE = "unable"
    GATHERED = "gathered"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class CheckState:
    """The last result of an item's check: `verdict` as the check said it, `expires_at` when it stops to count.

    `sha256` is that of the output which first said so: the same verdict again, at another moment, is no other result.
    """

    verdict: Standing
    summary: str
    at: datetime
    expires_at: datetime
    mend: str | None = None
    sha256: str = ""

    def standing(self, now: datetime | None) -> Standing:
        """Its verdict, or stale; without a clock, as it was said."""
        return Standing.STALE if now is not None and now >= self.expires_at else self.verdict


@dataclass(frozen=True, slots=True)
class Mark:
    """The last change of one item: `by` is a person's e-mail, `name` their name, times are UTC.

    `performed_at` is set on a late entry: when it was done, before it was ticked `at`. `evidence` has the labels of what
    was left on the item and still stands, `proofs` their SHA-256. `choice` is how a decision went.
    """

    state: State = State.OPEN
    version: int = 1
    by: str | None = None
    name: str | None = None
    at: datetime | None = None
    reason: str | None = None
    comments: int = 0
    choice: str | None = None
    performed_at: datetime | None = None
    verified_by: str | None = None
    verifier: str | None = None
    verified_at: datetime | None = None
    assignee: str | None = None
    assigned: str | None = None
    due_at: datetime | None = None
    evidence: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run besides its marks; empty for a preview.

    `signed` are the roles whose signature holds; an `urgent` run goes through its gates before they have signed.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    now: datetime | None = None
    checks: Mapping[str, CheckState] = field(default_factory=dict)
    signed: frozenset[Role] = frozenset()
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class TrackedItem:
    """One line of a run; `definition` has its snippet, help and need, `occurrence` counts a repeat from 1.

    `applies_not` says why it is N/A by itself; `holds`, why it holds its phase although it is done; `opens_at` is when
    it can be ticked at the earliest, `due_at` when at the latest.
    """

    id: str
    kind: Kind
    definition: Item
    role: Role | None
    mark: Mark
    children: tuple[TrackedItem, ...] = ()
    occurrence: int | None = None
    check: CheckState | None = None
    standing: Standing | None = None
    applies_not: str | None = None
    holds: str | None = None
    opens_at: datetime | None = None
    due_at: datetime | None = None

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
    def leaves(self) -> tuple[TrackedItem, ...]:
        """The lines that have a mark, in order."""
        if self.kind is Kind.ITEM:
            return (self,)
        return tuple(leaf for child in self.children for leaf in child.leaves)

    @property
    def early(self) -> bool:
        """Whether an occurrence was ticked before its time had come."""
        at, opens_at = self.mark.at, self.opens_at
        ticked = self.occurrence is not None and self.mark.state is State.DONE
        return ticked and at is not None and opens_at is not None and at < opens_at

    @property
    def missing_evidence(self) -> tuple[str, ...]:
        """The labels of what it asks for and nobody has left yet."""
        return tuple(
            asked.label
            for asked in self.definition.evidence
            if asked.need == "required" and asked.label not in self.mark.evidence
        )

    @property
    def overruled(self) -> bool:
        """Whether a person ticked it knowing that its check had not passed."""
        check, at = self.check, self.mark.at
        return (
            check is not None and check.verdict in {Standing.FAILED, Standing.UNABLE} and at is not None and at >= check.at
        )  # fmt: skip

    @property
    def unproven(self) -> str | None:
        """Why what its check should prove is not proven now although it is done; None if it is, or need not be."""
        check = self.definition.check
        if check is None or check.effect is Effect.INFORM or self.mark.state is not State.DONE:
            return None
        if self.standing is Standing.STALE and not self.overruled:
            return "its result is too old, run it again"
        if check.effect is Effect.BLOCK and self.standing is not Standing.PASSED:
            return "it must pass"
        return None

    @property
    def open_required(self) -> tuple[TrackedItem, ...]:
        """The lines that must still be closed for the phase's sake."""
        return () if self.definition.need == "optional" else self._holding

    @property
    def _holding(self) -> tuple[TrackedItem, ...]:
        """The lines that keep this line from being closed."""
        if self.kind is Kind.GROUP and self.definition.rollup == "all":
            return tuple(line for child in self.children for line in child.open_required)
        if self.kind is Kind.GROUP and any(child.state is State.DONE and not child._holding for child in self.children):
            return ()
        return tuple(line for line in self.leaves if line.mark.state is State.OPEN or line.holds)


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


@dataclass(frozen=True)
class TrackedPhase:
    """One phase of a run; `waits_for` has the titles of the phases that must be complete before a tick here.

    `lines` are those of its items that have a mark, `left` the required ones that keep it from being complete.
    `gate` says in words what its gate still wants; `opened_at` is when nothing held it any more, None while it waits.
    """

    definition: Phase
    items: tuple[TrackedItem, ...]
    lines: tuple[TrackedItem, ...]
    left: tuple[TrackedItem, ...]
    progress: Progress
    waits_for: tuple[str, ...]
    gate: tuple[str, ...] = ()
    opened_at: datetime | None = None

    @cached_property
    def left_words(self) -> tuple[str, ...]:
        """The same in words: what it is called, and why it does not count if it is done."""
        return tuple(f"“{line.label}” ({line.holds})" if line.holds else f"“{line.label}”" for line in self.left)

    @cached_property
    def unproven_words(self) -> tuple[str, ...]:
        """The checks that should prove what is done and do not, in words; without those of the lines that are left."""
        left = {line.id for line in self.left}
        return tuple(
            f"the check of “{line.label}” ({why})"
            for line in self.lines
            if (why := line.unproven) is not None and line.id not in left
        )


def build(template: Template, marks: Mapping[str, Mark], facts: Facts | None = None) -> tuple[TrackedPhase, ...]:
    """The phases of a run; without marks and facts, those of a run that nobody has touched."""
    facts = facts or Facts()
    phases: dict[str, TrackedPhase] = {}
    for phase in template.phases:
        ahead = [phases[name] for name in phase.after]
        waits_for = tuple(other.definition.title for other in ahead if not other.progress.complete)
        gate = tuple(_gate(phase, template, phases.values(), facts))
        opened_at = None if waits_for or gate else _last_closed(ahead, facts.started_at)
        made = _Builder(template, marks, facts, phase, opened_at)
        items = made.items()
        lines = tuple(line for item in items for line in item.leaves)
        left = tuple(line for item in items for line in item.open_required)
        states = [line.mark.state for line in lines]
        progress = Progress(len(lines), states.count(State.DONE), states.count(State.NA), len(left))
        phases[phase.id] = TrackedPhase(phase, items, lines, left, progress, waits_for, gate, opened_at)
    return tuple(phases.values())


def count(phases: Iterable[TrackedPhase]) -> Progress:
    """The progress of some phases together."""
    counted = [(it.total, it.done, it.na, it.required_open) for it in (phase.progress for phase in phases)]
    return Progress(*(sum(column) for column in zip(*counted, strict=True))) if counted else Progress(0, 0, 0, 0)


def leaves(phases: Iterable[TrackedPhase]) -> Iterator[TrackedItem]:
    """Every line that has a mark, in the order of the list."""
    return chain.from_iterable(phase.lines for phase in phases)


def next_turn(phases: Iterable[TrackedPhase], due_at: datetime | None, now: datetime) -> datetime | None:
    """When the clock alone changes what there is to say: a wait ends, something falls due, a result grows too old.

    `due_at` is the run's own. A time that is `now` exactly is still to come: on both sides of it differs what is said.
    """
    times = [due_at]
    for line in leaves(phases):
        times += (line.opens_at, line.due_at, line.check.expires_at if line.check is not None else None)
    return min((at for at in times if at is not None and at >= now), default=None)


def open_above(items: Iterable[TrackedItem], target_id: str) -> list[TrackedItem]:
    """The required lines above the target that are open; children of an `any` group do not wait for each other."""
    above: list[TrackedItem] = []
    for item in items:
        if item.id == target_id:
            break
        if target_id.startswith(f"{item.id}/"):
            within = [] if item.definition.rollup == "any" else open_above(item.children, target_id)
            return above + within
        above += item.open_required
    return above


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes the lines of one phase."""

    template: Template
    marks: Mapping[str, Mark]
    facts: Facts
    phase: Phase
    opened_at: datetime | None

    def items(self) -> tuple[TrackedItem, ...]:
        made: list[TrackedItem] = []
        for item in self.phase.items:
            made.append(self._line(item, self.phase.id, self.phase.role, made))
        return tuple(made)

    def _line(
        self, item: Item, above: str, role: Role | None, before: Sequence[TrackedItem], applies_not: str | None = None
    ) -> TrackedItem:
        path = f"{above}/{item.id}"
        role = item.role or role
        applies_not = applies_not or self._applies_not(item)
        if item.note is not None:
            return TrackedItem(path, Kind.NOTE, item, role, Mark())
        if item.items:
            children: list[TrackedItem] = []
            for child in item.items:
                children.append(self._line(child, path, role, [*before, *children], applies_not))
            return TrackedItem(path, Kind.GROUP, item, role, Mark(), tuple(children))
        if item.repeat is not None:
            occurrences = tuple(
                self._leaf(item, f"{path}/{number}", role, before, applies_not, number)
                for number in range(1, item.repeat.times + 1)
            )
            return TrackedItem(path, Kind.REPEAT, item, role, Mark(), occurrences)
        return self._leaf(item, path, role, before, applies_not, None)

    def _leaf(
        self,
        item: Item,
        path: str,
        role: Role | None,
        before: Sequence[TrackedItem],
        applies_not: str | None,
        occurrence: int | None,
    ) -> TrackedItem:
        mark = self.marks.get(path, Mark())
        if applies_not is not None and mark.state is State.OPEN:
            mark = replace(mark, state=State.NA, reason=applies_not)
        check = self.facts.checks.get(path)
        standing = check.standing(self.facts.now) if check is not None else None
        opens_at, due_at = self._window(item, before, occurrence)
        return TrackedItem(
            path,
            Kind.ITEM,
            item,
            role,
            mark,
            occurrence=occurrence,
            check=check,
            standing=standing,
            applies_not=applies_not,
            holds=_holds(item, mark, check, standing),
            opens_at=opens_at,
            due_at=mark.due_at or due_at,
        )

    def _applies_not(self, item: Item) -> str | None:
        when = item.when
        if when is None or self.facts.started_at is None or self.facts.fields.get(when.field) == when.is_:
            return None
        title = next(line.title for line in self.template.fields if line.id == when.field)
        return f"It is only for runs whose {title} is {when.is_}."

    def _window(
        self, item: Item, before: Sequence[TrackedItem], occurrence: int | None
    ) -> tuple[datetime | None, datetime | None]:
        """When the line can be ticked at the earliest, and at the latest."""
        if item.repeat is not None and occurrence is not None and self.opened_at is not None:
            every = item.repeat.every
            return self.opened_at + (occurrence - 1) * every, self.opened_at + occurrence * every
        due = None
        if item.due is not None and self.facts.started_at is not None:
            due = self.facts.started_at + item.due
        return self._after_wait(item.wait, before), due

    def _after_wait(self, wait: timedelta | None, before: Sequence[TrackedItem]) -> datetime | None:
        """When the wait is over: it begins when the line could be ticked but for it."""
        if wait is None or self.opened_at is None:
            return None
        if self.phase.mode is not Mode.READ_DO:
            return self.opened_at + wait
        above = [line for item in before for line in item.leaves]
        if any(item.open_required for item in before):
            return None
        return max([self.opened_at, *(line.mark.at for line in above if line.mark.at is not None)]) + wait


def _holds(item: Item, mark: Mark, check: CheckState | None, standing: Standing | None) -> str | None:
    """Why a line that is done does not count yet; None if it does, or is not done."""
    if mark.state is not State.DONE:
        return None
    if any(choice.id == mark.choice and choice.start is not None for choice in item.decide):
        return f"it was decided to {mark.choice}"
    if item.check is not None and item.check.effect is not Effect.INFORM:
        # A tick after a failure had to say why; a failure after the tick is news.
        if check is not None and standing is Standing.FAILED and (mark.at is None or check.at > mark.at):
            return f"its check has failed since: {check.summary}"
        if item.check.effect is Effect.BLOCK and standing is Standing.FAILED:
            return f"its check must pass: {check.summary if check is not None else 'it has not run'}"
    if item.verify_by is not None and mark.verified_by is None:
        return "a second person must verify it"
    return None


def _gate(phase: Phase, template: Template, above: Iterable[TrackedPhase], facts: Facts) -> Iterator[str]:
    """What the phase's gate still wants, in words."""
    if phase.gate is None:
        return
    titles = {line.role: line.title for line in template.signoff}
    for role in phase.gate.signed:
        if role not in facts.signed and not facts.urgent:
            yield f"the signature of {titles.get(role, role.value)}"
    if phase.gate.checks is None:
        return
    for line in leaves(above):
        check = line.definition.check
        counts = check is not None and check.effect is not Effect.INFORM and line.definition.need == "required"
        if counts and line.mark.state is not State.NA and line.standing is not Standing.PASSED:
            yield f"a green check of “{line.label}” ({_unproven(line.standing)})"


def _unproven(standing: Standing | None) -> str:
    words = {Standing.FAILED: "it failed", Standing.UNABLE: "it could not run", Standing.STALE: "it is too old"}
    return words.get(standing, "it has not run") if standing is not None else "it has not run"


def _last_closed(phases: Iterable[TrackedPhase], started_at: datetime | None) -> datetime | None:
    if started_at is None:
        return None
    return max(
        [started_at, *(line.mark.at for line in leaves(phases) if line.mark.at is not None and line.mark.version > 1)]
    )
