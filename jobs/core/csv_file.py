"""Rows as a CSV file that no spreadsheet takes for more than text.

A cell that begins like a formula (`=`, `+`, `-`, `@`, a tab or a line break) would be calculated by whoever opens the
file, and what stands in it came from strangers: such a cell gets an apostrophe in front. Numbers of our own stay numbers.
See OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from jobs.core.logs import redact

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The file in UTF-8 with a mark that tells spreadsheets so; times in ISO 8601, None is empty."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


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
    said = redact(str(value))
    return f"'{said}" if said.lstrip(" ").startswith(_FORMULA) else said
