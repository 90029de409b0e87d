"""A server that does what no Horizon does: a real one over HTTP, whose bytes the test chooses."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import orjson
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon import transport
from jobs.horizon.client import Horizon
from jobs.horizon.model import Answer, Entry, Lookup
from jobs.horizon.sandbox.wallet import Wallet
from jobs.horizon.transport import HorizonError
from tests.unit.test_horizon_answers import RECORD

HASH = str(RECORD["hash"])
JSON = "application/hal+json"


class _Rude(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    headers_out: ClassVar[dict[str, str]] = {}
    body: ClassVar[bytes] = b""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers_out}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


@pytest.fixture
def rude() -> Iterator[type[_Rude]]:
    class Rude(_Rude):
        asked: ClassVar[list[str]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Rude)
    Rude.headers_out = {"Content-Type": JSON}
    Rude.port = server.server_port  # type: ignore[attr-defined]  # for the test's address
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Rude
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def at(settings: Settings, rude: type[_Rude]) -> Settings:
    url = f"http://127.0.0.1:{rude.port}/base"  # type: ignore[attr-defined]
    return settings.model_copy(
        update={"horizon_urls": (url,), "horizon_timeout_s": 1.0, "horizon_attempts": 2,
                "network_passphrase": "Test SDF Network ; September 2015"}
    )  # fmt: skip


def look_up(settings: Settings, db: Database) -> Lookup:
    async def ask() -> Lookup:
        async with Horizon(settings, db, job="test") as horizon:
            return await horizon.lookup(HASH)

    return asyncio.run(ask())


ABSURD = [
    b"", b"null", b"[]", b"[1]", b'"text"', b"5", b"{", b"{}", b"\xff\xfe", b"NaN", b'{"hash": 5}', b"[" * 100_000,
    b'{"_links": "x"}', b'{"_links": {"next": 5}}', b'{"_links": [1], "hash": null}',
    b'{"hash": "' + HASH.encode() + b'", "envelope_xdr": [], "result_xdr": {}, "successful": "true"}',
]  # fmt: skip


def test_an_absurd_body_is_garbled(at: Settings, db: Database, rude: type[_Rude]) -> None:
    for body in ABSURD:
        rude.body = body
        found = look_up(at, db)
        assert (found.answer, found.status, found.transaction) == (Answer.GARBLED, 200, None), body[:40]


def test_json_that_does_not_say_so_is_garbled(at: Settings, db: Database, rude: type[_Rude]) -> None:
    rude.body = b"{}"
    for content_type in ("text/html", "application/octet-stream", ""):
        rude.headers_out = {"Content-Type": content_type}
        assert look_up(at, db).answer is Answer.GARBLED


def test_json_of_a_server_that_names_no_type_is_read(at: Settings, db: Database, rude: type[_Rude]) -> None:
    rude.headers_out = {}
    rude.body = orjson.dumps({**RECORD, "ledger": 7})
    assert look_up(at, db).answer is Answer.FOUND
    rude.body = b"<h1>Hello</h1>"
    assert look_up(at, db).answer is Answer.GARBLED


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_refusal_that_is_not_horizons_says_nothing(
    at: Settings, db: Database, rude: type[_Rude], status: int
) -> None:
    rude.status = status
    for body in (b"", b"<h1>Not found</h1>", b"null"):
        rude.body = body
        assert look_up(at, db).answer is Answer.GARBLED


@pytest.mark.parametrize("body", [b'{"title": null, "extras": null}', b'{"title": "A", "detail": "B\\u0000C"}'])
def test_each_status_is_one_kind_of_answer(at: Settings, db: Database, rude: type[_Rude], body: bytes) -> None:
    rude.body = body
    rude.headers_out = {"Content-Type": "application/problem+json", "Location": "http://127.0.0.1:1/elsewhere"}
    for status, answer in (
        (201, Answer.UNAVAILABLE),
        (302, Answer.UNAVAILABLE),
        (400, Answer.MALFORMED),
        (401, Answer.UNAVAILABLE),
        (403, Answer.UNAVAILABLE),
        (404, Answer.ABSENT),
        (406, Answer.UNAVAILABLE),
        (410, Answer.GONE),
        (500, Answer.UNAVAILABLE),
        (599, Answer.UNAVAILABLE),
    ):
        rude.status = status
        found = look_up(at, db)
        assert (found.answer, found.status) == (answer, status)
        assert "\0" not in found.detail


def test_another_accounts_sequence_number_proves_nothing(at: Settings, db: Database, rude: type[_Rude]) -> None:
    asked, other = Wallet.named("asked").address, Wallet.named("other").address
    rude.headers_out = {"Content-Type": JSON, "Latest-Ledger": "7"}

    async def ask() -> tuple[int, int]:
        async with Horizon(at, db, job="test") as horizon:
            return await horizon.account_sequence(asked)

    rude.body = orjson.dumps({"account_id": asked, "sequence": "42"})
    assert asyncio.run(ask()) == (42, 7)
    rude.body = orjson.dumps({"account_id": other, "sequence": "42"})
    with pytest.raises(HorizonError, match="another account"):
        asyncio.run(ask())


def test_a_redirect_is_not_followed(at: Settings, db: Database, rude: type[_Rude]) -> None:
    rude.status, rude.headers_out = 302, {"Location": "/base/elsewhere", "Content-Type": JSON}
    look_up(at, db)
    assert rude.asked == [f"/base/transactions/{HASH}"]


def test_a_key_in_the_query_is_sent_and_never_shown(at: Settings, db: Database, rude: type[_Rude]) -> None:
    rude.status, rude.body = 403, b'{"title": "Forbidden"}'
    keyed = at.model_copy(update={"horizon_urls": (f"{at.horizon_urls[0]}?apikey=hunter2",)})
    found = look_up(keyed, db)
    assert rude.asked == [f"/base/transactions/{HASH}?apikey=hunter2"]
    assert "hunter2" not in repr(found)
    with db.read() as conn:
        stored = conn.execute(text("SELECT server, endpoint FROM ops.horizon_requests")).all()
    assert [tuple(row) for row in stored] == [(found.server, "transaction")]


def test_an_answer_without_end_is_cut_off(
    at: Settings, db: Database, rude: type[_Rude], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_MAX", 1_000_000)
    rude.body = gzip.compress(b'{"a": "' + b"x" * 5_000_000 + b'"}')
    rude.headers_out = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    assert look_up(at, db).answer is Answer.GARBLED


def test_a_body_shorter_than_it_says_is_garbled(at: Settings, db: Database, rude: type[_Rude]) -> None:
    rude.body, rude.headers_out = b'{"hash": ', {"Content-Type": JSON, "Content-Length": "5000", "Connection": "close"}
    assert look_up(at, db).answer in {Answer.GARBLED, Answer.TIMEOUT}


@pytest.mark.parametrize("retry_after", ["never", "1e9", "99999999999"])
def test_an_absurd_retry_after_is_bounded(at: Settings, db: Database, rude: type[_Rude], retry_after: str) -> None:
    rude.status, rude.body = 429, b"{}"
    rude.headers_out = {"Content-Type": JSON, "Retry-After": retry_after, "X-RateLimit-Limit": "-1"}
    assert look_up(at, db).answer is Answer.RATE_LIMITED
    with db.read() as conn:
        seconds = conn.execute(
            text("SELECT extract(epoch FROM blocked_until - now()) FROM ops.horizon_servers")
        ).scalar_one()
    assert 0 < seconds <= 3600


def pages(settings: Settings, db: Database, cursor: int | None = None) -> list[Entry]:
    async def ask() -> list[Entry]:
        async with Horizon(settings, db, job="test") as horizon:
            return list((await horizon.page(cursor=cursor)).entries)

    return asyncio.run(ask())


@pytest.mark.parametrize("tokens", [("7",), ("9", "8"), ("8", "8")], ids=["leads back", "falls", "repeats"])
def test_a_page_in_another_order_than_asked_for_is_none(
    at: Settings, db: Database, rude: type[_Rude], tokens: tuple[str, ...]
) -> None:
    records = ",".join(f'{{"paging_token": "{token}"}}' for token in tokens)
    rude.body = f'{{"_embedded": {{"records": [{records}]}}}}'.encode()
    with pytest.raises(HorizonError) as failed:
        pages(at, db, cursor=7)
    assert failed.value.answer is Answer.GARBLED


def test_a_record_whose_hash_cannot_be_read_spoils_no_page(at: Settings, db: Database, rude: type[_Rude]) -> None:
    rude.body = b'{"_embedded": {"records": [{"paging_token": "7", "hash": "zz"}, {"paging_token": "8"}]}}'
    assert [(entry.token, entry.hashes) for entry in pages(at, db)] == [(7, ()), (8, ())]


def test_a_page_that_is_none_is_garbled(at: Settings, db: Database, rude: type[_Rude]) -> None:
    for records in (b"5", b'"x"', b"[5]", b'[{"paging_token": 7}]', b"null"):
        rude.body = b'{"_embedded": {"records": ' + records + b"}}"
        with pytest.raises(HorizonError) as failed:
            pages(at, db)
        assert failed.value.answer is Answer.GARBLED


def test_a_server_with_nothing_to_list_has_no_canary_and_one_that_cannot_list_has_a_dead_one(
    at: Settings, db: Database, rude: type[_Rude]
) -> None:
    async def ask() -> bool | None:
        async with Horizon(at, db, job="test") as horizon:
            return await horizon.canary()

    rude.body = b'{"_embedded": {"records": []}}'
    assert asyncio.run(ask()) is None
    for body in (b"{}", b'{"_embedded": {"records": [{}]}}', b"<h1>Hello</h1>"):
        rude.body = body
        assert asyncio.run(ask()) is False
