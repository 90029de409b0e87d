"""The wall view over HTTP: whoever holds the link sees how things stand, without a login, and nothing besides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware

from dashboard import queries
from dashboard.desk import open_desk
from dashboard.gate import Gate, SessionBook
from dashboard.wall import Wall
from dashboard.wall_view import in_public
from jobs.alerts.standing import Concern
from jobs.alerts.walls import add_link, revoke_link
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.probes.attention import Severity
from tests.db.conftest import serving
from tests.ui import seed
from tests.ui.alerts import a_rule, an_alert


@dataclass
class Screen:
    """A wall behind the gate, and links to it."""

    db: Database
    base: str

    def link(self, name: str = "Office") -> str:
        with self.db.begin() as conn:
            secret = add_link(conn, name, actor="ada@nexafx.test", origin="test")
        queries.forget()
        return secret

    def get(self, secret: str, **more: str) -> httpx.Response:
        return httpx.get(f"{self.base}/wall/{secret}", headers={"x-forwarded-for": "10.1.0.1", **more})


@pytest.fixture
def screen(db: Database, settings: Settings) -> Iterator[Screen]:
    open_desk(settings.model_copy(update={"horizon_urls": seed.SERVERS}), db)
    queries.forget()
    app = Starlette(
        routes=Wall(settings, db).routes(), middleware=[Middleware(Gate, settings=settings, book=SessionBook(db))]
    )
    with serving(app) as base:
        yield Screen(db, base)


def test_the_link_alone_shows_how_things_stand(screen: Screen) -> None:
    seed.living(screen.db)
    answer = screen.get(screen.link())
    assert answer.status_code == 200
    assert "All is well" in answer.text
    assert ">9</div>" in answer.text, "what is pending"
    assert "reconcile-pending" in answer.text
    assert not answer.cookies
    with screen.db.read() as conn:
        assert conn.execute(text("SELECT seen_at FROM ops.wall_links")).scalar() is not None


def test_what_is_wrong_stands_there_with_who_has_it(screen: Screen) -> None:
    seed.living(screen.db, trouble=True)
    seed.person(screen.db, Role.ON_CALL, name="Ada")
    with screen.db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.alert_rules (name, title, signal, comparison, threshold, severity, steps, changed_by)"
                " VALUES ('failing', 'A job fails', 'job.failures', '>=', 3, 'critical', '[]', 'system')"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.alerts (rule, signal, subject, state, severity, sentence, link, began_at, fired_at,"
                " seen_at, acknowledged_at, acknowledged_by) VALUES ('failing', 'job.failures', 'reconcile-pending',"
                " 'firing', 'critical', '', '/', now(), now(), now(), now(), 'ada@nexafx.test')"
            )
        )
    said = screen.get(screen.link()).text
    assert 'class="is-critical' in said
    assert re.search(r"<title>\(\d\) critical · Wall", said)
    assert "reconcile-pending has failed 3 times" in said
    assert "Ada has it" in said
    assert "nobody has it" in said


def test_whoever_walks_past_learns_no_customer_no_amount_no_address_and_no_error(screen: Screen) -> None:
    seed.living(screen.db, trouble=True)
    said = screen.get(screen.link()).text
    for secret in ("example.com", "312.50", "250.00", "503", "http", "refunds are checked", "being moved"):
        assert secret not in said, secret
    assert not re.search(r"[0-9a-f]{16}", said)
    leads = set(re.findall(r'(?:href|src|action)="([^"]+)"', said))
    assert {one.rsplit("/", 1)[0] for one in leads} == {"/assets"}


def test_neither_an_alert_about_an_amount_nor_a_flag_tells_it_or_whose_address_it_was(screen: Screen) -> None:
    seed.living(screen.db, trouble=True)
    a_rule(screen.db, "stake", signal="money.at_stake")
    an_alert(screen.db, "stake", "XLM", signal="money.at_stake", sentence="1,234,567.00 XLM is at stake")
    said = screen.get(screen.link()).text
    assert "Money at stake, XLM" in said
    assert "1,234,567" not in said
    assert re.search(r"enableRetry is off since [^,]*, switched by somebody", said)
    assert not re.search(r"[\w.]+@[\w.]+", said)


def test_what_a_server_answered_before_it_was_left_is_not_for_the_wall() -> None:
    said = "Horizon https://h.example/k3y was left at 02:14 UTC after 3 failures (h.example answers 503: full), next try in 9 s"
    concern = Concern(Severity.WARN, said, None, "/horizon", "horizon.left", "https://h.example")
    assert in_public(concern) == "Horizon h.example was left at 02:14 UTC after 3 failures"


def test_an_unknown_a_revoked_and_an_impossible_link_cannot_be_told_apart(screen: Screen) -> None:
    revoked, other = screen.link(), screen.link("Kitchen")
    with screen.db.begin() as conn:
        revoke_link(conn, 1, actor="ada@nexafx.test", origin="test")
    queries.forget()
    answers = [screen.get(secret) for secret in (revoked, "A" * 43, "", "x", f"{other}/", f"a/../{other}x", "%2e%2e")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert len({tuple(sorted(set(answer.headers) - {"date"})) for answer in answers}) == 1
    assert screen.get(other).status_code == 200


def test_its_address_is_kept_from_others_and_the_page_needs_nothing_inline(screen: Screen) -> None:
    for secret in (screen.link(), "unknown"):
        headers = screen.get(secret).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "noindex" in headers["x-robots-tag"]
        assert "'unsafe-inline'" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    said = screen.get(screen.link("Kitchen")).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style| style=| on\w+=", said)


def test_whoever_guesses_is_made_to_wait_and_the_screen_beside_them_goes_on(screen: Screen) -> None:
    secret = screen.link()
    answers = [screen.get(f"guess-{number}") for number in range(21)]
    assert [answer.status_code for answer in answers] == [404] * 20 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    assert screen.get(secret).status_code == 200
    assert screen.get("guess", **{"x-forwarded-for": "10.1.0.2"}).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_link_changes_nothing(screen: Screen, method: str) -> None:
    answer = httpx.request(method, f"{screen.base}/wall/{screen.link()}", headers={"origin": screen.base})
    assert answer.status_code == 401
    assert "All is well" not in answer.text


def test_a_link_is_no_session(screen: Screen) -> None:
    secret = screen.link()
    for path in ("/", f"/wall/{secret}/../../jobs", f"/jobs?wall={secret}"):
        answer = httpx.get(
            f"{screen.base}{path}", headers={"accept": "text/html", "cookie": f"nexaops_session={secret}"}
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")


def test_another_host_name_is_refused(screen: Screen) -> None:
    assert screen.get(screen.link(), host="rebound.example").status_code == 421


def test_a_database_that_is_away_is_said_and_no_trace_shown(screen: Screen) -> None:
    secret = screen.link()
    with screen.db.begin() as conn:
        conn.execute(text("ALTER TABLE ops.wall_links RENAME TO hidden"))
    queries.forget()
    answer = screen.get(secret)
    assert (answer.status_code, answer.text) == (503, "The database does not answer: try again in a moment.")
    assert answer.headers["referrer-policy"] == "no-referrer"
