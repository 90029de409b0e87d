"""Who gets in at the API, and how far: a live token, by its scopes, and nothing else."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from dashboard.api import app
from dashboard.api.app import DESCRIPTION, ENDPOINTS, PREFIX
from dashboard.api.endpoint import Endpoint
from dashboard.doors import COOKIE
from jobs.core.db import Database
from jobs.core.people import disable_person
from jobs.core.permissions import SCOPES, Role, Scope
from jobs.core.sessions import open_session
from jobs.core.settings import Settings
from jobs.core.tokens import revoke_token
from tests.db.api import Site, served
from tests.ui import seed


@pytest.fixture
def site(db: Database, settings: Settings) -> Iterator[Site]:
    with served(db, settings) as found:
        yield found


def cookie(site: Site, role: Role) -> dict[str, str]:
    person = seed.person(site.db, role)
    with site.db.begin() as conn:
        return {"cookie": f"{COOKIE}={open_session(conn, person, origin='test', hours=1)}", "origin": site.base}


def test_a_revoked_an_expired_and_an_unknown_token_cannot_be_told_apart(site: Site) -> None:
    revoked, expired = site.token("revoked", Scope.READ), site.token("expired", Scope.READ)
    assert site.bearing(revoked).get("/jobs").status_code == 200
    with site.db.begin() as conn:
        revoke_token(conn, "revoked", actor="cli:test", origin="test")
        conn.execute(text("UPDATE ops.tokens SET expires_at = now() WHERE name = 'expired'"))
    wrong_secret = site.token("open", Scope.READ)[:-43] + "A" * 43
    answers = [
        site.bearing(token).get("/jobs")
        for token in (None, "x", "nxo_000000000000_" + "A" * 43, wrong_secret, revoked, expired, expired + "=")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer realm="nexaops"'}
    assert len({answer.text for answer in answers}) == 1


def test_two_tokens_or_another_scheme_are_none(site: Site) -> None:
    token = site.token("ci", Scope.READ)
    for headers in (
        [("authorization", f"Bearer {token}"), ("authorization", "Bearer x")],
        [("authorization", f"Basic {token}")],
        [("authorization", token)],
    ):
        assert httpx.get(f"{site.base}{PREFIX}/jobs", headers=headers).status_code == 401


def test_a_session_opens_nothing_but_the_description(site: Site) -> None:
    administrator = cookie(site, Role.ADMINISTRATOR)
    for endpoint in ENDPOINTS:
        path = f"{site.base}{PREFIX}{filled(endpoint)}"
        assert httpx.request(endpoint.method, path, headers=administrator, json={}).status_code == 401, path
    disguised = {**administrator, "host": f"127.0.0.1{PREFIX}{DESCRIPTION}?"}
    assert httpx.get(f"{site.base}{PREFIX}/flags", headers=disguised).status_code == 401
    described = httpx.get(f"{site.base}{PREFIX}{DESCRIPTION}", headers=administrator)
    assert described.json()["openapi"] == "3.1.0"
    assert site.client(Scope.READ).get(DESCRIPTION).json() == described.json()
    assert site.bearing(None).get(DESCRIPTION).status_code == 401


def test_a_session_of_a_closed_account_does_not_even_open_the_description(site: Site) -> None:
    viewer = cookie(site, Role.VIEWER)
    with site.db.begin() as conn:
        disable_person(conn, "viewer@nexafx.test", actor="test", origin="test")
    assert httpx.get(f"{site.base}{PREFIX}{DESCRIPTION}", headers=viewer).status_code == 401


def test_every_endpoint_takes_its_scope_and_the_refusal_names_it(site: Site) -> None:
    for scope in Scope:
        others = [one for one in Scope if one is not scope]
        lacking = site.client(*others, name=f"no-{scope.value.replace(':', '-')}")
        for endpoint in ENDPOINTS:
            if SCOPES[scope] is not endpoint.right:
                continue
            answer = lacking.request(endpoint.method, filled(endpoint), json=body(endpoint))
            assert answer.status_code == 403, (endpoint.path, answer.text)
            assert f"a token with the scope {scope.value}." in answer.json()["detail"]


def test_what_a_token_does_is_on_record_under_its_name_and_from_where(site: Site) -> None:
    site.client(Scope.SET_FLAGS).put("/flags/enableRetry", json={"value": False, "reason": "INC-7"})
    with site.db.read() as conn:
        row = conn.execute(text("SELECT actor, origin, reason FROM ops.audit WHERE action = 'flag.set'")).one()
        used = conn.execute(text("SELECT last_used_at IS NOT NULL FROM ops.tokens WHERE name = 'ci'")).scalar_one()
    assert tuple(row) == ("token:ci", "api 127.0.0.1", "INC-7")
    assert used


def test_a_token_that_asks_too_often_is_told_to_wait_and_others_are_not(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.MOST_A_SECOND == 60
    monkeypatch.setattr(app, "MOST_A_SECOND", 3)
    with served(db, settings) as site:
        busy, calm = site.client(Scope.READ, name="busy"), site.client(Scope.READ, name="calm")
        answers = [busy.get("/nowhere") for _ in range(12)]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["retry-after"] == "1"
        assert calm.get("/flags").status_code == 200


WRONG: list[tuple[str, str, dict[str, str], int, str]] = [
    ("GET", "/nowhere", {}, 404, "nothing under this address"),
    ("GET", "/jobs/", {}, 404, "nothing under this address"),
    ("DELETE", "/jobs", {}, 405, "does not take that method"),
    ("OPTIONS", "/jobs", {}, 405, "does not take that method"),
    ("GET", "/jobs", {"accept": "text/html"}, 406, "Answers here are application/json"),
    ("GET", "/jobs", {"accept": "application/json;q=0, text/html"}, 406, "Answers here are application/json"),
    ("GET", "/runs?limit=9999", {}, 422, "limit: input should be less than or equal to 200"),
    ("GET", "/runs?limit=x", {}, 422, "limit: "),
    ("GET", "/runs?limit=1&limit=2", {}, 422, "given twice"),
    ("GET", "/runs?sort=job", {}, 422, "sort: extra inputs are not permitted"),
    ("GET", "/flags?x=1", {}, 422, "nothing behind a question mark"),
    ("GET", "/runs/0", {}, 422, "run: "),
    ("GET", "/runs/99999999999999999999", {}, 422, "run: "),
    ("GET", "/runs/7", {}, 404, "There is no run 7."),
    ("GET", "/jobs/no-such-job", {}, 404, "There is no job no-such-job"),
    ("GET", "/jobs/%00", {}, 422, "name: "),
]


def test_what_is_asked_wrongly_is_refused_in_one_sentence(site: Site) -> None:
    client = site.client(Scope.READ)
    for method, path, headers, status, says in WRONG:
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), (path, answer.text)
        assert answer.json()["status"] == status


def test_a_wrong_method_is_told_the_right_ones_and_head_has_no_body(site: Site) -> None:
    client = site.client(Scope.READ)
    assert set(client.delete("/checklist-runs").headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    head = client.head("/flags")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_no_page_of_another_site_may_read_an_answer(site: Site) -> None:
    answer = site.client(Scope.READ).get("/flags", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_another_host_name_is_refused(site: Site) -> None:
    token = site.token("ci", Scope.READ)
    headers = {"authorization": f"Bearer {token}", "host": "rebound.example"}
    assert httpx.get(f"{site.base}{PREFIX}/jobs", headers=headers).status_code == 421


def test_a_secret_is_in_no_table_and_no_log_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = site.token("ci", *Scope)
    site.bearing(token).post("/jobs/probe-horizon/runs", json={"reason": "x"}, headers={"idempotency-key": "1"})
    secret = token[-43:]
    assert secret not in caplog.text
    with site.db.read() as conn:
        for table in ("tokens", "audit", "runs", "api_outcomes"):
            assert secret not in str(conn.execute(text(f"SELECT t::text FROM ops.{table} t")).all())


def filled(endpoint: Endpoint) -> str:
    values = {"{name}": "probe-horizon", "{run}": "1", "{item}": "a/b"}
    return re.sub(r"\{\w+\}", lambda found: values[found[0]], endpoint.path)


def body(endpoint: Endpoint) -> dict[str, object] | None:
    """The least that each body takes."""
    given: dict[str, object] = {"reason": "x", "value": True, "version": 1, "text": "x", "template": "deployment"}
    model = endpoint.models.get("body")
    return None if model is None else {name: given[name] for name in model.model_fields if name in given}
