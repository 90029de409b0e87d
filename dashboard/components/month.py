"""A month as a grid of days; on a narrow screen the days that have something, one under another."""

from __future__ import annotations

from calendar import Calendar
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from checklists.upcoming import Entry
from dashboard.components.markup import Html, link, tag, url
from dashboard.components.states import shape

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TONES = {
    "overdue": "warn",
    "missed": "missed",
    "refused": "critical",
    "coming": "note",
    "due": "note",
    "open": "running",
}
_WORDS = {
    "done": "done", "open": "in hand", "overdue": "overdue", "missed": "missed", "refused": "could not open",
    "abandoned": "abandoned", "coming": "", "due": "due",
}  # fmt: skip


def month_of(text: str | None, today: date) -> date:
    """The first day of the month that an address names as 2026-11; of this month if it names none."""
    try:
        return datetime.strptime(text or "", "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return today.replace(day=1)


def turned(first: date, months: int) -> date:
    """The first day of another month, so many on."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def span(first: date) -> tuple[datetime, datetime]:
    """From the Monday before a month to the Monday after it, in UTC: what its grid shows."""
    days = list(Calendar().itermonthdates(first.year, first.month))
    beginning = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC)
    return beginning, beginning + timedelta(days=len(days))


def month_grid(first: date, entries: Sequence[Entry], today: date) -> Html:
    """The grid of a month with its entries by day."""
    by_day: dict[date, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.at.astimezone(UTC).date()].append(entry)
    days = Calendar().itermonthdates(first.year, first.month)
    return tag(
        "div",
        *(tag("div", name, class_="nx-weekday", aria_hidden="true") for name in _DAYS),
        *(_day(day, by_day[day], outside=day.month != first.month, today=day == today) for day in days),
        class_="nx-month",
    )


def _day(day: date, entries: Sequence[Entry], *, outside: bool, today: bool) -> Html:
    kind = " ".join(
        ["nx-day", *(["nx-outside"] if outside else []), *(["nx-today"] if today else []), *([] if entries else ["nx-none"])]
    )  # fmt: skip
    named = f"{day:%-d %b}" if day.day == 1 or outside else str(day.day)
    return tag(
        "div",
        tag("time", named, datetime=day.isoformat(), title=f"{day:%A, %-d %B %Y}"),
        tag("ul", *(tag("li", shape(_TONES.get(entry.state, entry.state)), words(entry)) for entry in entries))
        if entries
        else "",
        class_=kind,
    )


def words(entry: Entry) -> Html:
    """One entry: its title as a link, its hour, and how it stands."""
    at = f"{entry.at.astimezone(UTC):%H:%M} UTC" if entry.kind in {"occurrence", "run", "handover"} else ""
    said = ", ".join(part for part in (at, _WORDS.get(entry.state, entry.state), entry.note) if part)
    return tag("span", link(entry.title, _address(entry)), tag("span", f" {said}", class_="nx-note") if said else "")


def _address(entry: Entry) -> str:
    if entry.run_id is not None:
        return url("checklist", id=entry.run_id)
    if entry.kind in {"contact", "handover"}:
        return url("contacts")
    return url("checklists", template=entry.template_id)
