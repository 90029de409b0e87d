"""How checks reach things: PostgreSQL and other people's servers, read-only and never longer than the check may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from sqlalchemy import Connection, text

from checklists.checks.model import CheckContext, Unable
from jobs.horizon.servers import label_of

QUERY_S = 20.0
ANSWER_S = 10.0
LARGEST_ANSWER = 4 << 20
_LEAST_S = 0.1


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; `server` is its label, without credentials, path and query."""

    server: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_ms: float

    def json(self) -> Any:
        """The body as JSON, of whatever shape; Unable if it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Unable(
                f"{self.server} answered {self.status} with something that is not JSON.",
                "Check that the configured address is the right one.",
            ) from error


class NoAnswer(Unable):
    """A server did not answer at all; the sentence names it by its label only."""


def seconds_left(context: CheckContext, most: float) -> float:
    """How long something may take: at most `most` seconds, and not beyond the check's own time."""
    if context.deadline is None:
        return most
    return max(_LEAST_S, min(most, context.deadline - time.monotonic()))


@contextmanager
def reading(context: CheckContext) -> Iterator[Connection]:
    """A read-only transaction in which no statement outlives the check."""
    limit_ms = int(seconds_left(context, QUERY_S) * 1000)
    with context.db.read() as conn:
        conn.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": str(limit_ms)})
        yield conn


def fetch(
    context: CheckContext, url: str, *, headers: Mapping[str, str] | None = None, largest: int = LARGEST_ANSWER
) -> Reply:
    """One GET, without following redirects; NoAnswer if there is no answer, whatever its status."""
    return asyncio.run(_fetch(url, dict(headers or {}), largest, seconds_left(context, ANSWER_S)))


async def _fetch(url: str, headers: dict[str, str], largest: int, timeout_s: float) -> Reply:
    server = label_of(url)
    mend = f"Check that {server} runs, that its address is set right and that this host may reach it."
    began = time.perf_counter()
    try:
        async with (
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                headers={"User-Agent": "nexaops", **headers},
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            body = await response.content.read(largest + 1)
            while len(body) <= largest and (more := await response.content.read(largest + 1 - len(body))):
                body += more
            latency_ms = (time.perf_counter() - began) * 1000
    except TimeoutError as error:
        raise NoAnswer(f"{server} did not answer within {timeout_s:g} s.", mend) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Never the error's own words: they repeat the address, which may hold a key.
        raise NoAnswer(f"{server} cannot be reached ({type(error).__name__}).", mend) from error
    if len(body) > largest:
        raise Unable(f"{server} answered with more than {largest >> 20} MiB.", "Check that the address is right.")
    return Reply(server, response.status, dict(response.headers), body, round(latency_ms, 1))


def address_of(value: str | None, name: str, what: str) -> str:
    """A configured address without the slash at its end; Unable names the setting if there is none."""
    if not value:
        raise Unable(f"The address of {what} is not known.", f"Set {name}.")
    return value.rstrip("/")


def folder_of(value: Path | None, name: str, what: str) -> Path:
    """A configured folder; Unable names the setting if there is none, or none is there."""
    if value is None:
        raise Unable(f"The folder of {what} is not known.", f"Set {name} to it, on this host.")
    if not value.is_dir():
        raise Unable(f"{value}, the folder of {what}, is not there.", f"Correct {name}.")
    return value


def window(context: CheckContext, within: timedelta | None) -> datetime:
    """Since when a check looks: so long before now, or since the checklist's run began."""
    return context.started_at if within is None else context.now - within


def plural(count: int, word: str) -> str:
    """`1 run`, `1,204 runs`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    listed = ", ".join(names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def age(length: timedelta) -> str:
    """`40 s`, `12 min`, `5 h`, `3 days`."""
    seconds = length.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"
