from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.horizon.client import Horizon
from jobs.horizon.model import Answer, Frozen, Lookup, Watermark
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet, muxed
from jobs.horizon.servers import label_of, servers
from jobs.horizon.transport import HorizonError

PAYEE = Wallet.named("payee").address


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def sandbox(server: SandboxServer) -> SandboxServer:
    """One server for all tests here, without the last one's faults."""
    server.faults.clear()
    server.ledger.close_ledger()
    return server


@pytest.fixture
def at(settings: Settings, sandbox: SandboxServer) -> Settings:
    return settings.model_copy(update={"horizon_urls": (sandbox.url,), "horizon_timeout_s": 1.0})


def payer(sandbox: SandboxServer) -> Wallet:
    """The wallet that pays in these tests, at its account's sequence number."""
    wallet = Wallet.named("payer")
    account = sandbox.ledger.account(wallet.address)
    wallet.sequence = account.sequence if account else 0
    return wallet


def pay(sandbox: SandboxServer, count: int = 1) -> list[str]:
    """Includes payments of 1 XLM in one ledger; their hashes."""
    wallet = payer(sandbox)
    return [found.hash for found in sandbox.ledger.include([wallet.payment(PAYEE, 1) for _ in range(count)])]


def look_up(settings: Settings, db: Database, tx_hash: str) -> Lookup:
    async def ask() -> Lookup:
        async with Horizon(settings, db, job="test") as horizon:
            return await horizon.lookup(tx_hash)

    return asyncio.run(ask())


def sent(db: Database) -> dict[tuple[str, str], int]:
    """Requests by endpoint and outcome."""
    with db.read() as conn:
        rows = conn.execute(text("SELECT endpoint, outcome, sum(count) FROM ops.horizon_requests GROUP BY 1, 2"))
        return {(endpoint, outcome): int(number) for endpoint, outcome, number in rows}


