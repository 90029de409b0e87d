"""Every fault shows to a client as the trouble that it is named after, and ends when it is switched off."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from jobs.horizon.sandbox.faults import FaultName
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet

ANN, BOB = Wallet.named("ann"), Wallet.named("bob")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def http(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, timeout=2) as client:
        yield client


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (FaultName.STILL_INGESTING, 503, "still_ingesting"),
        (FaultName.STALE_HISTORY, 503, "stale_history"),
        (FaultName.SERVICE_UNAVAILABLE, 503, "service_unavailable"),
        (FaultName.TIMEOUT, 504, "timeout"),
    ],
)
def test_a_problem_is_given_until_the_fault_ends(
    http: httpx.Client, sandbox: SandboxServer, fault: FaultName, status: int, kind: str
) -> None:
    sandbox.faults.set(fault, path="/ledgers", times=1)
    assert http.get("/").status_code == 200
    answer = http.get("/ledgers")
    assert (answer.status_code, answer.json()["type"]) == (status, f"https://stellar.org/horizon-errors/{kind}")
    assert answer.headers["x-nexafx-sandbox"] == "true"
    assert http.get("/ledgers").status_code == 200


def test_bodies_that_are_no_json(http: httpx.Client, sandbox: SandboxServer) -> None:
    sandbox.faults.set(FaultName.PLAIN_503)
    assert (http.get("/").status_code, http.get("/").text) == (503, "Service Unavailable")
    sandbox.faults.clear()
    sandbox.faults.set(FaultName.HTML)
    assert http.get("/").headers["content-type"].startswith("text/html")
    sandbox.faults.clear()
    sandbox.faults.set(FaultName.TRUNCATED)
    with pytest.raises(json.JSONDecodeError):
        http.get("/").json()


def test_connections_that_hang_or_break(http: httpx.Client, sandbox: SandboxServer) -> None:
    sandbox.faults.set(FaultName.HANG, 30, times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.get("/", timeout=0.2)
    sandbox.faults.set(FaultName.RESET, times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        http.get("/")
    assert http.get("/").status_code == 200


def test_latency_makes_every_answer_wait(http: httpx.Client, sandbox: SandboxServer) -> None:
    sandbox.faults.set(FaultName.LATENCY, 150)
    assert http.get("/").elapsed.total_seconds() > 0.14


def test_the_rate_limit_shows_its_budget_and_then_429_with_a_wait(http: httpx.Client, sandbox: SandboxServer) -> None:
    sandbox.faults.set(FaultName.RATE_LIMIT, "3600,1")
    answers = [http.get("/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].headers["retry-after"] == "1"
    assert answers[2].json()["type"].endswith("/rate_limit_exceeded")


def test_an_error_rate_spoils_exactly_its_share(http: httpx.Client, sandbox: SandboxServer) -> None:
    sandbox.faults.set(FaultName.ERROR_RATE, 25)
    assert sum(http.get("/").status_code != 200 for _ in range(20)) == 5


def test_a_wrong_base_address_answers_404_even_for_what_is_there(http: httpx.Client, sandbox: SandboxServer) -> None:
    entry = sandbox.ledger.include([ANN.payment(BOB.address, 1, sequence=1)])[0]
    sandbox.faults.set(FaultName.ALL_404)
    assert http.get(f"/transactions/{entry.hash}").status_code == 404
    assert http.get("/").status_code == 200


def test_root_tells_of_another_network_lag_regress_and_retention(http: httpx.Client, sandbox: SandboxServer) -> None:
    latest = sandbox.ledger.latest.sequence

    def root() -> dict[str, object]:
        found: dict[str, object] = http.get("/").json()
        return found

    sandbox.faults.set(FaultName.WRONG_NETWORK)
    assert root()["network_passphrase"] == "Another Network ; 2026"
    sandbox.faults.set(FaultName.LAG, 12)
    assert (root()["history_latest_ledger"], root()["core_latest_ledger"]) == (latest - 12, latest)
    sandbox.faults.clear()
    sandbox.faults.set(FaultName.REGRESS, 100)
    assert root()["history_latest_ledger"] == root()["core_latest_ledger"] == latest - 100
    sandbox.faults.clear()
    sandbox.faults.set(FaultName.RETENTION, 10)
    assert root()["history_elder_ledger"] == latest - 9
    sandbox.faults.set(FaultName.INGEST_LAG, 4)
    assert root()["ingest_latest_ledger"] == latest - 4
    sandbox.faults.set(FaultName.CORE_DOWN)
    assert (http.get("/health").status_code, http.get("/health").json()["core_synced"]) == (503, False)


def test_behind_a_load_balancer_the_same_question_has_two_answers(http: httpx.Client, sandbox: SandboxServer) -> None:
    entry = sandbox.ledger.include([ANN.payment(BOB.address, 1, sequence=1)])[0]
    sandbox.faults.set(FaultName.LOAD_BALANCER, 3)
    answers = [http.get(f"/transactions/{entry.hash}") for _ in range(4)]
    assert sorted({answer.status_code for answer in answers}) == [200, 404]
    assert len({answer.headers["latest-ledger"] for answer in answers}) == 2
    sequences = {http.get(f"/accounts/{ANN.address}").json()["sequence"] for _ in range(2)}
    assert sequences == {"0", "1"}, "a server that is behind does not know the new sequence number either"


def test_what_retention_has_dropped_is_absent(http: httpx.Client, sandbox: SandboxServer) -> None:
    entry = sandbox.ledger.include([ANN.payment(BOB.address, 1, sequence=1)])[0]
    sandbox.ledger.close_ledger()
    sandbox.faults.set(FaultName.RETENTION, 1)
    assert http.get(f"/transactions/{entry.hash}").status_code == 404
    assert http.get(f"/ledgers/{entry.ledger}").status_code == 410


def test_a_submission_that_times_out_lands_all_the_same(http: httpx.Client, sandbox: SandboxServer) -> None:
    wallet = Wallet.named("carl")
    wallet.sequence = sandbox.ledger.fund(wallet.address).sequence
    envelope = wallet.create_account(Wallet().address, 5)
    sandbox.faults.set(FaultName.SUBMIT_TIMEOUT, times=1)
    assert http.post("/transactions", data={"tx": envelope.to_xdr()}).status_code == 504
    sandbox.ledger.close_ledger()
    assert http.get(f"/transactions/{envelope.hash_hex()}").json()["successful"] is True


def test_faults_are_seen_and_switched_over_http_whatever_else_is_broken(http: httpx.Client) -> None:
    put = http.put("/sandbox/faults/reset", json={"times": 5})
    assert put.json()["faults"] == {"reset": {"value": "", "path": "/", "times": 5}}
    with pytest.raises(httpx.TransportError):
        http.get("/")
    assert http.get("/sandbox").json()["faults"]["reset"]["times"] == 4
    assert http.delete("/sandbox/faults/reset").json()["faults"] == {}
    assert http.get("/").status_code == 200
    assert http.put("/sandbox/faults/lag", json={"value": "much"}).status_code == 400
