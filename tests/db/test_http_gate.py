"""Nobody gets past the gate without a session, over HTTP or WebSocket, whatever they send."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dashboard.doors import COOKIE
from jobs.core.permissions import Role
from tests.db.conftest import ROOT, Site

# One process: its dashboard takes seconds to start.
pytestmark = pytest.mark.xdist_group("site-gate")

OPEN = {"/health", "/health/scheduled-jobs", "/metrics", "/login", "/logout", "/favicon.png"}

LIST_ROUTES = """
import json, sys
from sqlalchemy import URL
from dashboard.asgi import build_app
from jobs.core.db import Database
from jobs.core.settings import Settings
app = build_app(Settings.model_validate({"NEXAOPS_DEMO": True}), Database(URL.create("postgresql+psycopg", host="127.0.0.1")))
def paths(routes, prefix=""):
    for route in routes:
        path = prefix + getattr(route, "path", "")
        yield [type(route).__name__, path, sorted(getattr(route, "methods", None) or ["GET", "POST", "PUT", "DELETE"])]
json.dump(list(paths(app._build_starlette_app().routes)), sys.stdout)
"""


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str, list[str]]]:
    """The whole route table of our server, Streamlit's own routes with it."""
    listed = subprocess.run([sys.executable, "-c", LIST_ROUTES], cwd=ROOT, capture_output=True, check=True)
    return [(kind, path, methods) for kind, path, methods in json.loads(listed.stdout)]


def open_stream(site: Site, cookie: str | None, **headers: str) -> ClientConnection:
    """A WebSocket as Streamlit's page opens it."""
    given = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
    return connect(
        f"{site.base.replace('http', 'ws', 1)}/_stcore/stream",
        additional_headers={**given, **headers},
        subprotocols=["streamlit"],  # type: ignore[list-item]  # a NewType of str
        open_timeout=5,
    )


def test_the_route_table_is_the_one_we_know(routes: list[tuple[str, str, list[str]]]) -> None:
    found = {path for _, path, _ in routes}
    assert {"/_stcore/stream", "/media/{file_id:path}", "/_stcore/upload_file/{session_id}/{file_id}"} <= found
    assert any(path.startswith("/_stcore/agent/") for path in found)


def test_no_route_answers_a_stranger(site: Site, routes: list[tuple[str, str, list[str]]]) -> None:
    checked = 0
    with site.visitor() as stranger:
        for kind, path, methods in routes:
            filled = re.sub(r"\{[^}]*\}", "x", path) or "/static/js/index.js"
            if filled in OPEN or kind == "WebSocketRoute":
                continue
            for method in methods:
                for accept in ("text/html", "*/*"):
                    answer = stranger.request(method, filled, headers={"accept": accept})
                    refused = answer.status_code in (401, 403, 404) or (
                        answer.status_code == 303 and answer.headers["location"].startswith("/login")
                    )
                    assert refused, (method, filled, answer.status_code)
                    assert "streamlit" not in answer.text.lower()
                    checked += 1
    assert checked > 50


@pytest.mark.parametrize("path", ["/", "/horizon?range=6+h", "/static/js/index.js", "/_stcore/health", "/nowhere"])
def test_a_page_sends_a_stranger_to_the_login_and_back(site: Site, path: str) -> None:
    with site.visitor() as stranger:
        answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].partition("?")[0] == "/login"


def test_a_stranger_gets_no_websocket(site: Site) -> None:
    for cookie in (None, "", "a" * 43):
        with pytest.raises(InvalidStatus) as refused, open_stream(site, cookie):
            pass
        assert refused.value.response.status_code == 403


def test_a_websocket_needs_our_own_pages_and_our_own_path(site: Site) -> None:
    cookie = site.sign_in(Role.VIEWER)
    with open_stream(site, cookie, Origin=site.base):
        pass
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(InvalidStatus), open_stream(site, cookie, **headers):
            pass
    with (
        pytest.raises(InvalidStatus),
        connect(f"{site.base.replace('http', 'ws', 1)}/elsewhere", additional_headers={"Cookie": f"{COOKIE}={cookie}"}),
    ):
        pass


def test_a_planted_second_cookie_lets_nobody_in(site: Site) -> None:
    cookie = site.sign_in(Role.VIEWER)
    planted = {"cookie": f"{COOKIE}=planted; {COOKIE}={cookie}", "accept": "text/html"}
    assert httpx.get(site.base, headers=planted).status_code == 303


