"""verify-ledger: whatever is wrong with the books is found and named, and healthy ones stay quiet while they move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.integrity import proofs
from jobs.integrity.findings import read_checks
from jobs.integrity.model import Check
from jobs.reconcile.picture import Verdict
from jobs.run.store import RunRow
from tests.db.books import (
    add_row,
    add_run,
    add_user,
    attempt_of,
    everything,
    fund,
    proof,
    run_job,
    settle_now,
    spend,
    value,
    withdraw,
)

JOB = "verify-ledger"
INSERT_ENTRIES = "INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency)"


@dataclass
class Books:
    """A desk that has settled one of everything, and whose books balance."""

    db: Database
    settings: Settings
    user: UUID
    deposit: UUID
    refunded: UUID
    rescued: UUID
    paid: UUID

    def corrupt(self, statement: str, **values: object) -> None:
        """Does what nobody may do: past every constraint that would keep it from happening."""
        with self.db.begin() as conn:
            conn.execute(text("ALTER TABLE balances DROP CONSTRAINT IF EXISTS balances_amount_check"))
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            assert conn.execute(text(statement), values).rowcount

    def verify(self, **params: object) -> RunRow:
        run = run_job(self.db, self.settings, JOB, **params)
        assert run.state == "succeeded", run.error
        return run

    def found(self) -> list[tuple[str, str, str]]:
        """Check, expected and actual of everything that is open."""
        self.verify()
        with self.db.read() as conn:
            rows = conn.execute(
                text(
                    "SELECT check_name, expected, actual FROM ops.integrity_findings WHERE resolved_at IS NULL"
                    " ORDER BY check_name, subject"
                )
            )
            return [tuple(row) for row in rows]


@pytest.fixture
def books(db: Database, settings: Settings) -> Books:
    user = add_user(db)
    fund(db, user, Decimal(100))
    spend(db, user, Decimal(5))
    deposit = add_row(db, user)
    refunded, rescued, paid = (withdraw(db, user, amount) for amount in (4, 6, 8))
    attempt = attempt_of(db, add_run(db))
    failed = proof(Verdict.FAILED)
    settle_now(
        db,
        attempt,
        {
            deposit: proof(Verdict.SUCCESS, 1),
            refunded: failed,
            rescued: failed,
            paid: proof(Verdict.SUCCESS, 2),
        },
    )
    settle_now(db, attempt, {rescued: proof(Verdict.SUCCESS, 3)}, status="FAILED")
    add_row(db, user)
    add_row(db, user, type="WITHDRAW", status="CANCELLED")
    return Books(db, settings, user, deposit, refunded, rescued, paid)


def test_healthy_books_are_proved_and_nothing_is_found(books: Books) -> None:
    run = books.verify()
    assert {name: run.counters[name] for name in ("findings", "users")} == {"findings": 0, "users": 1}
    assert run.counters["transactions"] == value(books.db, "SELECT count(*) FROM transactions")
    assert run.progress_done == run.progress_total
    with books.db.read() as conn:
        done = {state.check for state in read_checks(conn) if state.as_of is not None}
    assert done == set(Check) - {Check.WALLETS, Check.HISTORY}


Corruption = tuple[str, Callable[[Books], dict[str, object]], list[tuple[str, str, str]]]
CORRUPTIONS: dict[str, Corruption] = {
    "a leg changed": (
        "UPDATE ledger_entries SET amount = 11 WHERE transaction_id = :id AND account_type = 'USER'",
        lambda books: {"id": books.deposit},
        [("balances", "92", "91.5"), ("double-entry", "0", "0.5")],
    ),
    "both legs changed": (
        "UPDATE ledger_entries SET amount = 11 WHERE transaction_id = :id",
        lambda books: {"id": books.deposit},
        [("balances", "92", "91.5"), ("entries", "10.5", "11")],
    ),
    "a balance raised": (
        "UPDATE balances SET amount = amount + 0.00000001",
        lambda _books: {},
        [("balances", "91.5", "91.50000001")],
    ),
    "a balance lost": ("DELETE FROM balances", lambda _books: {}, [("balances", "91.5", "0")]),
    "a balance without entries": (
        "INSERT INTO balances (user_id, currency, amount) SELECT id, 'EUR', 3 FROM users",
        lambda _books: {},
        [("balances", "0", "3")],
    ),
    "a balance below zero": (
        "INSERT INTO balances (user_id, currency, amount) SELECT id, 'EUR', -3 FROM users",
        lambda _books: {},
        [("balances", "0", "-3"), ("overdrawn", "not below 0", "-3")],
    ),
    "entries of nobody's transaction": (
        f"""{INSERT_ENTRIES} SELECT CAST(:id AS uuid), 'X', a, u, d, 1, 'XLM'
              FROM (VALUES ('USER', CAST(:user AS uuid), 'CREDIT'), ('PLATFORM_ASSET', NULL, 'DEBIT')) AS legs (a, u, d)
        """,
        lambda books: {"id": UUID(int=2**128 - 1), "user": books.user},
        [("balances", "92.5", "91.5"), ("entries", "a transaction", "none")],
    ),
    "a deposit back to pending after its credit": (
        "UPDATE transactions SET status = 'PENDING' WHERE id = :id",
        lambda books: {"id": books.deposit},
        [("entries", "DEPOSIT SUCCESS", "DEPOSIT PENDING"), ("statuses", "SUCCESS", "PENDING")],
    ),
    "a withdrawal back to pending after its refund": (
        "UPDATE transactions SET status = 'PENDING' WHERE id = :id",
        lambda books: {"id": books.refunded},
        [("entries", "WITHDRAW FAILED", "WITHDRAW PENDING"), ("statuses", "FAILED", "PENDING")],
    ),
    "a credit deleted": (
        "DELETE FROM ledger_entries WHERE transaction_id = :id",
        lambda books: {"id": books.deposit},
        [("balances", "81", "91.5"), ("postings", "10.5", "0")],
    ),
    "a refund deleted": (
        "DELETE FROM ledger_entries WHERE transaction_id = :id AND kind = 'WITHDRAW_REFUND'",
        lambda books: {"id": books.refunded},
        [("balances", "87.5", "91.5"), ("postings", "4", "0")],
    ),
    "a withdrawal failed by hand": (
        "UPDATE transactions SET status = 'FAILED' WHERE id = :id",
        lambda books: {"id": books.paid},
        [("postings", "8", "0"), ("statuses", "SUCCESS", "FAILED")],
    ),
    "a refund that was kept after the rescue": (
        "DELETE FROM ledger_entries WHERE transaction_id = :id AND kind = 'REFUND_REVERSAL'",
        lambda books: {"id": books.rescued},
        [("balances", "97.5", "91.5"), ("postings", "6", "0")],
    ),
    "a refund of what was never debited": (
        "DELETE FROM ledger_entries WHERE transaction_id = :id AND kind = 'WITHDRAW_DEBIT'",
        lambda books: {"id": books.refunded},
        [("balances", "95.5", "91.5"), ("entries", "a WITHDRAW_DEBIT", "none")],
    ),
    "a failure made a success by hand": (
        "UPDATE transactions SET status = 'SUCCESS' WHERE id = :id",
        lambda books: {"id": books.refunded},
        [("postings", "4", "0"), ("statuses", "FAILED", "SUCCESS")],
    ),
    "a credit in another currency": (
        "UPDATE ledger_entries SET currency = 'EUR' WHERE transaction_id = :id",
        lambda books: {"id": books.deposit},
        [("balances", "10.5", "0"), ("balances", "81", "91.5"), ("entries", "XLM:", "EUR:")],
    ),
    "a leg without its user": (
        "UPDATE ledger_entries SET user_id = NULL WHERE transaction_id = :id AND account_type = 'USER'",
        lambda books: {"id": books.deposit},
        [("balances", "81", "91.5"), ("entries", "a user", "none")],
    ),
}


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_each_corruption_is_found_with_what_was_expected_and_what_is_there(books: Books, name: str) -> None:
    statement, values, expected = CORRUPTIONS[name]
    books.corrupt(statement, **values(books))
    assert books.found() == expected


def test_a_credit_to_another_user_names_both(books: Books) -> None:
    thief = add_user(books.db)
    books.corrupt(
        "UPDATE ledger_entries SET user_id = :thief WHERE transaction_id = :id AND account_type = 'USER'",
        thief=thief,
        id=books.deposit,
    )
    assert ("entries", str(books.user), str(thief)) in books.found()


def test_two_transactions_that_live_on_one_payment_are_found(books: Books) -> None:
    with books.db.begin() as conn:
        conn.execute(
            text("UPDATE transactions SET tx_hash = :h WHERE id = :id"), {"h": f"{1:064x}", "id": books.deposit}
        )
    add_row(books.db, books.user, status="SUCCESS", tx_hash=f"{1:064X}")
    assert books.found() == [("doubles", "a payment of its own", "2 transactions on one hash")]


def test_a_posting_that_was_made_twice_is_found_where_no_key_prevents_it(books: Books) -> None:
    with books.db.begin() as conn:
        conn.execute(
            text("ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_transaction_id_kind_account_type_key")
        )
    books.corrupt(
        f"{INSERT_ENTRIES} SELECT transaction_id, kind, account_type, user_id, direction, amount, currency FROM ledger_entries"
        " WHERE transaction_id = :id",
        id=books.deposit,
    )
    assert [one for one in books.found() if one[0] == "doubles"] == [("doubles", "1 entry", "2 entries")] * 2


def test_a_finding_names_its_row_in_the_log_and_the_run_has_done_its_work(books: Books) -> None:
    books.corrupt(*CORRUPTIONS["a balance raised"][:1])
    run = books.verify()
    assert (run.counters["findings"], run.counters["new"]) == (1, 1)
    line = value(books.db, "SELECT fields FROM ops.run_logs WHERE run_id = :id AND level = 'error'", id=run.id)
    assert line == {
        "check": "balances",
        "expected": "91.5",
        "actual": "91.50000001",
        "difference": "0.00000001",
        "user": str(books.user),
    }


def test_a_finding_stays_one_with_its_age_and_is_over_when_a_whole_pass_misses_it(books: Books) -> None:
    books.corrupt("UPDATE balances SET amount = amount + 1")
    first, second = books.verify(), books.verify()
    assert (first.counters["new"], second.counters["new"]) == (1, 0)
    assert value(books.db, "SELECT count(*) FROM ops.integrity_findings") == 1
    books.corrupt("UPDATE balances SET amount = amount - 1")
    assert books.verify().counters["resolved"] == 1
    assert value(books.db, "SELECT resolved_run > seen_run FROM ops.integrity_findings") is True


def test_one_check_alone_closes_only_its_own(books: Books) -> None:
    books.corrupt("UPDATE balances SET amount = amount + 1")
    books.verify()
    books.corrupt("UPDATE balances SET amount = amount - 1")
    assert books.verify(only="double-entry").counters["resolved"] == 0
    assert books.verify(only="balances").counters["resolved"] == 1


def test_it_changes_nothing_but_findings_and_a_dry_run_not_even_those(books: Books) -> None:
    books.corrupt("UPDATE balances SET amount = amount + 1")
    before = everything(books.db)
    dry = run_job(books.db, books.settings, JOB, dry_run=True)
    assert dry.counters["findings"] == 1
    assert value(books.db, "SELECT count(*) FROM ops.integrity_findings") == 0
    assert value(books.db, "SELECT count(*) FROM ops.integrity_checks") == 0
    books.verify()
    assert everything(books.db) == before


def test_small_ranges_leave_no_gap(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours on both sides of every edge, and balances of nobody, at both ends of all ids, too."""
    books.corrupt(
        "INSERT INTO users (id, email) SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), n || '@example.org'"
        " FROM generate_series(1, 20) AS n"
    )
    books.corrupt(
        "INSERT INTO balances (user_id, currency, amount) SELECT id, 'EUR', 3 FROM users"
        " UNION ALL SELECT nobody, 'EUR', 3 FROM unnest(CAST(:nobody AS uuid[])) AS nobody",
        nobody=[UUID(int=0), uuid4(), UUID(int=2**128 - 1)],
    )
    small = tuple(proofs.Walk(walk.table, 3, walk.proofs) for walk in proofs.WALKS)
    monkeypatch.setattr("jobs.integrity.verify.WALKS", small)
    assert books.verify().counters["findings"] == 24


def test_books_that_move_while_they_are_proved_give_no_false_alarm(books: Books) -> None:
    """Settlements of many rows commit all the time, between and during the statements of four whole runs."""
    stop = threading.Event()
    settled = []

    def live() -> None:
        number = 1000
        run = add_run(books.db)
        while not stop.is_set():
            rows = [add_row(books.db, books.user) for _ in range(3)] + [withdraw(books.db, books.user, 1)]
            verdicts = {row: proof(Verdict.SUCCESS, number + i) for i, row in enumerate(rows[:3])}
            settle_now(books.db, attempt_of(books.db, run), {**verdicts, rows[3]: proof(Verdict.FAILED)})
            settled.extend(rows)
            number += 10

    desk = threading.Thread(target=live)
    desk.start()
    try:
        counted = [books.verify().counters["findings"] for _ in range(4)]
    finally:
        stop.set()
        desk.join()
    assert counted == [0, 0, 0, 0]
    assert len(settled) > 20
