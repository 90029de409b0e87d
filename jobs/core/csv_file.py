"""Rows as a CSV file that no spreadsheet takes for more than text.

A cell that begins like a formula (`=`, `+`, `-`, `@`, a tab or a line break) would be calculated by whoever opens the
file, and what stands in it came from strangers: such a cell gets an apostrophe in front, and characters that would steer
a terminal are replaced. Numbers of our own stay numbers. See OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from jobs.core.logs import redact

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The whole file, for what fits into memory; see `csv_lines`."""
    return b"".join(csv_lines(columns, rows))


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """The file row by row, in UTF-8 with a mark that tells spreadsheets so; times in ISO 8601, None is empty."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    yield b"\xef\xbb\xbf" + out.getvalue().encode()
    for row in rows:
        out.seek(0)
        out.truncate()
        writer.writerow([cell(value) for value in row])
        yield out.getvalue().encode()


def cell(value: object) -> str:
    """One value as its cell: text without secrets, and never a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    said = _STEERING.sub("\ufffd", redact(str(value)))
    return f"'{said}" if said.lstrip(" ").startswith(_FORMULA) else said
