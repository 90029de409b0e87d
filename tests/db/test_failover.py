"""Several Horizon servers: the healthiest one answers, a failing one is left, and comes back when it has recovered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.breaker import Breaker, failed
from jobs.horizon.breakers import change, claim_try
from jobs.horizon.client import Horizon
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.run.store import RunRow
from tests.db.books import (
    add_row,
    add_user,
    assert_books_balance,
    balance_of,
    dying_after_the_first,
    run_job,
    status_of,
    value,
)

PAYER = Wallet.named("payer")
USER = Wallet.named("user")


@pytest.fixture
def first() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        server.ledger.include([PAYER.payment(PAYER.address, 1)])
        yield server


@pytest.fixture
def second(first: SandboxServer) -> Iterator[SandboxServer]:
    """Another server of the same network."""
    with SandboxServer(first.ledger) as server:
        yield server


@pytest.fixture
def both(settings: Settings, first: SandboxServer, second: SandboxServer) -> Settings:
    return settings.model_copy(
        update={"horizon_urls": (first.url, second.url), "horizon_attempts": 1, "horizon_timeout_s": 2.0}
    )


def paid(db: Database, server: SandboxServer, user: UUID) -> UUID:
    """A deposit that the network shows as paid."""
    envelope = PAYER.payment(USER.address, "10.5")
    server.ledger.include([envelope])
    return add_row(db, user, tx_hash=envelope.hash_hex())


def asked(db: Database, server: SandboxServer) -> int:
    """Look-ups by hash that were sent to a server."""
    found = value(
        db,
        "SELECT coalesce(sum(count), 0)::int FROM ops.horizon_requests WHERE server = :s AND endpoint = 'transaction'",
        s=server.url,
    )
    return found if isinstance(found, int) else 0


def judged_by(db: Database, row: UUID) -> object:
    return value(db, "SELECT proof->>'server' FROM ops.decisions WHERE transaction_id = :row", row=row)


def left(db: Database, server: SandboxServer) -> object:
    return value(db, "SELECT left_reason FROM ops.horizon_servers WHERE server = :s", s=server.url)


def wait_out_the_pause(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.horizon_servers SET retry_at = clock_timestamp() WHERE left_at IS NOT NULL"))


def settled(db: Database, settings: Settings, *rows: UUID) -> RunRow:
    run = run_job(db, settings)
    assert run.state == "succeeded", run.error
    assert {status_of(db, row) for row in rows} == {"SUCCESS"}
    return run


def test_of_servers_that_do_well_the_first_one_is_asked(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    row = paid(db, first, user)
    run = settled(db, both, row)
    assert (asked(db, first), asked(db, second)) == (1, 0)
    assert "servers_changed" not in run.counters


@pytest.mark.parametrize("fault", ["wrong-network", "regress", "lag", "plain-503", "reset", "html"])
def test_a_server_that_is_frozen_behind_or_away_is_passed_over(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID, fault: str
) -> None:
    for _ in range(12):
        first.ledger.close_ledger()
    settled(db, both, paid(db, first, user))  # learns how far the ledger is
    row = paid(db, first, user)
    first.faults.set(fault)
    before = asked(db, first)
    settled(db, both, row)
    assert judged_by(db, row) == second.url
    assert asked(db, first) == before


def test_when_every_server_is_behind_the_one_that_has_come_furthest_is_asked(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    row = paid(db, first, user)
    for _ in range(12):
        first.ledger.close_ledger()
    first.faults.set("lag", 12)
    second.faults.set("lag", 4)
    settled(db, both, row)
    assert judged_by(db, row) == second.url


def test_the_newest_samples_say_whom_to_ask_first(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    first.faults.set("hang", 60)
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.horizon_samples (server, verdict, error) VALUES (:server, 'critical', 'no answer')"),
            {"server": first.url},
        )
    started = time.monotonic()
    settled(db, both, paid(db, first, user))
    assert time.monotonic() - started < both.horizon_timeout_s


def test_a_server_that_dies_in_the_middle_is_left_and_the_run_goes_on_with_the_next(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    receivers = [Wallet.named(f"receiver {number}").address for number in range(30)]
    envelopes = [PAYER.payment(receiver, "10.5", signed=False) for receiver in receivers]  # no page shows two of them
    rows = [
        add_row(db, user, tx_hash=envelope.hash_hex(), destination=receiver)
        for envelope, receiver in zip(envelopes, receivers, strict=True)
    ]
    first.ledger.include(envelopes)
    with dying_after_the_first(db, first):
        run = settled(db, both.model_copy(update={"batch_size": 5, "horizon_parallel": 2}), *rows)
    assert run.counters["servers_changed"] == 1
    assert run.counters["seen"] == run.counters["settled"] == 30
    assert run.counters["requests"] == value(db, "SELECT sum(count) FROM ops.horizon_requests")
    assert {judged_by(db, row) for row in rows} == {first.url, second.url}
    assert value(db, "SELECT count(*) FROM transactions WHERE processing_locked_by IS NOT NULL") == 0
    assert balance_of(db, user) == Decimal(315)
    assert left(db, first) is not None
    assert_books_balance(db)


def test_a_short_batch_does_not_hide_a_dead_server(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    rows = [paid(db, first, user) for _ in range(3)]
    first.faults.set("plain-503", path="/transactions")
    settled(db, both, *rows)
    assert left(db, first) == "None of 3 requests had a usable answer."


def test_a_server_that_hangs_until_the_time_is_up_is_passed_over_by_the_next_run(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    receivers = [Wallet.named(f"receiver {number}").address for number in range(15)]  # no page shows two of them
    envelopes = [PAYER.payment(receiver, "10.5") for receiver in receivers]
    rows = [
        add_row(db, user, tx_hash=envelope.hash_hex(), destination=receiver)
        for envelope, receiver in zip(envelopes, receivers, strict=True)
    ]
    first.ledger.include(envelopes)
    first.faults.set("hang", 60, path="/transactions")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET timeout_s = 1 WHERE name = 'reconcile-pending'"))
    slow = both.model_copy(update={"horizon_timeout_s": 0.3, "horizon_parallel": 2})
    run = run_job(db, slow)
    assert (run.state, {status_of(db, row) for row in rows}) == ("timed_out", {"PENDING"})
    assert "without an answer" in str(left(db, first))
    settled(db, both, *rows)
    assert {judged_by(db, row) for row in rows} == {second.url}


def test_one_question_that_a_server_cannot_answer_is_no_reason_to_leave_it(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    envelope = PAYER.payment(USER.address, "10.5")
    add_row(db, user, tx_hash=envelope.hash_hex(), age=timedelta(0))  # asked last
    first.faults.set("timeout", path=f"/transactions/{envelope.hash_hex()}")
    for _ in range(3):
        row = paid(db, first, user)
        run_job(db, both.model_copy(update={"horizon_attempts": 2, "horizon_parallel": 1}))
        assert judged_by(db, row) == first.url
    assert left(db, first) is None


def test_wallets_are_asked_of_the_next_server_once_one_has_answered_for_none(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer
) -> None:
    for number in range(25):  # more than silence is borne for
        wallet = Wallet.named(f"wallet {number}").address
        first.ledger.fund(wallet, 1)
        add_user(db, wallet)
    first.faults.set("plain-503", path="/accounts")
    assert run_job(db, both, "sync-wallets").state == "failed"
    assert left(db, first) is not None
    run = run_job(db, both, "sync-wallets")
    assert (run.state, run.counters["wallets"]) == ("succeeded", 25)


def test_each_batch_is_judged_on_the_answers_of_one_server(
    db: Database,
    both: Settings,
    first: SandboxServer,
    second: SandboxServer,
    user: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = PAYER.payment(USER.address, "10.5", max_time=int(time.time()) - 60)
    late = add_row(db, user, type="WITHDRAW", age=timedelta(0), tx_hash=gone.hash_hex(), envelope_xdr=gone.to_xdr())
    row = paid(db, first, user)
    first.ledger.close_ledger()
    canary = Horizon.canary

    async def the_last_answer(horizon: Horizon) -> bool | None:
        found = await canary(horizon)
        if horizon.server == first.url:
            first.faults.set("plain-503")
        return found

    monkeypatch.setattr(Horizon, "canary", the_last_answer)
    run = run_job(db, both)
    assert run.counters["servers_changed"] == 1
    assert (status_of(db, late), status_of(db, row)) == ("FAILED", "SUCCESS")
    assert (judged_by(db, late), judged_by(db, row)) == (second.url, second.url)
    assert asked(db, first) > 2  # it had shown the payment, and the absence once
    assert_books_balance(db)


def test_a_server_that_was_left_is_spared_and_comes_back_when_it_has_recovered(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    first.faults.set("plain-503")
    for _ in range(3):
        settled(db, both, paid(db, first, user))
    assert left(db, first) is not None
    requests = value(db, "SELECT sum(count) FROM ops.horizon_requests WHERE server = :s", s=first.url)
    settled(db, both, paid(db, first, user))
    assert value(db, "SELECT sum(count) FROM ops.horizon_requests WHERE server = :s", s=first.url) == requests

    wait_out_the_pause(db)
    settled(db, both, paid(db, first, user))  # the try fails: the next pause is longer
    pause = value(db, "SELECT retry_at - clock_timestamp() FROM ops.horizon_servers WHERE server = :s", s=first.url)
    assert isinstance(pause, timedelta)
    assert timedelta(seconds=55) < pause <= timedelta(seconds=60)

    first.faults.clear()
    wait_out_the_pause(db)
    row = paid(db, first, user)
    settled(db, both, row)
    assert judged_by(db, row) == first.url
    assert left(db, first) is None


def test_when_all_were_left_the_one_due_first_is_asked_all_the_same(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    for server in (second, first):
        change(db, server.url, lambda breaker, now: failed(breaker, now, "It does not answer.", 3))
    row = paid(db, first, user)
    settled(db, both, row)
    assert judged_by(db, row) == second.url
    assert left(db, second) is None


def test_when_no_server_can_be_used_the_run_says_what_a_person_can_do_most_about(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    row = paid(db, first, user)
    first.faults.set("plain-503")
    second.faults.set("wrong-network")
    run = run_job(db, both)
    assert (run.state, status_of(db, row)) == ("failed", "PENDING")
    assert "Another Network" in str(run.error)
    assert run.counters["requests"] > 0


def test_one_try_at_a_time_whoever_asks(db: Database, both: Settings, first: SandboxServer) -> None:
    change(db, first.url, lambda breaker, now: failed(breaker, now, "It does not answer.", 3))
    assert not claim_try(db, first.url)
    wait_out_the_pause(db)
    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(lambda _: claim_try(db, first.url), range(6))) == [False] * 5 + [True]


def test_failures_that_several_workers_report_at_once_are_all_counted(db: Database, first: SandboxServer) -> None:
    def slowly(breaker: Breaker, now: datetime) -> Breaker:
        time.sleep(0.1)  # the other worker's report arrives meanwhile
        return failed(breaker, now, "It does not answer.")

    change(db, first.url, lambda breaker, _: breaker)  # a server that is known: its row is there to be locked
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: change(db, first.url, slowly), range(2)))
    assert value(db, "SELECT failures FROM ops.horizon_servers") == 2


def test_a_key_in_an_address_never_appears(
    db: Database, both: Settings, first: SandboxServer, second: SandboxServer, user: UUID
) -> None:
    first.faults.set("plain-503")
    second.faults.set("wrong-network")
    keyed = tuple(f"{server.url.replace('://', '://ada:hunter2@')}/hunter2?key=hunter2" for server in (first, second))
    paid(db, first, user)
    run = run_job(db, both.model_copy(update={"horizon_urls": keyed}))
    assert run.state == "failed"
    for table in ("ops.runs", "ops.run_logs", "ops.horizon_servers", "ops.horizon_requests", "ops.checks"):
        assert "hunter2" not in str(value(db, f"SELECT string_agg(t::text, ' ') FROM {table} AS t")), table
