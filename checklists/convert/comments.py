"""What Markdown cannot say, in comments that no renderer shows: `<!-- nexaops: item {"id": "backup"} -->`.

A line of ours reads `text <!-- … --> the rest`: the text is the definition's and may be edited, the comment says what
it is, and the rest is a run's record. A text that Markdown would not give back to the letter stands in the comment as
well, and counts as long as what is shown is still what we made of it. Pure.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checklists.grammar import odd_character

# What a comment can say that a line is; `record` lines and headings belong to a run and are not read back.
KINDS = frozenset(
    {"template", "fields", "field", "section", "phase", "item", "help", "signoff", "contacts", "contact", "reference"}
    | {"point", "record"}
)
_COMMENT = re.compile(r"<!-- nexaops: ([a-z]+) (\{.*?\}) -->")
_BOX = r"\[(?:[ xX~/✓✔✅❌☑☒-]?)\](?=\s|$)"
_BOXES = re.compile(rf"(?:(?:{_BOX}|[☐☑☒✅✔✓❌](?=\s))\s*)(?:{_BOX}\s*)*")
_STARTS_A_BLOCK = re.compile(r"[#>+*=`~|<\[!\\_☐☑☒✅✔✓❌-]|\d+(?=[.)])")


@dataclass(frozen=True, slots=True)
class Marked:
    """A line in its three parts; without a comment of ours, all of it is `text` and `kind` is None."""

    text: str
    kind: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    rest: str = ""


def comment(kind: str, data: Mapping[str, object]) -> str:
    """The comment for one thing of a definition; `data` are plain JSON values."""
    pairs = (f'"{key}": {json.dumps(part, ensure_ascii=False, sort_keys=True)}' for key, part in data.items())
    said = f"{{{', '.join(pairs)}}}"
    # A comment ends at the first `--`; a backtick would pair with one of the text's.
    said = re.sub(r"[<>&`\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", said)
    said = visible(said).replace("--", "-\\u002d")
    return f"<!-- nexaops: {kind} {said} -->"


def split(line: str) -> Marked:
    """The parts of one line (or of a paragraph that an editor has wrapped); a comment that is not as we write it is text."""
    found = _COMMENT.search(line)
    if found is not None and found[1] in KINDS:
        try:
            data = json.loads(found[2])
        except (ValueError, RecursionError):
            data = {"id": None}
        if _usable(data):
            return Marked(one_line(line[: found.start()]), found[1], data, one_line(line[found.end() :]))
    return Marked(one_line(line))


def _usable(data: dict[str, Any]) -> bool:
    """Whether what a reader relies on has its shape; the rest is the schema's to refuse."""
    code, after = data.get("snippet", {"lang": "", "text": ""}), data.get("after", [])
    return (
        all(isinstance(data.get(key, ""), str) for key in ("id", "role", "kind"))
        and isinstance(code, dict)
        and all(isinstance(code.get(key), str) for key in ("lang", "text"))
        and isinstance(after, list)
        and all(isinstance(name, str) for name in after)
    )


def shown(text: str, *, first: bool = False) -> str:
    """A text as one line of Markdown that reads as text; `first` if nothing stands before it."""
    line = one_line(text).replace("<!--", "<\\!--")
    if first:
        start = _STARTS_A_BLOCK.match(line)
        return line if start is None else f"{start[0]}\\{line[start.end() :]}" if start[0][0].isdigit() else f"\\{line}"
    return f"\\{line}" if boxes(line) else line


def one_line(text: str) -> str:
    """With single spaces, and every character that does not show as itself as its code."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """With every character that does not show as itself (terminal codes, direction marks) written as `\\u001b`."""
    if odd_character(text) is None:
        return text
    return "".join(f"\\u{ord(one):04x}" if odd_character(one) else one for one in text)


def boxes(text: str) -> tuple[str, ...]:
    """The boxes that a line begins with, each as it is written; empty if it has none."""
    found = _BOXES.match(text)
    return () if found is None else tuple(re.findall(rf"{_BOX}|[☐☑☒✅✔✓❌]", found[0]))


def unboxed(text: str) -> str:
    """The line without the boxes that it begins with."""
    return _BOXES.sub("", text, count=1) if _BOXES.match(text) else text


def ticked(box: str) -> bool:
    """Whether a box is not simply empty."""
    return box.strip("[] ") not in {"", "☐"}


_RECORDED = {
    "item": re.compile(r"(\*\([^*]*\)\*)?\s*(– (done|N/A|reopened) by .*)?"),
    "field": re.compile(": .*"),
    "contact": re.compile(": .*"),
    "signoff": re.compile(": .*"),
    "record": re.compile(".*"),
}


def unread(marked: Marked) -> str:
    """What stands behind a comment and is not what we write there: somebody else's words."""
    known = _RECORDED.get(marked.kind or "")
    return "" if known is not None and known.fullmatch(marked.rest) else marked.rest


def words(text: str) -> list[str]:
    """Its words in lower case: what must not be lost."""
    return [word for word in re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()) if word.strip("_")]
