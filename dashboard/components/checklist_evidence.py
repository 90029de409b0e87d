"""What was left on a line to show that it was done, and the fields to leave more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from sqlalchemy import Connection

from checklists.evidence import LARGEST_FILE, RUN, SUFFIXES, Evidence, add_file, add_link, add_text, read_file, withdraw
from checklists.grammar import EvidenceKind, EvidenceSpec
from checklists.lines import TrackedItem
from checklists.tracker import LONGEST_NOTE
from dashboard import queries_checklists as reads
from dashboard.access import origin
from dashboard.components.checklist_commands import attempt, place_of
from dashboard.components.checklist_forms import turn_form, turn_of, words_form
from dashboard.components.checklist_view import View
from dashboard.components.instants import instant
from dashboard.components.markup import link, show, tag, url
from dashboard.desk import desk
from jobs.core.people import Person

_MOST_MB = LARGEST_FILE // 1024 // 1024
_FREE = {"Text": EvidenceKind.TEXT, "Link": EvidenceKind.LINK, "File": EvidenceKind.FILE}


def evidence(view: View, item: TrackedItem) -> None:
    """The pieces with their hashes, those that were withdrawn too, and a field for each that is asked for."""
    pieces = [piece for piece in reads.evidence(view.run.id) if piece.item_id == item.id]
    asked = item.definition.evidence
    with st.container(key=f"nx-cl-evidence-{place_of(view.run.id, item.id)}", gap="small"):
        if pieces or asked or view.works:
            show(tag("h3", "Evidence", class_="nx-cl-title"))
        for piece in pieces:
            _piece(view, piece)
        if not view.works:
            return
        for spec in asked:
            if spec.label not in item.mark.evidence:
                _field(view, item, spec.type, spec)
        key = f"nx-free-{place_of(view.run.id, item.id)}"
        with st.popover("Leave something else…" if asked else "Leave evidence…", key=f"{key}-pop"):
            kind = st.segmented_control(
                "Kind", list(_FREE), default="Text", required=True, key=f"{key}-kind", label_visibility="collapsed"
            )
            _field(view, item, _FREE[kind or "Text"], None)


def _piece(view: View, piece: Evidence) -> None:
    with st.container(key=f"nx-cl-piece-{piece.id}", horizontal=True, gap="small", vertical_alignment="center"):
        show(tag("div", *_told(piece), class_="nx-cl-piece"))
        if piece.kind == EvidenceKind.FILE:
            st.download_button(
                "Download", data=lambda: _content(view.run.id, piece.id), file_name=piece.name,
                mime="application/octet-stream", key=f"nx-file-{piece.id}", on_click="ignore", type="tertiary",
                icon=":material/download:",
            )  # fmt: skip
        if view.works and piece.withdrawn_at is None:
            key = f"nx-withdraw-{piece.id}"
            with st.popover("Withdraw…", key=f"{key}-pop-{turn_of(key)}", type="tertiary"):
                words_form(
                    key, label="What is wrong with it (it stays readable)", verb="Withdraw",
                    command=lambda words: _withdraw(view.run.id, piece, words),
                )  # fmt: skip


def _told(piece: Evidence) -> list[object]:
    size = f"{piece.size / 1024:.1f} kB" if piece.size < 1024 * 1024 else f"{piece.size / 1024 / 1024:.1f} MB"
    what: object = f"{piece.name}, {size}" if piece.name is not None else piece.body
    if piece.kind == EvidenceKind.LINK:
        what = tag("a", piece.body, href=piece.body, target="_blank", rel="noopener noreferrer", class_="nx-inline")
    elif piece.kind == RUN:
        what = link(f"run {piece.body}", url("run", id=piece.body), class_="nx-link nx-inline")
    withdrawn = piece.withdrawn_at is not None
    said: list[object] = [
        tag("span", piece.label, class_="nx-strong"), " ", tag("s", what) if withdrawn else what,
        tag("div", piece.adder, " ", instant(piece.added_at, seconds=False), " · SHA-256 ",
            tag("span", piece.sha256[:12], class_="nx-mono", title=piece.sha256), class_="nx-note"),
    ]  # fmt: skip
    if withdrawn and piece.withdrawn_at is not None:
        said.append(tag("div", f"withdrawn by {piece.withdrawn_by} ", instant(piece.withdrawn_at, seconds=False), ": ",
                        tag("q", piece.withdrawn_why), class_="nx-note"))  # fmt: skip
    return said


def _field(view: View, item: TrackedItem, kind: EvidenceKind, spec: EvidenceSpec | None) -> None:
    """One field to fill in: as the item asks for it (`spec`), or with a label of its own."""
    place = place_of(view.run.id, item.id)
    key = f"nx-evidence-{place}-{spec.label if spec is not None else f'free-{kind.value}'}"
    title = (
        f"{spec.label}{'' if spec.need == 'required' else ' (optional)'}" if spec is not None else kind.value.title()
    )

    def fields(prefix: str) -> None:
        if spec is None:
            st.text_input("What it is", key=f"{prefix}-label", max_chars=100, placeholder="screenshot, ticket, log …")
        match kind:
            case EvidenceKind.FILE:
                st.file_uploader(
                    f"{title}: at most {_MOST_MB} MB, kept for years", key=f"{prefix}-file", type=SUFFIXES,
                    max_upload_size=_MOST_MB,
                )  # fmt: skip
            case EvidenceKind.LINK:
                st.text_input(title, key=f"{prefix}-body", max_chars=LONGEST_NOTE, placeholder="https://…")
            case EvidenceKind.TEXT:
                hint = f"looks like {spec.pattern}" if spec is not None and spec.pattern else None
                st.text_input(title, key=f"{prefix}-body", max_chars=LONGEST_NOTE, placeholder=hint)

    def command(value: Callable[[str], Any]) -> bool:
        label = spec.label if spec is not None else str(value("-label") or "")
        return bool(attempt(place, lambda conn, person: _leave(conn, person, view.run.id, item.id, kind, label, value)))

    turn_form(key, fields=fields, verb="Leave it here", command=command)


def _leave(
    conn: Connection,
    person: Person,
    run_id: int,
    item_id: str,
    kind: EvidenceKind,
    label: str,
    value: Callable[[str], Any],
) -> int:
    if kind is EvidenceKind.FILE:
        uploaded = value("-file")
        name, content = (uploaded.name, uploaded.getvalue()) if uploaded is not None else ("The file", b"")
        return add_file(conn, run_id, item_id, label or name, name, content, person, origin=origin())
    add = add_link if kind is EvidenceKind.LINK else add_text
    return add(conn, run_id, item_id, label, str(value("-body") or ""), person, origin=origin())


def _withdraw(run_id: int, piece: Evidence, words: str) -> bool:
    def command(conn: Connection, person: Person) -> bool:
        withdraw(conn, run_id, piece.id, person, words, origin=origin())
        return True

    return bool(attempt(place_of(run_id, piece.item_id), command))


def _content(run_id: int, evidence_id: int) -> bytes:
    """Read when the button is pressed: over a connection that the gate closes with its session."""
    with desk().db.read() as conn:
        return read_file(conn, run_id, evidence_id)[2]
