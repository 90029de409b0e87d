"""The lines of a Markdown checklist that are filled in rather than ticked: `**Deployed By**: ______`, and status tables.

People write summaries, contacts, sign-offs and review dates in the same few shapes; which of them a line is, its label,
its blank and its heading say. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from checklists.convert.blocks import Table
from checklists.convert.comments import boxes, one_line
from checklists.grammar import Meaning
from jobs.core.permissions import Role

_LABELLED = re.compile(r"(?:\*\*(?P<bold>[^*]+)\*\*|(?P<plain>[^:*|`]{1,60}(?=:)))(?P<value>.*)", re.DOTALL)
_BLANK = re.compile(r"[_.…‗]{3,}|\[[^\]]*\]|<[^>]*>")
_DATED = re.compile(r"[_.…‗\s]*\bdate\b\s*:?[_.…‗\s]*", re.IGNORECASE)
_SIGN_OFF = re.compile(r"sign[ -]?offs?\b|signatures?\b|approvals?\b", re.IGNORECASE)
_CONTACTS = re.compile(r"contacts?\b", re.IGNORECASE)
_SUMMARY = re.compile(r"summary\b", re.IGNORECASE)
_REVIEWED = {"last updated": "last", "last review": "last", "last reviewed": "last", "next review": "next"}
_STATUS_HEADS = {"status", "state", "done", "complete", "completed", "checked", "result", "✓", "✔", "✅", "☑"}
_TEXT_HEADS = ("task", "item", "step", "action", "check", "description", "requirement", "what", "to do", "todo")
_STATES = {
    *("", "-", "done", "yes", "no", "todo", "to do", "open", "pending", "in progress", "complete", "completed"),
    *("pass", "passed", "fail", "failed", "n/a", "na", "x", "ok", "⬜", "🔲", "🟡", "🟢", "🔴", "⏳", "🚧", "❌", "✅"),
    *(":x:", ":white_check_mark:", ":heavy_check_mark:", "not started", "blocked"),
}
_MEANINGS = {
    Role.DEVELOPER: Meaning.AUTHORED,
    Role.DEVOPS: Meaning.EXECUTED,
    Role.ON_CALL: Meaning.EXECUTED,
    Role.PROJECT_MANAGER: Meaning.APPROVED,
    Role.RELEASE_MANAGER: Meaning.APPROVED,
    Role.ADMINISTRATOR: Meaning.APPROVED,
}


class Purpose(StrEnum):
    """What the lines under a heading are filled in for."""

    FIELDS = "fields"
    CONTACTS = "contacts"
    SIGN_OFF = "signoff"


@dataclass(frozen=True, slots=True)
class FormLine:
    """A label and what stands after it; `dated` if it asks for a date of its own, as signatures on paper do."""

    label: str
    value: str
    dated: bool

    @property
    def blank(self) -> bool:
        return not self.value or _BLANK.fullmatch(self.value) is not None


def purpose(heading: str) -> Purpose | None:
    """What a heading announces, if it is one of these."""
    for pattern, meant in (
        (_SIGN_OFF, Purpose.SIGN_OFF),
        (_CONTACTS, Purpose.CONTACTS),
        (_SUMMARY, Purpose.FIELDS),
    ):
        if pattern.search(heading):
            return meant
    return None


def form_line(text: str, *, expected: bool = False) -> FormLine | None:
    """A line as a label with its blank; where forms are `expected`, also one that is filled in, or has no blank."""
    found = _LABELLED.fullmatch(one_line(text))
    if found is None:
        return None
    value = found["value"].strip().removeprefix(":").strip()
    label = (found["bold"] or found["plain"]).strip().removesuffix(":").strip()
    line = FormLine(label, value, bool(value) and _DATED.fullmatch(value) is not None)
    colon = found["value"].lstrip().startswith(":") or (found["bold"] or "").rstrip().endswith(":")
    if not label or not (colon or line.blank or line.dated):
        return None
    review = label.lower() in _REVIEWED
    asks = line.dated or (bool(value) and line.blank)
    return line if asks or expected or review else None


def summary_field(line: FormLine) -> dict[str, object]:
    """A field of the summary; its kind is what its label sounds like."""
    label = line.label.lower()
    if re.search(r"\bdate\b", label):
        return {"title": line.label, "type": "date"}
    if label.endswith(" by"):
        return {"title": line.label, "type": "user"}
    if re.search(r"\bnotes?\b|\bcomments?\b", label):
        return {"title": line.label, "type": "markdown"}
    return {"title": line.label}


def sign_off(label: str) -> dict[str, object] | None:
    """A signature's line for the role that the label names; None if it names none that this desk has."""
    known = {re.sub(r"[^a-z]", "", role.value): role for role in Role}
    role = known.get(re.sub(r"[^a-z]", "", label.lower()))
    if role is None:
        return None
    return {"role": role.value, "title": label, "meaning": _MEANINGS.get(role, Meaning.VERIFIED).value}


def review_date(line: FormLine) -> tuple[str, date | None] | None:
    """`last` or `next`, and the day if one is written there; None if the line is about something else."""
    which = _REVIEWED.get(line.label.lower())
    if which is None:
        return None
    found = re.search(r"\d{4}-\d{2}-\d{2}", line.value)
    try:
        return which, date.fromisoformat(found[0]) if found else None
    except ValueError:
        return which, None


def review(days: dict[str, date]) -> dict[str, object] | None:
    """The review of a list from its two dates; None if they do not make one."""
    if set(days) != {"last", "next"} or not timedelta(days=1) <= days["next"] - days["last"] <= timedelta(days=99_999):
        return None
    return {
        "last": days["last"].isoformat(),
        "every": f"{(days['next'] - days['last']).days}d",
        "owner": Role.DEVOPS.value,
    }


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One row of a table of things to do: the text, its state as it is written, and the other columns."""

    line: int
    text: str
    state: str
    more: tuple[str, ...]


def status_rows(table: Table) -> tuple[bool, tuple[StatusRow, ...]] | None:
    """Whether the rows are numbered, and the rows; None if no column is a status."""
    columns = range(len(table.head))
    heads = [one_line(head).strip("*` ").lower() for head in table.head]
    cells = [[row[1][column].strip() if column < len(row[1]) else "" for row in table.rows] for column in columns]
    status = next((c for c in columns if _is_status(heads[c], cells[c])), None)
    rest = [c for c in columns if c != status]
    numbers = next((c for c in rest if cells[c] and all(re.fullmatch(r"\d+[.)]?", cell) for cell in cells[c])), None)
    rest = [c for c in rest if c != numbers]
    if status is None or not rest:
        return None
    text = next((c for name in _TEXT_HEADS for c in rest if name in heads[c]), rest[0])
    rows = tuple(
        StatusRow(
            line,
            cells[text][n],
            cells[status][n],
            tuple(f"{one_line(table.head[c])}: {cells[c][n]}" for c in rest if c != text and cells[c][n]),
        )
        for n, (line, _) in enumerate(table.rows)
    )
    return numbers is not None, rows


def done(state: str) -> bool:
    """Whether a cell says more than “not yet”."""
    return state.strip() not in {"", "-", "[ ]", "[]", "☐", "⬜", "🔲"}


def _is_status(head: str, cells: list[str]) -> bool:
    known = [cell for cell in cells if cell.lower() in _STATES or (boxes(cell + " ") and len(cell) <= 3)]
    marks = [
        cell for cell in cells if boxes(cell + " ") or cell in {"❌", "✅", "⬜", "🔲", ":x:", ":white_check_mark:"}
    ]
    return head in _STATUS_HEADS or (bool(marks) and len(known) == len(cells))
