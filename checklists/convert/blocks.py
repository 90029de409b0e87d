"""Markdown as the few kinds of blocks that a checklist is made of, each with its line and the letters of its source.

Only the block structure is parsed (markdown-it-py, CommonMark with tables): what stands inside a line is kept as it is
written, so that `code`, links and HTML in a text stay themselves. Link definitions are not recognised, because
CommonMark would take them out of the text. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_MARKDOWN = MarkdownIt("commonmark").enable("table").disable(["inline", "reference"])
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Heading:
    line: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, or what is not read further; `html` if it is a block of HTML."""

    line: int
    text: str
    html: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    line: int
    info: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are written; a row has as many as the head. `source` is the whole of it."""

    line: int
    head: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    source: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list: its first paragraph, and what else stands in it."""

    line: int
    text: str
    rest: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    line: int
    ordered: bool
    entries: tuple[Entry, ...]


Block: TypeAlias = "Heading | Text | Code | Table | Listing"


def read_blocks(source: str) -> tuple[Block, ...]:
    """The blocks of a document, quotes opened; lines count from 1."""
    lines = source.split("\n")
    return tuple(_blocks(SyntaxTreeNode(_MARKDOWN.parse(source)).children, lines))


def without_front_matter(source: str) -> tuple[str, str]:
    """The YAML between two `---` at the top ("" if there is none), and the document with as many empty lines."""
    found = _FRONT_MATTER.match(source)
    if found is None:
        return "", source
    return found[1], "\n" * found[0].count("\n") + source[found.end() :]


def _blocks(nodes: Iterable[SyntaxTreeNode], lines: list[str]) -> Iterator[Block]:
    for node in nodes:
        line = node.map[0] + 1 if node.map else 1
        match node.type:
            case "heading":
                yield Heading(line, int(node.tag[1]), _content(node))
            case "paragraph":
                yield Text(line, _content(node))
            case "fence" | "code_block":
                yield Code(line, node.info.strip(), node.content)
            case "html_block":
                yield Text(line, node.content.strip("\n"), html=True)
            case "table":
                yield _table(node, line, lines)
            case "bullet_list" | "ordered_list":
                entries = tuple(_entry(item, lines) for item in node.children)
                yield Listing(line, node.type == "ordered_list", entries)
            case "blockquote":
                yield from _blocks(node.children, lines)


def _entry(node: SyntaxTreeNode, lines: list[str]) -> Entry:
    line = node.map[0] + 1 if node.map else 1
    head = node.children[0] if node.children and node.children[0].type == "paragraph" else None
    rest = node.children if head is None else node.children[1:]
    return Entry(line, "" if head is None else _content(head), tuple(_blocks(rest, lines)))


def _table(node: SyntaxTreeNode, line: int, lines: list[str]) -> Table:
    begin, end = node.map or (line - 1, line)
    head, *bodies = node.children
    cells = [
        (row.map[0] + 1 if row.map else line, tuple(_content(cell) for cell in row.children))
        for part in (head, *bodies)
        for row in part.children
    ]
    return Table(line, cells[0][1], tuple(cells[1:]), "\n".join(lines[begin:end]))


def _content(node: SyntaxTreeNode) -> str:
    return "".join(child.content for child in node.children if child.type == "inline")
