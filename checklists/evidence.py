"""What people leave on an item to show that it was done: a text, a link, a file.

It is never changed and never taken away; what was wrong is withdrawn with a reason and stays readable. A file lies in
the database beside its SHA-256, so that backup, retention and the evidence pack find it, and is served for download
only: what it claims to be is compared with what it is.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from checklists.grammar import EvidenceKind, EvidenceSpec, odd_character
from checklists.history import keep
from checklists.lines import TrackedItem
from checklists.store import line_of, open_run
from checklists.tracker import Refused, clean
from checklists.voiding import void_broken
from jobs.core.errors import NotFound, UsageError
from jobs.core.people import Person
from jobs.core.permissions import Actor, Right, require

LARGEST_FILE = 10 * 1024 * 1024
LARGEST_RUN = 200 * 1024 * 1024
RUN = "run"
"""The kind of a job's run, which no definition asks for: it comes of an item's button."""
# Each with the bytes that it begins with; None: text that is UTF-8 throughout.
_ACCEPTED: dict[str, tuple[str, bytes | None]] = {
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    ".jpg": ("image/jpeg", b"\xff\xd8\xff"),
    ".jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    ".gif": ("image/gif", b"GIF8"),
    ".webp": ("image/webp", b"RIFF"),
    ".pdf": ("application/pdf", b"%PDF-"),
    ".zip": ("application/zip", b"PK"),
    ".gz": ("application/gzip", b"\x1f\x8b"),
    ".txt": ("text/plain", None),
    ".log": ("text/plain", None),
    ".md": ("text/markdown", None),
    ".csv": ("text/csv", None),
    ".json": ("application/json", None),
    ".xml": ("application/xml", None),
    ".yaml": ("application/yaml", None),
    ".yml": ("application/yaml", None),
}
SUFFIXES = tuple(sorted(_ACCEPTED))
"""The endings of the files that are kept."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece: `body` is a text, a link or a run's number, `name` and `media_type` are a file's; times are UTC."""

    id: int
    item_id: str
    kind: str
    label: str
    body: str | None
    name: str | None
    media_type: str | None
    size: int
    sha256: str
    added_at: datetime
    added_by: str
    adder: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_why: str | None


def add_text(conn: Connection, run_id: int, item_id: str, label: str, body: str, actor: Actor, *, origin: str) -> int:
    """Leaves a text on an item; returns its id. UsageError where it does not look as the item asks for."""
    kept = clean(body, "The text")
    if kept is None:
        raise UsageError("The text is empty: write something first.")
    return _add(conn, run_id, item_id, EvidenceKind.TEXT, label, actor, origin, body=kept)


def add_link(conn: Connection, run_id: int, item_id: str, label: str, url: str, actor: Actor, *, origin: str) -> int:
    """Leaves a link (http or https) on an item; returns its id."""
    kept = clean(url, "The link") or ""
    parts = urlsplit(kept)
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", kept):
        raise UsageError("A link begins with https:// or http:// and has no spaces: copy it from the address bar.")
    if parts.password is not None:
        raise UsageError("The link holds a password: take it out before it is kept for years.")
    return _add(conn, run_id, item_id, EvidenceKind.LINK, label, actor, origin, body=kept)


def add_file(
    conn: Connection, run_id: int, item_id: str, label: str, name: str, content: bytes, actor: Actor, *, origin: str
) -> int:
    """Leaves a file on an item; returns its id. UsageError if it is too large, or not what its name says."""
    media_type = judge_file(name, content)
    return _add(
        conn, run_id, item_id, EvidenceKind.FILE, label, actor, origin,
        name=PurePath(name.replace("\\", "/")).name, media_type=media_type, content=content,
    )  # fmt: skip


def add_run(
    conn: Connection, run_id: int, item_id: str, label: str, job_run: int, actor: Person, *, origin: str
) -> int:
    """Leaves a job's run on an item, by its number; returns the evidence's id."""
    return _add(conn, run_id, item_id, RUN, label, actor, origin, body=str(job_run))


def judge_file(name: str, content: bytes) -> str:
    """The media type of a file that can be kept; UsageError says why one cannot. Pure."""
    name = PurePath(name.replace("\\", "/")).name
    odd = odd_character(name)
    if odd or not name or len(name) > 200:
        raise UsageError(f"The file's name {'holds the character ' + odd if odd else 'cannot be kept'}: rename it.")
    if not content:
        raise UsageError(f"{name} is empty: choose the right file.")
    if len(content) > LARGEST_FILE:
        most = LARGEST_FILE // 1024 // 1024
        raise UsageError(
            f"{name} has {len(content) / 1024 / 1024:.1f} MB, at most {most} MB are kept: shorten or pack it."
        )
    suffix = PurePath(name).suffix.lower()
    if suffix not in _ACCEPTED:
        raise UsageError(f"{name} is of no kind that is kept here: use one of {', '.join(SUFFIXES)}.")
    media_type, start = _ACCEPTED[suffix]
    genuine = content.startswith(start) if start is not None else _is_text(content)
    if suffix == ".webp":
        genuine = genuine and content[8:12] == b"WEBP"
    if not genuine:
        raise UsageError(f"{name} is not what its ending says: save it as a real {suffix[1:]} file.")
    return media_type


