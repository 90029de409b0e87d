"""The headers that name person, session and address are the gate's alone: whatever a client sends under their names is dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from dashboard.doors import COOKIE
from dashboard.gate import Gate, SessionBook
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.sessions import open_session, session_name
from jobs.core.settings import Settings
from tests.db.conftest import serving
from tests.ui import seed

# One process: its dashboard takes seconds to start.
pytestmark = pytest.mark.xdist_group("site-identity")

FORGED = ("x-nexaops-person", "X-Nexaops-Person", "X_Nexaops_Person", "x-nexaops_person", "X-NEXAOPS-PERSON")


@dataclass(frozen=True)
class Behind:
    """An echo behind the gate, and a session of a viewer."""

    base: str
    viewer: str
    administrator: str
    cookie: str


@pytest.fixture
def behind(db: Database, settings: Settings) -> Iterator[Behind]:
    def names(request: Request) -> JSONResponse:
        return JSONResponse([[key, value] for key, value in request.headers.items() if "nexaops" in key.lower()])

    async def names_on_stream(stream: WebSocket) -> None:
        await stream.accept()
        await stream.send_json([[key, value] for key, value in stream.headers.items() if "nexaops" in key.lower()])
        await stream.receive_text()

    viewer, administrator = seed.person(db, Role.VIEWER), seed.person(db, Role.ADMINISTRATOR)
    with db.begin() as conn:
        cookie = open_session(conn, viewer, origin="test", hours=1)
    routes = [Route("/media/x", names), Route("/health", names), WebSocketRoute("/_stcore/stream", names_on_stream)]
    gate = Gate(Starlette(routes=routes), settings=settings, book=SessionBook(db))
    with serving(gate) as base:
        yield Behind(base, str(viewer), str(administrator), cookie)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_names_nobody(behind: Behind, name: str) -> None:
    forged = {name: behind.administrator, "Cookie": f"{COOKIE}={behind.cookie}"}
    assert httpx.get(f"{behind.base}/media/x", headers=forged).json() == [["x-nexaops-person", behind.viewer]]
    assert httpx.get(f"{behind.base}/health", headers=forged).json() == []
    assert httpx.get(f"{behind.base}/media/x", headers={name: behind.administrator}).status_code == 401


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_names_nobody_on_a_websocket(behind: Behind, name: str) -> None:
    forged = {
        name: behind.administrator,
        name.lower().replace("person", "session"): session_name("another"),
        name.lower().replace("person", "address"): "10.9.9.9",
        "Cookie": f"{COOKIE}={behind.cookie}",
    }
    address = f"{behind.base.replace('http', 'ws', 1)}/_stcore/stream"
    with connect(address, additional_headers=forged) as stream:
        assert json.loads(stream.recv(timeout=5)) == [
            ["x-nexaops-person", behind.viewer],
            ["x-nexaops-session", session_name(behind.cookie)],
            ["x-nexaops-address", "127.0.0.1"],
        ]
