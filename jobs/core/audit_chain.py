"""The audit trail as a hash chain: what is hashed, and what a walk along the chain finds.

    hash = SHA-256(prev_hash ‖ encoding)        prev_hash of link 1 is 32 zero bytes

The encoding is UTF-8 text: the values of `Link.fields`, in their order, each as a netstring of its bytes ("5:hello,"),
and "-," where there is none; so no two rows are written alike. Times are UTC as JSON writes them, `old` and `new` are the
text of PostgreSQL's `jsonb`. The database hashes when it seals (`ops.audit_encoding`, `ops.audit_link`), this file when
it verifies: two implementations that have to agree. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

START = bytes(32)
"""What stands before the first link."""
LATE = timedelta(hours=1)
"""A row that comes so long after the time that it bears was written by a very long transaction, or bears a false one."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `ops.audit` as the texts that are hashed; `old` and `new` are JSON."""

    id: int
    at: str
    actor: str
    action: str
    entity: str
    entity_id: str
    old: str | None
    new: str | None
    reason: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the chain with the row that it seals; None: the row is gone.

    `redacted` names what an export has left out of the row because it looked like a secret.
    """

    seq: int
    audit_id: int
    prev_hash: bytes
    hash: bytes
    sealed_at: str
    record: Record | None
    redacted: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str | None, ...]:
        """What is hashed, in its order."""
        row = self.record
        if row is None:
            return ()
        return (
            str(self.seq), self.sealed_at, str(row.id), row.at, row.actor, row.action, row.entity, row.entity_id,
            row.old, row.new, row.reason, row.origin,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain as it was written down outside of the database: at `at`, in `where`."""

    seq: int
    hash: bytes
    at: str
    where: str


class Fault(StrEnum):
    """What can be wrong with a link; the value says it."""

    MISSING = "a link is missing"
    UNLINKED = "it does not follow from the link before it"
    GONE = "its row is gone from the audit trail"
    CHANGED = "its row was changed after it was sealed"
    ANCHOR = "it is not what was written down outside of the database"
    CUT = "the end of the chain was cut off"
    UNSEALED = "a row was put in behind the chain"


@dataclass(frozen=True, slots=True)
class Break:
    """The first thing wrong: at which link, about which row, what was expected and what was found instead."""

    fault: Fault
    seq: int
    audit_id: int | None
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        row = "" if self.audit_id is None else f" (row {self.audit_id} of the audit trail)"
        return (
            f"The audit trail is broken at link {self.seq}{row}: {self.fault}; expected {self.expected}, found "
            f"{self.found}."
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The last link that was looked at; seq 0 for an empty chain."""

    seq: int = 0
    hash: bytes = START


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found. `links` and `head` are those before the first break."""

    links: int
    head: Head
    anchors: int
    """Anchors that were met."""
    late: int
    """Rows that came more than LATE after the time that they bear."""
    first_late: int | None
    """The id of the first of these rows."""
    redacted: int
    """Links whose row an export does not show whole, so that only their place was proved."""
    broken: Break | None

    @property
    def whole(self) -> bool:
        return self.broken is None


def encoding(link: Link) -> bytes:
    """What is hashed of a link, after the hash of the one before."""
    return b"".join(
        b"-," if value is None else b"%d:%s," % (len(data := value.encode()), data) for value in link.fields
    )


def link_hash(prev_hash: bytes, link: Link) -> bytes:
    """The hash that a link must have."""
    return hashlib.sha256(prev_hash + encoding(link)).digest()


def verify(links: Iterable[Link], anchors: Iterable[Anchor] = (), *, gaps: bool = False) -> Verdict:
    """Walks along the links, in their order, up to the first break.

    With `gaps`, for what was filtered, a link may follow on any earlier one: then each proves its own row, and those that
    are neighbours their order.
    """
    walk = _Walk(anchors, gaps=gaps)
    broken = next((found for link in links if (found := walk.take(link)) is not None), None)
    if broken is None and not gaps:
        broken = walk.end()
    return Verdict(walk.links, walk.head, walk.met, walk.late, walk.first_late, walk.redacted, broken)


class _Walk:
    def __init__(self, anchors: Iterable[Anchor], *, gaps: bool) -> None:
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.seq, []).append(anchor)
        self._gaps = gaps
        self._prompt = _LONG_AGO
        self.head = Head()
        self.links = self.met = self.late = self.redacted = 0
        self.first_late: int | None = None

    def take(self, link: Link) -> Break | None:
        if (broken := self._place(link) or self._content(link) or self._anchored(link)) is not None:
            return broken
        self._time(link)
        self.links += 1
        self.redacted += bool(link.redacted)
        self.head = Head(link.seq, link.hash)
        return None

    def end(self) -> Break | None:
        """The first anchor that the chain does not reach."""
        beyond = min((seq for seq in self._anchors if seq > self.head.seq), default=None)
        if beyond is None:
            return None
        anchor = self._anchors[beyond][0]
        last = f"link {self.head.seq}" if self.head.seq else "nothing"
        return Break(
            Fault.CUT, self.head.seq + 1, None, f"links up to {beyond}, as {_written(anchor)}", f"{last} as the end"
        )

    def _place(self, link: Link) -> Break | None:
        wanted = self.head.seq + 1
        if link.seq < wanted or (link.seq > wanted and not self._gaps):
            return Break(Fault.MISSING, wanted, None, f"link {wanted}", f"link {link.seq}")
        if link.seq == wanted and link.prev_hash != self.head.hash:
            return Break(
                Fault.UNLINKED, link.seq, link.audit_id, f"the hash {self.head.hash.hex()}", link.prev_hash.hex()
            )
        return None

    def _content(self, link: Link) -> Break | None:
        if link.record is None:
            return Break(Fault.GONE, link.seq, link.audit_id, f"row {link.audit_id}", "nothing")
        if link.redacted:
            return None
        found = link_hash(link.prev_hash, link)
        if link.record.id != link.audit_id or found != link.hash:
            return Break(Fault.CHANGED, link.seq, link.audit_id, f"the hash {link.hash.hex()}", found.hex())
        return None

    def _anchored(self, link: Link) -> Break | None:
        for anchor in self._anchors.get(link.seq, ()):
            if anchor.hash != link.hash:
                expected = f"the hash {anchor.hash.hex()}, as {_written(anchor)}"
                return Break(Fault.ANCHOR, link.seq, link.audit_id, expected, link.hash.hex())
            self.met += 1
        return None

    def _time(self, link: Link) -> None:
        """Counts rows that bear a time from long before a moment at which everything was sealed promptly.

        What waited for its seal (all rows before the first one, or while no worker ran) is no such row: nothing that was
        sealed promptly stands before it.
        """
        at, sealed_at = _time(link.record.at if link.record else None), _time(link.sealed_at)
        if self._prompt - at > LATE:
            self.late += 1
            self.first_late = self.first_late or link.audit_id
        if sealed_at - at <= LATE:
            self._prompt = max(self._prompt, sealed_at)


def _written(anchor: Anchor) -> str:
    return f"{anchor.where} says since {anchor.at}"


def _time(written: str | None) -> datetime:
    """A time as JSON writes it; one that is no usual time counts as very long ago."""
    try:
        return datetime.fromisoformat(written or "").replace(tzinfo=UTC)
    except ValueError:
        return _LONG_AGO
