"""A run's log as it grows: lines in blocks, of which only the last one changes.

Streamlit sends an element again only when it differs, so a log that is followed costs its new lines. A block holds the
lines whose ids share a bucket: blocks stay the same when lines are added at the end or fall out at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from functools import lru_cache
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.times import both, local_zone
from jobs.run.store import LogLine

BUCKET = 32
_WRITTEN, _LONGEST = 8192, 500
"""Lines that are remembered, and the characters that one of them has at most: those that are followed are drawn again
every second, but a job may log whatever it likes."""
_MARKS = {"warning": "nx-warn", "error": "nx-critical", "critical": "nx-critical"}


def draw_lines(found: Iterable[LogLine], *, growing: bool) -> None:
    """Puts the lines on the page, oldest first; those of a log that grows no more as one piece."""
    for place, (_, block) in enumerate(groupby(found, key=lambda line: line.id // BUCKET if growing else 0)):
        # What scrolls is reached with the keyboard by something within it that can be: its first block.
        show(lines(block, reachable=place == 0))


def lines(block: Iterable[LogLine], *, reachable: bool = False) -> Html:
    """Lines as one piece of markup; `reachable` with the keyboard where they stand in something that scrolls."""
    zone = local_zone()
    return tag(
        "div",
        *(_remembered(line, zone) if _is_short(line) else _line(line) for line in block),
        class_="nx-lines",
        tabindex="0" if reachable else None,
    )


def _is_short(line: LogLine) -> bool:
    return len(line.event) + len(str(line.fields)) <= _LONGEST


@lru_cache(maxsize=_WRITTEN)
def _remembered(line: LogLine, _zone: ZoneInfo) -> Html:
    """A line stays as it was logged, and reads the same to everybody in the zone: it is written once."""
    return _line(line)


def _line(line: LogLine) -> Html:
    at = line.at.astimezone(UTC)
    mark = _MARKS.get(line.level)
    return tag(
        "div",
        tag("time", at.time().isoformat("milliseconds"), title=both(at), class_="nx-quiet"),
        join(tag("i", class_=f"nx-shape {mark}", aria_hidden="true"), tag("b", line.level, class_=mark)) if mark else "",
        tag("span", line.event),
        *(tag("span", tag("span", f"{name}=", class_="nx-quiet"), _value(name, value), class_="nx-field")
          for name, value in line.fields.items()),
        class_="nx-line",
    )  # fmt: skip


def _value(name: str, value: object) -> Html | str:
    """A value as text; what it touched leads there."""
    said = (
        ", ".join(str(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else value
    )
    if name == "transaction" and _is_uuid(value):
        return link(str(value), url("transaction", id=value))
    return str(said)


def _is_uuid(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True
