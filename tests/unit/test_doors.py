"""The rules of the gate, without a server."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

from dashboard import doors
from dashboard.gate import is_by_hand


@given(st.text(max_size=60))
@example("//evil.example")
@example("/\\evil.example")
@example("/\t/evil.example")
@example("https:/evil.example")
@example("/ok?next=//x")
def test_whatever_was_asked_for_the_way_leads_to_this_server(asked: str) -> None:
    there = doors.local_path(asked)
    assert urlsplit(urljoin("https://desk.example/login", there)).netloc == "desk.example"
    assert there.startswith("/")
    assert "\n" not in there


@pytest.mark.parametrize(
    "name", [b"X-Nexaops-Person", b"x_nexaops_person", b"X-NEXAOPS_PERSON", b"x-nexaops-person", b"X-Nexaops_Session"]
)
def test_the_identity_header_is_dropped_in_every_spelling(name: bytes) -> None:
    kept = [(b"accept", b"*/*"), (b"x-nexaops-personal", b"y")]
    assert doors.without_identity([(name, b"x"), *kept]) == kept


@pytest.mark.parametrize(
    ("sent", "by_hand"),
    [
        (BackMsg(rerun_script=ClientState(query_string="id=1")), True),
        (BackMsg(rerun_script=ClientState(fragment_id="x", is_auto_rerun=True)), False),
        (BackMsg(app_heartbeat=True), False),
    ],
)
def test_a_page_that_renews_itself_is_nobody_being_there(sent: BackMsg, by_hand: bool) -> None:
    assert is_by_hand({"type": "websocket.receive", "bytes": sent.SerializeToString()}) is by_hand
    assert not is_by_hand({"type": "websocket.receive", "bytes": b"\xff no message"})
    assert not is_by_hand({"type": "websocket.disconnect"})


@pytest.mark.parametrize(
    ("headers", "proof", "same"),
    [
        ([(b"sec-fetch-site", b"same-origin"), (b"origin", b"https://a"), (b"host", b"a")], True, True),
        ([(b"sec-fetch-site", b"same-origin")], True, True),
        ([(b"origin", b"https://a:8501"), (b"host", b"a:8501")], True, True),
        ([(b"origin", b"https://a"), (b"host", b"b")], True, False),
        ([(b"origin", b"null"), (b"host", b"a")], True, False),
        ([(b"origin", b"http://[::1"), (b"host", b"[::1")], True, True),
        ([(b"origin", b"http://[::1"), (b"host", b"a")], False, False),
        ([(b"origin", b"http://evil@a"), (b"host", b"a")], False, False),
        ([(b"sec-fetch-site", b"same-site"), (b"origin", b"https://a"), (b"host", b"a")], True, False),
        ([(b"sec-fetch-site", b"cross-site")], False, False),
        ([], True, False),
        ([], False, True),
    ],
)
def test_a_request_is_ours_when_the_browser_says_so(headers: doors.Headers, proof: bool, same: bool) -> None:
    assert doors.is_same_site(headers, needs_proof=proof) is same


@pytest.mark.parametrize(
    ("host", "address", "names", "allowed"),
    [
        ("localhost:8501", "127.0.0.1", (), True),
        ("127.0.0.1", "127.0.0.1", (), True),
        ("[::1]:8501", "127.0.0.1", (), True),
        ("evil.example", "127.0.0.1", (), False),
        ("desk.example", "192.0.2.7", (), True),
        ("desk.example", "192.0.2.7", ("desk.example",), True),
        ("evil.example", "192.0.2.7", ("desk.example",), False),
        ("", "127.0.0.1", (), False),
        ("[::1", "192.0.2.7", (), False),
        ("[zz]:99999999", "192.0.2.7", (), False),
        (None, "192.0.2.7", (), False),
    ],
)
def test_only_names_of_ours_are_answered(host: str | None, address: str, names: tuple[str, ...], allowed: bool) -> None:
    assert doors.host_allowed(host, address=address, names=names) is allowed


def test_two_different_session_cookies_are_none() -> None:
    one = [(b"cookie", b"a=1; nexaops_session=x; b=2")]
    assert doors.session_token(one) == "x"
    assert doors.session_token([*one, (b"cookie", b"nexaops_session=y")]) is None
    assert doors.session_token([(b"cookie", b"nexaops_session=x; nexaops_session=y")]) is None
    assert doors.session_token([]) is None


def test_a_token_longer_than_ours_is_not_looked_up_and_not_remembered() -> None:
    assert doors.session_token([(b"cookie", b"nexaops_session=" + b"a" * 43)]) == "a" * 43
    assert doors.session_token([(b"cookie", b"nexaops_session=" + b"a" * 65)]) is None


@pytest.mark.parametrize(
    "path", ["/", "/media/x", "/_stcore/stream", "/static/js/a.js", "/assets/desk.css", "/health/x"]
)
def test_what_is_not_listed_is_closed(path: str) -> None:
    assert not doors.is_open(path, public_metrics=True)


def test_metrics_are_open_only_when_the_settings_say_so() -> None:
    assert doors.is_open("/metrics", public_metrics=True)
    assert not doors.is_open("/metrics", public_metrics=False)


@pytest.mark.parametrize(
    ("path", "shut"),
    [
        ("/_stcore/metrics", True),
        ("/_stcore/agent/openapi.json", True),
        ("/_stcore/agent", True),
        ("/_stcore/health", False),
    ],
)
def test_doors_that_are_shut_are_shut_for_everybody(path: str, shut: bool) -> None:
    assert doors.is_shut(path) is shut


def test_the_wall_is_looked_at_without_a_session_and_changed_by_nobody() -> None:
    assert [doors.is_wall("/wall/x", method) for method in ("GET", "HEAD", "POST", "DELETE")] == [
        True,
        True,
        False,
        False,
    ]
    assert not any(doors.is_wall(path, "GET") for path in ("/wall", "/walls", "/wallet/x", "/", "//wall/x"))


def test_what_stands_in_an_address_of_the_wall_goes_nowhere() -> None:
    assert doors.security_headers("/wall/secret")["referrer-policy"] == "no-referrer"
    assert "unsafe" not in doors.security_headers("/wall/secret")["content-security-policy"]
    assert doors.security_headers("/jobs") is doors.SECURITY_HEADERS
    assert (doors.to_log("/wall/secret"), doors.to_log("/jobs")) == ("/wall/…", "/jobs")
