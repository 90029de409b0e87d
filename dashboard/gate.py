"""The gate in front of everything: no page, file, upload or WebSocket without a session; the API asks for tokens itself.

Streamlit takes whoever connects, so the session is checked before a request reaches it, on HTTP and on WebSockets, and
again while a WebSocket lives: signing out or disabling an account cuts it within seconds. The person's id, the
session's name and the client's address go on in headers that the gate alone sets. Through the gate comes also whatever a person does on a page, and
so it is here that a session learns whether somebody is still there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from uuid import UUID

from anyio import to_thread
from google.protobuf.message import DecodeError
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from dashboard import doors
from jobs.core.db import Database, first_line
from jobs.core.logs import get_logger
from jobs.core.people import Person
from jobs.core.sessions import find_session, session_name, touch_session
from jobs.core.settings import Settings

log = get_logger(__name__)
CLOSED_BY_US = 4401
_LARGEST_CACHE = 10_000
_TOUCH_EVERY_S = 20.0  # of minutes that count


class SessionBook:
    """Whose session a token is, remembered for a few seconds so that a page's forty files are one look-up."""

    def __init__(self, db: Database, *, keep_s: float = 3.0) -> None:
        self._db = db
        self.keep_s = keep_s
        self._seen: dict[str, tuple[float, Person | None]] = {}
        self._touched: dict[str, float] = {}

    async def find(self, token: str | None) -> Person | None:
        """The person of an open session; None without one. Raises SQLAlchemyError if the database does not answer."""
        if token is None:
            return None
        known = self._seen.get(token)
        if known is not None and time.monotonic() - known[0] < self.keep_s:
            return known[1]
        person = await to_thread.run_sync(self._look_up, token)
        if len(self._seen) >= _LARGEST_CACHE:
            self._seen.clear()
        self._seen[token] = (time.monotonic(), person)
        return person

    def forget(self, person_id: UUID) -> None:
        """Looks every session of this person up again: one of them was closed or opened."""
        for token, (_, person) in list(self._seen.items()):
            if person is not None and person.id == person_id:
                self._seen.pop(token, None)

    def wants_touch(self, token: str | None) -> bool:
        """Whether it is time to write down again that somebody is there."""
        return token is not None and time.monotonic() - self._touched.get(token, -_TOUCH_EVERY_S) >= _TOUCH_EVERY_S

    async def touch(self, token: str) -> None:
        """Writes down that somebody did something in the session."""
        await to_thread.run_sync(self._touch, token)
        if len(self._touched) >= _LARGEST_CACHE:
            self._touched.clear()
        self._touched[token] = time.monotonic()

    def _touch(self, token: str) -> None:
        with self._db.begin() as conn:
            touch_session(conn, token)

    def _look_up(self, token: str) -> Person | None:
        with self._db.read() as conn:
            return find_session(conn, token)


