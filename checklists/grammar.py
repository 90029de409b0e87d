"""What definitions are made of: their scalars, and the small things that an item, a phase or a list may carry.

Everything here is read from text (see `load.py`) and written back as the same text, so a definition, its canonical
JSON and its exports agree to the letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    field_validator,
    model_validator,
)

from jobs.core.permissions import Role

_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_T = TypeVar("_T")
_LONGEST_DERIVED_ID = 60
_PLACE = re.compile(r"\{([a-z0-9][a-z0-9_-]*)\}")
_SPELLED = {"qa_lead": "QA Lead", "devops": "DevOps", "project_manager": "Project Manager"}
# Direction marks can make a line read differently from what it says.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def duration_from(value: object) -> timedelta:
    """`15m`, `1h`, `90d`, `2w` or `7y` as a timedelta; ValueError, as 'what — mend', says the accepted form."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdwy])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a duration — write a number and m, h, d, w or y, such as 15m, 1h or 90d")
    return int(found[1]) * _UNITS[found[2]]


def duration_text(value: timedelta) -> str:
    """The shortest form that `duration_from` reads back."""
    for unit in ("y", "w", "d", "h"):
        if value % _UNITS[unit] == timedelta(0):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value // _UNITS['m']}m"


def _truth(value: object) -> object:
    # Definitions reach pydantic with every scalar as text; its own reading would take `no` and `on` for booleans.
    if value in ("true", "false", True, False):
        return value in ("true", True)
    raise ValueError(f"{value!r} is neither true nor false — write one of the two")


def some(value: tuple[_T, ...]) -> tuple[_T, ...]:
    """For an AfterValidator: refuses an empty list."""
    # Not `min_length`: that also counts what failed by itself as missing, and one mistake would read as two.
    if not value:
        raise ValueError("there is nothing here — add at least one")
    return value


def by_name(value: object) -> object:
    """A mapping of bodies by id as a list of bodies: a jsonb column does not keep the order of keys."""
    if not isinstance(value, dict):
        return value
    return [{"id": name, **body} if isinstance(body, dict) else body for name, body in value.items()]


Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\n]*$")]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Duration = Annotated[timedelta, BeforeValidator(duration_from), PlainSerializer(duration_text)]
Params: TypeAlias = Mapping[str, JsonValue]


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


class Effect(StrEnum):
    """What the result of a check does.

    `tick`: a pass ticks the item. `block`: it also takes a pass to tick it, and a failure closes it again until the
    next pass. `inform`: it gathers what a person needs in order to judge.
    """

    TICK = "tick"
    BLOCK = "block"
    INFORM = "inform"


class Check(Strict):
    """How an item proves itself: which check, with which parameters, and for how long its result is worth something."""

    use: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
    with_: Params = Field(default_factory=dict, alias="with")
    effect: Effect = Effect.TICK
    ttl: Duration = timedelta(hours=24)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"use": value} if isinstance(value, str) else value


class Notice(Strict):
    """What the team is told; `{version}` stands for the line `version` of the summary."""

    title: Line
    body: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]

    def filled(self, fields: Mapping[str, str]) -> Notice:
        """With the values of a summary; what it does not say is a dash."""

        def said(text: str) -> str:
            return _PLACE.sub(lambda place: fields.get(place[1]) or "–", text)

        return self.model_copy(update={"title": said(self.title), "body": said(self.body)})

    @property
    def places(self) -> tuple[str, ...]:
        """The lines of the summary that it names."""
        return tuple(_PLACE.findall(f"{self.title} {self.body}"))


