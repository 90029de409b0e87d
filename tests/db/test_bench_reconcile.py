"""The benchmark measures the real job: what it settles is settled, and the JSON says what the README promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from jobs.bench.database import add_pending
from jobs.bench.horizon import ledger_of
from jobs.bench.reconcile import Result, measure
from jobs.bench.scenario import USUAL, full_scenarios, read_budget
from jobs.core.db import Database
from jobs.core.errors import UsageError
from jobs.reconcile.picture import Verdict
from tests.db.books import add_row, add_run, add_user, attempt_of, count, proof, settle_now
from tests.db.test_cli import nexaops

TINY = replace(USUAL, rows=200, pending=60, accounts=20, custody=2, latency_ms=0)


@pytest.mark.slow
def test_the_command_prints_one_object_with_what_the_run_did(tmp_path: Path) -> None:
    sizes = ("--rows", "100", "--pending", "50", "--accounts", "10", "--custody", "1", "--latency", "0")
    done = nexaops("bench", "reconcile", *sizes, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (scenario,) = orjson.loads(done.stdout)["scenarios"]
    assert (scenario["settled"], scenario["state"], scenario["budget"]) == (50, "succeeded", "unlimited")
    assert 0 < scenario["requests_per_row"] < 1
    assert set(scenario["cpu"]) == {"http", "decoding", "rules", "database", "other"}
    assert set(scenario["cpu_s"]) == {"run", "postgres", "sandbox"}
    assert scenario["cpu_ms_per_row"] > 0
    assert set(scenario["memory_mb"]) == {"start", "peak"}
    assert {"rows", "pending", "accounts", "custody", "latency_ms", "seconds", "settled_per_s", "requests"} <= set(
        scenario
    )


@pytest.mark.slow
def test_scenarios_that_share_a_database_settle_all_their_rows() -> None:
    results = list(measure([TINY, TINY, replace(TINY, by_hash=True)], lambda _: None))
    assert [result.settled for result in results] == [60, 60, 60]


def test_a_scenario_finds_the_table_as_it_was_filled(db: Database, tmp_path: Path) -> None:
    payments = tmp_path / "payments.tsv"
    user = add_user(db)
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE bench_users AS SELECT 1 AS n, id FROM users"))
    add_row(db, user, age=timedelta(days=2), status="SUCCESS")
    for _ in range(2):
        ledger_of(TINY, payments)
        add_pending(db, payments, 1, timeout_s=60)
        with db.read() as conn:
            waiting = conn.execute(text("SELECT id FROM transactions WHERE status = 'PENDING'")).scalars().all()
        verdicts = {row: proof(Verdict.SUCCESS, number) for number, row in enumerate(waiting)}
        assert len(settle_now(db, attempt_of(db, add_run(db)), verdicts)) == 60
    assert count(db, "transactions") == 61
    assert count(db, "ledger_entries") == 120


def test_a_run_that_leaves_rows_is_not_complete() -> None:
    done = Result(TINY, "succeeded", None, 60, 1.0, 3, 3, {}, {}, {})
    assert done.complete
    assert not replace(done, settled=59).complete
    assert not replace(done, state="timed_out").complete


def test_the_whole_matrix_measures_nothing_twice() -> None:
    scenarios = full_scenarios()
    assert len(set(scenarios)) == len(scenarios)
    assert {10**3, 10**7} <= {scenario.rows for scenario in scenarios}


def test_no_two_scenarios_make_the_same_payments(tmp_path: Path) -> None:
    first, second = (
        {entry.hash for entry in ledger_of(TINY, tmp_path / name).chain.transactions()} for name in ("a", "b")
    )
    assert len(first) == len(second) == 60
    assert not first & second


@pytest.mark.parametrize(("text", "per_hour"), [("unlimited", 0), ("100/s", 360_000), ("3600/h", 3_600)])
def test_a_budget_is_said_in_words(text: str, per_hour: int) -> None:
    assert read_budget(text) == per_hour


@pytest.mark.parametrize("text", ["", "100", "0/s", "fast", "-1/h"])
def test_a_budget_that_cannot_be_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is no budget"):
        read_budget(text)
