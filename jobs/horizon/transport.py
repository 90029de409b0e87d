"""The one HTTP client under stellar-sdk: every request to Horizon or Stellar RPC passes here, and none escapes the budget.

stellar-sdk's own clients either never retry and drop the headers, or retry by themselves and so spend requests that
nobody counts. This one owns budget, bounded retry, time and size limits, headers and figures; it parses a body once,
and whatever a server does instead of answering becomes one HorizonError.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from stellar_sdk.client.base_async_client import BaseAsyncClient
from stellar_sdk.client.response import Response

from jobs.core import traces
from jobs.core.db import Database
from jobs.core.errors import TransientError, UsageError
from jobs.core.logs import get_logger, redact
from jobs.core.settings import Settings
from jobs.horizon.answers import problem_words
from jobs.horizon.budget import Budget, BudgetSpent
from jobs.horizon.journal import Journal
from jobs.horizon.model import Answer
from jobs.horizon.quota import read_retry_after, read_told

log = get_logger(__name__)

BODY_MAX = 16 * 1024 * 1024
"""Bytes of one answer, unpacked: a page of 200 transactions with 100 operations each is below."""
URGENT_PATIENCE_S = 2.0
BACKOFF_S = 0.25
BACKOFF_MAX_S = 5.0
DEFAULT_RETRY_AFTER_S = 5.0

_ANSWERS = {
    200: Answer.FOUND,
    400: Answer.MALFORMED,
    404: Answer.ABSENT,
    410: Answer.GONE,
    429: Answer.RATE_LIMITED,
}
_TRANSIENT = frozenset({Answer.TIMEOUT, Answer.REFUSED, Answer.RATE_LIMITED})
_SILENT = frozenset({Answer.TIMEOUT, Answer.REFUSED, Answer.UNAVAILABLE})


class HorizonError(TransientError):
    """A server did not give what it was asked for; `answer` says what it did instead."""

    def __init__(self, answer: Answer, server: str, status: int | None, detail: str) -> None:
        super().__init__(detail)
        self.answer = answer
        self.server = server
        self.status = status
        self.detail = detail


class Body(dict[str, Any]):
    """A parsed JSON object with what stellar-sdk's `.call()` would drop: headers, status and latency."""

    headers: Mapping[str, str]
    status: int
    latency_ms: float


class Reply(Response):
    """What stellar-sdk gets: a response whose body was parsed already."""

    def __init__(self, body: Body) -> None:
        super().__init__(status_code=body.status, text="", headers={}, url="")
        self.body = body

    def json(self) -> Body:
        return self.body


