"""What a request brings, read and bounded: the body as it comes, then the models that the endpoint takes.

A body is counted while it comes and given up when it is slow: what a request says about its length need not be so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import anyio
import orjson
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from checklists.evidence import LARGEST_FILE
from dashboard.api.endpoint import Endpoint, File, Medium
from dashboard.api.errors import Problem

T = TypeVar("T")
JSON: Medium = "application/json"
FORM: Medium = "multipart/form-data"
_LARGEST = {JSON: 64 * 1024, FORM: LARGEST_FILE + 64 * 1024}
_SLOWEST_S = {JSON: 10.0, FORM: 60.0}


@dataclass(frozen=True, slots=True)
class Given:
    """The models of a request by the names of the endpoint's parameters, and a digest that two equal ones share."""

    models: dict[str, BaseModel]
    sha256: bytes


def accepts_json(accept: str | None) -> bool:
    """Whether a header Accept takes JSON."""
    ranges = [part.split(";") for part in (accept or "*/*").lower().split(",")]
    wanted = {kind.strip() for kind, *rest in ranges if not any(re.fullmatch(r"\s*q=0(\.0*)?\s*", one) for one in rest)}
    return not wanted.isdisjoint({"*/*", "application/*", JSON})


def medium_of(request: Request) -> str:
    """The medium of a request's body, without parameters; JSON if it does not say."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def read(endpoint: Endpoint, request: Request) -> Given:
    """The request as the endpoint takes it; ValidationError or Problem if it cannot be had."""
    wanted = endpoint.models
    models: dict[str, BaseModel] = {}
    query = _once(request.query_params.multi_items())
    if query and "query" not in wanted:
        raise Problem(422, f"{next(iter(query))}: this address takes nothing behind a question mark.")
    for name, values in (("place", request.path_params), ("query", query)):
        if name in wanted:
            models[name] = wanted[name].model_validate(dict(values))
    digest = hashlib.sha256(f"{request.method} {request.scope['path']}\0".encode())
    if endpoint.method == "GET":
        return Given(models, digest.digest())
    if endpoint.takes == FORM:
        parts = await _parts(request)
        models["body"] = wanted["body"].model_validate(parts)
        for piece in _held(parts):
            digest.update(piece)
        return Given(models, digest.digest())
    raw = b"".join([chunk async for chunk in _chunks(request, JSON)])
    digest.update(raw)
    if raw and "body" not in wanted:
        raise Problem(422, "This address takes no body: leave it out.")
    if raw and medium_of(request) != JSON:
        raise Problem(415, f"The body must be JSON: send it with Content-Type: {JSON}.")
    if "body" in wanted:
        models["body"] = _json(raw or b"{}", wanted["body"])
    return Given(models, digest.digest())


def _json(raw: bytes, model: type[BaseModel]) -> BaseModel:
    try:
        orjson.loads(raw)  # stricter than pydantic, which takes NaN for a number
    except orjson.JSONDecodeError:
        raise Problem(400, "The body is not JSON: check its quotes and commas.") from None
    return model.model_validate_json(raw, strict=True)


async def _chunks(request: Request, medium: Medium) -> AsyncGenerator[bytes, None]:
    """The body as it comes."""
    stream = request.stream()
    ends, size = anyio.current_time() + _SLOWEST_S[medium], 0
    while True:
        try:
            with anyio.fail_after(ends - anyio.current_time()):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Problem(408, f"The body came too slowly: send it within {_SLOWEST_S[medium]:.0f} seconds.") from None
        except ClientDisconnect:
            raise Problem(400, "The body broke off: send it whole.") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > _LARGEST[medium]:
            raise Problem(413, f"The body is too long: at most {_LARGEST[medium] // 1024} KiB are read.")
        yield chunk


async def _parts(request: Request) -> dict[str, str | File]:
    """The parts of a form by name."""
    parser = MultiPartParser(request.headers, _chunks(request, FORM), max_files=1, max_fields=4)
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Problem(400, "The form cannot be read: send its parts as `curl -F` does, at most one a file.") from None
    try:
        return {
            name: File(value.filename or "", await value.read()) if isinstance(value, UploadFile) else value
            for name, value in _once(form.multi_items()).items()
        }
    finally:
        await form.close()


def _held(parts: dict[str, str | File]) -> Iterator[bytes]:
    """What a form holds, in bytes that do not depend on the boundary between its parts: that differs each time."""
    for name, part in sorted(parts.items()):
        pieces = (part.name.encode(), part.content) if isinstance(part, File) else (part.encode(),)
        for piece in (name.encode(), *pieces):
            yield len(piece).to_bytes(8)
            yield piece


def _once(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise Problem(422, f"{name}: it is given twice, keep one of them.")
        found[name] = value
    return found
