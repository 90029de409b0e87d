"""Checks over the network: the sandbox Horizon, and small real servers that answer as a status page, an application, a forge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import orjson
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.flags import Flag
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from tests.db.books import add_row, add_user, assert_books_balance, run_job, switch, value
from tests.db.looking import FAILED, GATHERED, PASSED, UNABLE, look

SHA = "a" * 40


class Answers(BaseHTTPRequestHandler):
    """Answers each path as the test says."""

    paths: ClassVar[dict[str, tuple[int, object]]] = {}
    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers))
        status, body = self.paths.get(self.path, (404, {"message": "Not Found"}))
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, tuple[int, object]]]]:
    """A server's address, and what it answers by path."""

    class Own(Answers):
        paths: ClassVar[dict[str, tuple[int, object]]] = {}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Own.paths
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def sandbox(server: SandboxServer) -> SandboxServer:
    server.faults.clear()
    server.ledger.close_ledger()
    return server


def test_horizon_answers_on_the_right_network_and_fast(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,), "horizon_timeout_s": 2.0})
    for name in ("horizon.root", "horizon.passphrase", "horizon.latency"):
        assert look(db, settings, name).verdict is PASSED, name
    other = settings.model_copy(update={"network": "PUBLIC", "network_passphrase": None})
    assert "on another network" in look(db, other, "horizon.root").summary
    assert look(db, other, "horizon.passphrase").verdict is FAILED
    sandbox.faults.set("latency", 60)
    slow = look(db, settings, "horizon.latency", p50_ms=20, requests=5)
    assert (slow.verdict, sandbox.url in slow.summary) == (FAILED, True), slow


def test_each_configured_server_has_to_answer(db: Database, settings: Settings, sandbox: SandboxServer) -> None:
    settings = settings.model_copy(
        update={"horizon_urls": (sandbox.url, "http://127.0.0.1:9"), "horizon_timeout_s": 2.0}
    )
    found = look(db, settings, "horizon.root")
    assert (found.verdict, "127.0.0.1:9 cannot be reached" in found.summary) == (FAILED, True), "each server counts"
    assert look(db, settings, "horizon.passphrase").verdict is UNABLE


def test_our_rate_has_to_stay_below_the_servers(db: Database, settings: Settings, sandbox: SandboxServer) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,), "rate_limit_per_hour": 3600})
    assert look(db, settings, "horizon.rate_limit").verdict is UNABLE, "the server does not say"
    sandbox.faults.set("rate-limit", 7200)
    assert look(db, settings, "horizon.rate_limit").verdict is PASSED
    greedy = look(db, settings.model_copy(update={"rate_limit_per_hour": 360_000}), "horizon.rate_limit")
    assert (greedy.verdict, "STELLAR_RATE_LIMIT_PER_HOUR" in str(greedy.mend)) == (FAILED, True), greedy
    assert look(db, settings.model_copy(update={"rate_limit_per_hour": 0}), "horizon.rate_limit").verdict is FAILED


def test_uptime_takes_a_probe_that_looked_all_the_time(db: Database, settings: Settings) -> None:
    def samples(minutes: int, verdict: str) -> None:
        with db.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO ops.horizon_samples (server, at, verdict) SELECT 'http://127.0.0.1:9',"
                    " now() - make_interval(secs => n * 15), :verdict FROM generate_series(0, :last) AS n"
                    " ON CONFLICT (server, at) DO UPDATE SET verdict = excluded.verdict"
                ),
                {"verdict": verdict, "last": minutes * 4},
            )

    samples(20, "ok")
    assert look(db, settings, "horizon.uptime", within="1h").verdict is UNABLE
    assert look(db, settings, "horizon.outage").summary == "There is no outage: http://127.0.0.1:9 is well."
    samples(60, "ok")
    assert look(db, settings, "horizon.uptime", within="1h").verdict is PASSED
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.horizon_samples SET verdict = 'critical' WHERE at > now() - interval '10 minutes'")
        )
    assert look(db, settings, "horizon.uptime", within="1h").verdict is FAILED
    outage = look(db, settings, "horizon.outage")
    assert (outage.verdict, "has been well for 10 min" in outage.summary) == (GATHERED, True), outage


