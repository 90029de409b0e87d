"""What one browser looks at: a run, a phase of it, the line that stands open, what is searched, and by whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checklists.lines import TrackedItem, TrackedPhase
from checklists.reads import ChecklistRun, RunState
from checklists.schema import Mode
from checklists.tracker import Command, Hand, why_not
from dashboard.components.checklist_find import Sieve
from dashboard.components.markup import url
from dashboard.proving import UnderWay
from jobs.core.people import Person
from jobs.core.permissions import Right, allowed


@dataclass(frozen=True, slots=True)
class View:
    """Everything that the lines of one phase are drawn from; `titles` are the definitions' by id."""

    run: ChecklistRun
    phase: TrackedPhase
    open_item: str | None
    person: Person
    sieve: Sieve
    under_way: UnderWay
    titles: Mapping[str, str]

    @property
    def open(self) -> bool:
        """Whether the run still takes changes."""
        return self.run.state is RunState.OPEN

    @property
    def works(self) -> bool:
        """Whether this person can do anything here."""
        return self.open and allowed(self.person.roles, Right.TICK)

    @property
    def next_id(self) -> str | None:
        """In a phase that goes in order: the line whose turn it is."""
        if self.phase.definition.mode is not Mode.READ_DO or not self.open:
            return None
        return self.phase.left[0].id if self.phase.left else None

    def may(self, command: Command, item: TrackedItem) -> bool:
        """Whether this person can do this to the line now."""
        return self.open and self.why_not(command, item) is None

    def why_not(self, command: Command, item: TrackedItem) -> str | None:
        """Why they cannot, in one sentence; None if they can."""
        return why_not(self.phase, item, command, self.hand)

    @property
    def hand(self) -> Hand:
        """This person, now."""
        return Hand(self.person.email, self.person.roles, self.run.read_at)

    def address(self, item: TrackedItem | None) -> str:
        """Of this phase with the line opened, or with none."""
        opened = item.id if item is not None else None
        return url(
            "checklist", id=self.run.id, phase=self.phase.definition.id, item=opened, **self.sieve.address
        )  # fmt: skip


def slug(item_id: str) -> str:
    """An item's id as part of a container's key."""
    return re.sub(r"[^a-z0-9]+", "-", item_id)
