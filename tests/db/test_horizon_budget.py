from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import event, text

from jobs.core.db import Database
from jobs.horizon.budget import RESERVE, Budget, BudgetSpent
from jobs.horizon.quota import Told, block_of, burst_of

SERVER = "https://horizon.example"


async def spend(budget: Budget, patience_s: float = 0.0, told: Told | None = None) -> int:
    """Takes until nothing is left for now, or a second has passed; how many requests that gave."""
    taken, until = 0, time.monotonic() + 1
    while time.monotonic() < until:
        try:
            await budget.take(patience_s)
        except BudgetSpent:
            return taken
        budget.done(told)
        taken += 1
    return taken


def row(db: Database) -> tuple[float, int | None, int | None]:
    with db.read() as conn:
        found = conn.execute(text("SELECT tokens, limit_per_hour, remaining FROM ops.horizon_servers")).one()
        return found.tokens, found.limit_per_hour, found.remaining


def statements(db: Database) -> list[str]:
    """Collects the statements that are executed from now on."""
    seen: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


def test_without_a_limit_the_database_is_never_asked(db: Database) -> None:
    seen = statements(db)

    async def run() -> None:
        budget = Budget(db, SERVER, 0)
        for _ in range(1000):
            await budget.take(0)
            budget.done(None)
        await budget.close()

    asyncio.run(run())
    assert seen == []


def test_the_burst_less_the_reserve_goes_at_once_and_then_nothing(db: Database) -> None:
    async def run() -> int:
        return await spend(Budget(db, SERVER, 3600))

    assert asyncio.run(run()) == burst_of(3600) - RESERVE


def test_the_reserve_is_the_probes(db: Database) -> None:
    async def run() -> tuple[int, int]:
        ordinary = await spend(Budget(db, SERVER, 3600))
        return ordinary, await spend(Budget(db, SERVER, 3600, urgent=True))

    assert asyncio.run(run()) == (burst_of(3600) - RESERVE, RESERVE)


def test_many_workers_together_never_spend_more_than_the_bucket_held_and_gained(db: Database) -> None:
    per_hour = 36_000  # ten a second
    started = time.monotonic()

    async def run() -> list[int]:
        return await asyncio.gather(*(spend(Budget(db, SERVER, per_hour), 0.3) for _ in range(8)))

    taken = sum(asyncio.run(run()))
    gained = (time.monotonic() - started) * per_hour / 3600
    assert burst_of(per_hour) - RESERVE <= taken <= burst_of(per_hour) + gained


def test_blocks_keep_statements_far_below_requests(db: Database) -> None:
    per_hour = 3_600_000
    seen = statements(db)

    async def run() -> None:
        budget = Budget(db, SERVER, per_hour)
        for _ in range(900):
            await budget.take(1)
            budget.done(None)

    asyncio.run(run())
    assert sum("FOR UPDATE" in statement for statement in seen) <= 900 / block_of(per_hour) + 2


def test_what_was_not_spent_is_given_back(db: Database) -> None:
    async def run() -> None:
        budget = Budget(db, SERVER, 3600)
        await budget.take(0)
        budget.done(None)
        await budget.close()

    asyncio.run(run())
    assert burst_of(3600) - 1 <= row(db)[0] < burst_of(3600)


def test_a_wait_that_fits_the_patience_is_waited_for(db: Database) -> None:
    async def run() -> float:
        budget = Budget(db, SERVER, 36_000)
        await spend(budget)
        started = time.monotonic()
        await budget.take(2)
        return time.monotonic() - started

    assert 0.03 < asyncio.run(run()) < 1.5


def test_a_wait_that_does_not_fit_is_told_at_once(db: Database) -> None:
    async def run() -> float:
        budget = Budget(db, SERVER, 60)  # one a minute
        await spend(budget)
        started = time.monotonic()
        for _ in range(200):
            with pytest.raises(BudgetSpent) as spent:
                await budget.take(5)
        assert spent.value.wait_s > 5
        return time.monotonic() - started

    assert asyncio.run(run()) < 1


def test_the_servers_remaining_is_never_passed(db: Database) -> None:
    async def run() -> int:
        budget = Budget(db, SERVER, 3600)
        await budget.take(0)
        budget.done(Told(limit=101, remaining=7, reset_s=94))
        taken = 0
        for _ in range(20):  # the answers that would say more do not come
            try:
                await budget.take(0.02)
            except BudgetSpent:
                break
            taken += 1
        return taken

    assert asyncio.run(run()) == 7


def test_the_servers_remaining_binds_without_a_limit_of_our_own(db: Database) -> None:
    async def run() -> int:
        budget = Budget(db, SERVER, 0)
        await budget.take(0)
        budget.done(Told(limit=10, remaining=2, reset_s=3000))
        taken = 0
        for _ in range(20):
            try:
                await budget.take(0.02)
            except BudgetSpent:
                break
            taken += 1
        return taken

    assert asyncio.run(run()) == 2


def test_what_the_server_said_is_kept_and_binds_the_other_workers(db: Database) -> None:
    async def run() -> int:
        first = Budget(db, SERVER, 3600)
        await first.take(0)
        first.done(Told(limit=101, remaining=9, reset_s=92))
        await first.close()
        return await spend(Budget(db, SERVER, 3600))

    assert asyncio.run(run()) <= 9 - RESERVE
    assert row(db)[1:] == (101, 9)


def test_a_retry_after_stops_every_worker(db: Database) -> None:
    async def run() -> None:
        first, second = Budget(db, SERVER, 3600), Budget(db, SERVER, 3600)
        await first.block(30)
        for budget in (first, second):
            with pytest.raises(BudgetSpent) as spent:
                await budget.take(1)
            assert 28 < spent.value.wait_s <= 30

    asyncio.run(run())


def test_a_shorter_retry_after_does_not_lift_a_longer_one(db: Database) -> None:
    async def run() -> None:
        budget = Budget(db, SERVER, 3600)
        await budget.block(30)
        await budget.block(1)
        with pytest.raises(BudgetSpent) as spent:
            await Budget(db, SERVER, 3600).take(5)
        assert spent.value.wait_s > 28

    asyncio.run(run())
