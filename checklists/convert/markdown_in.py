"""A checklist in Markdown as a definition, without losing a word.

Headings cut the document into parts: the first is the title, a part with boxes becomes a phase (its outer headings the
section), one with blanks to fill in becomes summary, contacts or sign-off, and any other becomes reference. A bold line
alone, or a numbered bold entry with boxes in it, starts a part of its own. Numbered boxes are done in order. A comment
of our own (see `comments.py`) says what a line is and wins over all of this, which brings an export back as it was.

What a definition has no place for is a remark with its line. In the end every word of the source is looked for in the
result; a line with a word that is not there is a remark, so nothing is lost in silence. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import ValidationError

from checklists.convert import forms
from checklists.convert.blocks import (
    Block,
    Entry,
    Heading,
    Listing,
    Table,
    Text,
    read_blocks,
    without_front_matter,
)
from checklists.convert.comments import Marked, boxes, one_line, split, unboxed, unread, visible, words
from checklists.convert.draft import Draft, Remark, give_ids, points, say
from checklists.convert.entries import Reader, exact, same_or_new
from checklists.grammar import odd_character
from checklists.schema import Template
from jobs.core.errors import UsageError

_BOLD = re.compile(r"\*\*(?:[^*]|\*(?!\*))+\*\*:?|__[^_]+__:?")
# What stands before a line's own words: quotes, bullets, numbers, and a table's column of numbers.
_MARKER = re.compile(r"^[\s>|]*(?:(?:[-+*]|\d{1,9}[.)])(?:\s+|$)|\d+[.)]?\s*\|\s*)*")
_UNDER_HEADINGS = 7
_KINDS = (
    ("rollback", r"roll ?-?back"),
    ("recovery", r"recover|disaster|incident|outage"),
    ("maintenance", r"maintenance|weekly|monthly|quarterly"),
    ("compliance", r"compliance|audit|security"),
)
_FORMS = {forms.Purpose.FIELDS, forms.Purpose.CONTACTS, forms.Purpose.SIGN_OFF}


@dataclass(frozen=True, slots=True)
class Imported:
    """The definition, and what of the source it does not hold; lines count from 1."""

    template: Template
    remarks: tuple[Remark, ...]


@dataclass(slots=True)
class _Part:
    """A heading (of level 0: the top of the document) with the blocks that stand directly under it."""

    line: int
    level: int
    head: Marked
    above: tuple[_Part, ...] = ()
    blocks: list[Block] = field(default_factory=list)
    used: bool = False


def read_markdown(source: str, name: str, *, bullets: bool = False, second_person: bool = False) -> Imported:
    """The definition that a document describes; `name` is what it is called if it has no title.

    With `bullets`, entries without a box are ticked too; with `second_person`, a double box asks for a verification.
    Raises UsageError with one sentence if there is nothing to tick, or if its comments contradict each other.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    matter, document = without_front_matter(source)
    own_name = re.search(r"^(?:title|name):\s*['\"]?(.+?)['\"]?\s*$", matter, re.MULTILINE)
    parts = _parts(read_blocks(document), named=own_name is not None)
    building = _Building(Reader(bullets=bullets, second_person=second_person))
    title = _title(parts, own_name[1] if own_name else name)
    for part in parts:
        building.add(part, title.text)
    if not building.phases:
        raise UsageError(
            "There is nothing to tick in it: write `- [ ] what to do`, or take plain bullets by --bullets."
        )
    draft = building.finish(title)
    if odd := odd_character("".join(_said(draft))):
        # Only a comment can bring one in: what is read as text has them written out.
        raise UsageError(f"A comment in it holds the character {odd}, which shows as something else: take it out.")
    remarks = building.reader.remarks
    remarks += [Remark(1, "the file's own header is not part of a list", one_line(matter))] if matter else []
    remarks += list(_unsaid(parts))
    texts = (*_said(draft), *(one.text for one in remarks), *building.understood)
    remarks += _lost(source, parts, Counter(word for text in texts for word in words(text)))
    try:
        return Imported(Template.model_validate(draft), tuple(sorted(remarks)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "/".join(str(one) for one in first["loc"])
        raise UsageError(f"It does not make a checklist: {first['msg'].rstrip('.')} (at {place}).") from error


def _parts(blocks: Iterable[Block], *, named: bool) -> list[_Part]:
    parts = [_Part(1, 0, Marked(""))]
    for block in _opened(blocks):
        if isinstance(block, Heading):
            parts.append(_Part(block.line, block.level, split(block.text)))
        elif not (isinstance(block, Text) and split(block.text).kind == "record"):
            parts[-1].blocks.append(block)
    _crown(parts, named=named)
    open_: list[_Part] = []
    for part in parts:
        open_ = [one for one in open_ if one.level < part.level]
        part.above = tuple(open_)
        open_ += [part] if part.level else []
    return parts


def _crown(parts: list[_Part], *, named: bool) -> None:
    """Makes the first heading the title if none of the others stands as high, or if it only opens the document."""
    if len(parts) == 1 or (named and parts[1].level > 1):
        return
    first, *others = parts[1:]
    highest = min((part.level for part in others), default=_UNDER_HEADINGS + 1)
    if first.level < highest or (first.level == 1 and not _has_boxes(first.blocks)):
        first.level = 0


def _opened(blocks: Iterable[Block]) -> Iterator[Block]:
    """Sub-procedures as headings: a bold line alone, and bold entries with boxes in them."""
    for block in blocks:
        if isinstance(block, Text) and _is_bold(block.text):
            yield Heading(block.line, _UNDER_HEADINGS, _plain(block.text))
        elif isinstance(block, Listing) and any(map(_is_procedure, block.entries)):
            for entry in block.entries:
                if _is_procedure(entry):
                    yield Heading(entry.line, _UNDER_HEADINGS, _plain(entry.text))
                    yield from entry.rest
                else:
                    yield Listing(entry.line, block.ordered, (entry,))
        else:
            yield block


def _is_bold(text: str) -> bool:
    return _BOLD.fullmatch(text.strip()) is not None


def _is_procedure(entry: Entry) -> bool:
    return _is_bold(entry.text) and _has_boxes(entry.rest)


def _plain(text: str) -> str:
    return text.strip().strip(":").strip("*_").strip(":")


def _has_boxes(blocks: Iterable[Block]) -> bool:
    """Whether something is ticked in them, at any depth."""
    for block in blocks:
        if isinstance(block, Table) and forms.status_rows(block):
            return True
        if isinstance(block, Listing):
            for entry in block.entries:
                if boxes(split(entry.text).text) or split(entry.text).kind == "item" or _has_boxes(entry.rest):
                    return True
    return False


def _title(parts: list[_Part], name: str) -> Marked:
    """What the list is called: a heading of its own, or the one that stands above all others."""
    marked = next((part for part in parts if part.head.kind == "template"), None)
    titled = marked or next((part for part in parts if part.head.text and part.level == 0), None)
    if titled is not None:
        titled.used = True
        return titled.head
    return Marked(one_line(name) or "Checklist")


class _Building:
    """A definition under construction: each part adds to it what it holds."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.phases: list[Draft] = []
        self.fields: list[Draft] = []
        self.contacts: list[Draft] = []
        self.signoff: list[Draft] = []
        self.reference: list[Draft] = []
        self.days: dict[str, date] = {}
        self.understood: list[str] = []  # what the draft says in other words

    def add(self, part: _Part, title: str) -> None:
        """Takes one part of the document in."""
        match part.head.kind:
            case "record":
                self.reader.remark(part.line, "the record of a run is not part of its list", part.head.text)
            case "phase":
                self._phase(part, title)
            case "reference":
                self._reference(part, title)
            case "fields" | "contacts" | "signoff":
                self._forms(part, forms.Purpose(part.head.kind), title)
            case _ if _has_boxes(part.blocks):
                self._phase(part, title)
            case _ if self.reader.bullets and any(isinstance(block, Listing) for block in part.blocks):
                self._phase(part, title)
            case _:
                self._forms(part, forms.purpose(part.head.text), title)

    def finish(self, title: Marked) -> Draft:
        """The whole draft, with an id for everything."""
        for phase in self.phases:
            self._identified(phase["items"], "do")
        self._identified(self.phases, "title")
        self._identified(self.fields, "title")
        self._after()
        draft: Draft = {"schema": 1, **{key: value for key, value in title.data.items() if key != "title"}}
        say(draft, "title", exact(title, "title"))
        if draft.pop("help", None):
            self.reader.remark(1, "the title is longer than a line", title.text)
        list(give_ids([draft], "title"))
        draft.setdefault(
            "kind", next((kind for kind, said in _KINDS if re.search(said, title.text, re.IGNORECASE)), "deployment")
        )
        review = None if "review" in draft else forms.review(self.days)
        if review is not None:
            draft["review"] = review
            self.reader.remark(1, "nobody is named for the review, so it is the owner", str(review["owner"]))
        elif self.days and "review" not in draft:
            said = ", ".join(f"{which} {day}" for which, day in self.days.items())
            self.reader.remark(1, "a review takes a last day and a next one after it", said)
        for key in ("fields", "contacts", "phases", "signoff", "reference"):
            if getattr(self, key):
                draft[key] = getattr(self, key)
        return draft

    def _phase(self, part: _Part, title: str) -> None:
        part.used = True
        outer = [one for one in part.above if one.head.kind in {None, "section"} and one.head.text]
        ours = part.head.kind == "phase"
        base: Draft = {key: value for key, value in part.head.data.items() if ours and key not in {"title", "items"}}
        say(base, "title", exact(part.head, "title") or title)
        if outer:
            section = outer[-1].head
            say(base, "section", exact(section, "title") if section.kind else " / ".join(_texts(outer)))
            for one in outer:
                one.used = True
        blocks = list(self._without_forms(part))
        if "help" in base:  # a heading that is longer than a line
            self.reader.remark(part.line, "the heading is longer than a line", base.pop("help"))
        for mode, items in self.reader.phases(blocks, fixed=ours):
            self.phases.append({**base, **({"mode": mode} if mode and not ours else {}), "items": items})

    def _forms(self, part: _Part, meant: forms.Purpose | None, title: str) -> None:
        rest = list(self._without_forms(part, meant))
        if part.head.kind in _FORMS:
            part.used = True
        if rest:
            self._reference(part, title, rest)

    def _reference(self, part: _Part, title: str, blocks: list[Block] | None = None) -> None:
        part.used = True
        said = list(self.reader.points(part.blocks if blocks is None else blocks))
        head: Draft = {key: value for key, value in part.head.data.items() if key != "title"}
        if part.head.kind != "reference":
            head = {}
        say(head, "title", exact(part.head, "title") or title)
        lines = [one for one in said if isinstance(one, str)]
        if "help" in head:  # a heading that is longer than a line
            lines = [*points(head.pop("help")), *lines]
        if lines:
            self.reference.append({**head, "points": lines})
        kept = head.pop("snippet", None)
        for code in [one for one in said if not isinstance(one, str)] or ([kept] if kept else []):
            self.reference.append({**head, "snippet": same_or_new(kept, code)})
        if not said:
            part.used = False

    def _without_forms(self, part: _Part, meant: forms.Purpose | None = None) -> Iterator[Block]:
        """The blocks of a part, those that are filled in taken out and kept."""
        for block in part.blocks:
            if isinstance(block, Listing):
                left = tuple(
                    entry for entry in block.entries if entry.rest or not self._filled(entry.line, entry.text, meant)
                )
                if left:
                    yield Listing(block.line, block.ordered, left)
            elif isinstance(block, Text) and not block.html:
                lines = block.text.split("\n")
                asked = [forms.form_line(line, expected=meant is not None) for line in lines]
                if all(asked):
                    for number, one in enumerate(lines, block.line):
                        self._filled(number, one, meant)
                else:
                    yield block
            elif isinstance(block, Table) and meant in {forms.Purpose.SIGN_OFF, forms.Purpose.CONTACTS}:
                for number, cells in block.rows:
                    self._form(number, forms.FormLine(one_line(cells[0]).strip("* "), "", dated=False), meant)
            else:
                yield block

    def _filled(self, line: int, text: str, meant: forms.Purpose | None) -> bool:
        """Keeps one line that is filled in; False if it is none."""
        marked = split(text)
        match marked.kind:
            case "field":
                self.fields.append({**marked.data, "title": exact(marked, "title", strip="**")})
            case "contact":
                self.contacts.append({**marked.data, "role": exact(marked, "role", strip="**")})
            case "signoff":
                self.signoff.append({**marked.data, "title": exact(marked, "title", strip="**")})
            case None if not boxes(marked.text):
                found = forms.form_line(marked.text, expected=meant is not None)
                if found is None and meant is forms.Purpose.CONTACTS:
                    found = forms.FormLine(marked.text, "", dated=False)
                if found is None:
                    return False
                self._form(line, found, meant)
            case _:
                return False
        return True

    def _form(self, line: int, found: forms.FormLine, meant: forms.Purpose | None) -> None:
        remark = self.reader.remark
        day = forms.review_date(found)
        said = f"{found.label}: {found.value}".rstrip(": ")
        if len(found.label) > 300:
            remark(line, "longer than a line", found.label)
        elif day is not None:
            if day[1] is None:
                remark(line, "no day to review it is written there", said)
            else:
                self.days[day[0]] = day[1]
                self.understood.append(f"{found.label} {found.value}")
        elif meant is forms.Purpose.SIGN_OFF or found.dated:
            signature = forms.sign_off(found.label)
            if signature is None or signature["role"] in {one["role"] for one in self.signoff}:
                remark(line, "no role of this desk, or one that signs already", said)
            else:
                self.signoff.append(signature)
                if found.dated:
                    remark(line, "the day of signing is the server's", f"{found.label}: Date")
        elif meant is forms.Purpose.CONTACTS:
            self.contacts.append({"role": found.label})
        else:
            self.fields.append(forms.summary_field(found))
        if not (found.blank or found.dated or day is not None):
            remark(line, "filled in there, which a definition is not", said)

    def _identified(self, parts: list[Draft], name: str) -> None:
        for twice in give_ids(parts, name):
            self.reader.remark(1, "an id stood there twice, the second is new", twice)
        for part in parts:
            if "items" in part and name == "do":
                self._identified(part["items"], name)

    def _after(self) -> None:
        """Phases wait for phases above them only: one that was taken out or moved down is waited for no longer."""
        above: set[str] = set()
        for phase in self.phases:
            names = phase.get("after", [])
            if gone := [name for name in names if name not in above]:
                phase["after"] = [name for name in names if name in above]
                why = f"{phase['title']} no longer waits for what is not above it"
                self.reader.remark(1, why, ", ".join(map(str, gone)))
            above.add(phase["id"])


def _texts(parts: Iterable[_Part]) -> list[str]:
    return [exact(part.head, "title") for part in parts]


def _unsaid(parts: Iterable[_Part]) -> Iterator[Remark]:
    for part in parts:
        if not part.used and part.head.text and part.head.kind in {None, "section"}:
            meant = forms.purpose(part.head.text)
            why = (
                "understood as the heading of what is filled in" if meant else "a heading with nothing to keep under it"
            )
            yield Remark(part.line, why, part.head.text)


def _lost(source: str, parts: Iterable[_Part], said: Counter[str]) -> list[Remark]:
    """The lines with a word that is not among those said, as often as it stands in the source."""
    lost = []
    headings = {part.line: part.head.kind for part in parts}
    kind: str | None = None
    for number, line in enumerate(source.split("\n"), 1):
        marked = split(line)
        kind = headings.get(number, kind)
        if kind == "record" or marked.kind in {"record", *_FORMS}:
            continue
        if behind := unread(marked):
            lost.append(Remark(number, "stands behind a comment of ours, where nothing is read", behind))
        here = Counter(words(unboxed(_MARKER.sub("", visible(marked.text), count=1))))
        if any(said[word] < times for word, times in here.items()):
            lost.append(Remark(number, "not all of this has a place", visible(marked.text)))
        else:
            said.subtract(here)
    return lost


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            if key not in {"id", "schema"}:
                yield from _said(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _said(part)