CALM = {"status": {"indicator": "none"}, "incidents": [], "scheduled_maintenances": []}


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, CALM, PASSED),
        (200, CALM | {"incidents": [{"name": "Horizon is slow"}]}, FAILED),
        (200, CALM | {"status": {"indicator": "major"}}, FAILED),
        (200, {"status": "fine"}, UNABLE),
        (200, b"<html>login</html>", UNABLE),
        (503, CALM, UNABLE),
    ],
)
def test_the_status_page_is_calm_only_if_it_says_so(
    db: Database, settings: Settings, answers: tuple[str, dict[str, tuple[int, object]]], status: int, body: object,
    verdict: object,
) -> None:  # fmt: skip
    url, paths = answers
    paths["/api/v2/summary.json"] = (status, body)
    found = look(db, settings.model_copy(update={"status_page_url": url}), "status_page.summary")
    assert found.verdict is verdict, found


@pytest.mark.parametrize(
    ("name", "reply", "verdict", "says"),
    [
        ("http.health", (200, {"status": "ok", "version": "2.4.0"}), PASSED, "answers 200"),
        ("http.health", (200, {"status": "error"}), FAILED, "says “error”"),
        ("http.health", (500, {}), FAILED, "answers 500"),
        ("http.version", (200, {"version": "v2.4.0"}), PASSED, "Production runs v2.4.0."),
        ("http.version", (200, {"version": "2.3.9"}), FAILED, "runs 2.3.9, not 2.4.0"),
        ("http.version", (200, {"status": "ok"}), UNABLE, "without a field"),
        ("http.down", (200, {}), FAILED, "still answers"),
        ("http.down", (502, {}), PASSED, "nothing is behind it"),
    ],
)
def test_the_deployed_application(
    db: Database, settings: Settings, answers: tuple[str, dict[str, tuple[int, object]]], name: str,
    reply: tuple[int, object], verdict: object, says: str,
) -> None:  # fmt: skip
    url, paths = answers
    paths["/health"] = reply
    found = look(db, settings.model_copy(update={"app_url": url}), name, fields={"version": "2.4.0"})
    assert (found.verdict, says in found.summary) == (verdict, True), found


def test_an_application_is_down_only_where_the_connection_is_refused(db: Database, settings: Settings) -> None:
    gone = settings.model_copy(update={"app_url": "http://127.0.0.1:9"})
    assert look(db, gone, "http.down").verdict is PASSED
    assert look(db, gone, "http.health").verdict is FAILED
    lost = settings.model_copy(update={"app_url": "http://no-such-host.invalid"})
    assert look(db, lost, "http.down").verdict is UNABLE
    assert look(db, gone, "http.version", given=["2.3.9"]).verdict is FAILED
    assert look(db, gone, "http.version").verdict is UNABLE, "nobody said which version"


def forge(
    paths: dict[str, tuple[int, object]], *reviews: tuple[str, str], merged: bool = True, ci: str = "success"
) -> None:
    pull = {"number": 7, "title": "Settle in batches", "user": {"login": "daniel"}, "merged": merged, "state": "closed"}
    paths["/repos/x/commits/v2.4.0"] = (200, {"sha": SHA})
    paths[f"/repos/x/commits/{SHA}/check-runs?per_page=100"] = (
        200, {"check_runs": [{"name": "tests", "conclusion": ci or None, "status": "in_progress"}]}
    )  # fmt: skip
    paths[f"/repos/x/commits/{SHA}/status"] = (200, {"statuses": []})
    paths[f"/repos/x/commits/{SHA}/pulls"] = (200, [pull])
    paths["/repos/x/pulls/7"] = (200, pull)
    paths["/repos/x/pulls/7/reviews?per_page=100"] = (
        200, [{"user": {"login": who}, "state": state} for who, state in reviews]
    )  # fmt: skip
    paths["/repos/x/pulls/7/files?per_page=100"] = (200, [{"filename": "src/jobs/scheduled-jobs.service.ts"}])