class Transport(BaseAsyncClient):
    """One session with one server. Not to be shared between event loops."""

    def __init__(self, settings: Settings, db: Database, url: str, label: str, job: str, *, urgent: bool) -> None:
        self.label = label
        self.journal = Journal(db, label, job)
        self.silent = 0
        """Requests in a row that the server left without an answer, each try counted."""
        self._budget = Budget(db, label, settings.rate_limit_per_hour, urgent=urgent)
        self._base = urlsplit(url).path.rstrip("/")
        self._timeout_s = settings.horizon_timeout_s
        self._patience_s = min(self._timeout_s, URGENT_PATIENCE_S) if urgent else self._timeout_s
        self._attempts = settings.horizon_attempts
        self._parallel = settings.horizon_parallel
        self._session: aiohttp.ClientSession | None = None
        self._flush: asyncio.Task[None] | None = None

    async def get(self, url: str, params: dict[str, str] | None = None, max_content_size: int | None = None) -> Reply:
        """One request for one JSON object; raises HorizonError for everything but a 200 with one."""
        return Reply(await self.ask(url, params, body_max=max_content_size or BODY_MAX))

    async def ask(
        self,
        url: str,
        params: dict[str, str] | None = None,
        *,
        accept: tuple[int, ...] = (200,),
        body_max: int = BODY_MAX,
        question: Mapping[str, object] | None = None,
        endpoint: str | None = None,
    ) -> Body:
        """Like `get`, but an answer with any status in `accept` is a body too; a `question` is posted as JSON.

        `endpoint` is what the figures call the request, taken from its path if None.
        """
        endpoint = endpoint or self._endpoint(url)
        last: HorizonError | None = None
        for attempt in range(1, self._attempts + 1):
            try:
                await self._budget.take(self._patience_s)
            except BudgetSpent as spent:
                # What the server itself said before is the better reason.
                raise last or HorizonError(Answer.RATE_LIMITED, self.label, None, str(spent)) from spent
            try:
                return await self._once(endpoint, url, params, accept, body_max, question)
            except HorizonError as error:
                if not _is_transient(error) or attempt == self._attempts:
                    raise
                last = error
            # Full jitter, so that workers which failed together do not come back together.
            await asyncio.sleep(random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt)))  # noqa: S311 - spreads load, guards nothing
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def post(
        self, url: str, data: dict[str, str] | None = None, json_data: dict[str, Any] | None = None
    ) -> Response:
        """Nothing here submits a transaction: raises UsageError."""
        raise UsageError("This client only reads from Horizon.")

    def stream(self, url: str, params: dict[str, str] | None = None) -> AsyncGenerator[dict[str, Any], None]:
        """Streams spend the budget unseen, one request a ledger: raises UsageError."""
        raise UsageError("This client does not stream: read pages by cursor.")

    async def close(self) -> None:
        """Closes the connections, gives unspent budget back and writes the last figures."""
        if self._session is not None:
            await self._session.close()
        await self._budget.close()
        if self._flush is not None:
            await self._flush
        await asyncio.to_thread(self.journal.write, self.journal.take())

    async def _once(
        self,
        endpoint: str,
        url: str,
        params: dict[str, str] | None,
        accept: tuple[int, ...],
        body_max: int,
        question: Mapping[str, object] | None,
    ) -> Body:
        about = {"server.address": self.label, "nexaops.endpoint": endpoint}
        with traces.span("horizon.request", about, kind="client") as span:
            return await self._send(endpoint, url, params, accept, body_max, question, span)

    async def _send(
        self,
        endpoint: str,
        url: str,
        params: dict[str, str] | None,
        accept: tuple[int, ...],
        body_max: int,
        question: Mapping[str, object] | None,
        span: traces.Span,
    ) -> Body:
        started = time.perf_counter()
        told = None
        retry_after: float | None = None
        answer: Answer | None = None  # stays so if the request is cancelled
        try:
            # No redirects: what answers must be the server that was configured, and its key must not travel.
            method = "GET" if question is None else "POST"
            async with self._open().request(
                method, url, params=params, json=question, headers=traces.headers(), allow_redirects=False
            ) as response:
                told = read_told(response.headers)
                if response.status in {429, 503}:
                    retry_after = read_retry_after(response.headers)
                raw = await _read(response, body_max)
            latency_ms = (time.perf_counter() - started) * 1000
            answer = _ANSWERS.get(response.status, Answer.UNAVAILABLE)
            body = _parse(raw, response.headers.get("Content-Type", ""))
            if response.status in accept and body is not None:
                answer = Answer.FOUND
                body.headers, body.status, body.latency_ms = response.headers, response.status, latency_ms
                return body
            if body is None and answer in {Answer.FOUND, Answer.ABSENT, Answer.MALFORMED, Answer.GONE}:
                # A page in the way of Horizon answers 400 or 404 too: without Horizon's own document it says nothing.
                answer = Answer.GARBLED
            raise HorizonError(answer, self.label, response.status, _sentence(self.label, response.status, body))
        except TimeoutError as error:
            answer = Answer.TIMEOUT
            raise self._failure(answer, f"{self.label} did not answer within {self._timeout_s:g} s.") from error
        except aiohttp.ClientPayloadError as error:
            answer = Answer.GARBLED
            raise self._failure(answer, f"{self.label} broke off in the middle of an answer.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: headers that are no HTTP
            answer = Answer.REFUSED
            raise self._failure(answer, f"{self.label} cannot be reached: {_reason(error)}.") from error
        finally:
            self._budget.done(told)
            if answer is not None:
                self.silent = self.silent + 1 if answer in _SILENT else 0
            span.set({"nexaops.outcome": _outcome(answer)})
            self.journal.add(endpoint, _outcome(answer), (time.perf_counter() - started) * 1000)
            if self.journal.is_due() and (self._flush is None or self._flush.done()):
                taken = self.journal.take()
                self._flush = asyncio.create_task(asyncio.to_thread(self.journal.write, taken))
            if answer is Answer.RATE_LIMITED or retry_after is not None:
                await self._budget.block(DEFAULT_RETRY_AFTER_S if retry_after is None else retry_after)

    def _failure(self, answer: Answer, sentence: str) -> HorizonError:
        return HorizonError(answer, self.label, None, sentence)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._parallel, ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": "nexaops"},
            )
        return self._session

    def _endpoint(self, url: str) -> str:
        """The kind of a request: root, health, transaction, transactions, account_transactions …; never its subject."""
        parts = urlsplit(url).path.removeprefix(self._base).strip("/").split("/")
        if len(parts) == 1:
            return parts[0] or "root"
        single = parts[0].removesuffix("s")
        return single if len(parts) == 2 else f"{single}_{parts[2]}"


def _outcome(answer: Answer | None) -> str:
    if answer is None:
        return "cancelled"
    return "ok" if answer is Answer.FOUND else answer.value


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The unpacked body; raises ClientPayloadError if it is longer than `most`."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise aiohttp.ClientPayloadError("the answer is too long")
        chunks.append(chunk)
    return b"".join(chunks)


def _parse(raw: bytes, content_type: str) -> Body | None:
    """A JSON object that says that it is JSON, or says nothing; None for anything else."""
    if content_type and "json" not in content_type.lower():
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    # stellar-sdk would follow these to whatever host they name; pages go on by paging token.
    value.pop("_links", None)
    return Body(value)


def _is_transient(error: HorizonError) -> bool:
    if error.answer is Answer.GARBLED:
        return error.status is None  # broken off; a whole answer that is no JSON will be none again
    return error.answer in _TRANSIENT or (error.status is not None and error.status >= 500)


def _sentence(label: str, status: int, body: Body | None) -> str:
    if body is None:
        return f"{label} answered {status}, but not in JSON."
    words = redact(problem_words(body)).rstrip(".")
    return f"{label} answered {status}{f' ({words})' if words else ''}."


def _reason(error: Exception) -> str:
    """Why there was no connection, without the address: it may hold a key."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(cause, ConnectionResetError | aiohttp.ServerDisconnectedError):
        return "the connection was cut"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its certificate is not accepted"
    return f"the connection failed ({type(error).__name__})"
