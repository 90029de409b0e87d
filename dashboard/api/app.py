"""The API as one ASGI application behind the gate: who asks, how often, then the endpoint in a thread.

Only a token is authority here: a cookie comes along with whatever page a browser shows, so it opens nothing but the
description of the API. The token is looked up before a body is read, so that strangers cannot send one, and again in the
transaction that does the work, so that what was revoked meanwhile does nothing. The database is synchronous: a request
runs in one of a few threads of the API's own, and a crowd of programs never takes the threads that the pages need.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import time
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import anyio
import orjson
from anyio import to_thread
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from dashboard import doors
from dashboard.api import checklists, flags, items, jobs, outcomes, runs
from dashboard.api.endpoint import Call, Endpoint
from dashboard.api.errors import Problem, problem_of
from dashboard.api.openapi import describe
from dashboard.api.outcomes import Outcome
from dashboard.gate import SessionBook
from dashboard.throttle import Throttle
from jobs.core import permissions
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.core.tokens import Token, find_token, note_use

ENDPOINTS: tuple[Endpoint, ...] = (
    *jobs.ENDPOINTS,
    *runs.ENDPOINTS,
    *flags.ENDPOINTS,
    *checklists.ENDPOINTS,
    *items.ENDPOINTS,
)
PREFIX = f"{doors.API}/v1"
DESCRIPTION = "/openapi.json"
MOST_A_SECOND = 60
_AT_ONCE = 8
_LONGEST_BODY, _SLOWEST_BODY_S = 64 * 1024, 10.0
_JSON = "application/json"


class Api:
    """Everything under /api."""

    def __init__(self, settings: Settings, db: Database, book: SessionBook) -> None:
        self._settings, self._db, self._book = settings, db, book
        self._throttle = Throttle(MOST_A_SECOND, 1.0)
        self._threads = anyio.CapacityLimiter(_AT_ONCE)
        self._description = orjson.dumps(describe(ENDPOINTS, PREFIX))
        self._router = Router(self._routes(), redirect_slashes=False)

    def mount(self) -> Mount:
        """Where the dashboard finds it."""
        return Mount(doors.API, app=self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = Request(scope, receive)
            presented = _presented(request)
            if not await self._described_to_a_person(request):
                token = await to_thread.run_sync(self._admit, presented, limiter=self._threads)
                if not self._throttle.admits(token.name, time.monotonic()):
                    sentence = f"A token may ask {MOST_A_SECOND} times a second: wait a moment."
                    raise Problem(429, sentence, headers={"retry-after": "1"})
                scope = {**scope, "nexaops.token": presented}
            await self._router(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the boundary: nothing has been sent yet, and a problem answers it
            await problem_of(error).response()(scope, receive, send)

    def _routes(self) -> list[Route]:
        """One route a path, so that a wrong method is told all that there are."""
        paths = groupby(sorted(ENDPOINTS, key=lambda one: one.path), key=lambda one: one.path)
        found = [self._route(path, list(endpoints)) for path, endpoints in paths]
        return [Route(f"/v1{DESCRIPTION}", self._describe, methods=["GET"]), *found]

    def _route(self, path: str, endpoints: list[Endpoint]) -> Route:
        by_method: dict[str, Endpoint] = {endpoint.method: endpoint for endpoint in endpoints}

        async def answer(request: Request) -> Response:
            try:
                return await self._answer(by_method["GET" if request.method == "HEAD" else request.method], request)
            except Exception as error:  # noqa: BLE001 - as above
                return problem_of(error).response()

        # A line's id has slashes; every other name is one part of a path.
        return Route(f"/v1{path.replace('{item}', '{item:path}')}", answer, methods=list(by_method))

    async def _describe(self, _request: Request) -> Response:
        return _json(200, self._description)

    async def _described_to_a_person(self, request: Request) -> bool:
        """Whether somebody who is signed in reads the description, for which no token is needed."""
        if request.url.path != f"{PREFIX}{DESCRIPTION}" or request.method not in ("GET", "HEAD"):
            return False
        return await self._book.find(doors.session_token(request.scope["headers"])) is not None

    def _admit(self, presented: str) -> Token:
        with self._db.begin() as conn:
            token = _live(find_token(conn, presented))
            note_use(conn, token)
            return token

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        if not _accepts_json(request.headers.get("accept")):
            raise Problem(406, f"Answers here are {_JSON}: leave the header Accept out, or name it there.")
        raw = b"" if endpoint.method == "GET" else await _body(request)
        given = _read(endpoint, request, raw)
        key = outcomes.read_key(request.headers.get(outcomes.HEADER)) if endpoint.method == "POST" else None
        origin = _origin(request)
        digest = hashlib.sha256(b"\0".join((request.method.encode(), request.url.path.encode(), raw))).digest()

        def work() -> tuple[Outcome, bool]:
            with self._db.read() if endpoint.method == "GET" else self._db.begin() as conn:
                token = _live(find_token(conn, request.scope["nexaops.token"]))
                permissions.require(token, endpoint.right)
                if key is not None and (before := outcomes.claim(conn, token, key, digest)) is not None:
                    return before, True
                answer = endpoint.handle(Call(conn, self._settings, token, origin), **given)
                outcome = Outcome(endpoint.status, answer.model_dump_json().encode())
                if key is not None:
                    outcomes.keep(conn, token, key, outcome)
                return outcome, False

        outcome, repeated = await to_thread.run_sync(work, limiter=self._threads)
        headers = {"idempotent-replayed": "true"} if repeated else {}
        if endpoint.location is not None:
            headers["location"] = PREFIX + endpoint.location.format_map(orjson.loads(outcome.answer))
        return _json(outcome.status, outcome.answer, headers)


def _presented(request: Request) -> str:
    """What was sent as a token; empty if nothing, or two different things, were."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _live(token: Token | None) -> Token:
    if token is None:
        sentence = (
            "A token is needed: send Authorization: Bearer with one that `nexaops tokens create` made, still open."
        )
        raise Problem(401, sentence, headers={"www-authenticate": 'Bearer realm="nexaops"'})
    return token