def withdraw(conn: Connection, run_id: int, evidence_id: int, actor: Person, reason: str, *, origin: str) -> None:
    """Says that a piece of evidence does not count any more, and why; it stays readable."""
    require(actor, Right.TICK)
    open_run(conn, run_id)
    kept = clean(reason, "The reason")
    if kept is None:
        raise UsageError("Evidence is withdrawn with a reason: say what is wrong with it.")
    row = conn.execute(
        text(
            "UPDATE ops.checklist_evidence SET withdrawn_at = clock_timestamp(), withdrawn_by = :actor,"
            " withdrawn_why = :why WHERE id = :id AND run_id = :run_id AND withdrawn_at IS NULL RETURNING item_id, label"
        ),
        {"id": evidence_id, "run_id": run_id, "actor": actor.email, "why": kept},
    ).one_or_none()
    if row is None:
        raise Refused(f"Evidence {evidence_id} is not in run {run_id}, or was withdrawn already.")
    keep(
        conn, run_id, actor, "evidence withdrawn", origin, item_id=row.item_id, old={"evidence": evidence_id}, note=kept,
        was=row.label,
    )  # fmt: skip
    void_broken(conn, run_id, actor, f"the evidence “{row.label}” was withdrawn", origin=origin)


def list_evidence(conn: Connection, run_id: int, item_id: str | None = None) -> list[Evidence]:
    """What was left in a run, or on one line of it, the oldest first, without the contents of files."""
    rows = conn.execute(
        text(
            "SELECT e.id, e.item_id, e.kind, e.label, e.body, e.name, e.media_type, e.size, e.sha256, e.added_at,"
            " e.added_by, coalesce(p.name, e.added_by) AS adder, e.withdrawn_at, e.withdrawn_by, e.withdrawn_why"
            " FROM ops.checklist_evidence e LEFT JOIN ops.people p ON p.email = e.added_by"
            " WHERE e.run_id = :run_id AND (CAST(:item_id AS text) IS NULL OR e.item_id = :item_id) ORDER BY e.id"
        ),
        {"run_id": run_id, "item_id": item_id},
    )
    return [Evidence(**row._asdict()) for row in rows]


def read_file(conn: Connection, run_id: int, evidence_id: int) -> tuple[str, str, bytes]:
    """Name, media type and content of a file; NotFound, also if the content is not what was kept."""
    row = conn.execute(
        text(
            "SELECT name, media_type, content, sha256 FROM ops.checklist_evidence"
            " WHERE id = :id AND run_id = :run_id AND kind = 'file'"
        ),
        {"id": evidence_id, "run_id": run_id},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no file {evidence_id} in run {run_id}.")
    content = bytes(row.content)
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise NotFound(f"The file {evidence_id} of run {run_id} is not what was kept: its SHA-256 differs.")
    return row.name, row.media_type, content


def _add(
    conn: Connection,
    run_id: int,
    item_id: str,
    kind: str,
    label: str,
    actor: Actor,
    origin: str,
    *,
    body: str | None = None,
    name: str | None = None,
    media_type: str | None = None,
    content: bytes | None = None,
) -> int:
    require(actor, Right.EVIDENCE)
    line = line_of(open_run(conn, run_id), item_id)
    label = clean(label, "The label") or "note"
    _as_asked(line, kind, label, body)
    raw = content if content is not None else (body or "").encode()
    held = conn.execute(
        text("SELECT coalesce(sum(size), 0) FROM ops.checklist_evidence WHERE run_id = :id"), {"id": run_id}
    ).scalar_one()
    if held + len(raw) > LARGEST_RUN:
        raise UsageError(f"Run {run_id} holds {held // 1024 // 1024} MB of evidence, which is the most: leave a link.")
    digest = hashlib.sha256(raw).hexdigest()
    evidence_id: int = conn.execute(
        text(
            "INSERT INTO ops.checklist_evidence"
            " (run_id, item_id, kind, label, body, name, media_type, content, size, sha256, added_by)"
            " VALUES (:run_id, :item_id, :kind, :label, :body, :name, :media_type, :content, :size, :sha256, :actor)"
            " RETURNING id"
        ),
        {
            "run_id": run_id,
            "item_id": item_id,
            "kind": str(kind),
            "label": label,
            "body": body,
            "name": name,
            "media_type": media_type,
            "content": content,
            "size": len(raw),
            "sha256": digest,
            "actor": actor.email,
        },
    ).scalar_one()
    new = {"evidence": evidence_id, "kind": str(kind), "label": label, "sha256": digest}
    keep(conn, run_id, actor, "evidence", origin, item_id=item_id, new=new, note=name or body, became=label)
    void_broken(conn, run_id, actor, f"“{line.label}” got the evidence “{label}”", origin=origin)
    return evidence_id


def _as_asked(line: TrackedItem, kind: str, label: str, body: str | None) -> None:
    asked: EvidenceSpec | None = next((spec for spec in line.definition.evidence if spec.label == label), None)
    if asked is None:
        return
    if asked.type != kind:
        raise UsageError(f"“{line.label}” asks for a {asked.type} as {label}, this is a {kind}.")
    if asked.pattern is not None and re.fullmatch(asked.pattern, body or "") is None:
        raise UsageError(f"That is no {label}: it must look like {asked.pattern}")


def _is_text(content: bytes) -> bool:
    try:
        words = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return "\x00" not in words
