"""List entries, code and tables of a Markdown part as items of a phase, or as points of a reference. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from checklists.convert import forms
from checklists.convert.blocks import Block, Code, Entry, Heading, Listing, Table, Text
from checklists.convert.comments import Marked, boxes, shown, split, ticked, unboxed, visible, words
from checklists.convert.draft import LONGEST_TEXT, Draft, Remark, add_help, fenced, points, say, snippet

_IN_ORDER = "read-do"


def exact(marked: Marked, key: str, *, strip: str = "") -> str:
    """What a line says: as its comment has it to the letter, unless somebody has changed what is shown since."""
    text = marked.text.removeprefix(strip).removesuffix(strip)
    kept = marked.data.get(key)
    return kept if isinstance(kept, str) and text in {shown(kept), shown(kept, first=True)} else text


def same_or_new(kept: Draft | None, found: Draft) -> Draft:
    """The snippet that a comment keeps to the letter, unless somebody has changed what is shown since."""
    return kept if kept is not None and snippet(kept["lang"], kept["text"]) in {found, None} else found


class Reader:
    """Reads entries, and collects remarks on what they say that an item cannot."""

    def __init__(self, *, bullets: bool, second_person: bool) -> None:
        self.bullets = bullets
        self.remarks: list[Remark] = []
        self._second_person = second_person

    def remark(self, line: int, why: str, text: str) -> None:
        """Notes something for whoever imports."""
        self.remarks.append(Remark(line, why, visible(text)))

    def phases(self, blocks: Iterable[Block], *, fixed: bool) -> Iterator[tuple[str | None, list[Draft]]]:
        """The items, with the mode where they are numbered; a change of numbering starts anew, unless it is `fixed`."""
        items: list[Draft] = []
        mode: str | None = None
        decided = fixed
        for block in blocks:
            now = self._mode(block)
            if now is not None and decided and not fixed and now != mode:
                yield mode or None, items
                items, decided = [], False
            if now is not None and not decided:
                mode, decided = now, True
            items += self._items(block, items)
        if items:
            yield mode or None, items

    def points(self, blocks: Iterable[Block]) -> Iterator[str | Draft]:
        """Lines to have at hand, and snippets, in order."""
        for block in blocks:
            match block:
                case Listing():
                    for entry in block.entries:
                        marked = split(entry.text)
                        if marked.kind == "point":
                            yield exact(marked, "text")
                        else:
                            yield from points(entry.text)
                        yield from self.points(entry.rest)
                case Code():
                    yield from self._code(block)
                case Table():
                    yield from self._code(Code(block.line, "markdown", block.source))
                case Heading() | Text() if not self._hidden(block):
                    yield from points(block.text)

    def _mode(self, block: Block) -> str | None:
        """`read-do` for numbered boxes, "" for others, None for what is not ticked."""
        if isinstance(block, Table):
            rows = forms.status_rows(block)
            return None if rows is None else _IN_ORDER if rows[0] else ""
        if isinstance(block, Listing) and (self.bullets or any(boxes(split(one.text).text) for one in block.entries)):
            return _IN_ORDER if block.ordered else ""
        return None

    def _items(self, block: Block, before: list[Draft]) -> Iterator[Draft]:
        match block:
            case Listing():
                for entry in block.entries:
                    item = self._item(entry)
                    if item is not None:
                        yield item
            case Table():
                yield from self._rows(block)
            case Code():
                for code in self._code(block):
                    if before and "snippet" not in before[-1]:
                        before[-1]["snippet"] = code
                    else:
                        yield {"note": code["lang"], "snippet": code}
            case Heading() | Text() if words(block.text) and not self._hidden(block):
                yield from self._notes(block.line, block.text)

    def _item(self, entry: Entry) -> Draft | None:
        marked = split(entry.text)
        ours = marked.kind == "item"
        given = boxes(marked.text)
        text = unboxed(marked.text)
        item: Draft = (
            {key: value for key, value in marked.data.items() if key not in {"do", "note", "items"}} if ours else {}
        )
        children, rest = self._children(entry)
        key = "do" if given or children or (self.bullets and not ours) else "note"
        if ours:
            item[key] = exact(Marked(text, marked.kind, marked.data), key)
        elif key == "note":
            item[key] = text
        else:
            say(item, key, text)
        if not item[key]:
            if not (children or rest):
                return None
            item[key] = "…"
        self._state(entry, given, text, item, children)
        for block in rest:
            self._beside(block, item)
        if children:
            item["items"] = children
        return self._bounded(entry.line, item)

    def _children(self, entry: Entry) -> tuple[list[Draft], list[Block]]:
        """What is ticked under an entry, and what else stands there."""
        children: list[Draft] = []
        rest: list[Block] = []
        for block in entry.rest:
            if isinstance(block, Listing) and all(split(one.text).kind == "record" for one in block.entries):
                continue
            if isinstance(block, Listing) and self._ticks(block):
                children += list(self._items(block, []))
                if block.ordered:
                    self.remark(block.line, "the order of lines under a line is not enforced", "")
            else:
                rest.append(block)
        return children, rest

    def _ticks(self, block: Listing) -> bool:
        for entry in block.entries:
            marked = split(entry.text)
            if self.bullets or marked.kind == "item" or boxes(marked.text):
                return True
            if any(isinstance(one, Listing) and self._ticks(one) for one in entry.rest):
                return True
        return False

    def _state(self, entry: Entry, given: tuple[str, ...], text: str, item: Draft, children: list[Draft]) -> None:
        if split(entry.text).kind == "item":
            return
        if any(map(ticked, given)):
            self.remark(entry.line, "ticked there, open here", text)
        if len(given) > 1 and not children and self._second_person:
            item["verify_by"] = "second-person"

    def _beside(self, block: Block, item: Draft) -> None:
        """Puts what stands under an item into it: code to copy, and the rest as help."""
        match block:
            case Code():
                code = snippet(block.info, block.text)
                kept = item.get("snippet")
                if code is None:
                    return
                if kept is None or same_or_new(kept, code) is kept:
                    item["snippet"] = kept or code
                    if len(block.info.split()) > 1:
                        self.remark(block.line, "the words after a block's language have no place", block.info)
                else:
                    add_help(item, fenced(block.info, block.text))
            case Listing():
                for number, entry in enumerate(block.entries, 1):
                    add_help(item, f"{f'{number}.' if block.ordered else '-'} {entry.text}")
                    for more in entry.rest:
                        self._beside(more, item)
            case Table():
                add_help(item, block.source)
            case Heading() | Text():
                marked = split(block.text)
                if marked.kind == "help":
                    item["help"] = exact(marked, "help")
                elif marked.kind != "record":
                    add_help(item, block.text)

    def _rows(self, table: Table) -> Iterator[Draft]:
        found = forms.status_rows(table)
        if found is None:
            for code in self._code(Code(table.line, "markdown", table.source)):
                yield {"note": "Table", "snippet": code}
            return
        for row in found[1]:
            item: Draft = {}
            say(item, "do", unboxed(row.text) or "…")
            for more in row.more:
                add_help(item, more)
            if forms.done(row.state):
                self.remark(row.line, "its state there is not kept, it is open here", f"{row.text}: {row.state}")
            yield self._bounded(row.line, item)

    def _hidden(self, block: Block) -> bool:
        """Whether it is a comment that no reader of the document sees; that is a remark."""
        if isinstance(block, Text) and block.html and re.fullmatch(r"\s*<!--.*-->\s*", block.text, re.DOTALL):
            self.remark(block.line, "a comment that nobody sees", block.text)
            return True
        return False

    def _code(self, block: Code) -> Iterator[Draft]:
        code = snippet(block.info, block.text)
        if code is None:
            return
        if len(block.info.split()) > 1:
            self.remark(block.line, "the words after a block's language have no place", block.info)
        if len(code["text"]) > LONGEST_TEXT:
            self.remark(block.line, "longer than a snippet may be", code["text"])
            code["text"] = code["text"][:LONGEST_TEXT]
        yield code

    def _notes(self, line: int, text: str) -> Iterator[Draft]:
        marked = split(text)
        if marked.kind is None:
            yield self._bounded(line, {"note": visible(text).strip()})

    def _bounded(self, line: int, item: Draft) -> Draft:
        """The item with texts that fit; what is cut off is a remark with the whole of it."""
        for key in ("note", "help"):
            if len(item.get(key, "")) > LONGEST_TEXT:
                self.remark(line, "longer than a text may be", item[key])
                item[key] = item[key][:LONGEST_TEXT].strip()
        code = item.get("snippet")
        if isinstance(code, dict) and len(code.get("text", "")) > LONGEST_TEXT:
            self.remark(line, "longer than a snippet may be", code["text"])
            item["snippet"] = {**code, "text": code["text"][:LONGEST_TEXT]}
        return item
