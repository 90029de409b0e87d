"""What becomes of a run when it moves to another version of its definition.

Pure. Lines are told apart by their ids. A line whose words, or what it takes to close it, are not what they were is
reworded: whoever closed it answered another question. Who may tick it, who is asked to, until when and how often, its
help and its tags are no part of the question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from checklists.lines import Kind, TrackedItem, build
from checklists.schema import Item, Template

_NO_QUESTION = {"id", "role", "assignee", "due", "help", "tags", "items", "repeat"}


@dataclass(frozen=True, slots=True)
class Reworded:
    """A line that asks something else now."""

    item_id: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Ids with texts: `new` lines, `reworded` ones and `removed` ones; `kept` counts those that stay as they are."""

    new: tuple[tuple[str, str], ...]
    reworded: tuple[Reworded, ...]
    removed: tuple[tuple[str, str], ...]
    kept: int


def difference(old: Template, new: Template) -> Difference:
    """From one version to another, in the order of the newer one (the removed ones in that of the older)."""
    before = {line.id: (line, question) for line, question in _questions(old)}
    after = {line.id: (line, question) for line, question in _questions(new)}
    reworded = tuple(
        Reworded(item_id, before[item_id][0].label, line.label)
        for item_id, (line, question) in after.items()
        if item_id in before and before[item_id][1] != question
    )
    return Difference(
        new=tuple((item_id, line.label) for item_id, (line, _) in after.items() if item_id not in before),
        reworded=reworded,
        removed=tuple((item_id, line.label) for item_id, (line, _) in before.items() if item_id not in after),
        kept=len(before.keys() & after.keys()) - len(reworded),
    )


def _questions(template: Template) -> Iterator[tuple[TrackedItem, tuple[object, ...]]]:
    """Every line that has a mark, with what it asks: its own words and those of the groups that it stands in."""
    for phase in build(template, {}):
        for item in phase.items:
            yield from _within(item, ())


def _within(item: TrackedItem, above: tuple[object, ...]) -> Iterator[tuple[TrackedItem, tuple[object, ...]]]:
    asked = (*above, _asked(item.definition))
    if item.kind is Kind.ITEM:
        yield item, asked
    for child in item.children:
        # An occurrence has its repeat's own definition.
        yield from _within(child, above if item.kind is Kind.REPEAT else asked)


def _asked(item: Item) -> str:
    return item.model_dump_json(by_alias=True, exclude_defaults=True, exclude=_NO_QUESTION)
