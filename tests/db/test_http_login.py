"""Signing in, choosing a password, signing out: over HTTP, as a browser does it."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text

from dashboard.doors import COOKIE
from jobs.core.people import add_person
from jobs.core.permissions import Role
from tests.db.conftest import Site
from tests.ui import seed

# One process: its dashboard takes seconds to start.
pytestmark = pytest.mark.xdist_group("site-login")


def try_login(site: Site, email: str, password: str, **more: str) -> httpx.Response:
    with site.visitor() as client:
        return client.post("/login", data={"email": email, "password": password, **more})


def test_the_login_page_needs_nothing_from_elsewhere_and_no_script(site: Site) -> None:
    with site.visitor() as client:
        page = client.get("/login")
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "http" not in page.text.replace("http-equiv", "")
        assert client.get("/assets/login.css").status_code == 200
        assert client.get("/assets/text.woff2").headers["content-type"] == "font/woff2"


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(site: Site) -> None:
    answer = try_login(site, "viewer@nexafx.test", seed.PASSWORD)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    with site.visitor() as client:
        behind_https = client.post(
            "/login",
            data={"email": "viewer@nexafx.test", "password": seed.PASSWORD},
            headers={"x-forwarded-proto": "https"},
        )
    assert "secure" in behind_https.headers["set-cookie"].lower()


def test_the_database_never_sees_the_token(site: Site) -> None:
    token = try_login(site, "viewer@nexafx.test", seed.PASSWORD).cookies[COOKIE]
    with site.db.read() as conn:
        stored = conn.execute(text("SELECT token_sha256::text FROM ops.sessions")).scalars().all()
    assert token.encode().hex() not in "".join(stored)


def test_the_audit_trail_says_from_which_address_somebody_signed_in(site: Site) -> None:
    try_login(site, "viewer@nexafx.test", seed.PASSWORD)
    with site.db.read() as conn:
        origins = conn.execute(
            text("SELECT origin FROM ops.audit WHERE action = 'person.signed_in' ORDER BY id DESC LIMIT 1")
        ).scalar_one()
    assert re.fullmatch(r"dashboard 10\.0\.0\.\d+", origins)


@pytest.mark.parametrize(
    "next_page", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil"]
)
def test_after_signing_in_nobody_is_sent_to_another_site(site: Site, next_page: str) -> None:
    answer = try_login(site, "viewer@nexafx.test", seed.PASSWORD, next=next_page)
    assert answer.headers["location"] == "/"


def test_after_signing_in_the_page_that_was_asked_for_comes(site: Site) -> None:
    answer = try_login(site, "viewer@nexafx.test", seed.PASSWORD, next="/run?id=7")
    assert answer.headers["location"] == "/run?id=7"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {}, {"sec-fetch-site": "cross-site"},
     {"sec-fetch-site": "same-site"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/login", "/logout", "/password"])
def test_a_form_sent_by_another_site_is_refused(site: Site, path: str, headers: dict[str, str]) -> None:
    cookie = site.sign_in(Role.DEVELOPER)
    form = {"email": "developer@nexafx.test", "password": seed.PASSWORD}
    answer = httpx.post(f"{site.base}{path}", data=form, headers=headers, cookies={COOKIE: cookie})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    still = httpx.get(site.base, headers={"accept": "text/html"}, cookies={COOKIE: cookie})
    assert still.status_code == 200


def test_what_was_typed_comes_back_as_text(site: Site) -> None:
    answer = try_login(site, '"><script>alert(1)</script>', "wrong", next='/x"><b>')
    assert answer.status_code == 403
    assert "<script>" not in answer.text
    assert "<b>" not in answer.text


def test_five_wrong_passwords_lock_the_account(site: Site) -> None:
    email = "project_manager@nexafx.test"
    for _ in range(5):
        answer = try_login(site, email, "wrong")
        assert answer.status_code == 403
        assert "five wrong tries" in answer.text
    assert try_login(site, email, seed.PASSWORD).status_code == 403


def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    cookie = site.sign_in(Role.DEVOPS)
    with site.visitor(cookie) as client:
        answer = client.post("/logout")
        assert answer.headers["location"] == "/login"
        assert "max-age=0" in answer.headers["set-cookie"].lower()
    kept = httpx.get(site.base, headers={"accept": "text/html"}, cookies={COOKIE: cookie})
    assert kept.status_code == 303


def test_signing_in_never_takes_over_a_session_that_was_planted(site: Site) -> None:
    with site.visitor() as client:
        client.cookies.set(COOKIE, "planted")
        client.post("/login", data={"email": "viewer@nexafx.test", "password": seed.PASSWORD})
    with site.db.read() as conn:
        found = conn.execute(
            text("SELECT count(*) FROM ops.sessions WHERE token_sha256 = sha256('planted')")
        ).scalar_one()
    assert found == 0


def test_a_one_time_password_opens_only_the_page_to_choose_another(site: Site) -> None:
    with site.db.begin() as conn:
        once = add_person(conn, "new@nexafx.test", [Role.VIEWER], actor="test", origin="test")
    with site.visitor() as client:
        client.post("/login", data={"email": "new@nexafx.test", "password": once})
        assert client.get("/").headers["location"] == "/password"
        assert client.get("/_stcore/health").headers["location"].startswith("/password")
        page = client.get("/password")
        assert "one-time password" in page.text

        def choose(old: str, new: str, again: str) -> httpx.Response:
            return client.post("/password", data={"old": old, "new": new, "again": again})

        assert "at least 12" in choose(once, "short", "short").text
        assert "differ" in choose(once, "a much better one", "another").text
        assert choose("wrong", "a much better one", "a much better one").status_code == 400
        first_session = client.cookies[COOKIE]
        assert choose(once, "a much better one", "a much better one").headers["location"] == "/"
        assert client.get("/").status_code == 200
    stale = httpx.get(site.base, headers={"accept": "text/html"}, cookies={COOKIE: first_session})
    assert stale.status_code == 303


def test_too_many_tries_from_one_address_have_to_wait(site: Site) -> None:
    form = {"email": "nobody@nexafx.test", "password": "wrong"}
    with site.visitor() as client, ThreadPoolExecutor(10) as crowd:
        statuses = list(crowd.map(lambda _: client.post("/login", data=form, timeout=60).status_code, range(21)))
    assert sorted(statuses) == [403] * 20 + [429]
    assert try_login(site, **form).status_code == 403


def test_a_form_that_is_too_long_is_not_read_whatever_it_says_about_its_length(site: Site) -> None:
    with site.visitor() as client:
        assert client.post("/login", data={"email": "x" * 20_000, "password": "y"}).status_code == 413
        assert client.post("/login", content=iter([b"email=", *[b"x" * 1_000] * 20])).status_code == 413


def test_forms_that_come_slowly_keep_nobody_waiting(site: Site) -> None:
    head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nOrigin: {site.base}\r\nContent-Length: 99\r\n\r\nemail="
    slow = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(60)]
    for connection in slow:
        connection.sendall(head.encode())
    with site.visitor(site.sign_in(Role.RELEASE_MANAGER)) as client:
        started = time.monotonic()
        assert client.get("/").status_code == 200
        assert time.monotonic() - started < 3
    for connection in slow:
        connection.close()


def test_a_refusal_takes_as_long_for_an_address_that_does_not_exist(site: Site) -> None:
    for email in ("qa_lead@nexafx.test", "nobody@nexafx.test", "\x00"):
        started = time.monotonic()
        assert try_login(site, email, "wrong").status_code == 403
        assert time.monotonic() - started >= 0.5
