"""Horizon's pages: cursor, limit and order in, `_embedded.records` with next and prev links out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from urllib.parse import urlencode

import orjson

from jobs.horizon.sandbox.network import toid
from jobs.horizon.sandbox.problems import BEFORE_HISTORY, bad_field
from jobs.horizon.sandbox.records import BASE, Included
from jobs.horizon.sandbox.view import View

DEFAULT_LIMIT, MAX_LIMIT = 10, 200
Rendered = tuple[int, bytes]
"""A record's paging token and its JSON."""
_by_toid = attrgetter("toid")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A page asked for; `cursor` None is the beginning of history (asc) or its end (desc)."""

    path: str
    cursor: int | None
    limit: int
    descending: bool
    include_failed: bool
    join: bool
    others: Mapping[str, str]
    """Parameters beside the paging ones, repeated in every link."""

    def begins_after(self, token: int) -> bool:
        """Whether a record with this token belongs behind the cursor."""
        if self.cursor is None:
            return True
        return token < self.cursor if self.descending else token > self.cursor

    def document(self, records: Sequence[Rendered]) -> bytes:
        """The page's JSON, hrefs still without the server's address."""
        cursor = "" if self.cursor is None else str(self.cursor)
        order, back = ("desc", "asc") if self.descending else ("asc", "desc")
        first = str(records[0][0]) if records else cursor
        last = str(records[-1][0]) if records else cursor
        links = {
            "self": self._link(cursor, order),
            "next": self._link(last, order),
            "prev": self._link(first, back),
        }
        inside = b",".join(body for _, body in records)
        return b'{"_links":' + orjson.dumps(links) + b',"_embedded":{"records":[' + inside + b"]}}"

    def _link(self, cursor: str, order: str) -> dict[str, str]:
        query = {**self.others, "cursor": cursor, "limit": str(self.limit), "order": order}
        return {"href": f"{BASE}{self.path}?{urlencode(sorted(query.items()))}"}


def page_query(path: str, given: Mapping[str, str], view: View) -> PageQuery:
    """Read a page's parameters; raises the problem that Horizon answers to a wrong one."""
    order = given.get("order") or "asc"
    if order not in ("asc", "desc"):
        raise bad_field("order", "order is asc or desc")
    descending = order == "desc"
    cursor = _cursor(given.get("cursor", ""), view)
    # Ascending pages from before history silently begin at the elder ledger; only descending ones are gone.
    if descending and cursor is not None and cursor <= toid(view.elder):
        raise BEFORE_HISTORY
    others = {key: value for key, value in given.items() if key not in ("cursor", "limit", "order")}
    return PageQuery(
        path=path,
        cursor=cursor,
        limit=_limit(given.get("limit", "")),
        descending=descending,
        include_failed=_flag(given, "include_failed"),
        join=_join(given.get("join", "")),
        others=others,
    )


def _cursor(text: str, view: View) -> int | None:
    if text == "now":
        return toid(view.latest + 1) - 1
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
        raise bad_field("cursor", "a cursor is a paging token, or now")
    return int(text)


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise bad_field("limit", f"a limit is a number from 1 to {MAX_LIMIT}")
    return int(text)


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "")
    if text not in ("", "true", "false"):
        raise bad_field(name, "true or false")
    return text == "true"


def _join(text: str) -> bool:
    if text not in ("", "transactions"):
        raise bad_field("join", "only transactions can be joined")
    return text == "transactions"


def walk(entries: Sequence[Included], query: PageQuery, view: View) -> Iterator[Included]:
    """The transactions that the view sees, from the cursor's own on, in the order asked for.

    The cursor's own transaction comes too: a cursor may stand between its operations.
    """
    low = bisect_left(entries, toid(view.elder), key=_by_toid)
    high = bisect_left(entries, toid(view.latest + 1), key=_by_toid)
    if query.cursor is not None:
        own = query.cursor & ~0xFFF
        if query.descending:
            high = min(high, bisect_right(entries, own, key=_by_toid))
        else:
            low = max(low, bisect_left(entries, own, key=_by_toid))
    places = range(high - 1, low - 1, -1) if query.descending else range(low, high)
    return (entries[place] for place in places)