def test_a_payment_is_found_and_decoded_with_one_request(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    (tx_hash,) = pay(sandbox)
    found = look_up(at, db, tx_hash.upper())
    assert (found.answer, found.status, found.server) == (Answer.FOUND, 200, label_of(sandbox.url))
    assert found.transaction is not None
    assert found.transaction.hash_proved
    assert found.transaction.operations[0].received == 10_000_000
    assert sent(db) == {("transaction", "ok"): 1}


def test_a_failed_payment_is_found_with_its_codes(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    (included,) = sandbox.ledger.include([payer(sandbox).failing_payment(PAYEE)])
    found = look_up(at, db, included.hash).transaction
    assert found is not None
    assert (found.successful, found.result_code) == (False, "tx_failed")
    assert found.operation_codes == ("op_underfunded",)


def test_a_fee_bump_is_found_under_both_hashes(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    inner = payer(sandbox).payment(muxed(PAYEE, 0), 2)
    outer = Wallet.named("sponsor").fee_bump(inner)
    sandbox.ledger.include([outer])
    for asked in (inner.hash_hex(), outer.hash_hex()):
        found = look_up(at, db, asked).transaction
        assert found is not None
        assert (found.asked, found.canonical, found.outer) == (asked, inner.hash_hex(), outer.hash_hex())
        assert found.hash_proved
        assert found.operations[0].destination is not None
        assert found.operations[0].destination.muxed_id == 0


def test_an_unknown_hash_is_absent_and_is_not_asked_for_again(at: Settings, db: Database) -> None:
    assert look_up(at, db, "ab" * 32).answer is Answer.ABSENT
    assert sent(db) == {("transaction", "absent"): 1}


def test_what_is_no_hash_is_malformed_without_a_request(at: Settings, db: Database) -> None:
    for no_hash in ("", "xyz", "../accounts", "ab" * 31 + "zz", "ab" * 33, "ａｂ" * 32):
        assert look_up(at, db, no_hash).answer is Answer.MALFORMED
    assert sent(db) == {}


@pytest.mark.parametrize(
    ("fault", "answer", "tries"),
    [
        ("still-ingesting", Answer.UNAVAILABLE, 3),
        ("stale-history", Answer.UNAVAILABLE, 3),
        ("plain-503", Answer.UNAVAILABLE, 3),
        ("timeout", Answer.UNAVAILABLE, 3),
        ("reset", Answer.REFUSED, 3),
        ("truncated", Answer.GARBLED, 1),
        ("html", Answer.GARBLED, 1),
    ],
)
def test_what_is_transient_is_tried_again_and_never_becomes_a_found_transaction(
    at: Settings, db: Database, sandbox: SandboxServer, fault: str, answer: Answer, tries: int
) -> None:
    (tx_hash,) = pay(sandbox)
    sandbox.faults.set(fault)
    found = look_up(at, db, tx_hash)
    assert (found.answer, found.transaction) == (answer, None)
    assert found.detail.startswith(found.server)
    assert sent(db) == {("transaction", answer.value): tries}


def test_a_server_that_recovers_within_the_attempts_is_found(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    (tx_hash,) = pay(sandbox)
    sandbox.faults.set("service-unavailable", times=2)
    assert look_up(at, db, tx_hash).answer is Answer.FOUND
    assert sent(db) == {("transaction", "unavailable"): 2, ("transaction", "ok"): 1}


def test_a_server_that_hangs_is_a_time_out(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    sandbox.faults.set("hang")
    started = time.monotonic()
    found = look_up(at.model_copy(update={"horizon_timeout_s": 0.2, "horizon_attempts": 2}), db, "ab" * 32)
    assert found.answer is Answer.TIMEOUT
    assert time.monotonic() - started < 3
    assert sent(db) == {("transaction", "timeout"): 2}


def test_a_server_that_is_not_there_is_refused_and_its_key_is_told_nobody(settings: Settings, db: Database) -> None:
    hidden = settings.model_copy(update={"horizon_urls": ("http://me:hunter2@127.0.0.1:9/path-key/?key=hunter3",)})
    found = look_up(hidden, db, "ab" * 32)
    assert found.answer is Answer.REFUSED
    assert found.detail == "http://127.0.0.1:9 cannot be reached: the connection was refused."
    assert "hunter" not in repr(found)
    assert servers(hidden) == ("http://127.0.0.1:9",)


def test_retry_after_is_obeyed_and_recorded_for_all_workers(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    sandbox.faults.set("rate-limit", "3600,1")  # two at once, then one a second
    (tx_hash,) = pay(sandbox)

    async def ask() -> list[Lookup]:
        patient = at.model_copy(update={"horizon_timeout_s": 5.0})
        async with Horizon(patient, db, job="test") as horizon:
            return [answer async for answer in horizon.lookup_many([tx_hash] * 5)]

    started = time.monotonic()
    answers = asyncio.run(ask())
    assert {answer.answer for answer in answers} == {Answer.FOUND}
    assert time.monotonic() - started > 2
    with db.read() as conn:
        blocked = conn.execute(text("SELECT blocked_until FROM ops.horizon_servers")).scalar()
    assert blocked is not None
    assert sent(db)["transaction", "rate_limited"] >= 1


def test_a_pause_longer_than_the_patience_leaves_the_rest_rate_limited_without_requests(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    sandbox.faults.set("rate-limit", "60,1")  # one a minute

    async def ask() -> list[Lookup]:
        async with Horizon(at, db, job="test") as horizon:
            return [answer async for answer in horizon.lookup_many(["ab" * 32] * 200)]

    answers = asyncio.run(ask())
    assert len(answers) == 200
    assert {answer.answer for answer in answers} == {Answer.ABSENT, Answer.RATE_LIMITED}
    assert sum(sent(db).values()) < 30


def test_many_look_ups_come_back_each_once_whatever_happens_to_single_ones(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    hashes = [*pay(sandbox, 40), "no hash", "cd" * 32]
    sandbox.faults.set("error-rate", 20)

    async def ask() -> list[Lookup]:
        patient = at.model_copy(update={"horizon_attempts": 6})
        async with Horizon(patient, db, job="test") as horizon:
            return [answer async for answer in horizon.lookup_many(hashes)]

    answers = asyncio.run(ask())
    assert sorted(answer.asked for answer in answers) == sorted(hashes)
    assert sum(answer.answer is Answer.FOUND for answer in answers) >= 38


def test_stopping_early_leaves_no_look_up_running(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    hashes = pay(sandbox, 60)

    async def ask() -> int:
        async with Horizon(at, db, job="test") as horizon:
            async with aclosing(horizon.lookup_many(hashes, 2)) as answers:
                async for _ in answers:
                    break
            return len([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])

    assert asyncio.run(ask()) == 0
    assert sum(sent(db).values()) < 30


def test_root_health_and_fees_are_read(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    async def ask() -> None:
        async with Horizon(at, db, job="test") as horizon:
            root = await horizon.root()
            assert root.latest_ledger == sandbox.ledger.latest.sequence
            assert root.network_passphrase == at.passphrase
            assert root.server_time is not None
            assert (await horizon.health()).well
            assert (await horizon.fee_stats()).base_fee == 100

    asyncio.run(ask())
    assert sent(db) == {("root", "ok"): 1, ("health", "ok"): 1, ("fee_stats", "ok"): 1}


def test_health_is_read_from_a_503_and_is_not_tried_again(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    sandbox.faults.set("core-down")

    async def ask() -> bool:
        async with Horizon(at, db, job="test") as horizon:
            return (await horizon.health()).core_synced

    assert asyncio.run(ask()) is False
    assert sum(sent(db).values()) == 1


def test_a_plain_503_of_health_is_no_health(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    sandbox.faults.set("service-unavailable")

    async def ask() -> None:
        async with Horizon(at, db, job="test") as horizon:
            await horizon.health()

    with pytest.raises(HorizonError) as failed:
        asyncio.run(ask())
    assert failed.value.answer is Answer.UNAVAILABLE


def watermarks(settings: Settings, db: Database) -> Watermark | Frozen:
    async def ask() -> Watermark | Frozen:
        async with Horizon(settings, db, job="test") as horizon:
            return await horizon.watermark()

    return asyncio.run(ask())


def frozen_row(db: Database) -> tuple[object, object, object]:
    with db.read() as conn:
        row = conn.execute(
            text("SELECT highest_ledger, frozen_at IS NOT NULL, frozen_reason FROM ops.horizon_servers")
        ).one()
    return tuple(row)


def test_a_watermark_says_how_far_the_server_is_and_how_far_back_it_remembers(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    sandbox.ledger.close_ledger()
    mark = watermarks(at, db)
    assert isinstance(mark, Watermark)
    assert mark.ledger == sandbox.ledger.latest.sequence
    assert mark.elder_ledger == sandbox.ledger.chain.elder
    assert mark.elder_closed_at is not None
    assert mark.elder_closed_at <= mark.closed_at
    assert not mark.behind


@pytest.mark.parametrize(("lag", "behind"), [(2, False), (3, True)])
def test_a_lag_at_warn_is_behind(at: Settings, db: Database, sandbox: SandboxServer, lag: int, behind: bool) -> None:
    for _ in range(5):
        sandbox.ledger.close_ledger()
    sandbox.faults.set("lag", lag)
    mark = watermarks(at, db)
    assert isinstance(mark, Watermark)
    assert mark.behind is behind


def test_another_network_freezes_and_does_not_raise_the_highest_ledger(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    sandbox.faults.set("wrong-network")
    mark = watermarks(at, db)
    assert isinstance(mark, Frozen)
    assert mark.signal == "network"
    assert frozen_row(db) == (None, True, mark.reason)
    sandbox.faults.clear()
    assert isinstance(watermarks(at, db), Watermark)
    assert frozen_row(db) == (sandbox.ledger.latest.sequence, False, None)


def test_a_ledger_that_went_backwards_freezes_until_it_is_past_the_highest_again(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    highest = sandbox.ledger.close_ledger().sequence
    assert isinstance(watermarks(at, db), Watermark)
    sandbox.faults.set("regress", 1)
    mark = watermarks(at, db)
    assert isinstance(mark, Frozen)
    assert mark.signal == "regress"
    assert frozen_row(db) == (highest, True, mark.reason)
    sandbox.faults.clear()
    assert isinstance(watermarks(at, db), Watermark)
    assert frozen_row(db) == (highest, False, None)


def test_two_answers_that_cross_are_no_regress(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    """A worker whose older answer is noted after another's newer one must not freeze the server."""

    async def ask() -> list[Frozen | None]:
        async with Horizon(at, db, job="one") as slow, Horizon(at, db, job="two") as quick:
            sandbox.faults.set("latency", 400, times=1)
            waiting = asyncio.create_task(slow.root())
            await asyncio.sleep(0.1)
            with db.begin() as conn:
                conn.execute(text("INSERT INTO ops.horizon_servers (server, highest_ledger) VALUES (:s, 999999999)"),
                             {"s": slow.server})  # fmt: skip
            await waiting
            await quick.root()
            return [slow.frozen, quick.frozen]

    crossed, later = asyncio.run(ask())
    assert crossed is None
    assert later is not None


def test_the_canary_tells_a_wrong_base_address(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    async def ask() -> bool | None:
        async with Horizon(at, db, job="test") as horizon:
            return await horizon.canary()

    pay(sandbox)
    assert asyncio.run(ask()) is True
    sandbox.faults.set("all-404")
    assert asyncio.run(ask()) is False


def listed(settings: Settings, db: Database, account: str | None, limit: int) -> list[tuple[int, Lookup]]:
    """Everything on the pages, each with its token and as it is found under each of its hashes."""

    async def ask() -> list[tuple[int, Lookup]]:
        found: list[tuple[int, Lookup]] = []
        async with Horizon(settings, db, job="test") as horizon:
            page = await horizon.page(account, limit=limit)
            while True:
                found += [(it.token, horizon.found(hash_, it)) for it in page.entries for hash_ in it.hashes]
                if not page.full:
                    return found
                page = await horizon.page(account, cursor=page.entries[-1].token, limit=limit)

    return asyncio.run(ask())


def test_pages_give_every_transaction_once_failed_ones_included(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    hashes = pay(sandbox, 5)
    failing = Wallet.named("another").failing_payment(PAYEE)
    sandbox.ledger.include([failing])
    whole = listed(at, db, None, 2)
    assert {lookup.asked for _, lookup in whole} >= {*hashes, failing.hash_hex()}
    once = {lookup.transaction.canonical for _, lookup in whole if lookup.transaction}
    assert len({token for token, _ in whole}) == len(once)
    mine = listed(at, db, Wallet.named("payer").address, 2)
    assert [lookup.asked for _, lookup in mine][-5:] == hashes
    assert all(lookup.transaction and lookup.transaction.hash_proved for _, lookup in whole)


def test_a_page_knows_a_fee_bump_under_both_of_its_hashes(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    inner = Wallet.named("bumped").payment(PAYEE, 1)
    outer = Wallet.named("sponsor").fee_bump(inner)
    sandbox.ledger.include([outer])
    found = {lookup.asked: lookup.transaction for _, lookup in listed(at, db, Wallet.named("sponsor").address, 200)}
    for asked in (inner.hash_hex(), outer.hash_hex()):
        transaction = found[asked]
        assert transaction is not None
        assert (transaction.canonical, transaction.outer) == (inner.hash_hex(), outer.hash_hex())
        assert transaction.hash_proved


def test_a_malformed_account_is_refused_before_it_becomes_a_path(at: Settings, db: Database) -> None:
    with pytest.raises(UsageError):
        listed(at, db, "../transactions", 2)


def test_an_accounts_sequence_comes_with_a_ledger_at_or_past_it(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    pay(sandbox, 2)

    async def ask() -> tuple[int, int]:
        async with Horizon(at, db, job="test") as horizon:
            return await horizon.account_sequence(Wallet.named("payer").address)

    sequence, ledger = asyncio.run(ask())
    account = sandbox.ledger.account(Wallet.named("payer").address)
    assert account is not None
    assert (sequence, ledger) == (account.sequence, sandbox.ledger.latest.sequence)


def test_requests_are_counted_with_their_latency_by_job(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    hashes = pay(sandbox, 30)

    async def ask(job: str) -> None:
        async with Horizon(at, db, job=job) as horizon:
            async for _ in horizon.lookup_many(hashes):
                pass

    asyncio.run(ask("one"))
    asyncio.run(ask("two"))
    asyncio.run(ask("two"))
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT job, sum(count)::int AS n, sum((SELECT sum(b) FROM unnest(buckets) b))::int AS in_buckets, "
                "min(total_ms) AS least FROM ops.horizon_requests GROUP BY job ORDER BY job"
            )
        ).all()
    assert [(row.job, row.n, row.in_buckets) for row in rows] == [("one", 30, 30), ("two", 60, 60)]
    assert all(row.least > 0 for row in rows)
