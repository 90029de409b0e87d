"""Single lines of a checklist run over the API: tick, untick, not applicable, comment.

Each command names the version of the line that its sender saw. Who was slower gets 409 with who was faster and the line
as it is now, read in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import AwareDatetime, Field

from checklists import store
from checklists.lines import leaves
from checklists.reads import load_run
from checklists.tracker import Refused
from dashboard.api.checklists import Item, item_of
from dashboard.api.endpoint import Call, Endpoint, Given, Id, Name, Plain
from dashboard.api.errors import CONFLICT, REFUSED, Problem
from jobs.core.errors import Conflict, NotFound
from jobs.core.permissions import Right


class ItemPlace(Given):
    """Which line of which run."""

    run: Id
    item: Plain = Field(description="The line's id, such as database/indexes; its slashes may stay as they are.")


class Mark(Given):
    """A change of a line."""

    version: Id = Field(description="The line's version as it was seen.")
    note: Plain | None = Field(None, description="What there is to say about it.")


class Tick(Mark):
    """A line that is done."""

    choice: Name | None = Field(None, description="How a decision goes, where the line is one.")
    performed_at: AwareDatetime | None = Field(None, description="For a late entry: when it was done.")


class NotApplicable(Given):
    """A line that does not apply, and why."""

    version: Id = Field(description="The line's version as it was seen.")
    reason: Plain


class Comment(Given):
    """A comment; nobody's version changes."""

    text: Plain


def tick(call: Call, place: ItemPlace, body: Tick) -> Item:
    """Mark a line done."""

    def change() -> object:
        return store.tick(
            call.conn, place.run, place.item, body.version, call.token, origin=call.origin, note=body.note,
            choice=body.choice, performed_at=body.performed_at,
        )  # fmt: skip

    return _changed(call, place, change)


def untick(call: Call, place: ItemPlace, body: Mark) -> Item:
    """Reopen a line that is done or not applicable; that it was stays in its history."""

    def change() -> object:
        return store.untick(
            call.conn, place.run, place.item, body.version, call.token, origin=call.origin, note=body.note
        )

    return _changed(call, place, change)


def not_applicable(call: Call, place: ItemPlace, body: NotApplicable) -> Item:
    """Say that a line does not apply, and why."""

    def change() -> object:
        return store.mark_na(
            call.conn, place.run, place.item, body.version, call.token, body.reason, origin=call.origin
        )

    return _changed(call, place, change)


def comment(call: Call, place: ItemPlace, body: Comment) -> Item:
    """Add a comment to a line."""
    return _changed(
        call, place, lambda: store.comment(call.conn, place.run, place.item, body.text, call.token, origin=call.origin)
    )


def _changed(call: Call, place: ItemPlace, change: Callable[[], object]) -> Item:
    """The line after the change; a refusal carries the line as it is."""
    try:
        change()
    except (Conflict, Refused) as refusal:
        kind = CONFLICT if isinstance(refusal, Conflict) else REFUSED
        more = {"item": _line(call, place).model_dump(mode="json")}
        raise Problem(409, str(refusal), kind=kind, more=more) from refusal
    return _line(call, place)


def _line(call: Call, place: ItemPlace) -> Item:
    for leaf in leaves(load_run(call.conn, place.run).phases):
        if leaf.id == place.item:
            return item_of(leaf)
    raise NotFound(f"There is no item {place.item!r} in run {place.run}: look at the run again.")


_ITEM = "/checklist-runs/{run}/items/{item}"
ENDPOINTS = (
    Endpoint("POST", f"{_ITEM}/tick", Right.TICK, tick),
    Endpoint("POST", f"{_ITEM}/untick", Right.TICK, untick),
    Endpoint("POST", f"{_ITEM}/na", Right.TICK, not_applicable),
    Endpoint("POST", f"{_ITEM}/comment", Right.TICK, comment),
)
