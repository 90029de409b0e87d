"""Two runs held against each other: what they were given, what they counted, and where their logs part. Pure.

Logs of two runs never agree word for word: numbers, ids and times are taken out before lines are compared, as they are
when failures are grouped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from jobs.run.failures import without_particulars
from jobs.run.store import LogLine, RunRow

CONTEXT = 3
AFTER = 12


@dataclass(frozen=True, slots=True)
class Side:
    """One thing of both runs, as text; None: that run has none. `differs` only where that says something."""

    name: str
    left: str | None
    right: str | None

    @property
    def differs(self) -> bool:
        return self.left != self.right


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two logs part: at line `at` (from 0) of both, with the lines around it; None: they do not."""

    at: int
    left: tuple[LogLine, ...]
    right: tuple[LogLine, ...]
    before: int
    """How many of the lines shown come before it, on both sides."""


def parameters(left: RunRow, right: RunRow) -> tuple[Side, ...]:
    """The parameters of both, and whether they ran dry; those that differ first."""
    rows = [*_sides(left.params, right.params), Side("Dry run", _yes(left.dry_run), _yes(right.dry_run))]
    return tuple(sorted(rows, key=lambda row: not row.differs))


def counters(left: RunRow, right: RunRow) -> tuple[tuple[str, int, int], ...]:
    """The counters of both in the order of the first; what one does not count is 0."""
    names = [*left.counters, *(name for name in right.counters if name not in left.counters)]
    found = ((name, left.counters.get(name, 0), right.counters.get(name, 0)) for name in names)
    return tuple(row for row in found if row[1] or row[2])


def parting(left: Sequence[LogLine], right: Sequence[LogLine]) -> Parting | None:
    """The first line at which two logs say something else, or at which one of them ends."""
    at = next(
        (place for place, pair in enumerate(zip(left, right, strict=False)) if _said(pair[0]) != _said(pair[1])),
        min(len(left), len(right)),
    )
    if at == len(left) == len(right):
        return None
    begin = max(0, at - CONTEXT)
    return Parting(at, tuple(left[begin : at + AFTER]), tuple(right[begin : at + AFTER]), at - begin)


def _said(line: LogLine) -> tuple[str, str]:
    return line.level, without_particulars(line.event)


def _sides(left: Mapping[str, object], right: Mapping[str, object]) -> list[Side]:
    names = [*left, *(name for name in right if name not in left)]
    return [Side(name, _text(left.get(name)), _text(right.get(name))) for name in names]


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _yes(value: bool) -> str:
    return "yes" if value else "no"
