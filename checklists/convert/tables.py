"""A run as JSON, which is its record to the letter, and as CSV, one row a line for a spreadsheet. Pure."""

from __future__ import annotations

import hashlib

import orjson

from checklists.convert.record import RunRecord
from jobs.core.csv_file import csv_file

_COLUMNS = (
    *("row", "run", "template", "version", "section", "phase", "id", "text", "state", "required"),
    *("by", "name", "at", "reason", "flags", "verified by", "comments", "meaning", "on behalf of", "digest", "void"),
)


def record_json(record: RunRecord) -> bytes:
    """The whole record, keys in alphabetical order, so that the same run gives the same bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(record.model_dump(mode="json"), option=options)


def record_digest(record: RunRecord) -> str:
    """SHA-256 of the record's JSON, hex: what two people compare to know that they hold the same run."""
    return hashlib.sha256(record_json(record)).hexdigest()


def record_csv(record: RunRecord) -> bytes:
    """A row for each line of the list, then one for each field of the summary, evidence and signature."""
    head = (record.run.id, record.template.id, record.template.version)
    said: dict[str | None, int] = {}
    for comment in record.comments:
        said[comment.item] = said.get(comment.item, 0) + 1
    rows: list[tuple[object, ...]] = [
        (
            *(line.kind.value, *head, line.section, line.phase, line.id, line.text, line.state.value),
            *("yes" if line.required else "no", line.by, line.name, line.at, line.reason, ", ".join(line.flags)),
            *(line.verified_by, said.get(line.id, 0)),
        )
        for line in record.lines
    ]
    rows += [("field", *head, None, field.title, field.id, field.value) for field in record.fields]
    rows += [
        (
            *("evidence", *head, None, one.kind, one.item, one.label, "withdrawn" if one.withdrawn else "left", None),
            *_who(one.by, one.name, one.at, one.sha256),
        )
        for one in record.evidence
    ]
    rows += [
        (
            *("signature", *head, None, None, one.role, None, "void" if one.void else "signed", None),
            *(one.by, one.name, one.at, one.reason, None, None, None),
            *(one.meaning, one.on_behalf_of, one.digest, one.void),
        )
        for one in record.signatures
    ]
    return csv_file(_COLUMNS, [(*row, *[None] * (len(_COLUMNS) - len(row))) for row in rows])


def _who(by: str, name: str, at: object, digest: str) -> tuple[object, ...]:
    return by, name, at, None, None, None, None, None, None, digest
