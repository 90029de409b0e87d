"""What may happen to an item next.

Pure: a run as it stands (`lines.py`) and a command go in, and a change or a refusal with one sentence comes out:

- From done and N/A the only way leads back to open. Reopening is always possible, keeps later ticks, and stops further
  ones.
- Ticks follow the order: phases named in `after` are complete first, the phase's gate is met, and in a read-do phase
  every required item above is closed. N/A may be said ahead of time.
- A tick takes the evidence that the item asks for, the end of its wait, a choice where it decides, and a passing check
  where one must pass (`block`). Against a failing check, or entered afterwards, it takes a reason as well.
- A second person is somebody else than whoever ticked.
- The role of the item, else of what it stands in, may change it; administrators and release managers may change all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checklists.grammar import Effect, odd_character
from checklists.lines import Standing, State, TrackedItem, TrackedPhase, leaves, open_above
from checklists.schema import Mode
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound, UsageError
from jobs.core.permissions import Right, Role, allowed


class Refused(NexaError):
    """The list's own rules do not allow it, or not yet."""


MAY_CHANGE_ALL = frozenset({Role.ADMINISTRATOR, Role.RELEASE_MANAGER})
LONGEST_NOTE = 2000


class Command(StrEnum):
    """What a person does to one item."""

    TICK = "tick"
    UNTICK = "untick"
    MARK_NA = "mark as N/A"
    VERIFY = "verify"

    @property
    def target(self) -> State:
        """The state that it leads to."""
        return {Command.UNTICK: State.OPEN, Command.MARK_NA: State.NA}.get(self, State.DONE)


