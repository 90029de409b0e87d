"""What may be changed in a schedule, and what is accepted: pure. One sentence a mistake, for page and shell alike.

Values come as the forms, the shell or the history give them; they leave as the table holds them. What they mean for
the schedule's parameters is the job's own to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from dateutil import parser as dates

from jobs.core.errors import Conflict, UsageError
from jobs.schedule.model import Schedule, fires, trigger_of
from jobs.schedule.wall import zone_of

_DAY = 86_400
_LONGEST_S = 3_653 * _DAY
_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": _DAY}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds, and what it says."""

    words: str
    least: int
    most: int


KINDS = ("cron", "interval", "calendar")
OVERLAPS: Mapping[str, str] = {
    "skip": "skip: while a run waits or goes on, the next slots are skipped",
    "queue": "queue: one more may wait behind it, further slots are skipped",
    "allow": "allow: runs may go on side by side",
}
MISFIRES: Mapping[str, str] = {
    "skip": "skip: a missed slot stays missed, visibly",
    "once": "once: the newest missed slot is made good",
    "all": "all: each missed slot is made good, twenty at most",
}
NUMBERS: Mapping[str, Whole] = {
    "grace_s": Whole("seconds until an unclaimed slot counts as missed", 1, _DAY),
    "timeout_s": Whole("seconds that a run may take", 1, 7 * _DAY),
    "retries": Whole("retries after a failure or a lost worker", 0, 20),
    "retry_first_s": Whole("seconds before the first retry; each later one waits twice as long", 1, _DAY),
    "retry_most_s": Whole("seconds before a retry at most", 1, _DAY),
    "jitter_s": Whole("seconds over which starts are spread", 0, _DAY),
}
TIMING = frozenset({"kind", "expression", "zone", "anchor", "enabled"})
"""What decides which slots there are: an edit of these begins anew, and nothing before it counts as missed."""
FIELDS: Mapping[str, str] = {
    "kind": "runs by", "expression": "when", "zone": "zone", "anchor": "counted from", "overlap": "overlap",
    "misfire": "missed slots", "grace_s": "grace time (s)", "timeout_s": "time limit (s)", "retries": "retries",
    "retry_first_s": "first retry after (s)", "retry_most_s": "retry after at most (s)", "jitter_s": "spread (s)",
    "params": "parameters", "enabled": "on",
}  # fmt: skip
"""What can be edited, and what a person calls it."""
_TEXTS = {
    "expression": "Say when it runs: the expression is empty.",
    "zone": "Say a time zone, such as UTC or Europe/Berlin.",
}
_NOTHING = object()
_CHOICES = {"kind": KINDS, "overlap": OVERLAPS, "misfire": MISFIRES}


def edited(schedule: Schedule, changes: Mapping[str, Any], now: datetime) -> Schedule:
    """The schedule with the changes; UsageError for the first value that is not accepted, or if it could never run.

    Another kind begins without an anchor unless one is given.
    """
    # What stands already is not judged: a job may have brought a limit of its own.
    values = {
        name: _accepted(name, value) for name, value in changes.items() if value != getattr(schedule, name, _NOTHING)
    }
    if "kind" in values and "anchor" not in changes:
        values["anchor"] = None
    draft = replace(schedule, **values)
    if draft.kind == "interval" and "expression" in values:
        draft = replace(draft, expression=str(seconds_of(draft.expression)))
    if draft.kind == "cron" and draft.anchor is not None:
        raise UsageError("An anchor belongs to an interval or a calendar: leave it out for cron.")
    if draft.retry_most_s < draft.retry_first_s:
        raise UsageError(
            f"Retries wait {draft.retry_first_s:,} s at first and {draft.retry_most_s:,} s at most:"
            " the most cannot be less than the first."
        )
    zone_of(draft.zone)
    trigger_of(draft.kind, draft.expression, draft.zone, draft.anchor)
    if next(fires(draft, now), None) is None:
        raise UsageError(f"{draft.expression!r} never comes: no day fits it.")
    return draft


def difference(before: Schedule, after: Schedule) -> tuple[dict[str, Any], dict[str, Any]]:
    """Old and new values of what differs, as JSON holds them."""
    names = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    return {name: _plain(getattr(before, name)) for name in names}, {
        name: _plain(getattr(after, name)) for name in names
    }


def undone(schedule: Schedule, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that take an edit back; Conflict where one of its values has been changed again since."""
    again = [name for name, value in new.items() if _plain(getattr(schedule, name)) != value]
    if again:
        raise Conflict(
            f"{', '.join(FIELDS[name] for name in again)} of {schedule.name} changed again since: undo the later edits first."
        )
    return dict(old)


def seconds_of(text: str) -> int:
    """Seconds from "90", "15s", "5 min", "6h" or "1d"."""
    found = re.fullmatch(r"(\d{1,9})\s*(s|m|min|h|d)?", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a length of time: say one like 90s, 5min, 6h or 1d.")
    seconds = int(found[1]) * _UNITS[found[2] or ""]
    if seconds > _LONGEST_S:
        raise UsageError(f"{text!r} is too long: say at most ten years.")
    return seconds


def moment_of(text: str) -> datetime:
    """An instant from what a person writes; UTC unless they say otherwise."""
    try:
        moment = dates.parse(text)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is not a time: say one like '2026-01-31 06:00'.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _accepted(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise UsageError(f"{value!r} is not accepted for {name}: say {', '.join(_CHOICES[name])}.")
        return value
    if name in NUMBERS:
        bounds = NUMBERS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not bounds.least <= value <= bounds.most:
            raise UsageError(
                f"{value!r} is not accepted for {bounds.words}: say a whole number from {bounds.least} to {bounds.most:,}."
            )
        return value
    if name == "anchor":
        moment = moment_of(value) if isinstance(value, str) else value
        return None if moment is None else moment.astimezone(UTC).replace(microsecond=0)
    if name in _TEXTS:
        words = " ".join(str(value).split())
        if not words:
            raise UsageError(_TEXTS[name])
        return words
    if name not in FIELDS:
        raise UsageError(f"{name} is nothing that can be edited: these can: {', '.join(FIELDS)}.")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return dict(value) if isinstance(value, Mapping) else value