def _origin(request: Request) -> str:
    """From where, for the audit trail: the address as the server knows it, left out if it is none."""
    try:
        return f"api {ipaddress.ip_address(request.client.host)}" if request.client is not None else "api"
    except ValueError:
        return "api"


def _accepts_json(accept: str | None) -> bool:
    ranges = [part.split(";") for part in (accept or "*/*").lower().split(",")]
    wanted = {kind.strip() for kind, *rest in ranges if not any(re.fullmatch(r"\s*q=0(\.0*)?\s*", one) for one in rest)}
    return not wanted.isdisjoint({"*/*", "application/*", _JSON})


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        with anyio.fail_after(_SLOWEST_BODY_S):
            # Counted as it comes: what a request says about its length need not be so.
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LONGEST_BODY:
                    raise Problem(413, f"The body is too long: at most {_LONGEST_BODY // 1024} KiB are read.")
    except TimeoutError:
        raise Problem(408, "The body came too slowly: send it within ten seconds.") from None
    except ClientDisconnect:
        raise Problem(400, "The body broke off: send it whole.") from None
    kind = request.headers.get("content-type", _JSON if not body else "").partition(";")[0].strip().lower()
    if body and kind != _JSON:
        raise Problem(415, f"The body must be JSON: send it with Content-Type: {_JSON}.")
    return bytes(body)


def _read(endpoint: Endpoint, request: Request, raw: bytes) -> dict[str, BaseModel]:
    """The models that the endpoint takes, from the request; ValidationError or Problem if they cannot be had."""
    given: dict[str, BaseModel] = {}
    models: dict[str, type[BaseModel]] = endpoint.models
    for name, values in (("place", request.path_params), ("query", _once(request.query_params.multi_items()))):
        if name in models:
            given[name] = models[name].model_validate(dict(values))
    if "query" not in models and request.query_params:
        raise Problem(422, f"{next(iter(request.query_params))}: this address takes nothing behind a question mark.")
    if "body" in models:
        try:
            orjson.loads(raw or b"{}")  # stricter than pydantic, which takes NaN for a number
        except orjson.JSONDecodeError:
            raise Problem(400, "The body is not JSON: check its quotes and commas.") from None
        given["body"] = models["body"].model_validate_json(raw or b"{}", strict=True)
    elif raw:
        raise Problem(422, "This address takes no body: leave it out.")
    return given


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise Problem(422, f"{name}: it is given twice, keep one of them.")
        found[name] = value
    return found


def _json(status: int, content: bytes, headers: dict[str, Any] | None = None) -> Response:
    return Response(content, status, {"cache-control": "no-store", **(headers or {})}, media_type=_JSON)
