"""Evidence over the API: a pipeline leaves its report, its link or its file on the line that asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from checklists.evidence import Evidence, add_file, add_link, add_text, list_evidence
from checklists.reads import load_run
from dashboard.api.checklists import ChecklistPlace
from dashboard.api.endpoint import Answer, Call, Endpoint, File, Given, Plain
from dashboard.api.items import ItemPlace
from jobs.core.permissions import Right


class WordsRequest(Given):
    """A text or a link, one of them."""

    label: Plain = Field("", description="What it is; the label that the line asks for, if it asks for one.")
    text: Plain | None = None
    link: Plain | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.link is None):
            raise ValueError("send one of text and link")
        return self


class FileRequest(Given):
    """A file."""

    label: Plain = Field("", description="What it is; the label that the line asks for, if it asks for one.")
    file: File


class EvidenceAnswer(Answer):
    """A piece of evidence; `body` is a text, a link or a run's number, `name` and `media_type` are a file's."""

    id: int
    item_id: str
    kind: str
    label: str
    body: str | None
    name: str | None
    media_type: str | None
    size: int
    sha256: str
    added_at: datetime
    added_by: str
    withdrawn_at: datetime | None
    withdrawn_why: str | None


class EvidenceList(Answer):
    """Everything that was left in a run, the oldest first."""

    evidence: list[EvidenceAnswer]


def list_all(call: Call, place: ChecklistPlace) -> EvidenceList:
    """What was left in a run, without the contents of files."""
    load_run(call.conn, place.run)
    return EvidenceList(evidence=[_answer(piece) for piece in list_evidence(call.conn, place.run)])


def leave_words(call: Call, place: ItemPlace, body: WordsRequest) -> EvidenceAnswer:
    """Leave a text, a link or a file on a line; it is never changed and never taken away."""
    add, words = (add_text, body.text) if body.text is not None else (add_link, body.link)
    piece = add(call.conn, place.run, place.item, body.label, words or "", call.token, origin=call.origin)
    return _found(call, place, piece)


def leave_file(call: Call, place: ItemPlace, body: FileRequest) -> EvidenceAnswer:
    """Leave a file on a line; it must be what its name says."""
    piece = add_file(
        call.conn, place.run, place.item, body.label, body.file.name, body.file.content, call.token, origin=call.origin
    )
    return _found(call, place, piece)


def _found(call: Call, place: ItemPlace, piece: int) -> EvidenceAnswer:
    return next(_answer(one) for one in list_evidence(call.conn, place.run, place.item) if one.id == piece)


def _answer(piece: Evidence) -> EvidenceAnswer:
    return EvidenceAnswer.model_validate(piece)


_AT = "/checklist-runs/{run}/items/{item}/evidence"
ENDPOINTS = (
    Endpoint("GET", "/checklist-runs/{run}/evidence", Right.VIEW, list_all),
    Endpoint("POST", _AT, Right.EVIDENCE, leave_words, status=201),
    Endpoint("POST", _AT, Right.EVIDENCE, leave_file, status=201, takes="multipart/form-data"),
)