class Gate:
    """ASGI middleware; see `doors` for the rules."""

    def __init__(self, app: ASGIApp, *, settings: Settings, book: SessionBook) -> None:
        self._app = app
        self._settings = settings
        self._book = book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": doors.without_identity(scope["headers"])}
        try:
            if scope["type"] == "websocket":
                await self._websocket(scope, receive, send)
            else:
                await self._http(scope, receive, _with_security_headers(scope, send))
        except SQLAlchemyError as error:
            log.error("the gate cannot reach the database", reason=first_line(error))
            if scope["type"] == "websocket":
                with suppress(RuntimeError):  # it may have been closed already
                    await send({"type": "websocket.close", "code": 1013, "reason": "the database does not answer"})
            else:
                sentence = "The database does not answer: try again in a moment."
                await PlainTextResponse(sentence, 503)(scope, receive, _with_security_headers(scope, send))

    def _host_allowed(self, headers: doors.Headers) -> bool:
        return doors.host_allowed(
            doors.find(headers, b"host"),
            address=self._settings.dashboard_address,
            names=self._settings.dashboard_hosts,
        )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._refusal(scope)
        await (self._app if response is None else response)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """What to answer instead of the page; None lets the request through, with the person's id on it."""
        path, headers, method = scope["path"], scope["headers"], scope["method"]
        if path in doors.HEALTH or (path == doors.METRICS and self._settings.public_metrics):
            return None
        if not self._host_allowed(headers):
            return PlainTextResponse("This server does not answer to that name: set NEXAOPS_DASHBOARD_HOSTS.", 421)
        if doors.is_api(path):
            return None
        if method not in ("GET", "HEAD", "OPTIONS") and not doors.is_same_site(headers, needs_proof=True):
            return PlainTextResponse("This request did not come from our own pages.", 403)
        if doors.is_shut(path):
            return PlainTextResponse("Not found", 404)
        if doors.is_wall(path, method) or doors.is_open(path, public_metrics=self._settings.public_metrics):
            return None
        person = await self._book.find(doors.session_token(headers))
        if person is None:
            return _to(doors.LOGIN, scope)
        if person.must_change and path != doors.PASSWORD:
            return _to(doors.PASSWORD, scope)
        headers.append((doors.PERSON_HEADER, str(person.id).encode()))
        return None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: doors.Headers = scope["headers"]
        token = doors.session_token(headers)
        welcome = (
            scope["path"] == doors.STREAM
            and self._host_allowed(headers)
            and doors.is_same_site(headers, needs_proof=False)
        )
        person = await self._book.find(token) if welcome else None
        if person is None or person.must_change:
            await receive()  # websocket.connect; a close before accept answers 403
            await send({"type": "websocket.close", "code": CLOSED_BY_US})
            return
        headers.append((doors.PERSON_HEADER, str(person.id).encode()))
        headers.append((doors.SESSION_HEADER, session_name(token or "").encode()))
        if (address := doors.address_of(scope.get("client"))) is not None:
            headers.append((doors.ADDRESS_HEADER, address.encode()))
        watch = _Watch(self._book, token, receive, send)
        try:
            await self._app(scope, watch.receive, send)
        finally:
            watch.drop()


class _Watch:
    """Receives for a WebSocket as long as its session lives; then closes it and says that the client has gone."""

    def __init__(self, book: SessionBook, token: str | None, receive: Receive, send: Send) -> None:
        self._book, self._token, self._receive, self._send = book, token, receive, send
        self._next: asyncio.Task[MutableMapping[str, Any]] | None = None

    async def receive(self) -> Message:
        while True:
            if self._next is None:
                self._next = asyncio.ensure_future(self._receive())
            done, _ = await asyncio.wait({self._next}, timeout=self._book.keep_s)
            try:
                person = await self._book.find(self._token)
                # Before the page gets to see it: what somebody does after a long absence finds the session interrupted.
                if done and self._token and self._book.wants_touch(self._token) and is_by_hand(self._next.result()):
                    await self._book.touch(self._token)
            except SQLAlchemyError:
                person = None  # without the database nobody can be let in, and no page would work
            if person is None or person.must_change:
                with suppress(RuntimeError):  # the client may have gone first
                    await self._send({"type": "websocket.close", "code": CLOSED_BY_US})
                return {"type": "websocket.disconnect", "code": CLOSED_BY_US}
            if done:
                message, self._next = self._next.result(), None
                return message

    def drop(self) -> None:
        if self._next is not None:
            self._next.cancel()


def is_by_hand(message: Message) -> bool:
    """Whether a WebSocket's message comes from what a person did, and not from a page that renews itself."""
    content = message.get("bytes")
    if message["type"] != "websocket.receive" or not content:
        return False
    try:
        sent = BackMsg.FromString(content)
    except DecodeError:
        return False
    return sent.HasField("rerun_script") and not sent.rerun_script.is_auto_rerun


def _to(place: str, scope: Scope) -> Response:
    """Sends a page's reader to another page first; whatever is no page gets 401."""
    wants_page = doors.find(scope["headers"], b"sec-fetch-dest") in (None, "document") and "text/html" in (
        doors.find(scope["headers"], b"accept") or ""
    )
    if scope["method"] != "GET" or not wants_page:
        return JSONResponse({"detail": "Sign in first."}, 401)
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    wanted = doors.local_path(f"{scope['path']}{query}")
    return RedirectResponse(place if wanted == "/" else f"{place}?next={quote(wanted)}", 303)


def _with_security_headers(scope: Scope, send: Send) -> Send:
    headers = doors.security_headers(scope["path"])

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = [(name.encode(), value.encode()) for name, value in headers.items()]
            names = {name for name, _ in ours} | {b"server"}
            message = {
                **message,
                "headers": [h for h in message.get("headers", []) if h[0].lower() not in names] + ours,
            }
        await send(message)

    return guarded
