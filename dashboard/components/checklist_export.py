"""A run as a file: to read, to print, to work on, or all of it as evidence that verifies by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from checklists.convert.formats import EXPORTS, Format, file_name
from checklists.convert.pack import audit_rows, build_pack, evidence_files
from checklists.convert.record import read_record
from checklists.reads import ChecklistRun
from dashboard.components.markup import show, tag
from dashboard.desk import desk

_TITLES: Mapping[Format, str] = {
    Format.PDF: "PDF, to print and file",
    Format.MARKDOWN: "Markdown",
    Format.CSV: "CSV, a row a line",
    Format.JSON: "JSON, the whole record",
}


def export(run: ChecklistRun) -> None:
    """A menu of files; each is made from one moment of the run, when it is asked for."""
    with st.popover("Export", key=f"nx-export-{run.id}", type="tertiary", icon=":material/download:"):
        for format_, title in _TITLES.items():
            _button(run, title, format_.value, EXPORTS[format_].media_type, _one(run.id, format_))
        _button(run, "Evidence pack, all of it", "zip", "application/zip", lambda: _pack(run.id))
        show(
            tag("p", "Each verifies without this desk: ", tag("code", "nexaops checklists verify --file FILE"),
                " for the JSON and the pack.", class_="nx-note")
        )  # fmt: skip


def _button(run: ChecklistRun, title: str, ending: str, media_type: str, made: Callable[[], bytes]) -> None:
    st.download_button(
        title, data=made, file_name=file_name(run.template.id, run.id, ending), mime=media_type,
        key=f"nx-export-{run.id}-{ending}", on_click="ignore", type="tertiary", width="stretch",
    )  # fmt: skip


def _one(run_id: int, format_: Format) -> Callable[[], bytes]:
    def made() -> bytes:
        with desk().db.read() as conn:
            record = read_record(conn, run_id)
        return EXPORTS[format_].render(record)

    return made


def _pack(run_id: int) -> bytes:
    with desk().db.read() as conn:
        record = read_record(conn, run_id)
        return build_pack(record, audit_rows(conn, run_id), evidence_files(conn, run_id))
