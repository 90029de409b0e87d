"""Walks the whole chain, row by row, and keeps what was found: the page Audit shows the last walk, and its age."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.core.audit_chain import Anchor, Break, Fault, Link, Verdict, verify
from jobs.core.audit_read import find_unlinked, read_links
from jobs.core.audit_seal import read_head, seal
from jobs.core.db import Database

Progress = Callable[[int, int | None], None]
"""Told after some thousand links: how many were looked at, and of how many if that is known."""
_TOLD_EVERY = 5_000


@dataclass(frozen=True, slots=True)
class Verification:
    """One walk along the chain: `links` in order before the first broken one, `broken` says what is wrong with that."""

    verified_at: datetime
    verified_by: str
    links: int
    head: bytes
    anchors: int
    late: int
    broken: str | None


def verify_trail(
    db: Database, anchors: Iterable[Anchor], *, by: str, progress: Progress = lambda _done, _total: None
) -> Verdict:
    """Seals what waits, verifies every link against its row and the anchors, and keeps the verdict."""
    # Before the anchors are compared: an anchor of a moment ago may speak of a link that is only now looked at.
    known = list(anchors)
    seal(db)
    with db.read() as conn:
        total = read_head(conn).seq
    verdict = verify(_told(read_links(db), total, progress), known)
    if verdict.whole:
        with db.read() as conn:
            stranger = find_unlinked(conn)
        if stranger is not None:
            found = Break(Fault.UNSEALED, verdict.head.seq, stranger, "a link for every row", "none for this one")
            verdict = replace(verdict, broken=found)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.audit_verifications (verified_by, links, head, anchors, late, broken)"
                " VALUES (:by, :links, :head, :anchors, :late, :broken)"
            ),
            {
                "by": by,
                "links": verdict.links,
                "head": verdict.head.hash,
                "anchors": verdict.anchors,
                "late": verdict.late,
                "broken": verdict.broken.sentence if verdict.broken else None,
            },
        )
    return verdict


def last_verification(conn: Connection) -> Verification | None:
    """The newest walk; None before the first."""
    row = conn.execute(
        text(
            "SELECT verified_at, verified_by, links, head, anchors, late, broken FROM ops.audit_verifications"
            " ORDER BY id DESC LIMIT 1"
        )
    ).one_or_none()
    return None if row is None else Verification(**{**row._mapping, "head": bytes(row.head)})


def _told(links: Iterator[Link], total: int, progress: Progress) -> Iterator[Link]:
    for done, link in enumerate(links, start=1):
        if done % _TOLD_EVERY == 0:
            progress(done, total)
        yield link
