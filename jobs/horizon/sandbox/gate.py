"""The ASGI layer before the routes: headers of every answer, and the faults that concern the connection or the body."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.horizon.sandbox import problems
from jobs.horizon.sandbox.faults import Fault, FaultName, Faults
from jobs.horizon.sandbox.limiter import RateLimiter
from jobs.horizon.sandbox.view import View, Viewer

Headers = list[tuple[bytes, bytes]]
_HTML = "<!doctype html><html><head><title>Sandbox</title></head><body><h1>Gateway of the sandbox</h1></body></html>"
_PROBLEMS = {
    FaultName.STILL_INGESTING: problems.STILL_INGESTING,
    FaultName.STALE_HISTORY: problems.STALE_HISTORY,
    FaultName.SERVICE_UNAVAILABLE: problems.SERVICE_UNAVAILABLE,
    FaultName.TIMEOUT: problems.TIMEOUT,
}


class Gate:
    """Wraps the routes. `/sandbox…` passes untouched, so that a fault can always be switched off again.

    `reset` cuts the connection of a client address (host, port); without one (in-process tests) the answer just ends.
    """

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        viewer: Viewer,
        reset: Callable[[tuple[str, int]], None] | None,
    ) -> None:
        self._app = app
        self._faults = faults
        self._viewer = viewer
        self._reset = reset
        self._limiter: tuple[Fault, RateLimiter] | None = None
        self._errors_owed = 0.0
        self._errors_given = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        control = path.startswith("/sandbox")
        view = self._viewer.newest() if control else self._viewer.view()
        scope.setdefault("state", {})["view"] = view
        headers: Headers = [
            (b"date", formatdate(usegmt=True).encode()),
            (b"x-nexafx-sandbox", b"true"),
            (b"latest-ledger", str(view.latest).encode()),
        ]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        if control or not self._faults.active():
            await self._app(scope, receive, answer)
            return
        response = await self._spoil(scope, path, headers)
        if response is _CUT:
            # Until the connection is known to be gone, an application that ends without an answer counts as broken.
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        if response is not None:
            await response(scope, receive, answer)
        elif self._faults.take(FaultName.TRUNCATED, path):
            await self._app(scope, receive, _Half(answer))
        else:
            await self._app(scope, receive, answer)

    async def _spoil(self, scope: Scope, path: str, headers: Headers) -> Response | None:
        """The answer that a fault gives in place of the routes'; None: the routes answer."""
        take = self._faults.take
        if fault := take(FaultName.LATENCY, path):
            await asyncio.sleep(fault.number / 1000)
        if fault := take(FaultName.HANG, path):
            await asyncio.sleep(fault.number)
        if take(FaultName.RESET, path):
            if self._reset and scope.get("client"):
                self._reset(tuple(scope["client"]))
            return _CUT
        if fault := self._faults.on(FaultName.RATE_LIMIT, path):
            verdict = self._limit(fault).take()
            headers.extend(verdict.headers())
            if verdict.retry_after is not None:
                return problems.RATE_LIMIT_EXCEEDED.response()
        for name, problem in _PROBLEMS.items():
            if take(name, path):
                return problem.response()
        if take(FaultName.PLAIN_503, path):
            return Response("Service Unavailable", 503, media_type="text/plain")
        if take(FaultName.HTML, path):
            return Response(_HTML, media_type="text/html")
        if path not in ("/", "/health") and take(FaultName.ALL_404, path):
            return problems.NOT_FOUND.response()
        if fault := self._faults.on(FaultName.ERROR_RATE, path):
            return self._share_of_errors(fault.number)
        return None

    def _share_of_errors(self, percent: float) -> Response | None:
        """Errors spread evenly, without chance, so that a test may count them."""
        self._errors_owed += percent / 100
        if self._errors_owed < 1:
            return None
        self._errors_owed -= 1
        self._errors_given += 1
        kinds = (problems.SERVICE_UNAVAILABLE, problems.TIMEOUT)
        return kinds[self._errors_given % len(kinds)].response()

    def _limit(self, fault: Fault) -> RateLimiter:
        """The bucket of this very fault: switched on again, it is full again."""
        if self._limiter is None or self._limiter[0] is not fault:
            per_hour, _, burst = fault.value.partition(",")
            limiter = RateLimiter(float(per_hour), int(burst)) if burst else RateLimiter(float(per_hour))
            self._limiter = (fault, limiter)
        return self._limiter[1]


def seen_by(request: Request) -> View:
    """What this request may see: decided once, at the gate."""
    view: View = request.state.view
    return view


_CUT = Response()
"""Stands for "the connection is gone": nothing more may be sent."""


class _Half:
    """Sends the first half of the body as if it were the whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._start is None:
            return
        half = self._body[: len(self._body) // 2]
        headers = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(half)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": half})
