"""The sandbox speaks Horizon over HTTP: stellar-sdk's own client reads it, and shapes, pages and errors are Horizon's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
from stellar_sdk import Asset, Server, TransactionEnvelope
from stellar_sdk.exceptions import BadRequestError

from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE, toid
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import XLM, Wallet, memo, muxed

ANN, BOB, ISSUER = Wallet.named("ann"), Wallet.named("bob"), Wallet.named("issuer")
USDC = Asset("USDC", ISSUER.address)
ABSENT = "ab" * 32
TRANSACTION_KEYS = {
    "_links", "id", "paging_token", "successful", "hash", "ledger", "created_at", "source_account",
    "source_account_sequence", "fee_account", "fee_charged", "max_fee", "operation_count", "envelope_xdr",
    "result_xdr", "result_meta_xdr", "fee_meta_xdr", "memo_type", "signatures", "valid_after", "preconditions",
}  # fmt: skip
Json = dict[str, object]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxLedger(keep=timedelta(hours=1))) as server:
        yield server


@pytest.fixture
def http(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url) as client:
        yield client


@pytest.fixture
def payer(sandbox: SandboxServer) -> Wallet:
    """Ann, funded and trusting; Bob exists beside her."""
    sandbox.ledger.fund(BOB.address, 100, {USDC: 0})
    return Wallet(ANN.keypair, sandbox.ledger.fund(ANN.address, 10_000, {USDC: 500}).sequence)


def records(http: httpx.Client, path: str) -> list[Json]:
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["_embedded"]["records"]
    return found


def test_root_says_where_it_stands_and_that_it_is_a_sandbox(http: httpx.Client, sandbox: SandboxServer) -> None:
    answer = http.get("/")
    root = answer.json()
    assert root["sandbox"] is True
    assert root["horizon_version"].endswith("-sandbox")
    assert root["network_passphrase"] == SANDBOX_PASSPHRASE
    assert root["history_latest_ledger"] == root["core_latest_ledger"] == sandbox.ledger.latest.sequence
    assert root["history_elder_ledger"] == root["history_latest_ledger"] - 720
    assert answer.headers["x-nexafx-sandbox"] == "true"
    assert answer.headers["latest-ledger"] == str(root["history_latest_ledger"])
    assert answer.headers["content-type"] == "application/hal+json; charset=utf-8"
    assert parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC) < timedelta(seconds=2)
    assert "x-ratelimit-limit" not in answer.headers


def test_a_transaction_has_horizons_keys_and_its_envelope_gives_its_hash(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    envelope = payer.payment(BOB.address, "1.5", USDC, memo=memo("text", "hi"), max_time=2_000_000_000)
    found = sandbox.ledger.include([envelope])[0]
    record = http.get(f"/transactions/{found.hash}").json()
    assert set(record) == TRANSACTION_KEYS | {"memo", "memo_bytes", "valid_before"}
    assert (record["memo"], record["memo_bytes"]) == ("hi", "aGk=")
    assert record["preconditions"] == {"timebounds": {"min_time": "0", "max_time": "2000000000"}}
    assert record["_links"]["self"]["href"] == f"{sandbox.url}/transactions/{found.hash}"
    assert record["paging_token"] == str(toid(record["ledger"], 1))
    assert TransactionEnvelope.from_xdr(record["envelope_xdr"], SANDBOX_PASSPHRASE).hash_hex() == found.hash


def test_the_client_of_stellar_sdk_submits_and_reads(sandbox: SandboxServer, payer: Wallet) -> None:
    server = Server(sandbox.url)
    source = server.load_account(ANN.address)
    assert source.sequence == payer.sequence
    answer = server.submit_transaction(payer.payment(BOB.address, 5))
    assert answer["successful"] is True
    assert server.fetch_base_fee() == 100
    page = server.payments().for_account(BOB.address).order(desc=True).limit(1).call()
    assert page["_embedded"]["records"][0]["amount"] == "5.0000000"

    assert server.transactions().transaction(answer["hash"]).call()["hash"] == answer["hash"]


def test_a_failed_submission_is_a_400_and_is_on_the_ledger(sandbox: SandboxServer, payer: Wallet) -> None:
    envelope = payer.failing_payment(BOB.address)
    with pytest.raises(BadRequestError) as caught:
        Server(sandbox.url).submit_transaction(envelope)
    extras = caught.value.extras
    assert extras is not None
    assert caught.value.type == "https://stellar.org/horizon-errors/transaction_failed"
    assert extras["result_codes"] == {"transaction": "tx_failed", "operations": ["op_underfunded"]}
    record = Server(sandbox.url).transactions().transaction(envelope.hash_hex()).call()
    assert record["successful"] is False
    assert record["result_xdr"] == extras["result_xdr"]


def test_a_refused_submission_leaves_no_trace(http: httpx.Client, payer: Wallet) -> None:
    envelope = payer.payment(BOB.address, 1, sequence=payer.sequence + 5)
    answer = http.post("/transactions", data={"tx": envelope.to_xdr()})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert answer.json()["extras"]["result_codes"] == {"transaction": "tx_bad_seq"}
    assert http.get(f"/transactions/{envelope.hash_hex()}").status_code == 404
    rubbish = http.post("/transactions", data={"tx": "AAAA"})
    assert rubbish.json()["type"].endswith("/transaction_malformed")
    assert http.post("/transactions", json={}).status_code == 415


def test_an_asynchronous_submission_is_pending_until_the_ledger_closes(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    envelope = payer.payment(BOB.address, 1)
    answer = http.post("/transactions_async", data={"tx": envelope.to_xdr()})
    assert (answer.status_code, answer.json()["tx_status"]) == (201, "PENDING")
    assert http.get(f"/transactions/{envelope.hash_hex()}").status_code == 404
    sandbox.ledger.close_ledger()
    assert http.get(f"/transactions/{envelope.hash_hex()}").status_code == 200
    assert http.post("/transactions_async", data={"tx": envelope.to_xdr()}).status_code == 409


def test_a_fee_bump_echoes_the_hash_that_was_asked_for(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    inner = payer.payment(BOB.address, 1)
    outer = BOB.fee_bump(inner)
    sandbox.ledger.include([outer])
    by_outer, by_inner = (http.get(f"/transactions/{one.hash_hex()}").json() for one in (outer, inner))
    assert (by_outer["hash"], by_inner["hash"]) == (outer.hash_hex(), inner.hash_hex())
    for record in (by_outer, by_inner):
        assert record["fee_bump_transaction"]["hash"] == outer.hash_hex()
        assert record["inner_transaction"]["hash"] == inner.hash_hex()
        assert record["fee_account"] == BOB.address
    assert by_inner["signatures"] == by_inner["inner_transaction"]["signatures"]


def test_muxed_ids_are_strings_and_absent_when_zero(http: httpx.Client, sandbox: SandboxServer, payer: Wallet) -> None:
    seven, zero = (payer.payment(muxed(BOB.address, n), 1) for n in (7, 0))
    sandbox.ledger.include([seven, zero])
    of_seven = records(http, f"/transactions/{seven.hash_hex()}/operations")[0]
    of_zero = records(http, f"/transactions/{zero.hash_hex()}/operations")[0]
    assert of_seven["to"] == of_zero["to"] == BOB.address
    assert of_seven["to_muxed_id"] == "7"
    assert of_zero["to_muxed"] == muxed(BOB.address, 0)
    assert "to_muxed_id" not in of_zero


def test_operations_carry_what_was_received_and_may_join_their_transaction(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    sandbox.ledger.set_price(USDC, 4)
    new = Wallet()
    entries = sandbox.ledger.include(
        [
            payer.path_send(BOB.address, (10, XLM), (2, USDC)),
            payer.path_receive(BOB.address, (10, XLM), (2, USDC)),
            payer.create_account(new.address, 25),
            payer.claimable_balance([BOB.address], 3),
        ]
    )
    one = [records(http, f"/transactions/{entry.hash}/operations?join=transactions")[0] for entry in entries]
    assert (one[0]["amount"], one[0]["source_amount"]) == ("2.5000000", "10.0000000")
    assert (one[1]["amount"], one[1]["source_amount"]) == ("2.0000000", "8.0000000")
    assert (one[2]["starting_balance"], one[2]["account"]) == ("25.0000000", new.address)
    assert one[3]["claimants"] == [{"destination": BOB.address, "predicate": {"unconditional": True}}]
    for record, entry in zip(one, entries, strict=True):
        joined = record["transaction"]
        assert isinstance(joined, dict)
        assert joined["hash"] == entry.hash
    assert len(records(http, "/payments?limit=10")) == 3, "claimable balances are no payments"


def test_a_claimable_balance_lists_what_created_and_what_claimed_it(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    created = payer.claimable_balance([BOB.address], 3)
    balance = created.transaction.get_claimable_balance_id(0)
    sandbox.ledger.include([created])
    claimed = Wallet(BOB.keypair).claim(balance)
    sandbox.ledger.include([claimed])
    listed = records(http, f"/claimable_balances/{balance}/transactions?order=desc")
    assert [record["hash"] for record in listed] == [claimed.hash_hex(), created.hash_hex()]
    assert http.get(f"/claimable_balances/{'0' * 72}/transactions").status_code == 404


def test_pages_go_forwards_and_backwards_without_gap_or_repeat(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    sandbox.ledger.include([payer.payment(BOB.address, n + 1) for n in range(5)])
    sandbox.ledger.include([payer.payment(BOB.address, n + 6) for n in range(2)])
    for kind in ("transactions", "operations", "payments", f"accounts/{BOB.address}/payments"):
        for order in ("asc", "desc"):
            seen: list[object] = []
            url = f"/{kind}?limit=3&order={order}"
            page = http.get(url).json()
            while found := page["_embedded"]["records"]:
                seen += [record["paging_token"] for record in found]
                before = http.get(page["_links"]["prev"]["href"]).json()["_embedded"]["records"]
                assert [one["paging_token"] for one in before] == seen[-len(found) - 1 : -len(found) - 4 : -1]
                page = http.get(page["_links"]["next"]["href"]).json()
            assert len(seen) == len(set(seen)) == 7
            assert seen == sorted(seen, key=lambda token: int(str(token)), reverse=order == "desc")


def test_failed_transactions_are_listed_only_when_asked_for(
    http: httpx.Client, sandbox: SandboxServer, payer: Wallet
) -> None:
    failed = sandbox.ledger.include([payer.failing_payment(BOB.address)])[0]
    for path in ("/transactions", f"/accounts/{ANN.address}/transactions", "/operations", "/payments"):
        assert records(http, path) == []
        assert len(records(http, f"{path}?include_failed=true")) == 1
    assert len(records(http, f"/transactions/{failed.hash}/operations")) == 1


def test_cursor_now_begins_behind_the_latest_ledger(http: httpx.Client, sandbox: SandboxServer, payer: Wallet) -> None:
    sandbox.ledger.include([payer.payment(BOB.address, 1)])
    assert records(http, "/transactions?cursor=now") == []
    assert len(records(http, "/transactions?cursor=now&order=desc")) == 1


def test_ledgers_count_what_is_in_them(http: httpx.Client, sandbox: SandboxServer, payer: Wallet) -> None:
    entry = sandbox.ledger.include([payer.payment(BOB.address, 1), payer.failing_payment(BOB.address)])[0]
    ledger = http.get(f"/ledgers/{entry.ledger}").json()
    assert (ledger["successful_transaction_count"], ledger["failed_transaction_count"]) == (1, 1)
    assert len(records(http, f"/ledgers/{entry.ledger}/transactions?include_failed=true")) == 2
    newest, before = records(http, "/ledgers?order=desc&limit=2")
    assert newest["sequence"] == entry.ledger
    assert newest["prev_hash"] == before["hash"]


@pytest.mark.parametrize("path", [f"/transactions/{ABSENT}", "/no/such/route", "/ledgers/4000000000"])
def test_an_absent_transaction_and_an_unknown_route_give_the_same_404(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.json() == http.get("/another/route").json()
    assert answer.json()["type"] == "https://stellar.org/horizon-errors/not_found"
    assert answer.json()["title"] == "Resource Missing"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/transactions/xyz", "tx_id"),
        (f"/transactions/{ABSENT.upper()}", "tx_id"),
        ("/accounts/nobody", "account_id"),
        ("/transactions?limit=0", "limit"),
        ("/transactions?limit=201", "limit"),
        ("/transactions?order=up", "order"),
        ("/transactions?cursor=-1", "cursor"),
        ("/transactions?include_failed=yes", "include_failed"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_a_400_that_names_it(http: httpx.Client, path: str, field: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 400
    assert answer.json()["extras"]["invalid_field"] == field


def test_before_history_is_410_but_ascending_pages_jump_silently(http: httpx.Client, sandbox: SandboxServer) -> None:
    elder = sandbox.ledger.chain.elder
    assert http.get(f"/ledgers/{elder - 1}").status_code == 410
    gone = http.get(f"/transactions?order=desc&cursor={toid(elder - 1)}")
    assert gone.json()["type"].endswith("/before_history")
    assert records(http, f"/ledgers?cursor={toid(elder - 50)}&limit=1")[0]["sequence"] == elder


def test_friendbot_opens_an_account_once(http: httpx.Client) -> None:
    address = Wallet().address
    assert http.get("/friendbot", params={"addr": address}).json()["successful"] is True
    assert http.get(f"/accounts/{address}").json()["balances"][0]["balance"] == "10000.0000000"
    again = http.get("/friendbot", params={"addr": address})
    assert again.json()["extras"]["result_codes"]["operations"] == ["op_already_exists"]


def test_a_thousand_look_ups_take_a_few_seconds(http: httpx.Client, sandbox: SandboxServer, payer: Wallet) -> None:
    entries = sandbox.ledger.include([payer.payment(BOB.address, "0.1", signed=False) for _ in range(1000)])
    begun = datetime.now(UTC)
    assert all(http.get(f"/transactions/{entry.hash}").status_code == 200 for entry in entries)
    assert datetime.now(UTC) - begun < timedelta(seconds=10)
