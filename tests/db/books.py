"""Rows to reconcile, and the books that must balance afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

import jobs.reconcile.jobs  # noqa: F401  # registers the jobs, also in a tree that is not installed
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.reconcile.picture import Decision, Verdict
from jobs.reconcile.settle import Attempt, Outcome, Proved, settle
from jobs.reconcile.store import Wanted, hold_batch
from jobs.run.execute import execute
from jobs.run.store import RunRow, request_run

PENDING, FAILED = "reconcile-pending", "retry-failed"
PASSPHRASE = "NexaFX Sandbox Network ; 2026"


def add_run(db: Database, job: str = "reconcile-pending") -> int:
    """A running run, as the ledger of decisions needs one."""
    with db.begin() as conn:
        return int(
            conn.execute(
                text(
                    "INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt_token, started_at, beat_at)"
                    " VALUES (:job, 'manual', 'test', 'running', gen_random_uuid(), now(), now()) RETURNING id"
                ),
                {"job": job},
            ).scalar_one()
        )


def attempt_of(db: Database, run_id: int) -> Attempt:
    """The attempt that holds a run's locks."""
    with db.read() as conn:
        token = conn.execute(text("SELECT attempt_token FROM ops.runs WHERE id = :id"), {"id": run_id}).scalar_one()
    return Attempt(run_id, f"run:{run_id}:{token}", PASSPHRASE)


def run_job(db: Database, settings: Settings, job: str = PENDING, *, dry_run: bool = False, **params: object) -> RunRow:
    """One run, as `jobs run --wait` does it."""
    with db.begin() as conn:
        run_id = request_run(conn, job=job, params=params, dry_run=dry_run, actor="test", queued=False)
    return execute(db, settings, run_id, worker_id=None)


def counters(run: RunRow) -> dict[str, int]:
    assert run.state == "succeeded", run.error
    return {name: run.counters[name] for name in ("seen", "settled", "failed", "pending", "cases")}


def add_user(db: Database, wallet: str | None = None) -> UUID:
    """Somebody who owns a wallet."""
    with db.begin() as conn:
        found: UUID = conn.execute(
            text("INSERT INTO users (email, wallet_public_key) VALUES (:email, :wallet) RETURNING id"),
            {"email": f"{uuid4()}@example.org", "wallet": wallet},
        ).scalar_one()
    return found


def add_row(db: Database, user: UUID, *, age: timedelta = timedelta(minutes=5), **values: object) -> UUID:
    """A transaction; a PENDING deposit of 10.5 XLM unless said otherwise."""
    usual = {
        "type": "DEPOSIT",
        "amount": Decimal("10.5"),
        "currency": "XLM",
        "status": "PENDING",
        "tx_hash": uuid4().hex * 2,
    }
    row = usual | values
    names = ", ".join(row)
    binds = ", ".join(f":{name}" for name in row)
    with db.begin() as conn:
        found: UUID = conn.execute(
            text(
                f"INSERT INTO transactions (user_id, created_at, updated_at, {names})"
                f" VALUES (:user, now() - CAST(:age AS interval), now() - CAST(:age AS interval), {binds}) RETURNING id"
            ),
            row | {"user": user, "age": age},
        ).scalar_one()
    return found


def fund(db: Database, user: UUID, amount: Decimal, currency: str = "XLM") -> None:
    """An opening balance, with its entries."""
    opening = add_row(db, user, amount=Decimal(1), currency=currency, status="SUCCESS")
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency)"
                " VALUES (:id, 'OPENING', 'USER', :user, 'CREDIT', :amount, :currency),"
                " (:id, 'OPENING', 'PLATFORM_ASSET', NULL, 'DEBIT', :amount, :currency)"
            ),
            {"id": opening, "user": user, "amount": amount, "currency": currency},
        )
        conn.execute(
            text("INSERT INTO balances (user_id, currency, amount) VALUES (:user, :currency, :amount)"),
            {"user": user, "currency": currency, "amount": amount},
        )


def spend(db: Database, user: UUID, amount: Decimal) -> None:
    """Something else takes money from a user's balance, with its entries."""
    other = add_row(db, user, type="SWAP", amount=amount, status="SUCCESS")
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency)"
                " VALUES (:id, 'SPENT', 'USER', :user, 'DEBIT', :amount, 'XLM'),"
                " (:id, 'SPENT', 'PLATFORM_ASSET', NULL, 'CREDIT', :amount, 'XLM')"
            ),
            {"id": other, "user": user, "amount": amount},
        )
        conn.execute(
            text("UPDATE balances SET amount = amount - :amount WHERE user_id = :user"),
            {"user": user, "amount": amount},
        )


