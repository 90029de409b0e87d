"""The audit trail as files: CSV for people, JSON lines that verify offline, without a database or this desk.

The first JSON line says what was exported and where the chain ended; each other line is a link with its row. `old` and
`new` are JSON within a text, because that very text is what was hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from jobs.core.audit_chain import Anchor, Break, Fault, Head, Link, Record, Verdict, verify
from jobs.core.audit_read import Filters, read_links
from jobs.core.audit_seal import read_head, seal
from jobs.core.csv_file import csv_lines
from jobs.core.db import Database
from jobs.core.errors import NexaError, UsageError
from jobs.core.logs import redact

FORMAT = "nexaops-audit-1"
_ROW = tuple(field.name for field in fields(Record))
_COLUMNS = ("seq", "sealed_at", *_ROW, "prev_hash", "hash")
Form = Callable[[Iterable[Link], Head, Filters, int], Iterator[bytes]]


def export(db: Database, form: Form, filters: Filters, *, after: int = 0) -> Iterator[bytes]:
    """The rows that fit, with their links, as `json_lines` or `csv_rows`; seals first, so that nothing is left out.

    `after` leaves out the links up to that one.
    """
    seal(db)
    with db.read() as conn:
        head = read_head(conn)
    return form(read_links(db, filters, after=after, last=head.seq), head, filters, after)


def json_lines(links: Iterable[Link], head: Head, filters: Filters, after: int) -> Iterator[bytes]:
    """Lines that `verify_file` reads. What looks like a secret is left out, and the line says where."""
    wanted = {name: value for name, value in asdict(filters).items() if value is not None}
    yield _line(
        {
            "format": FORMAT,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "head": {"seq": head.seq, "hash": head.hash.hex()},
            "filters": wanted,
            "after": after,
        }
    )
    for link in links:
        if link.record is not None:
            shown, redacted = _without_secrets(link.record)
            about = {"redacted": redacted} if redacted else {}
            yield _line({"seq": link.seq, "sealed_at": link.sealed_at, **asdict(shown), **about,
                         "prev_hash": link.prev_hash.hex(), "hash": link.hash.hex()})  # fmt: skip


def csv_rows(links: Iterable[Link], _head: Head, _filters: Filters, _after: int) -> Iterator[bytes]:
    """The same for a spreadsheet. It verifies nothing: cells are made safe to open."""
    rows = ((link, link.record) for link in links)
    return csv_lines(
        _COLUMNS,
        (
            (link.seq, link.sealed_at, *(getattr(row, name) for name in _ROW), link.prev_hash.hex(), link.hash.hex())
            for link, row in rows
            if row is not None
        ),
    )


def verify_file(path: Path, anchors: Iterable[Anchor] = ()) -> Verdict:
    """Verifies an export of JSON lines by itself, and against anchors where there are any.

    An export of everything has to be without gaps and to reach the head that its first line names; of one with filters
    each row proves itself. Raises UsageError if the file is no such export.
    """
    try:
        with path.open("rb") as file:
            end, gaps = _header(file.readline(), path)
            links = (_link(line, number, path) for number, line in enumerate(file, start=2))
            verdict = verify(links, anchors, gaps=gaps)
    except OSError as error:
        raise NexaError(f"{path} cannot be read: {error.strerror}.") from error
    if verdict.broken is not None or gaps or verdict.head == end:
        return verdict
    expected = f"link {end.seq} with the hash {end.hash.hex()} as the end, as the first line says"
    cut = Break(Fault.CUT, verdict.head.seq + 1, None, expected, f"link {verdict.head.seq}")
    return replace(verdict, broken=cut)


def _line(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _without_secrets(record: Record) -> tuple[Record, tuple[str, ...]]:
    """The row without what looks like a secret, and the names of what was changed for it."""
    clean: dict[str, Any] = {
        name: without
        for name in _ROW
        if isinstance(value := getattr(record, name), str) and (without := redact(value)) != value
    }
    return (replace(record, **clean), tuple(clean)) if clean else (record, ())


def _header(line: bytes, path: Path) -> tuple[Head, bool]:
    """Where the chain ended, and whether something was left out before that."""
    try:
        header = orjson.loads(line)
        if header["format"] == FORMAT:
            end = Head(int(header["head"]["seq"]), bytes.fromhex(header["head"]["hash"]))
            return end, bool(header["filters"] or header["after"])
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(
        f"{path} is no export of the audit trail: `nexaops audit export --format json -o FILE` writes one."
    )


def _link(line: bytes, number: int, path: Path) -> Link:
    try:
        value = orjson.loads(line)
        record = Record(**{name: value[name] for name in _ROW})
        prev_hash, hash_ = bytes.fromhex(value["prev_hash"]), bytes.fromhex(value["hash"])
        redacted = tuple(value.get("redacted", ()))
        link = Link(value["seq"], record.id, prev_hash, hash_, value["sealed_at"], record, redacted)
        if all(isinstance(item, str | None) for item in link.fields) and isinstance(link.seq, int):
            return link
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"Line {number} of {path} is no link of the audit trail: the file was damaged or changed.")
