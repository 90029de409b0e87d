"""What a job's function holds while it runs.

The function only writes to memory and reads one flag; child.py carries the counters and lines to the worker, which
saves them, and brings the wish to stop back, about once a second. So a job may count and ask as often as it likes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobs.core.db import Database
from jobs.core.logs import redact, redact_value
from jobs.core.settings import Settings
from jobs.run.ends import Stop, printable
from jobs.run.store import RunRow

MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class News:
    """How far a run is, and the lines that nobody has saved yet."""

    counters: Mapping[str, int]
    done: int | None = None
    total: int | None = None
    changed: bool = False
    lines: Sequence[Mapping[str, Any]] = ()

    def then(self, later: News) -> News:
        """Both, where neither has been saved."""
        lines = (*self.lines, *later.lines)
        return News(later.counters, later.done, later.total, self.changed or later.changed, lines)


class RunContext:
    """The `Run` of jobs.core.jobs. May be used from several threads of the job."""

    def __init__(self, row: RunRow, db: Database, settings: Settings) -> None:
        if row.started_at is None or row.attempt_token is None:
            raise RuntimeError("a run that has not started does nothing")
        self.id = row.id
        self.job = row.job
        self.dry_run = row.dry_run
        self.token: UUID = row.attempt_token
        self.db = db
        self.settings = settings
        self.stop: Stop | None = None
        self.heeded = False  # whether the function has been told; only then did it end because of it
        self._lock = threading.Lock()
        self._counters: dict[str, int] = dict(row.counters)
        self._done: int | None = None
        self._total: int | None = None
        self._changed = False
        self._lines: list[dict[str, Any]] = []
        self._written = 0
        # Lines carry the database's clock, as everything does, without asking it for each.
        self._start = row.started_at
        self._monotonic = time.monotonic()

    def count(self, name: str, n: int = 1) -> None:
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + n
            self._changed = True

    def progress(self, done: int, total: int | None) -> None:
        with self._lock:
            self._done, self._total, self._changed = done, total, True

    def info(self, event: str, **fields: Any) -> None:
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log("error", event, fields)

    def should_stop(self) -> bool:
        if self.stop is None:
            return False
        self.heeded = True
        return True

    def take(self) -> News:
        """Hands over what is new since the last time."""
        with self._lock:
            news = News(dict(self._counters), self._done, self._total, self._changed, self._lines)
            self._changed, self._lines = False, []
            return news

    def _log(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        at = self._start + timedelta(seconds=time.monotonic() - self._monotonic)
        with self._lock:
            self._written += 1
            if self._written > MOST_LINES:
                return
            if self._written == MOST_LINES:
                level, event, fields = "warning", f"the log is full: {MOST_LINES} lines are kept of a run", {}
            clean = {name: _storable(redact_value(name, value)) for name, value in fields.items()}
            self._lines.append({"at": at, "level": level, "event": printable(redact(event)), "fields": clean})


def _storable(value: Any) -> Any:
    """A field as JSON in the database can hold it; what JSON does not know goes as its text."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    return printable(redact(str(value)))