def withdraw(db: Database, user: UUID, amount: int, **values: object) -> UUID:
    """A withdrawal as the application requests it: the row, the debit with both legs, the balance."""
    row = add_row(db, user, type="WITHDRAW", amount=Decimal(amount), **values)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency)"
                " VALUES (:id, 'WITHDRAW_DEBIT', 'USER', :user, 'DEBIT', :amount, 'XLM'),"
                " (:id, 'WITHDRAW_DEBIT', 'PLATFORM_LIABILITY', NULL, 'CREDIT', :amount, 'XLM')"
            ),
            {"id": row, "user": user, "amount": amount},
        )
        conn.execute(
            text("UPDATE balances SET amount = amount - :amount WHERE user_id = :user"),
            {"user": user, "amount": amount},
        )
    return row


def proof(verdict: Verdict, number: int = 0, operation: int = 0) -> Decision:
    """A decision that was proved, with a payment of its own for each number."""
    if verdict is Verdict.FAILED:
        return Decision(verdict, "included_failed", "tx_failed (op_underfunded)", {"ledger": 7})
    return Decision(verdict, "included", "Included in ledger 7.", {"ledger": 7}, f"{number:064x}", operation)


def settle_now(
    db: Database,
    attempt: Attempt,
    verdicts: dict[UUID, Decision],
    *,
    status: str = "PENDING",
    notify: bool = True,
    move_balances: bool = True,
) -> dict[UUID, Outcome]:
    """Locks the rows that are due and settles those with a decision, in one transaction."""
    with db.begin() as conn:
        held = hold_batch(conn, Wanted(status, everything=True), owner=attempt.owner, after=None, limit=10_000)
        proved = [Proved(item.row, verdicts[item.row.id]) for item in held if item.row.id in verdicts]
        return dict(settle(conn, attempt, proved, notify=notify, move_balances=move_balances))


def switch(db: Database, flag: Flag, value: bool) -> None:
    with db.begin() as conn:
        set_flag(conn, flag, value, actor="test", reason="a test", origin="cli")


def status_of(db: Database, transaction: UUID) -> str:
    return str(value(db, "SELECT status FROM transactions WHERE id = :id", id=transaction))


def balance_of(db: Database, user: UUID, currency: str = "XLM") -> Decimal:
    found = value(
        db,
        "SELECT sum(amount) FROM balances WHERE user_id = :user AND currency = :currency",
        user=user,
        currency=currency,
    )
    return found if isinstance(found, Decimal) else Decimal(0)


def open_reasons(db: Database, transaction: UUID) -> list[str]:
    with db.read() as conn:
        return list(
            conn.execute(
                text(
                    "SELECT reason FROM ops.reconciliation_cases WHERE transaction_id = :id AND resolved_at IS NULL"
                    " ORDER BY reason"
                ),
                {"id": transaction},
            ).scalars()
        )


def value(db: Database, statement: str, **parameters: object) -> object:
    with db.read() as conn:
        return conn.execute(text(statement), parameters).scalar()


def count(db: Database, table: str) -> int:
    found = value(db, f"SELECT count(*) FROM {table}")
    return found if isinstance(found, int) else 0


def everything(db: Database) -> list[object]:
    """What a run without anything to settle must not change."""
    return [
        value(db, f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} AS t")
        for table in (
            "transactions",
            "balances",
            "ledger_entries",
            "notifications",
            "ops.claims",
            "ops.outbox",
            "ops.reconciliation_cases",
        )
    ]


def assert_books_balance(db: Database) -> None:
    """Every posting sums to zero, and every balance is the sum of its user's entries."""
    with db.read() as conn:
        assert not _all(conn, _UNBALANCED)
        assert not _all(conn, _DRIFTED)
        assert not _all(conn, _REPEATED)


def _all(conn: Connection, statement: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in conn.execute(text(statement))]


_UNBALANCED = """
SELECT transaction_id, kind, currency, asset_issuer FROM ledger_entries
 GROUP BY transaction_id, kind, currency, asset_issuer
HAVING sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) <> 0
"""
_DRIFTED = """
SELECT user_id, currency, asset_issuer, b.amount, e.amount
  FROM balances b FULL JOIN (
       SELECT user_id, currency, asset_issuer, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS amount
         FROM ledger_entries WHERE account_type = 'USER' GROUP BY user_id, currency, asset_issuer) e
       USING (user_id, currency, asset_issuer)
 WHERE coalesce(b.amount, 0) <> coalesce(e.amount, 0)
"""
_REPEATED = """
SELECT related_id, title FROM notifications GROUP BY related_id, title HAVING count(*) > 1
"""


def recent(db: Database, user: UUID, **values: object) -> UUID:
    """A withdrawal younger than the sandbox's first ledger, so that retention reaches back to it."""
    return add_row(db, user, type="WITHDRAW", age=timedelta(0), **values)


@contextmanager
def dying_after_the_first(db: Database, sandbox: SandboxServer) -> Iterator[None]:
    """The server answers slowly, and not any more once the first row has been settled."""
    sandbox.faults.set("latency", 20, path="/transactions")

    def die() -> None:
        while not count(db, "ops.claims"):
            time.sleep(0.005)
        sandbox.faults.set("reset")

    killer = threading.Thread(target=die)
    killer.start()
    yield
    killer.join()