@pytest.mark.parametrize(
    ("name", "reviews", "more", "verdict"),
    [
        ("forge.ci", (), {}, PASSED),
        ("forge.ci", (), {"ci": "failure"}, FAILED),
        ("forge.ci", (), {"ci": ""}, FAILED),
        ("forge.ci", (), {"ci": "skipped"}, UNABLE),
        ("forge.approved", (("mei", "APPROVED"),), {}, PASSED),
        ("forge.approved", (("daniel", "APPROVED"),), {}, FAILED),
        ("forge.approved", (("mei", "APPROVED"), ("ana", "CHANGES_REQUESTED")), {}, FAILED),
        ("forge.approved", (("mei", "APPROVED"), ("mei", "DISMISSED")), {}, FAILED),
        ("forge.approved", (("mei", "CHANGES_REQUESTED"), ("mei", "APPROVED"), ("mei", "COMMENTED")), {}, PASSED),
        ("forge.merged", (), {}, GATHERED),
        ("forge.merged", (), {"merged": False}, FAILED),
    ],
)
def test_the_forge_says_who_approved_and_whether_it_is_green(
    db: Database, settings: Settings, answers: tuple[str, dict[str, tuple[int, object]]], name: str,
    reviews: tuple[tuple[str, str], ...], more: dict[str, object], verdict: object,
) -> None:  # fmt: skip
    url, paths = answers
    forge(paths, *reviews, **more)  # type: ignore[arg-type]
    known = settings.model_copy(update={"forge_url": f"{url}/repos/x"})
    found = look(db, known, name, fields={"version": "2.4.0"}, given=["https://example.org/x/pull/7"])
    assert found.verdict is verdict, found


def test_a_file_is_looked_up_in_the_change_and_an_unknown_version_is_not_guessed(
    db: Database, settings: Settings, answers: tuple[str, dict[str, tuple[int, object]]]
) -> None:
    url, paths = answers
    forge(paths, ("mei", "APPROVED"))
    known = settings.model_copy(update={"forge_url": f"{url}/repos/x"})
    found = look(db, known, "forge.reviewed", fields={"version": "2.4.0"}, path="scheduled-jobs.service.ts")
    assert (found.verdict, "#7 Settle in batches" in found.summary) == (GATHERED, True)
    assert look(db, known, "forge.ci", fields={"version": "9.9.9"}).verdict is UNABLE


def test_a_test_transaction_goes_all_the_way_once_for_a_run(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,), "horizon_timeout_s": 2.0})
    switch(db, Flag.RECONCILIATION, False)
    off = look(db, settings, "synthetic.transaction")
    assert (off.verdict, "enableReconciliation" in off.summary) == (UNABLE, True), "the job was skipped"
    switch(db, Flag.RECONCILIATION, True)
    for expect in ("settled", "notification", "balance"):
        found = look(db, settings, "synthetic.transaction", expect=expect)
        assert found.verdict is PASSED, found
    assert value(db, "SELECT count(*) FROM transactions") == 1, "one serves all three"
    assert_books_balance(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE balances SET amount = amount - 1"))
    assert look(db, settings, "synthetic.transaction", expect="balance").verdict is FAILED
    real = settings.model_copy(update={"network": "PUBLIC", "network_passphrase": None})
    assert look(db, real, "synthetic.transaction").verdict is UNABLE, "play money only"


def test_transactions_on_an_item_are_looked_up_in_the_books_and_on_the_chain(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,), "horizon_timeout_s": 2.0})
    payer, user = Wallet.named("payer"), Wallet.named("user")
    payment = payer.payment(user.address, "10.5")
    row = add_row(db, add_user(db, user.address), amount=Decimal("10.5"), tx_hash=payment.hash_hex())
    assert look(db, settings, "transactions.given", given=["by mail"]).verdict is UNABLE
    waits = look(db, settings, "transactions.given", given=[payment.hash_hex()])
    assert (waits.verdict, "is PENDING" in waits.summary) == (FAILED, True), waits
    sandbox.ledger.include([payment])
    run_job(db, settings)
    for given in (payment.hash_hex().upper(), f"see {row}"):
        assert look(db, settings, "transactions.given", given=[given]).verdict is GATHERED, given
    assert "not in the books" in look(db, settings, "transactions.given", given=["f" * 64]).summary
