"""Answers in Horizon's media type, with the server's own address put into every href."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from jobs.horizon.sandbox.records import BASE_BYTES, Record

MEDIA_TYPE = "application/hal+json; charset=utf-8"


def rendered(request: Request, body: bytes, status: int = 200) -> Response:
    """A prerendered document; hrefs point to the host that was asked."""
    host = request.headers.get("host", "localhost")
    base = f"{request.url.scheme}://{host}".encode()
    return Response(body.replace(BASE_BYTES, base), status, media_type=MEDIA_TYPE)


def hal(request: Request, document: Record, status: int = 200) -> Response:
    return rendered(request, orjson.dumps(document), status)
