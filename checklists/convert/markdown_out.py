"""Definitions and runs as Markdown that a person reads and `markdown_in` takes back without loss.

What Markdown can say stands as text: headings, boxes, numbers, code. The rest of each thing is the comment behind it,
made from the definition's own canonical form, so a key that the schema learns later travels without a word here. What a
run adds (ticks, names, comments, signatures) stands behind the comments and under headings of its own, which are not
read back. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from checklists.convert.blocks import Code, read_blocks
from checklists.convert.comments import comment, shown
from checklists.convert.draft import Draft, snippet
from checklists.convert.record import LineRecord, RunRecord, SignatureRecord
from checklists.lines import State
from checklists.schema import Template

Value: TypeAlias = Callable[[Mapping[str, Any]], str | None]
_PARTS = {"fields", "contacts", "phases", "signoff", "reference"}
_BLANK = "________________"
_BOX = {State.OPEN: "[ ]", State.DONE: "[x]", State.NA: "[-]"}
_SAID = {State.OPEN: "reopened", State.DONE: "done", State.NA: "N/A"}


def template_markdown(template: Template) -> str:
    """A definition, to fill in on paper or to edit and bring back."""
    return "\n".join(_document(template.canonical(), None)) + "\n"


def run_markdown(record: RunRecord) -> str:
    """A run with everything that happened in it; read back, it is the definition that it was started from."""
    # By the schema's order of keys: in the database and in JSON they have another.
    definition = Template.model_validate(record.template.definition).canonical()
    return "\n".join((*_document(definition, record), *_record(record))) + "\n"


def moment(at: datetime) -> str:
    """A time as all exports for people show it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def signed(signature: SignatureRecord) -> str:
    """A signature in one line: printed name, meaning, time, for whom, and what it is worth."""
    behalf = f" on behalf of {signature.on_behalf_of}" if signature.on_behalf_of else ""
    reason = f": {signature.reason}" if signature.reason else ""
    void = f" (VOID: {signature.void})" if signature.void else ""
    return f"{signature.name}{behalf}, {signature.role}: {signature.meaning}, {moment(signature.at)}{reason}{void}"


def _document(definition: Mapping[str, Any], record: RunRecord | None) -> Iterator[str]:
    yield f"# {_marked('template', definition, 'title', hide=_PARTS)}"
    if record is not None:
        yield from ("", f"Run {record.run.id} <!-- nexaops: record {{}} --> {_head(record)}")
    values = {} if record is None else {field.id: field.value for field in record.fields}
    yield from _forms("Summary", "fields", "field", "title", definition, lambda one: values.get(one["id"]))
    section = None
    for phase in definition["phases"]:
        if phase.get("section") not in {None, section}:
            yield from ("", f"## {_marked('section', {'title': phase['section']}, 'title')}")
        section = phase.get("section")
        level = "##" if section is None else "###"
        yield from ("", f"{level} {_marked('phase', phase, 'title', hide={'section', 'items'})}", "")
        yield from _items(phase["items"], phase["id"], phase.get("mode") == "read-do", "", record)
    yield from _forms("Sign-off", "signoff", "signoff", "title", definition, _signs)
    yield from _forms("Contacts", "contacts", "contact", "role", definition, lambda _: None)
    for one in definition.get("reference", ()):
        code = one.get("snippet")
        yield from ("", f"## {_marked('reference', _with_exact(one), 'title', hide={'points'})}", "")
        yield from (
            f"- {_marked('point', {'text': point}, 'text', first=True, only_if_needed=True)}"
            for point in one.get("points", ())
        )
        yield from _fence(code) if code else ()


def _marked(
    kind: str,
    data: Mapping[str, Any],
    key: str,
    *,
    hide: Iterable[str] = (),
    first: bool = False,
    only_if_needed: bool = False,
    around: str = "",
) -> str:
    """A text with the comment that carries the rest of `data`, the text too where it would not come back as it is."""
    text = shown(data[key], first=first)
    rest = {name: value for name, value in data.items() if name not in {key, *hide}}
    if text != data[key]:
        rest[key] = data[key]
    if only_if_needed and not rest:
        return text
    return f"{around}{text}{around} {comment(kind, rest)}"


def _forms(title: str, part: str, kind: str, key: str, definition: Mapping[str, Any], value: Value) -> Iterator[str]:
    lines = definition.get(part, ())
    if lines:
        yield from ("", f"## {title} {comment(part, {})}", "")
    for one in lines:
        said = value(one)
        yield f"- {_marked(kind, one, key, around='**')}: {_BLANK if said is None else shown(said)}"


def _signs(one: Mapping[str, Any]) -> str:
    says = f" – “{one['says']}”" if "says" in one else ""
    return f"{one['meaning']}{says} {_BLANK}"


