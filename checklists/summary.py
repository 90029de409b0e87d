"""The summary of a run: what its definition asks for, checked all at once before it starts. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import date

from checklists.grammar import FieldKind, SummaryField
from checklists.schema import Template
from checklists.tracker import clean
from jobs.core.errors import UsageError


def read_summary(template: Template, given: Mapping[str, str], people: Collection[str]) -> dict[str, str]:
    """The values by field id, as they are kept; `people` are the e-mails that a user field accepts.

    Raises UsageError with one sentence that names every field that is wrong.
    """
    known = [field.id for field in template.fields]
    wrong = []
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}"
            wrong.append(f"there is no field {name!r}, {meant}")
    values: dict[str, str] = {}
    for field in template.fields:
        value = clean(given.get(field.id), field.title)
        if value is not None:
            fault = _fault(field, value, people)
            values[field.id] = value.lower() if field.type is FieldKind.USER else value
            wrong += [fault] if fault else []
        elif field.required:
            wrong.append(f"{field.id} is missing: it is the {field.title}")
    if wrong:
        raise UsageError(f"“{template.title}” cannot start: {'; '.join(wrong)}.")
    return values


def _fault(field: SummaryField, value: str, people: Collection[str]) -> str | None:
    if field.type is FieldKind.DATE:
        try:
            known_form = date.fromisoformat(value).isoformat() == value
        except ValueError:
            known_form = False
        if not known_form:
            return f"{field.id} must be a date such as 2026-11-30, not {value!r}"
    if field.type is FieldKind.USER and value.lower() not in people:
        some = ", ".join(sorted(people)[:3]) or "nobody yet, add one with `nexaops users add`"
        return f"{field.id} must be the e-mail of somebody with an account ({some}), not {value!r}"
    if field.type is not FieldKind.MARKDOWN and "\n" in value:
        return f"{field.id} must be one line"
    return None
