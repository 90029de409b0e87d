"""What a checklist definition may say: items in phases in a list, unknown keys refused.

A definition is data that people edit, so it says only what the product does with it: every key here is tracked, shown
or checked. Values are frozen; a definition's version is the SHA-256 of its canonical JSON, which leaves defaults out,
so that a new key with a default changes no version.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from checklists.grammar import (
    Action,
    Check,
    Choice,
    Contact,
    Duration,
    EvidenceSpec,
    Gate,
    Id,
    Line,
    Prose,
    Reference,
    Repeat,
    Review,
    Schedule,
    SignOff,
    Snippet,
    Strict,
    SummaryField,
    When,
    by_name,
    choices_by_name,
    derived_id,
    some,
    titled,
)
from jobs.core.permissions import Role

# What only something that is ticked itself can have, not a group and not a note.
_TICKED = {"check", "evidence", "verify_by", "wait", "decide", "assignee", "due", "na", "repeat"}


class Item(Strict):
    """One thing to do (`do`), or to know (`note`); a plain sentence is short for `do`.

    With `items` it stands for its children and is not ticked itself: done when all of them are, or any.
    """

    id: Id
    do: Line | None = None
    note: Prose | None = None
    help: Prose | None = None
    snippet: Snippet | None = None
    role: Role | None = None
    need: Literal["required", "optional"] = "required"
    na: Literal["reason", "never"] = "reason"
    check: Check | None = None
    action: Action | None = None
    evidence: tuple[EvidenceSpec, ...] = ()
    verify_by: Literal["second-person"] | None = None
    wait: Duration | None = None
    repeat: Repeat | None = None
    decide: Annotated[tuple[Choice, ...], BeforeValidator(choices_by_name)] = ()
    when: When | None = None
    assignee: Line | None = None
    due: Duration | None = None
    tags: tuple[Id, ...] = ()
    items: tuple[Item, ...] = ()
    rollup: Literal["all", "any"] = "all"

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, str):
            value = {"do": value}
        if isinstance(value, dict) and "id" not in value:
            text = value.get("do") or value.get("note")
            if isinstance(text, str) and derived_id(text):
                return {"id": derived_id(text), **value}
        return value

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.do is None) == (self.note is None):
            raise ValueError("an item needs one of `do` (to tick) and `note` (to know) — keep or add one")
        given = self.model_fields_set
        if self.note is not None and (alone := given & (_TICKED | {"role", "need", "items", "rollup", "action"})):
            raise ValueError(f"a note is not ticked — take out {_listed(alone)}")
        if self.items and (alone := given & _TICKED):
            raise ValueError(f"an item with children is not ticked itself — put {_listed(alone)} on the children")
        if not self.items and "rollup" in given:
            raise ValueError("`rollup` is for an item with children — add `items` or take it out")
        if self.decide and self.repeat is not None:
            raise ValueError("a decision is made once — take out `repeat`")
        if self.decide and len(self.decide) < 2:
            raise ValueError("a decision has two ways to go — add one")
        if self.decide and all(choice.start is not None for choice in self.decide):
            raise ValueError("a decision must be able to go on — let one choice be `next`")
        if self.decide and self.check is not None and self.check.effect != "inform":
            raise ValueError("a decision is a person's — give its check `effect: inform`")
        return self

    @property
    def text(self) -> str:
        """What it says, whichever kind it is."""
        return self.do or self.note or ""

    @property
    def lines(self) -> int:
        """How many times something is ticked: none in a note, and of a group what stands in it."""
        if self.items:
            return sum(item.lines for item in self.items)
        if self.note is not None:
            return 0
        return 1 if self.repeat is None else self.repeat.times


class Mode(StrEnum):
    """How a phase is worked through: any order and then confirmed, or read and done line by line."""

    DO_CONFIRM = "do-confirm"
    READ_DO = "read-do"


class Phase(Strict):
    """A part of the list between two pauses; `section` is the heading that several phases share."""

    id: Id
    title: Line
    section: Line | None = None
    mode: Mode = Mode.DO_CONFIRM
    role: Role | None = None
    after: tuple[Id, ...] = ()
    gate: Gate | None = None
    items: Annotated[tuple[Item, ...], AfterValidator(some)]

    @model_validator(mode="before")
    @classmethod
    def _titled(cls, value: object) -> object:
        return titled(value, "id")


class Template(Strict):
    """A whole definition, as one file holds it; `retain` is how long its closed runs are kept at least."""

    schema_: int = Field(alias="schema", ge=1, le=1)
    id: Id
    title: Line
    kind: Literal["deployment", "rollback", "recovery", "maintenance", "compliance"]
    review: Review | None = None
    retain: Duration = timedelta(days=7 * 365)
    fields: Annotated[tuple[SummaryField, ...], BeforeValidator(by_name)] = ()
    contacts: tuple[Contact, ...] = ()
    phases: Annotated[tuple[Phase, ...], AfterValidator(some)]
    signoff: tuple[SignOff, ...] = ()
    reference: tuple[Reference, ...] = ()
    schedule: Schedule | None = None

    @field_validator("signoff")
    @classmethod
    def _one_signature_a_role(cls, value: tuple[SignOff, ...]) -> tuple[SignOff, ...]:
        roles = [line.role for line in value]
        if twice := sorted({role for role in roles if roles.count(role) > 1}):
            raise ValueError(f"{twice[0]} signs twice — keep one of the two lines")
        for number, line in enumerate(value):
            if unknown := [role for role in (*line.not_, *line.after) if role not in roles]:
                raise ValueError(f"{line.role} names {unknown[0]}, who does not sign — add a line for it")
            # `after` leads upwards only, so that no two signatures wait for each other.
            if late := [role for role in line.after if role in roles[number:]]:
                raise ValueError(f"{line.role} cannot sign after {late[0]}, who is not above — change their order")
        return value

    def canonical(self) -> dict[str, object]:
        """As plain JSON values, defaults left out; `Template.model_validate` reads it back."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @cached_property
    def lines(self) -> int:
        """How many lines a run of it has that are done or not; of a repeated one, each time."""
        return sum(item.lines for phase in self.phases for item in phase.items)

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
