"""What a run can be exported as: one entry a format, each a function from the record to bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from checklists.convert.markdown_out import run_markdown
from checklists.convert.pdf import record_pdf
from checklists.convert.record import RunRecord
from checklists.convert.tables import record_csv, record_json


class Format(StrEnum):
    """The formats of one file; the evidence pack (`pack.py`) holds all of them."""

    MARKDOWN = "md"
    CSV = "csv"
    JSON = "json"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class Export:
    """How a record becomes a file."""

    media_type: str
    render: Callable[[RunRecord], bytes]


EXPORTS: Mapping[Format, Export] = {
    Format.MARKDOWN: Export("text/markdown", lambda record: run_markdown(record).encode()),
    Format.CSV: Export("text/csv", record_csv),
    Format.JSON: Export("application/json", record_json),
    Format.PDF: Export("application/pdf", record_pdf),
}


def file_name(template_id: str, run_id: int, ending: str) -> str:
    """Such as `deployment-run-12.pdf`."""
    return f"{template_id}-run-{run_id}.{ending}"
