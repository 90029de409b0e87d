"""Log lines as other programs write them: one JSON object a line, in the dialects of structlog, pino, winston and ECS. Pure.

Levels become `debug`, `info`, `warning`, `error`; what cannot be told is None, and never taken for harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

_TIMES = ("timestamp", "@timestamp", "time", "ts", "at")
_LEVELS = ("level", "severity", "log.level", "levelname")
_WORDS = ("event", "message", "msg")
_NAMES = {
    "trace": "debug", "debug": "debug", "verbose": "debug", "silly": "debug", "info": "info", "notice": "info",
    "log": "info", "http": "info", "warn": "warning", "warning": "warning", "error": "error", "err": "error",
    "critical": "error", "crit": "error", "fatal": "error", "emergency": "error", "alert": "error", "panic": "error",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; None for what it does not say."""

    at: datetime | None
    level: str | None
    words: str

    @property
    def complete(self) -> bool:
        return self.at is not None and self.level is not None and bool(self.words)


def read_line(raw: bytes) -> LogLine | None:
    """A line as what it says; None if it is no JSON object."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    return LogLine(_time(document), _level(document), str(_first(document, _WORDS) or "")[:500])


def _first(document: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((document[name] for name in names if document.get(name) is not None), None)


def _level(document: Mapping[str, object]) -> str | None:
    level = _first(document, _LEVELS)
    if isinstance(level, int) and not isinstance(level, bool):
        # pino's and bunyan's numbers
        return "error" if level >= 50 else "warning" if level >= 40 else "info" if level >= 30 else "debug"
    return _NAMES.get(level.strip().lower()) if isinstance(level, str) else None


def _time(document: Mapping[str, object]) -> datetime | None:
    value = _first(document, _TIMES)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return read if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
