"""Rows of the audit trail in words: what was done, to what, and how old became new. Secrets are taken out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.components.markup import Html, esc, join, link, tag, url
from dashboard.components.money_words import plain, short_address, short_id
from jobs.core.logs import redact, redact_value

MOST_TEXT = 80
# entity -> its page, and the parameter that takes its id
_PAGES: Mapping[str, tuple[str, str]] = {
    "transaction": ("transaction", "id"),
    "case": ("cases", "case"),
    "run": ("run", "id"),
    "schedule": ("schedule", "name"),
    "checklist_run": ("checklist", "id"),
    "alert": ("alert", "id"),
    "alert_rule": ("rule", "name"),
    "incident": ("incident", "id"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """One value before and after; None: it was not there on that side."""

    name: str
    old: str | None
    new: str | None


def about(entity: str, entity_id: str) -> Html:
    """What a row is about, leading to its page where it has one."""
    kind = entity.replace("_", " ")
    shown = short_id(entity_id) if len(entity_id) == 36 and entity_id.count("-") == 4 else short_address(entity_id)
    page = _PAGES.get(entity)
    if page is None or not entity_id:
        return tag("span", f"{kind} {shown}", title=entity_id if shown != entity_id else None)
    return link(f"{kind} {shown}", url(page[0], **{page[1]: entity_id}), class_="nx-link nx-inline", title=entity_id)


def done(action: str) -> Html:
    """What was done, as words; the code itself on hover."""
    return tag("span", plain(action), title=action)


def changes(old: Mapping[str, object] | None, new: Mapping[str, object] | None) -> tuple[Changed, ...]:
    """What differs between two sides, by name; values that stayed the same are left out."""
    before, after = old or {}, new or {}
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        Changed(
            name,
            _text(name, before[name]) if name in before else None,
            _text(name, after[name]) if name in after else None,
        )
        for name in names
        if name not in before or name not in after or before[name] != after[name]
    )


def difference(found: tuple[Changed, ...], *, most: int | None = None) -> Html:
    """The changes as lines, "status PENDING → SUCCESS"; values are cut where only the first `most` are shown."""
    lines = [tag("div", *_line(one, MOST_TEXT if most else None)) for one in found[:most]]
    if most is not None and len(found) > most:
        lines.append(tag("div", f"and {len(found) - most} more", class_="nx-quiet"))
    return tag("div", *lines, class_="nx-changes") if lines else tag("span", "–", class_="nx-quiet")


def _line(one: Changed, cut: int | None) -> tuple[Html, ...]:
    name = tag("span", f"{one.name.replace('_', ' ')} ", class_="nx-quiet")
    if one.old is None:
        return (name, _value(one.new, cut))
    if one.new is None:
        return (name, tag("del", _value(one.old, cut)))
    return (
        name,
        _value(one.old, cut),
        join(tag("span", " → ", class_="nx-quiet", aria_label="became")),
        _value(one.new, cut),
    )


def _value(value: str | None, cut: int | None) -> Html:
    said = value or ""
    if cut is None or len(said) <= cut:
        return esc(said)
    return tag("span", short_address(said) if " " not in said else f"{said[: cut - 1]}…", title=said)


def _text(name: str, value: object) -> str:
    clean = redact_value(name, value)
    if clean is None:
        return "none"
    if isinstance(clean, bool):
        return "yes" if clean else "no"
    return redact(clean if isinstance(clean, str) else json.dumps(clean, ensure_ascii=False, default=str)) or "empty"
