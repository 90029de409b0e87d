"""Parts of a definition as a reader gathers them: plain values by the schema's keys, ids given last.

What the schema bounds (a line's 300 characters, a text's 20,000, one snippet an item) a source does not; what goes over
is moved to where there is room, and what has no place is a remark. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from checklists.convert.comments import one_line, visible
from checklists.grammar import derived_id

LONGEST_LINE = 300
LONGEST_TEXT = 20_000
Draft: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """Something of the source that the definition does not hold, or holds differently; `why` is a short phrase."""

    line: int
    why: str
    text: str

    def __str__(self) -> str:
        return f"{self.why}: {self.text}" if self.text else self.why


def say(part: Draft, key: str, text: str) -> None:
    """Sets a line of a part; what is too long for a line is kept whole in its help."""
    line = visible(text)
    if "\n" in line or len(line) > LONGEST_LINE:
        line = one_line(text)
    if len(line) > LONGEST_LINE:
        add_help(part, line)
        line = line[: LONGEST_LINE - 1].rstrip() + "…"
    part[key] = line


def add_help(part: Draft, text: str) -> None:
    """Adds a paragraph to what explains a part."""
    part["help"] = "\n\n".join(filter(None, (part.get("help"), visible(text).strip())))


def snippet(info: str, text: str) -> Draft | None:
    """A fenced block to copy; None if there is nothing in it."""
    text = visible(text).rstrip("\n")
    if not text.strip():
        return None
    words = info.split()
    lang = words[0].lower() if words else _guessed(text)
    return {"lang": lang if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", lang) else "text", "text": text}


def fenced(info: str, text: str) -> str:
    """The block as it stood, for where there is no room for a snippet."""
    return f"```{info}\n{text.rstrip()}\n```"


def points(text: str) -> Iterator[str]:
    """A text as lines that fit, cut between words."""
    for paragraph in text.split("\n"):
        line = one_line(paragraph)
        while len(line) > LONGEST_LINE:
            cut = line.rfind(" ", 1, LONGEST_LINE + 1)
            cut = cut if cut > 0 else LONGEST_LINE
            yield line[:cut]
            line = line[cut:].strip()
        if line:
            yield line


def give_ids(parts: Iterable[Draft], name: str) -> Iterator[str]:
    """An id for each part that has none, from its text; of two that are the same the later gets a number.

    Yields the ids that two parts claimed. Ids that were given come first, so a new line never takes an old one's id.
    """
    parts = list(parts)
    taken: set[str] = set()
    for part in parts:
        if part.get("id") in taken:
            yield part.pop("id")
        elif "id" in part:
            taken.add(part["id"])
    numbers: Counter[str] = Counter()
    for part in parts:
        if "id" not in part:
            text = str(part.get(name) or part.get("note") or "")
            # A text without Latin letters still has an id of its own that does not depend on its place.
            wanted = derived_id(text) or f"item-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
            free = wanted
            while free in taken:
                numbers[wanted] += 1
                free = f"{wanted}-{numbers[wanted] + 1}"
            part["id"] = free
            taken.add(free)


def _guessed(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip()]
    return "env" if all(re.match(r"[A-Z][A-Z0-9_]*=", line) for line in lines) else "text"
