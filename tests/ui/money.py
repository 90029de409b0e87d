"""Transactions in every state, with their books, looks, decisions and cases, for the tests of the pages about money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from jobs.core.db import Database, jsonb
from jobs.reconcile.picture import Decision, Json, Verdict
from tests.db.books import add_run, attempt_of, settle_now

WALLET = "GBBOAVYXIIH2JBGXGC7UBORYU5WGSMLMTYMQ4XLYM4C2KVHBY2DT3JS7"
SCRIPT = "<script>alert(1)</script>"
MISMATCH: dict[str, Json] = {
    "server": "https://horizon.example.org",
    "request": "GET /transactions/" + "ab" * 32,
    "ledger": 1234567,
    "sentence": "The amount differs: expected 250.00000000, received 200.0000000.",
    "expected": {"destination": WALLET, "asset": "XLM", "amount": "250.00000000", "memo_type": None, "memo": None},
    "found": {
        "memo_type": "text",
        "memo": SCRIPT,
        "operations": [
            {"index": 0, "kind": "payment", "destination": WALLET, "asset": "XLM", "received": "200.0000000"}
        ],
    },
}


@dataclass(frozen=True)
class User:
    id: UUID
    email: str


def add_user(db: Database, email: str = "ada@example.com", wallet: str | None = WALLET) -> User:
    with db.begin() as conn:
        found: UUID = conn.execute(
            text("INSERT INTO users (email, wallet_public_key) VALUES (:email, :wallet) RETURNING id"),
            {"email": email, "wallet": wallet},
        ).scalar_one()
    return User(found, email)


def add_case(
    db: Database,
    transaction: UUID,
    reason: str = "AMOUNT_MISMATCH",
    *,
    details: object = MISMATCH,
    age: timedelta = timedelta(hours=2),
) -> int:
    with db.begin() as conn:
        return int(
            conn.execute(
                text(
                    "INSERT INTO ops.reconciliation_cases (transaction_id, reason, details, opened_at)"
                    " VALUES (:id, :reason, :details, now() - CAST(:age AS interval)) RETURNING id"
                ),
                {"id": transaction, "reason": reason, "details": jsonb(details), "age": age},
            ).scalar_one()
        )


def add_check(db: Database, transaction: UUID, *, outcome: str = "absent", attempts: int = 3) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.checks (transaction_id, attempts, first_at, last_at, next_at, outcome, detail, server)"
                " VALUES (:id, :attempts, now() - interval '5 minutes', now() - interval '12 seconds',"
                " now() + interval '5 minutes', :outcome, 'Horizon does not know it.', 'https://horizon.example.org')"
            ),
            {"id": transaction, "attempts": attempts, "outcome": outcome},
        )


def settle_on_chain(db: Database, transaction: UUID, *, failure: str | None = None) -> int:
    """Settles it as a run does, included in ledger 1,234,567 fourteen seconds ago; the run's id."""
    with db.read() as conn:
        closed: datetime = conn.execute(text("SELECT now() - interval '14.5 seconds'")).scalar_one()
    run = add_run(db)
    proof = MISMATCH | {"closed_at": closed.isoformat(), "found": None, "result": failure}
    verdict = Verdict.SUCCESS if failure is None else Verdict.FAILED
    sentence = failure or "Included in ledger 1234567; receiver, asset, amount and memo match."
    decision = Decision(verdict, "included", sentence, proof, transaction.hex * 2, 0)
    settle_now(db, attempt_of(db, run), {transaction: decision})
    return run