def test_streamlits_figures_and_its_api_for_programs_answer_nobody(site: Site) -> None:
    with site.visitor(site.sign_in(Role.ADMINISTRATOR)) as client:
        for path in (
            "/_stcore/metrics",
            "/_stcore/agent/openapi.json",
            "/_stcore/agent/mcp",
            "/_stcore/agent/interact",
        ):
            assert client.get(path).status_code == 404
            assert client.post(path, json={}).status_code == 404


def test_a_session_opens_pages_and_their_files(site: Site) -> None:
    with site.visitor(site.sign_in(Role.VIEWER)) as client:
        page = client.get("/horizon")
        assert page.status_code == 200
        assert "/assets/desk.css" in page.text
        assert "service-desc" not in page.text
        assert "<script>" not in page.text
        for found in re.findall(r'(?:src|href)="\.?(/[^"]+)"', page.text):
            assert client.get(found).status_code == 200, found
        assert client.get("/_stcore/health").status_code == 200


@pytest.mark.parametrize("path", ["/login", "/health", "/", "/assets/desk.css"])
def test_every_answer_carries_the_headers_that_keep_browsers_in_line(site: Site, path: str) -> None:
    with site.visitor() as stranger:
        headers = stranger.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "'unsafe-eval'" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_another_host_name_is_refused(site: Site) -> None:
    with site.visitor(site.sign_in(Role.VIEWER)) as client:
        assert client.get("/", headers={"host": "rebound.example"}).status_code == 421
        assert client.get("/health", headers={"host": "rebound.example"}).status_code == 200


def test_an_open_websocket_is_cut_when_the_account_is_closed(site: Site) -> None:
    cookie = site.sign_in(Role.QA_LEAD)
    with open_stream(site, cookie, Origin=site.base) as stream:
        with site.db.begin() as conn:
            conn.execute(
                text("UPDATE ops.people SET disabled_at = now() WHERE id = :id"), {"id": site.people[Role.QA_LEAD]}
            )
        started = time.monotonic()
        with pytest.raises(ConnectionClosed) as cut:
            for _ in _messages(stream):
                pass
        assert time.monotonic() - started < 8
        assert cut.value.rcvd is not None
        assert cut.value.rcvd.code == 4401


def test_a_tile_of_an_open_page_asks_again_who_is_looking(site: Site) -> None:
    """A page is drawn for whom it began with; a part that renews itself is drawn for whom the account is by then."""
    cookie = site.sign_in(Role.ADMINISTRATOR)
    with open_stream(site, cookie, Origin=site.base) as stream:
        drawn = answers(stream, BackMsg(rerun_script=ClientState(page_name="walls")))
        assert not refusals(drawn)
        tile = [message.auto_rerun.fragment_id for message in drawn if message.WhichOneof("type") == "auto_rerun"][-1]
        look = BackMsg(rerun_script=ClientState(page_name="walls", fragment_id=tile, is_auto_rerun=True))
        assert not refusals(answers(stream, look))
        with site.db.begin() as conn:
            change = "UPDATE ops.people SET roles = '{viewer}' WHERE id = :id"
            conn.execute(text(change), {"id": site.people[Role.ADMINISTRATOR]})
        try:
            assert "You may not" in refusals(answers(stream, look))[0]
        finally:
            with site.db.begin() as conn:
                change = "UPDATE ops.people SET roles = '{administrator}' WHERE id = :id"
                conn.execute(text(change), {"id": site.people[Role.ADMINISTRATOR]})


def answers(stream: ClientConnection, order: BackMsg) -> list[ForwardMsg]:
    """What the server sends until the script that was asked for has finished."""
    stream.send(order.SerializeToString())
    found: list[ForwardMsg] = []
    while not found or found[-1].WhichOneof("type") != "script_finished":
        found.append(ForwardMsg.FromString(stream.recv(timeout=20, decode=False)))
    return found


def refusals(messages: list[ForwardMsg]) -> list[str]:
    return [it.delta.new_element.alert.body for it in messages if it.delta.new_element.WhichOneof("type") == "alert"]


def _messages(stream: ClientConnection) -> Iterator[object]:
    while True:
        yield stream.recv(timeout=10)


def test_no_file_of_ours_is_served_from_outside_the_assets(site: Site) -> None:
    with site.visitor(site.sign_in(Role.VIEWER)) as client:
        for path in ("/assets/..%2Fgate.py", "/assets/login.html", "/assets/%2e%2e/gate.py", "/static/../../app.py"):
            answer = client.get(path)
            assert "import" not in answer.text
            assert answer.status_code in (400, 404)
    assert Path(ROOT, "dashboard", "gate.py").is_file()
