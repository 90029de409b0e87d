"""The API as one ASGI application behind the gate: who asks, how often, then the endpoint in a thread.

Only a token is authority here: a cookie comes along with whatever page a browser shows, so it opens nothing but the
description of the API. The token and its scopes are asked before a body is read, so that strangers cannot send one,
and again in the transaction that does the work, so that what was revoked meanwhile does nothing. The database is
synchronous: a request runs in one of a few threads of the API's own, and a crowd of programs never takes the threads
that the pages need.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from itertools import groupby
from typing import Any

import anyio
import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from dashboard import doors
from dashboard.api import checklists, evidence, flags, items, jobs, outcomes, reading, runs
from dashboard.api.endpoint import Call, Endpoint
from dashboard.api.errors import Problem, problem_of
from dashboard.api.openapi import describe
from dashboard.api.outcomes import Outcome
from dashboard.api.reading import FORM, JSON
from dashboard.gate import SessionBook
from dashboard.throttle import Throttle
from jobs.core import permissions, traces
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.core.tokens import Token, find_token, note_use

ENDPOINTS: tuple[Endpoint, ...] = (
    *jobs.ENDPOINTS,
    *runs.ENDPOINTS,
    *flags.ENDPOINTS,
    *checklists.ENDPOINTS,
    *items.ENDPOINTS,
    *evidence.ENDPOINTS,
)
PREFIX = f"{doors.API}/v1"
DESCRIPTION = "/openapi.json"
MOST_A_SECOND = 60
_AT_ONCE = 8
_FILES_AT_ONCE = 4


class Api:
    """Everything under /api."""

    def __init__(self, settings: Settings, db: Database, book: SessionBook) -> None:
        self._settings, self._db, self._book = settings, db, book
        self._throttle = Throttle(MOST_A_SECOND, 1.0)
        self._threads = anyio.CapacityLimiter(_AT_ONCE)
        self._files = anyio.CapacityLimiter(_FILES_AT_ONCE)  # each is held in memory while it comes
        self._description = orjson.dumps(describe(ENDPOINTS, PREFIX))
        self._router = Router(self._routes(), redirect_slashes=False)

    def mount(self) -> Mount:
        """Where the dashboard finds it."""
        return Mount(doors.API, app=self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = Request(scope, receive)
            if not await self._described_to_a_person(request):
                token = await to_thread.run_sync(self._admit, _presented(request), limiter=self._threads)
                if not self._throttle.admits(token.name, time.monotonic()):
                    sentence = f"A token may ask {MOST_A_SECOND} times a second: wait a moment."
                    raise Problem(429, sentence, headers={"retry-after": "1"})
                scope = {**scope, "nexaops.token": token}
            await self._router(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the boundary: nothing has been sent yet, and a problem answers it
            await problem_of(error).response()(scope, receive, send)

    def _routes(self) -> list[Route]:
        """One route a path, so that a wrong method is told all that there are."""
        paths = groupby(sorted(ENDPOINTS, key=lambda one: one.path), key=lambda one: one.path)
        found = [self._route(path, list(endpoints)) for path, endpoints in paths]
        return [Route(f"/v1{DESCRIPTION}", self._describe, methods=["GET"]), *found]

    def _route(self, path: str, endpoints: list[Endpoint]) -> Route:
        async def answer(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            fitting = [endpoint for endpoint in endpoints if endpoint.method == method]
            medium = reading.medium_of(request)
            try:
                endpoint = next((one for one in fitting if one.takes == medium), fitting[0])
                return await self._answer(endpoint, request)
            except Exception as error:  # noqa: BLE001 - as above
                return problem_of(error).response()

        async def traced(request: Request) -> Response:
            about = {"http.request.method": request.method, "http.route": f"{PREFIX}{path}"}
            with traces.under(request.headers.get(traces.TRACEPARENT)), traces.span(
                "api.request", about, kind="server"
            ) as span:  # fmt: skip
                response = await answer(request)
                span.set({"http.response.status_code": response.status_code})
            return response

        # A line's id has slashes; every other name is one part of a path.
        return Route(f"/v1{path.replace('{item}', '{item:path}')}", traced, methods=[one.method for one in endpoints])

    async def _describe(self, _request: Request) -> Response:
        return _json(200, self._description)

    async def _described_to_a_person(self, request: Request) -> bool:
        """Whether somebody who is signed in reads the description, for which no token is needed."""
        # The path as it is routed: the one of `request.url` begins in the header Host, which anybody writes.
        if request.scope["path"] != f"{PREFIX}{DESCRIPTION}" or request.method not in ("GET", "HEAD"):
            return False
        person = await self._book.find(doors.session_token(request.scope["headers"]))
        return person is not None and not person.must_change

    def _admit(self, presented: str) -> Token:
        with self._db.begin() as conn:
            token = _live(find_token(conn, presented))
            note_use(conn, token)
            return token

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        if not reading.accepts_json(request.headers.get("accept")):
            raise Problem(406, f"Answers here are {JSON}: leave the header Accept out, or name it there.")
        key = outcomes.read_key(request.headers.get(outcomes.HEADER)) if endpoint.method == "POST" else None
        permissions.require(request.scope["nexaops.token"], endpoint.right)
        async with self._files if endpoint.takes == FORM else nullcontext():
            given = await reading.read(endpoint, request)
            outcome, repeated = await to_thread.run_sync(
                self._work, endpoint, request, given, key, limiter=self._threads
            )  # fmt: skip
        headers = {"idempotent-replayed": "true"} if repeated else {}
        if endpoint.location is not None:
            headers["location"] = PREFIX + endpoint.location.format_map(orjson.loads(outcome.answer))
        return _json(outcome.status, outcome.answer, headers)

    def _work(
        self, endpoint: Endpoint, request: Request, given: reading.Given, key: str | None
    ) -> tuple[Outcome, bool]:  # fmt: skip
        """What came of the request, and whether it was an earlier one with the same key that did it."""
        with self._db.read() if endpoint.method == "GET" else self._db.begin() as conn:
            token = _live(find_token(conn, _presented(request)))
            permissions.require(token, endpoint.right)
            if key is not None and (before := outcomes.claim(conn, token, key, given.sha256)) is not None:
                return before, True
            answer = endpoint.handle(Call(conn, self._settings, token, _origin(request)), **given.models)
            outcome = Outcome(endpoint.status, answer.model_dump_json().encode())
            if key is not None:
                outcomes.keep(conn, token, key, outcome)
            return outcome, False


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
    return doors.origin("api", doors.address_of(request.client))


def _json(status: int, content: bytes, headers: dict[str, Any] | None = None) -> Response:
    return Response(content, status, {"cache-control": "no-store", **(headers or {})}, media_type=JSON)
