"""What a plan says it takes and what it takes, for accounts whose transactions lie in time as they do in life."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from jobs.horizon.model import Watermark
from jobs.reconcile.density import Known, covered, newest
from jobs.reconcile.plan import (
    EARLY,
    PAGE,
    PROBES,
    Age,
    Group,
    Plan,
    Reading,
    close_time,
    make_plan,
    to_probe,
    to_sample,
    worth_going_on,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATEST = 1_000_000
EARLIER = EARLY // close_time(Watermark("s", LATEST, NOW, LATEST, NOW, behind=False))
Ledgers = list[int]


class Account:
    """An account's transactions by their ledgers, and those that pending rows wait for."""

    def __init__(self, ledgers: Ledgers, pending: Ledgers) -> None:
        self.pending = pending
        self._tokens = [ledger << 32 | place << 12 for place, ledger in enumerate(sorted(ledgers), 1)]

    def newest(self) -> list[int]:
        return self._tokens[: -PAGE - 1 : -1]

    def after(self, token: int) -> list[int]:
        place = bisect_right(self._tokens, token)
        return self._tokens[place : place + PAGE]

    def group(self, scope: str) -> Group:
        ages: dict[int, Age] = {}
        for ledger in self.pending:
            since = ledger - EARLIER
            age = Age(since, 1, NOW - timedelta(seconds=5 * (LATEST - ledger)), since)
            magnitude = (LATEST - since).bit_length()
            ages[magnitude] = reduce(Age.add, [ages[magnitude], age]) if magnitude in ages else age
        return Group(scope, tuple(sorted(ages.values(), key=lambda age: age.since)))


def estimate_and_actual(accounts: dict[str, Account]) -> tuple[int, int]:
    """Requests as a run plans and sends them, without what it asks for beside its rows."""
    groups = [account.group(scope) for scope, account in accounts.items()]
    known: dict[str, Known] = {}
    for scope in to_sample(groups):
        page = accounts[scope].newest()
        known[scope] = newest(page, full=len(page) == PAGE)
    asked, plan = len(known), make_plan(groups, known)
    for _ in range(PROBES):
        places = to_probe(groups, known, plan)
        for scope, since in places.items():
            page = accounts[scope].after(since << 32)
            known[scope] = known[scope].add(covered(page, since, full=len(page) == PAGE))
        asked, plan = asked + len(places), make_plan(groups, known)
    return asked + plan.requests, asked + plan.by_hash + sum(_read(accounts[it.scope], it) for it in plan.readings)


def _read(account: Account, reading: Reading) -> int:
    """The requests of one reading, and of the rows that are left to hashes where it ends early."""
    token, requests = reading.since << 32, 0
    while True:
        page, requests = account.after(token), requests + 1
        if len(page) < PAGE or page[-1] >= reading.until << 32:
            return requests
        token = page[-1]
        if not worth_going_on(reading, token):
            return requests + sum(token >> 32 < ledger < reading.until for ledger in account.pending)


def spread(number: int, ledgers: int, ago: int = 0) -> Ledgers:
    """Transactions anywhere in some ledgers that end `ago` ledgers before now."""
    chance = random.Random(number * 7 + ledgers)
    return sorted(chance.randrange(LATEST - ago - ledgers, LATEST - ago) for _ in range(number))


def _steady() -> dict[str, Account]:
    return {"G": Account(all_ := spread(20_000, 5_000), all_)}


def _every_tenth_is_ours() -> dict[str, Account]:
    return {"G": Account(all_ := spread(20_000, 5_000), all_[::10])}


def _a_burst_that_goes_on() -> dict[str, Account]:
    quiet, burst = spread(1_000, 20_000), spread(5_000, 50)
    return {"G": Account(quiet + burst, quiet[::2] + burst)}


def _a_burst_and_then_silence() -> dict[str, Account]:
    return {"G": Account(burst := spread(100_000, 500, ago=200), burst)}


def _a_burst_long_ago() -> dict[str, Account]:
    quiet, burst = spread(1_000, 20_000), spread(5_000, 50, ago=3_000)
    return {"G": Account(quiet + burst, burst + quiet[::20])}


def _a_day_with_its_tides() -> dict[str, Account]:
    tides = [
        ledger for ledger in range(LATEST - 17_280, LATEST) for _ in range(10 - abs(ledger % 5_000 - 2_500) // 250)
    ]
    return {"G": Account(tides, tides[::3])}


def _stragglers_of_a_busy_account() -> dict[str, Account]:
    busy = spread(100_000, 20_000)
    return {"G": Account(busy, busy[::5_000] + busy[-1_000:])}


def _several_accounts_of_every_kind() -> dict[str, Account]:
    quiet = spread(1_000, 20_000)
    return {
        "steady": Account(steady := spread(20_000, 5_000), steady[::2]),
        "burst": Account(quiet + (burst := spread(5_000, 50)), burst[::2]),
        "long ago": Account(quiet + (past := spread(5_000, 50, ago=3_000)), past),
        "few": Account(few := spread(150, 3_000), few),
        "alone": Account([LATEST - 5], [LATEST - 5]),
    }


@pytest.mark.parametrize(
    "accounts",
    [
        _steady,
        _every_tenth_is_ours,
        _a_burst_that_goes_on,
        _a_burst_and_then_silence,
        _a_burst_long_ago,
        _a_day_with_its_tides,
        _stragglers_of_a_busy_account,
        _several_accounts_of_every_kind,
    ],
)
def test_an_estimate_is_no_more_than_half_off(accounts: Callable[[], dict[str, Account]]) -> None:
    estimate, actual = estimate_and_actual(accounts())
    assert actual / 1.5 <= estimate <= actual * 1.5


def test_probes_end_and_are_no_great_part_of_what_they_are_for() -> None:
    known = {"G": newest(Account(spread(50_000, 100), []).newest(), full=True)}
    group = Group("G", (Age(LATEST - 400, 40_000, NOW, LATEST - 200),))
    assert list(to_probe([group], known, make_plan([group], known)).values()) == [LATEST - 400], (
        "where the reading begins"
    )
    assert to_probe([group], {}, Plan((), 40_000)) == {}


def test_what_a_page_covers_is_counted_with_its_empty_ledgers_and_never_read_again() -> None:
    page = [(LATEST - 100 + place // 10) << 32 for place in range(PAGE)]
    known = newest([LATEST << 32] * PAGE, full=True).add(covered(page, LATEST - 500, full=True))
    assert known.begin(LATEST - 450) == LATEST - 81
    assert known.transactions(LATEST - 500, LATEST - 81) == 190