@dataclass(frozen=True, slots=True)
class Hand:
    """Who asks for a change, and with which words; `actor` is an e-mail, times are UTC.

    `performed_at` makes a tick a late entry: it was done then. `proven` is a tick that a passing check makes.
    """

    actor: str
    roles: frozenset[Role]
    now: datetime | None = None
    reason: str | None = None
    choice: str | None = None
    performed_at: datetime | None = None
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted command: the line it changes, from what and to what, and the words as they are kept."""

    item: TrackedItem
    old: State
    new: State
    reason: str | None
    choice: str | None = None
    performed_at: datetime | None = None


def decide(phases: Iterable[TrackedPhase], item_id: str, command: Command, *, seen_version: int, hand: Hand) -> Change:
    """What a command changes.

    Raises NotFound, Conflict (somebody was faster), Forbidden (role), Refused (the list's rules) or UsageError (what is
    missing, or cannot be kept), each with one sentence.
    """
    phase, item = _find(phases, item_id)
    if item.mark.version != seen_version:
        raise Conflict(_faster(item))
    refusal = _refusal(phase, item, command, hand)
    if refusal is not None:
        raise refusal
    kept = clean(hand.reason, "The reason")
    if command is Command.MARK_NA and kept is None:
        raise UsageError(f"“{item.label}” can only be marked N/A with a reason: say why it does not apply.")
    if command is Command.TICK:
        if kept is None and (wanted := wants_reason(item, hand)) is not None:
            raise UsageError(wanted)
        return Change(item, item.mark.state, State.DONE, kept, _choice(item, hand), _performed(item, hand))
    return Change(item, item.mark.state, command.target, kept)


def why_not(phase: TrackedPhase, item: TrackedItem, command: Command, hand: Hand) -> str | None:
    """For a page: why this person cannot do this to the line now, in one sentence; None if they can."""
    refusal = _refusal(phase, item, command, hand)
    return None if refusal is None else str(refusal)


def wants_reason(item: TrackedItem, hand: Hand) -> str | None:
    """Why a tick takes a reason, in one sentence that asks for it; None if it takes none."""
    if hand.proven:
        return None
    if hand.performed_at is not None:
        return f"“{item.label}” is entered late: say why."
    check = item.definition.check
    if check is not None and check.effect is Effect.TICK and item.standing is Standing.FAILED:
        said = item.check.summary if item.check is not None else ""
        return f"The check of “{item.label}” fails ({said}): say why you tick it all the same."
    return None


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


def _find(phases: Iterable[TrackedPhase], item_id: str) -> tuple[TrackedPhase, TrackedItem]:
    for phase in phases:
        for line in leaves([phase]):
            if line.id == item_id:
                return phase, line
    raise NotFound(f"There is nothing to tick with the id {item_id!r} in this run: open the run again.")


def _refusal(phase: TrackedPhase, item: TrackedItem, command: Command, hand: Hand) -> NexaError | None:
    if command is Command.VERIFY:
        return _no_second_person(item, hand)
    if not may_change(item, hand.roles):
        needed = f"the role {item.role}" if item.role is not None else "a role that ticks checklists"
        return Forbidden(f"“{item.label}” is not yours to {command}: it takes {needed}, or a release manager.")
    if item.applies_not is not None and item.mark.state is State.NA:
        return Refused(f"“{item.label}” does not apply here: {item.applies_not[0].lower()}{item.applies_not[1:]}")
    if (item.mark.state is State.OPEN) == (command is Command.UNTICK):
        now = {State.OPEN: "is open already", State.DONE: "is done already", State.NA: "is marked N/A: reopen it first"}
        return Refused(f"“{item.label}” {now[item.mark.state]}.")
    if command is Command.MARK_NA and item.definition.na == "never":
        return Refused(f"“{item.label}” always applies: it cannot be marked N/A.")
    return _too_soon(phase, item, hand) if command is Command.TICK else None


def _too_soon(phase: TrackedPhase, item: TrackedItem, hand: Hand) -> Refused | None:
    """What must come before a tick of this line."""
    name = phase.definition.title
    if phase.waits_for:
        return Refused(f"“{name}” waits until this is complete: {', '.join(phase.waits_for)}.")
    if phase.gate:
        more = f" and {len(phase.gate) - 2} more" if len(phase.gate) > 2 else ""
        return Refused(f"The gate of “{name}” is closed: it takes {', '.join(phase.gate[:2])}{more}.")
    first = next(iter(open_above(phase.items, item.id)), None) if phase.definition.mode is Mode.READ_DO else None
    if first is not None and first.holds:
        return Refused(f"“{name}” goes in order: “{first.label}” comes first, {first.holds}.")
    if first is not None:
        return Refused(f"“{name}” goes in order: “{first.label}” comes first.")
    if item.definition.wait is not None and (item.opens_at is None or (hand.now or item.opens_at) < item.opens_at):
        if item.opens_at is None:
            return Refused(f"“{item.label}” waits: its time begins when what stands above it is done.")
        return Refused(f"“{item.label}” waits until {item.opens_at:%H:%M} UTC on {item.opens_at:%-d %B}.")
    if item.missing_evidence:
        return Refused(f"“{item.label}” takes evidence first: {', '.join(item.missing_evidence)}.")
    check = item.definition.check
    if check is not None and check.effect is Effect.BLOCK and not hand.proven and item.standing is not Standing.PASSED:
        return Refused(f"“{item.label}” takes a passing check: {_last_said(item)}.")
    return None


def _last_said(item: TrackedItem) -> str:
    if item.check is None:
        return "run it first"
    if item.standing is Standing.STALE:
        return f"the last result is of {item.check.at:%H:%M} UTC on {item.check.at:%-d %B}, run it again"
    return f"it said “{item.check.summary}”"


def _no_second_person(item: TrackedItem, hand: Hand) -> NexaError | None:
    if not allowed(hand.roles, Right.TICK):
        return Forbidden(f"“{item.label}” is not yours to verify: it takes a role that ticks checklists.")
    if item.definition.verify_by is None:
        return Refused(f"“{item.label}” asks for no second person.")
    if item.mark.state is not State.DONE:
        return Refused(f"“{item.label}” is not done: there is nothing to verify yet.")
    if item.mark.verified_by is not None:
        return Refused(f"“{item.label}” was verified by {item.mark.verifier or item.mark.verified_by} already.")
    if item.mark.by == hand.actor:
        return Forbidden(f"You ticked “{item.label}” yourself: somebody else verifies it.")
    return None


def _choice(item: TrackedItem, hand: Hand) -> str | None:
    ways = [choice.id for choice in item.definition.decide]
    if not ways and hand.choice is None:
        return None
    if hand.choice not in ways:
        given = f", not {hand.choice!r}" if hand.choice else ""
        known = f"choose one of {', '.join(ways)}{given}" if ways else "it is no decision, take the choice out"
        raise UsageError(f"“{item.label}”: {known}.")
    return hand.choice


def _performed(item: TrackedItem, hand: Hand) -> datetime | None:
    if hand.performed_at is None:
        return None
    if hand.performed_at.tzinfo is None:
        raise UsageError(f"“{item.label}”: the time of a late entry needs its zone, such as 2026-11-30T14:05Z.")
    if hand.now is not None and hand.performed_at > hand.now:
        raise UsageError(f"“{item.label}” cannot have been done in the future: leave the time out to tick it now.")
    return hand.performed_at


def _faster(item: TrackedItem) -> str:
    mark = item.mark
    did = {State.OPEN: "reopened", State.DONE: "ticked", State.NA: "marked as N/A"}[mark.state]
    when = f" at {mark.at:%H:%M:%S} UTC on {mark.at:%-d %B}" if mark.at is not None else ""
    return f"{mark.name or mark.by or 'Somebody'} {did} “{item.label}”{when}, after you saw it: look again first."
