"""What an endpoint is: one function, whose annotations are also its description.

Its parameters are models by name: `place` reads the path, `query` the query and `body` the body; what it returns is
the answer. The server parses requests with these models and the OpenAPI document is made from them, so that the two
cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Connection

from checklists.grammar import odd_character
from jobs.core.permissions import Right
from jobs.core.settings import Settings
from jobs.core.tokens import Token

Method = Literal["GET", "POST", "PUT"]
Medium = Literal["application/json", "multipart/form-data"]
LARGEST_ID = 2**63 - 1
MOST = 200


def _plain(value: str) -> str:
    odd = odd_character(value)
    if odd is not None:
        raise ValueError(f"it holds the character {odd}, which does not show as itself: take it out")
    return value


Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Plain = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(_plain)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(_plain),
    Field(description="Why; it stands in the audit trail."),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class Given(BaseModel):
    """The ground of what a request brings: frozen, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    """The ground of what is answered; times are RFC 3339 in UTC."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


@dataclass(frozen=True, slots=True)
class File:
    """A file that was sent: its name, as the sender calls it, and its bytes. A model may have one as a field."""

    name: str
    content: bytes

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        return core_schema.is_instance_schema(cls, cls_repr="file, sent as `curl -F file=@report.pdf` does")

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> dict[str, str]:
        return {"type": "string", "contentMediaType": "application/octet-stream"}


class Before(Given):
    """One page of a list, newest first."""

    before: Id | None = Field(None, description="Only what has a lower id: `next` of the page before.")
    limit: int = Field(50, ge=1, le=MOST)


class Paged(Answer):
    """The ground of a page of a list."""

    next: int | None = Field(description="`before` of the next page; null on the last one.")


@dataclass(frozen=True, slots=True)
class Call:
    """One request while it is answered: the transaction it is in, who asks, and from where."""

    conn: Connection
    settings: Settings
    token: Token
    origin: str
    """What audit rows say about where it came from."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method at one path; `location` is where what it made can be found, filled in from the answer.

    Two of one method at one path differ in the medium of the body that they take.
    """

    method: Method
    path: str
    right: Right
    handle: Callable[..., Answer]
    status: int = 200
    location: str | None = None
    takes: Medium = "application/json"

    @property
    def models(self) -> dict[str, type[BaseModel]]:
        """What it reads and answers: `place`, `query` and `body` as far as there are, and `return`."""
        hints: dict[str, Any] = get_type_hints(self.handle, include_extras=True)
        return {name: model for name, model in hints.items() if name != "call"}

    @property
    def does(self) -> str:
        """Its function's docstring."""
        return " ".join((self.handle.__doc__ or "").split())
