"""What a benchmark of reconciliation varies, and the sets of it that are run. Pure values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from jobs.core.errors import UsageError

_BUDGET = re.compile(r"([1-9][0-9]{0,6})/([sh])")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One measurement: a database, a Horizon, and one run of `reconcile-pending` between them."""

    rows: int = 10_000
    """Settled transactions in the table beforehand."""
    pending: int = 10_000
    accounts: int = 10_000
    """Users."""
    custody: int = 5
    """Accounts of the exchange that share the pending deposits; 0: each deposit goes to an account of its own."""
    latency_ms: int = 50
    """What Horizon waits before each answer."""
    per_hour: int = 0
    """Requests an hour, for Horizon and for us; 0: no limit."""
    by_hash: bool = False
    """Ask for each hash, whatever would be cheaper."""


USUAL = Scenario()
MAGNITUDES = (1_000, 10_000, 100_000, 1_000_000)
LATENCIES = (0, 50, 200)
BUDGETS = (0, 360_000, 3_600)


def usual_scenarios() -> list[Scenario]:
    """Some minutes: each question of the README once, scenarios on one database beside each other."""
    varied = [
        replace(USUAL, pending=1_000),
        USUAL,
        replace(USUAL, pending=100_000),
        replace(USUAL, latency_ms=0),
        replace(USUAL, latency_ms=200),
        replace(USUAL, per_hour=360_000),
        replace(USUAL, per_hour=3_600),
        replace(USUAL, custody=0),
        replace(USUAL, pending=1_000, by_hash=True),
    ]
    return [*varied, replace(USUAL, rows=1_000_000, accounts=100_000)]


def full_scenarios() -> list[Scenario]:
    """Some hours: every magnitude of table and backlog with every latency and budget, and ten million rows."""
    every = product(MAGNITUDES, (100, 1_000, 10_000, 100_000), LATENCIES, BUDGETS)
    return [
        *(
            Scenario(rows, pending, rows, latency_ms=latency, per_hour=budget)
            for rows, pending, latency, budget in every
        ),
        replace(USUAL, rows=10_000_000, accounts=1_000_000),
    ]


def by_database(scenarios: list[Scenario]) -> Iterator[list[Scenario]]:
    """Scenarios that can share a database, in their order: it is filled once for all of them."""
    databases: dict[tuple[int, int], list[Scenario]] = {}
    for scenario in scenarios:
        databases.setdefault((scenario.rows, scenario.accounts), []).append(scenario)
    yield from databases.values()


def read_budget(text: str) -> int:
    """Requests an hour from `unlimited`, `100/s` or `3600/h`; UsageError for anything else."""
    if text == "unlimited":
        return 0
    found = _BUDGET.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no budget: say unlimited, or a number of requests like 100/s or 3600/h.")
    return int(found[1]) * (3600 if found[2] == "s" else 1)


def budget_words(per_hour: int) -> str:
    """A budget as `read_budget` reads it."""
    if per_hour == 0:
        return "unlimited"
    return f"{per_hour // 3600}/s" if per_hour > 3600 and per_hour % 3600 == 0 else f"{per_hour}/h"
