"""Stellar RPC over HTTP: the same meaning as Horizon's answers, and settling by it while no Horizon can be used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import httpx
import pytest

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.model import Answer, Frozen, Lookup, Watermark
from jobs.horizon.rpc import Rpc
from jobs.horizon.rpc_answers import account_key, read_account
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.horizon.transport import HorizonError
from tests.db.books import (
    add_row,
    assert_books_balance,
    balance_of,
    open_reasons,
    run_job,
    status_of,
    value,
)

PAYER = Wallet.named("payer")
USER = Wallet.named("user")
SPONSOR = Wallet.named("sponsor")
T = TypeVar("T")


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        running.ledger.include([PAYER.payment(PAYER.address, 1)])
        yield running


@pytest.fixture
def at(settings: Settings, server: SandboxServer) -> Settings:
    """No Horizon answers; Stellar RPC does."""
    return settings.model_copy(update={"rpc_url": f"{server.url}/rpc", "horizon_attempts": 1, "horizon_timeout_s": 2.0})


def ask(settings: Settings, db: Database, question: Callable[[Rpc], Awaitable[T]]) -> T:
    async def asking() -> T:
        async with Rpc(settings, db, job="test") as rpc:
            return await question(rpc)

    return asyncio.run(asking())


def look_up(settings: Settings, db: Database, tx_hash: str) -> Lookup:
    return ask(settings, db, lambda rpc: rpc.lookup(tx_hash))


def sponsored(server: SandboxServer) -> tuple[str, str]:
    """Outer and inner hash of a fee-bump in the newest ledger: what the canary is."""
    inner = PAYER.payment(PAYER.address, 1)
    outer = SPONSOR.fee_bump(inner)
    server.ledger.include([outer])
    return outer.hash_hex(), inner.hash_hex()


def test_what_was_included_is_found_with_its_outcome(at: Settings, db: Database, server: SandboxServer) -> None:
    paid, failed = PAYER.payment(USER.address, "10.5"), PAYER.failing_payment(USER.address)
    server.ledger.include([paid, failed])
    for envelope, successful in ((paid, True), (failed, False)):
        lookup = look_up(at, db, envelope.hash_hex().upper())
        assert lookup.answer is Answer.FOUND
        assert lookup.transaction is not None
        assert lookup.transaction.hash_proved
        assert lookup.transaction.successful is successful
        assert lookup.transaction.ledger == server.ledger.latest.sequence
        assert lookup.transaction.closed_at == server.ledger.latest.closed_at


def test_a_fee_bump_is_found_under_both_hashes(at: Settings, db: Database, server: SandboxServer) -> None:
    outer, inner = sponsored(server)
    for asked in (outer, inner):
        lookup = look_up(at, db, asked)
        assert lookup.transaction is not None
        assert (lookup.transaction.canonical, lookup.transaction.outer) == (inner, outer)
        assert lookup.transaction.hash_proved


def test_what_is_not_found_is_absent_and_what_is_no_hash_is_not_asked(at: Settings, db: Database) -> None:
    assert look_up(at, db, "ab" * 32).answer is Answer.ABSENT
    assert look_up(at, db, "no hash").answer is Answer.MALFORMED


def test_the_watermark_says_how_far_it_is_and_since_when_it_remembers(
    at: Settings, db: Database, server: SandboxServer
) -> None:
    server.faults.set("retention", 12)
    mark = ask(at, db, Rpc.watermark)
    newest = server.ledger.latest
    oldest = server.ledger.chain.ledger(newest.sequence - 11)
    assert oldest is not None
    assert mark == Watermark(
        server=f"{server.url} (RPC)",
        ledger=newest.sequence,
        closed_at=newest.closed_at,
        elder_ledger=oldest.sequence,
        elder_closed_at=oldest.closed_at,
        behind=False,
        keeps_all=False,
    )


@pytest.mark.parametrize(("fault", "signal"), [("wrong-network", "network"), ("regress", "regress")])
def test_another_network_and_a_ledger_that_went_back_freeze_it(
    at: Settings, db: Database, server: SandboxServer, fault: str, signal: str
) -> None:
    ask(at, db, Rpc.watermark)
    server.faults.set(fault)
    mark = ask(at, db, Rpc.watermark)
    assert isinstance(mark, Frozen)
    assert mark.signal == signal


@pytest.mark.parametrize("fault", ["core-down", "html", "plain-503", "truncated", "all-404", "reset", "timeout"])
def test_a_server_in_trouble_has_no_watermark_and_proves_nothing(
    at: Settings, db: Database, server: SandboxServer, fault: str
) -> None:
    paid = PAYER.payment(USER.address, "10.5")
    server.ledger.include([paid])
    server.faults.set(fault)
    with pytest.raises(HorizonError, match=r"\(RPC\)"):
        ask(at, db, Rpc.watermark)
    if fault != "core-down":  # of its health only: what it shows it shows
        lookup = look_up(at, db, paid.hash_hex())
        assert lookup.answer not in (Answer.FOUND, Answer.ABSENT, Answer.MALFORMED, Answer.GONE)


def test_a_horizon_at_the_address_of_an_rpc_is_no_rpc(at: Settings, db: Database, server: SandboxServer) -> None:
    lookup = look_up(at.model_copy(update={"rpc_url": server.url}), db, "ab" * 32)
    assert lookup.answer is Answer.UNAVAILABLE


def test_a_member_that_is_behind_the_watermark_says_nothing(at: Settings, db: Database, server: SandboxServer) -> None:
    for _ in range(4):
        server.ledger.close_ledger()

    async def look(rpc: Rpc) -> Answer:
        await rpc.watermark()
        server.faults.set("lag", 3)
        return (await rpc.lookup("ab" * 32)).answer

    assert ask(at, db, look) is Answer.UNAVAILABLE


def test_the_canary_is_a_fee_bump_that_is_found_by_its_inner_hash(
    at: Settings, db: Database, server: SandboxServer
) -> None:
    assert ask(at, db, Rpc.canary) is False  # transactions, and no fee-bump among them
    _, inner = sponsored(server)
    assert ask(at, db, Rpc.canary) is True
    del server.ledger.chain._by_hash[inner]  # a version without that index
    assert ask(at, db, Rpc.canary) is False
    for _ in range(12):
        server.ledger.close_ledger()
    assert ask(at, db, Rpc.canary) is None  # nothing at all is listed


def test_an_accounts_sequence_comes_with_a_ledger_at_or_past_its_last_change(
    at: Settings, db: Database, server: SandboxServer
) -> None:
    envelope = Wallet.named("source").payment(USER.address, 1, sequence=1_000)
    server.ledger.include([envelope])
    closed = server.ledger.latest.sequence
    server.ledger.close_ledger()
    source = Wallet.named("source").address
    assert ask(at, db, lambda rpc: rpc.account_sequence(source)) == (1_000, closed + 1)
    server.faults.set("lag", 2)
    sequence, _ = ask(at, db, lambda rpc: rpc.account_sequence(source))
    assert sequence == 999
    with pytest.raises(HorizonError, match="account"):
        ask(at, db, lambda rpc: rpc.account_sequence(Wallet.named("nobody").address))


def test_an_account_read_ahead_of_the_servers_own_ledgers_is_dated_by_its_last_change(server: SandboxServer) -> None:
    question = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "getLedgerEntries",
        "params": {"keys": [account_key(PAYER.address)]},
    }
    result = httpx.post(f"{server.url}/rpc", json=question).json()["result"]
    ahead = result["latestLedger"] + 2
    result["entries"][0]["lastModifiedLedgerSeq"] = ahead
    assert read_account(result, PAYER.address)[1] == ahead


def test_its_requests_are_counted_by_method_and_spend_a_budget_of_their_own(
    at: Settings, db: Database, server: SandboxServer
) -> None:
    look_up(at.model_copy(update={"rate_limit_per_hour": 3600}), db, "ab" * 32)
    label = f"{server.url} (RPC)"
    assert value(db, "SELECT endpoint FROM ops.horizon_requests WHERE server = :s", s=label) == "getTransaction"
    assert value(db, "SELECT tokens < 100 FROM ops.horizon_servers WHERE server = :s", s=label) is True


@pytest.mark.parametrize("fault", ["plain-503", "wrong-network", "html"])
def test_a_key_in_its_address_never_appears(
    at: Settings, db: Database, server: SandboxServer, user: UUID, fault: str
) -> None:
    keyed = f"{server.url.replace('://', '://ada:hunter2@')}/rpc?key=hunter2"
    add_row(db, user)
    server.faults.set(fault)
    run = run_job(db, at.model_copy(update={"rpc_url": keyed}))
    assert run.state == "failed"
    for table in ("ops.runs", "ops.run_logs", "ops.horizon_servers", "ops.horizon_requests"):
        assert "hunter2" not in str(value(db, f"SELECT string_agg(t::text, ' ') FROM {table} AS t")), table


# Runs --------------------------------------------------------------------------------------------------------


def test_while_no_horizon_can_be_used_it_settles_what_it_shows(
    db: Database, at: Settings, server: SandboxServer, user: UUID
) -> None:
    paid, failed = PAYER.payment(USER.address, "10.5"), PAYER.failing_payment(USER.address)
    server.ledger.include([paid, failed])
    deposit = add_row(db, user, tx_hash=paid.hash_hex())
    withdrawal = add_row(db, user, type="WITHDRAW", amount=Decimal(4), tx_hash=failed.hash_hex())
    run = run_job(db, at)
    assert run.state == "succeeded", run.error
    assert (status_of(db, deposit), status_of(db, withdrawal)) == ("SUCCESS", "FAILED")
    assert balance_of(db, user) == Decimal("14.5")
    assert value(db, "SELECT DISTINCT proof->>'server' FROM ops.decisions") == f"{server.url} (RPC)"
    assert_books_balance(db)


def test_as_long_as_a_horizon_can_be_used_it_is_not_asked(
    db: Database, at: Settings, server: SandboxServer, user: UUID
) -> None:
    row = add_row(db, user)
    with SandboxServer(server.ledger) as horizon:
        horizon.faults.set("lag", 4)  # behind, but of use
        run_job(db, at.model_copy(update={"horizon_urls": (horizon.url,)}))
    assert status_of(db, row) == "PENDING"
    assert value(db, "SELECT count(*) FROM ops.horizon_requests WHERE server LIKE '%RPC%'") == 0


def test_a_run_whose_horizon_dies_goes_on_with_it(
    db: Database, at: Settings, server: SandboxServer, user: UUID
) -> None:
    paid = PAYER.payment(USER.address, "10.5")
    server.ledger.include([paid])
    row = add_row(db, user, tx_hash=paid.hash_hex())
    with SandboxServer(server.ledger) as horizon:
        horizon.faults.set("plain-503", path="/transactions")
        run = run_job(db, at.model_copy(update={"horizon_urls": (horizon.url,)}))
    assert (run.counters["servers_changed"], status_of(db, row)) == (1, "SUCCESS")


@pytest.mark.parametrize(("canary", "status"), [(True, "FAILED"), (False, "PENDING")])
def test_never_is_proved_only_where_a_wrapped_transaction_would_be_found(
    db: Database, at: Settings, server: SandboxServer, user: UUID, canary: bool, status: str
) -> None:
    gone = PAYER.payment(USER.address, "10.5", max_time=int(time.time()) - 60)
    row = add_row(db, user, type="WITHDRAW", age=timedelta(0), tx_hash=gone.hash_hex(), envelope_xdr=gone.to_xdr())
    if canary:
        sponsored(server)
    server.ledger.close_ledger()
    run_job(db, at)
    assert status_of(db, row) == status
    assert open_reasons(db, row) == []
    assert_books_balance(db)


def test_a_spent_sequence_number_is_never_too(db: Database, at: Settings, server: SandboxServer, user: UUID) -> None:
    source = Wallet.named("source")
    rival = source.payment(USER.address, 2, sequence=1_000)
    row = add_row(db, user, type="WITHDRAW", age=timedelta(0), tx_hash=rival.hash_hex(), envelope_xdr=rival.to_xdr())
    server.ledger.include([source.payment(USER.address, 1, sequence=1_000)])
    sponsored(server)
    run_job(db, at)
    assert status_of(db, row) == "FAILED"
    proof = value(db, "SELECT proof::text FROM ops.decisions WHERE transaction_id = :row", row=row)
    assert f"getTransaction {rival.hash_hex()} → absent" in str(proof)


def test_what_is_older_than_it_remembers_waits_for_a_horizon_and_is_nobodys_case(
    db: Database, at: Settings, server: SandboxServer, user: UUID
) -> None:
    sponsored(server)
    server.faults.set("retention", 12)
    row = add_row(db, user, age=timedelta(hours=30))
    run_job(db, at)
    assert (status_of(db, row), open_reasons(db, row)) == ("PENDING", [])
    assert value(db, "SELECT outcome FROM ops.checks") == "beyond_memory"


def test_on_another_network_it_settles_nothing(db: Database, at: Settings, server: SandboxServer, user: UUID) -> None:
    paid = PAYER.payment(USER.address, "10.5")
    server.ledger.include([paid])
    row = add_row(db, user, tx_hash=paid.hash_hex())
    server.faults.set("wrong-network")
    run = run_job(db, at)
    assert (run.state, status_of(db, row)) == ("failed", "PENDING")
    assert "Another Network" in str(run.error)


# The sandbox -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"method": "getTransaction", "params": {"hash": "abc"}}, -32602),
        ({"method": "getTransactions", "params": {"startLedger": 1}}, -32602),
        ({"method": "getLedgerEntries", "params": {"keys": ["AAAA"]}}, -32602),
        ({"method": "getNetwork", "params": [1]}, -32602),
        ({"method": "sendTransaction"}, -32601),
        ({"method": "getHealth", "jsonrpc": "1.0"}, -32600),
    ],
)
def test_the_sandbox_refuses_as_json_rpc_does(server: SandboxServer, question: dict[str, object], code: int) -> None:
    answer = httpx.post(f"{server.url}/rpc", json={"jsonrpc": "2.0", "id": 7, **question}).json()
    assert answer["error"]["code"] == code


def test_the_sandbox_names_its_newest_ledger(server: SandboxServer) -> None:
    answer = httpx.post(f"{server.url}/rpc", json={"jsonrpc": "2.0", "id": 7, "method": "getLatestLedger"}).json()
    newest = server.ledger.latest
    assert answer["id"] == 7
    assert answer["result"]["sequence"] == newest.sequence
    assert answer["result"]["closeTime"] == str(int(newest.closed_at.timestamp()))
