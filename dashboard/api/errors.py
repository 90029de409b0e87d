"""What went wrong, as programs read it: problem documents (RFC 9457) with the sentence that a person would see.

Whatever is raised while a request is answered becomes one here; a trace goes to the log under a number, and neither SQL
nor a value that was sent comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from uuid import uuid4

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from jobs.core.db import first_line
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound, TransientError, UsageError
from jobs.core.logs import get_logger
from jobs.core.sentry import report_error

log = get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
NO_KIND = "about:blank"
CONFLICT = "urn:nexaops:problem:conflict"
"""Somebody was faster: look again, then try again."""
REFUSED = "urn:nexaops:problem:refused"
"""The desk's own rules do not allow it, or not yet."""
KEY_REUSED = "urn:nexaops:problem:key-reused"
"""The Idempotency-Key belongs to another request."""
_STATUS: tuple[tuple[type[NexaError], int, str], ...] = (
    (UsageError, 422, NO_KIND),
    (NotFound, 404, NO_KIND),
    (Forbidden, 403, NO_KIND),
    (Conflict, 409, CONFLICT),
    (TransientError, 503, NO_KIND),
)
_SENTENCES = {
    404: "There is nothing under this address: /api/v1/openapi.json lists what there is.",
    405: "This address does not take that method: the header Allow says which it takes.",
}


class ProblemDocument(BaseModel):
    """Why a request was not done; `detail` is one sentence with what to do."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description=f"{NO_KIND}, or {CONFLICT}, {REFUSED} and {KEY_REUSED} where a program may care")
    title: str
    status: int
    detail: str


class Problem(Exception):
    """A request that ends here; `more` are further members of the document, plain JSON values."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = NO_KIND,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind
        self.headers, self.more = dict(headers or {}), dict(more or {})

    def response(self) -> Response:
        """The document as an answer."""
        document = {
            "type": self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        headers = {"cache-control": "no-store", **self.headers}
        return Response(orjson.dumps(document), self.status, headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """The problem that an error is for whoever asked; what nobody foresaw is logged under a number."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, _SENTENCES.get(error.status_code, error.detail), headers=error.headers)
    if isinstance(error, ValidationError):
        return Problem(422, f"{sentence(error)}.")
    if isinstance(error, NexaError):
        known = (row[1:] for row in _STATUS if isinstance(error, row[0]))
        status, kind = next(known, (409, REFUSED))
        return Problem(status, str(error), kind=kind, headers={"retry-after": "5"} if status == 503 else None)
    if isinstance(error, DataError):
        # What passed every rule of ours and PostgreSQL still cannot keep, such as the character zero in a JSON text.
        return Problem(422, "One of the values cannot be kept: it holds a character or a number that is not accepted.")
    if isinstance(error, OperationalError):
        log.error("the API cannot reach the database", reason=first_line(error))
        return Problem(503, "The database does not answer: try again in a moment.", headers={"retry-after": "5"})
    number = uuid4().hex[:8]
    log.error("an API request failed", error_id=number, exc_info=error)
    report_error(error, {"error_id": number})
    where = "The database refused it" if isinstance(error, SQLAlchemyError) else "Something failed on our side"
    return Problem(500, f"{where}. The log has the details under {number}.")


def sentence(error: ValidationError) -> str:
    """Every field that is not accepted and why, without the values: one of them may be a secret."""
    wrong = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        message = problem["msg"].removeprefix("Value error, ")
        field = ".".join(map(str, problem["loc"]))
        wrong.append(f"{field}: {message[:1].lower()}{message[1:]}" if field else message)
    return "; ".join(wrong)