def _items(
    items: Iterable[Mapping[str, Any]], above: str, ordered: bool, indent: str, record: RunRecord | None
) -> Iterator[str]:
    lines = {} if record is None else record.by_id
    for number, item in enumerate(items, 1):
        path = f"{above}/{item['id']}"
        marker = f"{number}. " if ordered else "- "
        inner = indent + " " * len(marker)
        key = "do" if "do" in item else "note"
        line = lines.get(path)
        box = f"{_BOX[line.state if line else State.OPEN]} " if key == "do" else ""
        text = _marked("item", _with_exact(item), key, hide={"help", "items"}, first=not box)
        yield f"{indent}{marker}{box}{text}{_terms(item)}{_did(line)}"
        if "help" in item:
            yield from (
                "",
                f"{inner}{_marked('help', {'help': item['help']}, 'help', first=True, only_if_needed=True)}",
                "",
            )
        if "snippet" in item:
            yield from (f"{inner}{one}" if one else "" for one in _fence(item["snippet"]))
        yield from _items(item.get("items", ()), path, False, inner, record)
        if record is not None:
            yield from _beneath(path, item, inner, record)


def _terms(item: Mapping[str, Any]) -> str:
    """What the comment says and a reader of the page should know."""
    said = []
    if item.get("need") == "optional":
        said.append("optional")
    if "repeat" in item:
        said.append(f"{item['repeat']['times']} times, every {item['repeat']['every']}")
    if "check" in item:
        said.append(f"check {item['check']['use']}")
    if "evidence" in item:
        said.append("asks for evidence")
    if "verify_by" in item:
        said.append("verified by a second person")
    return f" *({'; '.join(said)})*" if said else ""


def _with_exact(part: Mapping[str, Any]) -> Draft:
    """The part without its snippet, if a fence gives that back to the letter."""
    code = part.get("snippet")
    if code is None:
        return dict(part)
    found = read_blocks("\n".join(_fence(code)))
    again = snippet(found[0].info, found[0].text) if len(found) == 1 and isinstance(found[0], Code) else None
    return {key: value for key, value in part.items() if key != "snippet" or again != code}


def _fence(code: Mapping[str, str]) -> Iterator[str]:
    kept = snippet(code["lang"], code["text"])
    if kept is None:
        return
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`+", kept["text"]))])
    yield from (f"{fence}{kept['lang']}", *kept["text"].split("\n"), fence)


def _did(line: LineRecord | None) -> str:
    if line is None or line.at is None:
        return ""
    reason = f": {shown(line.reason)}" if line.reason else ""
    chosen = f" ({shown(line.choice)})" if line.choice else ""
    late = f" (late entry: done {moment(line.performed_at)})" if line.performed_at else ""
    verified = f" – verified by {shown(line.verified_by)}" if line.verified_by else ""
    return f" – {_SAID[line.state]} by {shown(line.name or line.by or '?')}, {moment(line.at)}{chosen}{late}{reason}{verified}"


def _beneath(path: str, item: Mapping[str, Any], indent: str, record: RunRecord) -> Iterator[str]:
    """Each time of a repeat, and the comments on an item."""
    times = item.get("repeat", {}).get("times", 0)
    for n in range(1, times + 1):
        line = record.by_id[f"{path}/{n}"]
        yield f"{indent}- {_BOX[line.state]} {n} of {times} <!-- nexaops: record {{}} -->{_did(line)}"
    for said in record.comments:
        if said.item == path or (times and said.item and said.item.startswith(f"{path}/")):
            who = f"{shown(said.name)}, {moment(said.at)}: {shown(said.text)}"
            yield f"{indent}- Comment <!-- nexaops: record {{}} --> by {who}"


def _head(record: RunRecord) -> str:
    run = record.run
    ended = f", ended by {shown(run.closed_name or '?')}, {moment(run.closed_at)}" if run.closed_at else ""
    started = f"started by {shown(run.started_name)}, {moment(run.started_at)}{ended}"
    return f"is {run.state}, {record.progress.done + record.progress.na} of {record.progress.total} closed; {started}; version {record.template.version}"


def _record(record: RunRecord) -> Iterator[str]:
    """What stands in a run and belongs to none of its lines."""
    general = [
        f"- {shown(one.name)}, {moment(one.at)}: {shown(one.text)}" for one in record.comments if one.item is None
    ]
    evidence = [
        f"- {shown(one.label)}: {one.kind}, {shown(one.name, first=True)}, {moment(one.at)}, SHA-256 `{one.sha256}`"
        + (f" (WITHDRAWN: {shown(one.withdrawn)})" if one.withdrawn else "")
        for one in record.evidence
    ]
    checks = [
        f"- {shown(one.check)} on {one.item}: {one.outcome}: {shown(one.summary)}, {moment(one.at)}, SHA-256 `{one.sha256}`"
        for one in record.checks
    ]
    signatures = [f"- {shown(signed(one))}, digest `{one.digest}`" for one in record.signatures]
    history = [
        f"- {moment(one.at)}: {shown(one.name)}, {one.kind} {shown(one.item or '')} {shown(one.note or '')}".rstrip()
        for one in record.history
    ]
    for title, lines in (
        ("Signatures", signatures),
        ("Evidence", evidence),
        ("Checks", checks),
        ("Comments", general),
        ("History", history),
    ):
        if lines:
            yield from ("", f"## {title} {comment('record', {})}", "", *lines)
