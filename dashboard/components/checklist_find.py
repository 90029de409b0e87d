"""Finding lines in a run: by words, by what is still to do, by whose turn it is, by what its check says.

What is searched stands in the address, so that "my open lines" has a link.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import streamlit as st

from checklists.lines import Kind, Standing, State, TrackedItem
from dashboard.components.checklist_words import plain
from jobs.core.people import Person


class Show(StrEnum):
    """Which lines are wanted."""

    OPEN = "still open"
    MINE = "mine"
    FAILING = "failing checks"


@dataclass(frozen=True, slots=True)
class Sieve:
    """What is searched for: words (all of them, in any order) and one kind of line."""

    words: str = ""
    show: Show | None = None

    @property
    def active(self) -> bool:
        """Whether anything is searched for; without, the page shows one phase whole."""
        return bool(self.words.strip()) or self.show is not None

    @property
    def address(self) -> dict[str, str | None]:
        """As parameters of an address."""
        return {"q": self.words.strip() or None, "show": self.show.value if self.show is not None else None}

    def keeps(self, line: TrackedItem, person: Person) -> bool:
        """Whether a line that has a mark is among what is searched for."""
        text = f"{plain(line.label)} {line.id} {line.mark.reason or ''} {line.mark.assigned or ''}".casefold()
        if not all(word in text for word in self.words.casefold().split()):
            return False
        to_do = line.mark.state is State.OPEN or line.holds is not None
        match self.show:
            case Show.OPEN:
                return to_do
            case Show.MINE:
                return to_do and is_theirs(line, person)
            case Show.FAILING:
                return line.standing in {Standing.FAILED, Standing.UNABLE, Standing.STALE}
        return True

    def sift(self, items: Iterable[TrackedItem], person: Person) -> tuple[TrackedItem, ...]:
        """The items with what is searched for, groups with those of their children only."""
        kept: list[TrackedItem] = []
        for item in items:
            if item.kind is Kind.ITEM and self.keeps(item, person):
                kept.append(item)
            elif item.children and (children := self.sift(item.children, person)):
                kept.append(replace(item, children=children))
        return tuple(kept)


def is_theirs(line: TrackedItem, person: Person) -> bool:
    """Whether the line waits for this person: given to them, or to nobody and for one of their roles."""
    if line.mark.assignee is not None:
        return line.mark.assignee == person.email
    return line.role is None or line.role in person.roles


def find_bar() -> Sieve:
    """The fields to search with; what they hold stands in the address."""
    with st.container(key="nx-cl-find", horizontal=True, gap="small", vertical_alignment="center"):
        words = st.text_input(
            "Find lines", key="q", bind="query-params", placeholder="Find lines", max_chars=100,
            icon=":material/search:", label_visibility="collapsed",
        )  # fmt: skip
        show = st.segmented_control(
            "Lines shown", [one.value for one in Show], key="show", bind="query-params", label_visibility="collapsed"
        )
    return Sieve(words or "", Show(show) if show else None)
