"""Which failures are the same one: messages without what differs from run to run. Pure.

Numbers, ids, hashes, addresses and times are taken out of the first line of a message; what is left, with the class of
the error, is the group. A status that a server answered with stays: 429 and 503 are two different mornings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

_MOST_CHARACTERS = 300
_STATUS = r"(?:(?<=answers )|(?<=answered )|(?<=HTTP )|(?<=status ))[1-5]\d\d\b"
_SHAPES = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d| UTC)?"), "(time)"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "(id)"),
    (re.compile(r"\b[GMCL][A-Z2-7]{55,68}\b"), "(account)"),
    (re.compile(r"\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{12,}\b|\b0x[0-9a-f]+\b", re.IGNORECASE), "(hash)"),
    (re.compile(rf"(?<!\d)(?!{_STATUS})\d+(?:[.,:]\d+)*"), "#"),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed, as far as grouping needs it."""

    id: int
    job: str
    state: str
    error_class: str | None
    error: str | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that failed in the same way: `first` and `last` by when they ended; `newest` is the sample."""

    key: str
    message: str
    error_class: str | None
    jobs: tuple[str, ...]
    runs: tuple[int, ...]
    """Newest first."""
    first: datetime
    last: datetime
    newest: Failure


def without_particulars(message: str) -> str:
    """The first line of a message without what differs from run to run."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")[:_MOST_CHARACTERS]
    for shape, instead in _SHAPES:
        line = shape.sub(instead, line)
    return line


def group_key(failure: Failure) -> str:
    """The same for failures of the same group, short enough for an address."""
    said = f"{failure.error_class or ''}\n{without_particulars(failure.error or failure.state)}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def grouped(failures: Iterable[Failure]) -> tuple[Group, ...]:
    """The groups, the one with the newest failure first."""
    found: dict[str, list[Failure]] = {}
    for failure in sorted(failures, key=lambda item: item.id, reverse=True):
        found.setdefault(group_key(failure), []).append(failure)
    groups = (_group(key, members) for key, members in found.items())
    return tuple(sorted(groups, key=lambda group: (group.last, group.key), reverse=True))


def _group(key: str, members: list[Failure]) -> Group:
    newest = members[0]
    ended = [member.finished_at for member in members]
    return Group(
        key=key,
        message=without_particulars(newest.error or newest.state.replace("_", " ")),
        error_class=newest.error_class,
        jobs=tuple(sorted({member.job for member in members})),
        runs=tuple(member.id for member in members),
        first=min(ended),
        last=max(ended),
        newest=newest,
    )
