"""A run as PDF, by typst.

The page's own program stands in `pdf.typ`; the run reaches it as JSON, so what people wrote is data there and never
typesetting. The fonts are those inside the library: the same record gives the same bytes on every machine. They have
the letters of Europe. What they lack, Chinese, Japanese and Korean above all, stands as its code points, such as
[U+7530 U+4E2D], and the document says so: a box could be anything, and a font for all of it is larger than the desk.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.resources import as_file, files
from itertools import groupby

import orjson
import typst

from checklists.convert.record import RunRecord
from checklists.convert.tables import record_digest, record_json

_NOBODYS = "\U0010fffd"
"""A character that no font has: how typst draws it is how it draws whatever is missing."""
_LINE = '<g transform="translate('
_SYMBOL = re.compile(r'href="#(\w+)"')


def record_pdf(record: RunRecord) -> bytes:
    """The run for printing and filing, with the SHA-256 of its JSON record on every page."""
    said = record_json(record).decode()
    drawn = drawable(said)
    with as_file(files("checklists.convert") / "pdf.typ") as page:
        made = typst.compile(
            str(page),
            sys_inputs={
                "record": drawn,
                "digest": record_digest(record),
                "spelled": "" if drawn == said else "yes",
            },
            ignore_system_fonts=True,
        )
    assert isinstance(made, bytes)  # noqa: S101 - what the library returns for a PDF without an output file
    return made


def drawable(said: str) -> str:
    """The text with the code points of what the fonts lack, such as `[U+7530 U+4E2D]`, instead of it."""
    lacking = _missing({letter for letter in said if ord(letter) > 0xFF})
    return "".join(
        f"[{' '.join(f'U+{ord(letter):04X}' for letter in run)}]" if missing else "".join(run)
        for missing, run in groupby(said, lacking.__contains__)
    )


def _missing(letters: Collection[str]) -> frozenset[str]:
    """Those of these characters that no font of the library has, as typst itself shows: each drawn on a line of its own."""
    asked = sorted(letters)
    if not asked:
        return frozenset()
    with as_file(files("checklists.convert") / "glyphs.typ") as page:
        drawn = typst.compile(
            str(page), format="svg", sys_inputs={"letters": orjson.dumps(["", _NOBODYS, *asked]).decode()},
            ignore_system_fonts=True,
        )  # fmt: skip
    assert isinstance(drawn, bytes)  # noqa: S101 - one page
    drawing = drawn.decode().partition("<defs>")[0]
    plain, nobodys, *lines = (frozenset(_SYMBOL.findall(line)) for line in drawing.split(_LINE)[1:])
    return frozenset(letter for letter, line in zip(asked, lines, strict=True) if line & (nobodys - plain))
