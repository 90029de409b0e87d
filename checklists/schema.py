"""What a checklist definition may say: one model per thing, unknown keys refused.

A definition is data that people edit, so it says only what the product does with it: every key here is tracked, shown
or checked. A new capability adds one field to one model. Values are frozen; a definition's version is the SHA-256 of
its canonical JSON, which leaves defaults out, so that a new key with a default changes no version.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    field_validator,
    model_validator,
)

from jobs.core.permissions import Role

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_T = TypeVar("_T")
_LONGEST_DERIVED_ID = 60
# Direction marks can make a line read differently from what it says.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def duration_from(value: object) -> timedelta:
    """`15m`, `1h`, `90d` or `2w` as a timedelta; ValueError, as 'what — mend', says the accepted form."""
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a duration — write a number and m, h, d or w, such as 15m, 1h or 90d")
    return int(found[1]) * _UNITS[found[2]]


def duration_text(value: timedelta) -> str:
    """The shortest form that `duration_from` reads back."""
    for unit in ("w", "d", "h"):
        if value % _UNITS[unit] == timedelta(0):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value // _UNITS['m']}m"


def _truth(value: object) -> object:
    # Definitions reach pydantic with every scalar as text; its own reading would take `no` and `on` for booleans.
    if value in ("true", "false", True, False):
        return value in ("true", True)
    raise ValueError(f"{value!r} is neither true nor false — write one of the two")


def _some(value: tuple[_T, ...]) -> tuple[_T, ...]:
    # Not `min_length`: that also counts what failed by itself as missing, and one mistake would read as two.
    if not value:
        raise ValueError("there is nothing here — add at least one")
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\n]*$")]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Duration = Annotated[timedelta, BeforeValidator(duration_from), PlainSerializer(duration_text)]


class Strict(BaseModel):
    """The ground of all models here: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Snippet(Strict):
    """Something to copy, kept to the letter; `lang` is for its colouring."""

    lang: Id
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]

    @field_validator("text")
    @classmethod
    def _without_the_last_line_break(cls, value: str) -> str:
        return value.rstrip("\n")


class Repeat(Strict):
    """The same thing `times` times, `every` so often: each occurrence is a tick of its own."""

    every: Duration
    times: int = Field(ge=2, le=366)


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
    repeat: Repeat | None = None
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
        alone = {"role", "need", "na", "repeat", "items", "rollup"} & self.model_fields_set
        if self.note is not None and alone:
            raise ValueError(f"a note is not ticked — take out {_listed(alone)}")
        if self.items and self.repeat is not None:
            raise ValueError("an item with children does not repeat — put `repeat` on the children")
        if not self.items and "rollup" in self.model_fields_set:
            raise ValueError("`rollup` is for an item with children — add `items` or take it out")
        if self.items and "na" in self.model_fields_set:
            raise ValueError("an item with children is not marked itself — put `na` on the children")
        return self

    @property
    def text(self) -> str:
        """What it says, whichever kind it is."""
        return self.do or self.note or ""


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
    items: Annotated[tuple[Item, ...], AfterValidator(_some)]


class FieldKind(StrEnum):
    """What a summary field holds; a user is the e-mail of a person of this desk."""

    TEXT = "text"
    DATE = "date"
    USER = "user"
    MARKDOWN = "markdown"


class SummaryField(Strict):
    """One line of the summary, asked for when a run starts."""

    id: Id
    title: Line
    type: FieldKind = FieldKind.TEXT
    required: Truth = False


class Contact(Strict):
    """Whom to call, by what they are."""

    role: Line


class SignOff(Strict):
    """Who answers for the run, and for what."""

    role: Role
    title: Line
    meaning: Literal["authored", "verified", "executed", "approved"]
    says: Line | None = None


class Reference(Strict):
    """Something to have at hand: points to watch, or a snippet to copy."""

    title: Line
    points: tuple[Line, ...] = ()
    snippet: Snippet | None = None

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if bool(self.points) == (self.snippet is not None):
            raise ValueError("a reference needs one of `points` and `snippet` — keep or add one")
        return self


class Review(Strict):
    """When the definition itself was looked at last, how often it should be, and by whom."""

    last: date
    every: Duration
    owner: Role

    @property
    def next(self) -> date:
        """The day on which the next review falls due."""
        return self.last + self.every


class Template(Strict):
    """A whole definition, as one file holds it."""

    schema_: int = Field(alias="schema", ge=1, le=1)
    id: Id
    title: Line
    kind: Literal["deployment", "rollback", "recovery", "maintenance", "compliance"]
    review: Review | None = None
    fields: tuple[SummaryField, ...] = ()
    contacts: tuple[Contact, ...] = ()
    phases: Annotated[tuple[Phase, ...], AfterValidator(_some)]
    signoff: tuple[SignOff, ...] = ()
    reference: tuple[Reference, ...] = ()

    @field_validator("fields", mode="before")
    @classmethod
    def _fields_by_name(cls, value: object) -> object:
        # Written as a mapping, kept as a list: a jsonb column does not keep the order of keys.
        if not isinstance(value, dict):
            return value
        return [{"id": name, **body} if isinstance(body, dict) else body for name, body in value.items()]

    def canonical(self) -> dict[str, object]:
        """As plain JSON values, defaults left out; `Template.model_validate` reads it back."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def odd_character(text: str) -> str | None:
    """The first character that no text here may hold (terminal codes, direction marks, half a surrogate pair)."""
    for character in text:
        if character in _DIRECTION_MARKS or (
            unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t"
        ):
            return f"U+{ord(character):04X}"
    return None


def derived_id(text: str) -> str:
    """The id of an item that names none: its words, lower case, joined by dashes; empty if it has no letters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_DERIVED_ID].rstrip("-")


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
