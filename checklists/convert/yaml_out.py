"""A definition as the YAML file that it would be by hand: short items on one line, code as blocks.

The file begins with the remarks of an import as comments, so that what the definition does not hold stays with it. Pure.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from checklists.convert.comments import visible
from checklists.convert.draft import Remark
from checklists.schema import Template

_WIDEST = 120
_ONE_LINE = {"review", "retain", "repeat", "gate", "check", "when", "action"}


def definition_yaml(template: Template, source: str | None = None, remarks: Iterable[Remark] = ()) -> str:
    """The text of a definition's file; `source` is the name of what it was read from."""
    yaml = YAML()
    yaml.width = 1 << 20  # a text that is folded is harder to read than a long line
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_unicode = True
    out = io.StringIO()
    yaml.dump(_root(template.canonical()), out)
    return "".join((*_head(source, remarks), out.getvalue()))


def _head(source: str | None, remarks: Iterable[Remark]) -> Iterable[str]:
    remarks = tuple(remarks)
    if source is None:
        return
    yield f"# Read from {visible(source)}.\n"
    if remarks:
        yield "# What this list does not hold, or holds differently, by line:\n"
    for remark in remarks:
        for number, line in enumerate(str(remark).split("\n")):
            yield f"# {f'{remark.line}: ' if number == 0 else '   '}{visible(line)}\n"


def _root(canonical: dict[str, Any]) -> CommentedMap:
    root = CommentedMap()
    for key, value in canonical.items():
        root[key] = _node(_by_id(value) if key == "fields" else value, key)
    return root


def _by_id(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {part["id"]: {name: value for name, value in part.items() if name != "id"} for part in parts}


def _node(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        node = CommentedMap({name: _node(part, name) for name, part in value.items()})
        if _fits(value) or key in _ONE_LINE:
            node.fa.set_flow_style()
        return node
    if isinstance(value, list):
        nodes = CommentedSeq([_node(part, "") for part in value])
        if all(isinstance(part, str) and key != "points" for part in value):
            nodes.fa.set_flow_style()
        return nodes
    if isinstance(value, str):
        # A literal block keeps neither a leading space on its first line nor a lone line break for sure.
        if "\n" in value and value == value.strip() and not any(line.endswith(" ") for line in value.split("\n")):
            return LiteralScalarString(value)
        return DoubleQuotedScalarString(value) if key in {"do", "note", "help", "text"} or "\n" in value else value
    return value


def _fits(value: dict[str, Any]) -> bool:
    """Whether a mapping reads well on one line: plain values, and not too many letters."""
    return (
        all(isinstance(part, str | int | bool) and "\n" not in str(part) for part in value.values())
        and sum(len(f"{name}: {part}, ") + 2 for name, part in value.items()) < _WIDEST
    )