class Action(Strict):
    """A button on the item: it runs a job, switches a flag, pauses or resumes schedules (`all`, or a job's name), or
    tells the team.

    It is always confirmed, asks why, and takes the right of what it does.
    """

    job: Id | None = None
    params: Params = Field(default_factory=dict)
    flag: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")] | None = None
    to: Truth | None = None
    pause: Id | None = None
    resume: Id | None = None
    notice: Notice | None = None
    confirm: Truth = True

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        named = [name for name in ("job", "flag", "pause", "resume", "notice") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError("an action does one thing — keep one of `job`, `flag`, `pause`, `resume` and `notice`")
        if (self.flag is not None) != (self.to is not None):
            raise ValueError("`to` goes with `flag` — write for example `{flag: enableReconciliation, to: false}`")
        if self.params and self.job is None:
            raise ValueError("`params` are a job's — take them out or name the `job`")
        if not self.confirm:
            raise ValueError("an action is always confirmed — take `confirm` out")
        return self


class EvidenceKind(StrEnum):
    """What a person can leave on an item."""

    TEXT = "text"
    LINK = "link"
    FILE = "file"


class EvidenceSpec(Strict):
    """What an item asks for before it can be ticked; `pattern` is matched against the whole text or link."""

    type: EvidenceKind
    label: Line
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = None
    need: Literal["required", "optional"] = "required"

    @model_validator(mode="after")
    def _pattern_is_one(self) -> Self:
        if self.pattern is not None:
            if self.type is EvidenceKind.FILE:
                raise ValueError("a file has no `pattern` — take it out")
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"the pattern is no regular expression ({error}) — mend it") from None
        return self


class Choice(Strict):
    """One way a decision can go: on with this list, or over to another one that it starts."""

    id: Id
    start: Id | None = None

    @model_validator(mode="before")
    @classmethod
    def _next(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("then") == "next":
            return {key: part for key, part in value.items() if key != "then"}
        return value


def choices_by_name(value: object) -> object:
    """`{continue: next, rollback: {start: rollback-critical}}` as a list in that order."""
    if not isinstance(value, dict):
        return value
    return by_name({name: {"then": body} if isinstance(body, str) else body for name, body in value.items()})


class When(Strict):
    """An item applies only if a field of the summary says so."""

    field: Id
    is_: Line = Field(alias="is")


class Gate(Strict):
    """What a phase waits for besides other phases: signatures, and the checks of everything above it being green."""

    signed: tuple[Role, ...] = ()
    checks: Literal["green"] | None = None


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

    @model_validator(mode="before")
    @classmethod
    def _titled(cls, value: object) -> object:
        return titled(value, "id")


class Contact(Strict):
    """Whom to call, by what they are, and how often somebody makes sure that the number is still right."""

    role: Line
    verify: Duration = timedelta(days=365)


class Meaning(StrEnum):
    """What a signature says about the signer's part."""

    AUTHORED = "authored"
    VERIFIED = "verified"
    EXECUTED = "executed"
    APPROVED = "approved"


class SignOff(Strict):
    """Who answers for the run, and for what; `not_` are the roles that must be signed by somebody else."""

    role: Role
    title: Line
    meaning: Meaning
    says: Line | None = None
    not_: tuple[Role, ...] = Field(default=(), alias="not")
    after: tuple[Role, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _titled(cls, value: object) -> object:
        return titled(value, "role")


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


class Escalation(Strict):
    """Whom an overdue run goes to, and how long after it fell due."""

    after: Duration
    to: Role


class Schedule(Strict):
    """When a run opens by itself (RFC 5545, read in `zone`), and how long it may take."""

    rrule: Line
    zone: Line = "UTC"
    due: Duration = timedelta(hours=24)
    escalate: tuple[Escalation, ...] = ()

    @field_validator("rrule")
    @classmethod
    def _a_rule(cls, value: str) -> str:
        if re.search(r"FREQ=(SECONDLY|MINUTELY)", value, re.IGNORECASE) or "DTSTART" in value.upper():
            raise ValueError(f"{value!r} is too often or has its own start — use HOURLY or slower, without DTSTART")
        try:
            rrulestr(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{value!r} is no recurrence rule ({error}) — see FREQ=WEEKLY;BYDAY=MO;BYHOUR=9") from None
        return value

    @field_validator("zone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone — write one such as UTC or Europe/Berlin") from None
        return value


def titled(value: object, source: str) -> object:
    """Gives what has no `title` its id in words: a validator for what may be named by its id alone."""
    name = value.get(source) if isinstance(value, dict) else None
    if isinstance(value, dict) and "title" not in value and isinstance(name, str):
        words = _SPELLED.get(name, name).replace("_", " ").replace("-", " ").strip()
        return {**value, "title": words[:1].upper() + words[1:]} if words else value
    return value


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
