"""A run as PDF, by typst.

The page's own program stands in `pdf.typ`; the run reaches it as JSON, so what people wrote is data there and never
typesetting. The fonts are those inside the library: the same record gives the same bytes on every machine.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import typst

from checklists.convert.record import RunRecord
from checklists.convert.tables import record_digest, record_json


def record_pdf(record: RunRecord) -> bytes:
    """The run for printing and filing, with the SHA-256 of its JSON record on every page."""
    with as_file(files("checklists.convert") / "pdf.typ") as page:
        made = typst.compile(
            str(page),
            sys_inputs={"record": record_json(record).decode(), "digest": record_digest(record)},
            ignore_system_fonts=True,
        )
    assert isinstance(made, bytes)  # noqa: S101 - what the library returns for a PDF without an output file
    return made
