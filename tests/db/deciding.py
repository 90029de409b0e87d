"""Cases to decide, and both steps of deciding one, as the dashboard takes them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import NexaError, UsageError
from jobs.core.people import Person
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet, asset
from jobs.reconcile.cases import read_cases
from jobs.reconcile.deciding import Ruling, Seen, ask_again, conclude
from jobs.reconcile.verdicts import Choice, Refusal, payment
from tests.db.books import (
    add_row,
    everything,
    fund,
    run_job,
    value,
    withdraw,
)

PAYER, USER, STRANGER = Wallet.named("payer"), Wallet.named("user"), Wallet.named("stranger")
ISSUER = Wallet.named("issuer").address
USDC = asset("USDC", ISSUER)
ANN = Person(uuid4(), "ann@example.org", "Ann", frozenset({Role.DEVOPS}))
BOB = Person(uuid4(), "bob@example.org", "Bob", frozenset({Role.ADMINISTRATOR}))


def withdrawal(db: Database, user: UUID, amount: int = 100, **values: object) -> UUID:
    """A withdrawal as the application requests it: debited, with both legs."""
    fund(db, user, Decimal(amount))
    return withdraw(db, user, amount, **values)


def seen(db: Database, row: UUID) -> Seen:
    """The open case of a row as a page shows it."""
    number = value(
        db, "SELECT id FROM ops.reconciliation_cases WHERE transaction_id = :id AND resolved_at IS NULL", id=row
    )
    assert isinstance(number, int)
    with db.read() as conn:
        case = read_cases(conn, [number])[number]
    return Seen(number, case.version, payment(case.reason, case.details))


def decide(
    db: Database,
    settings: Settings,
    case: Seen,
    choice: Choice,
    *,
    who: Person = ANN,
    tx_hash: str | None = None,
    **more: object,
) -> str:
    """Both steps, as the dashboard takes them."""
    case = replace(case, tx_hash=tx_hash)
    ruling = Ruling(choice, "Agreed with the sender.", **more)  # type: ignore[arg-type]
    (answered,) = ask_again(db, settings, [case], ruling)
    if isinstance(answered, Refusal):
        raise UsageError(answered.sentence)
    with db.begin() as conn:
        return conclude(conn, settings, who, answered, origin="dashboard")


def refused(db: Database, settings: Settings, case: Seen, choice: Choice, match: str, **more: object) -> None:
    """A refusal in one sentence, after which nothing is different."""
    before = everything(db)
    with pytest.raises(NexaError, match=match):
        decide(db, settings, case, choice, **more)  # type: ignore[arg-type]
    assert everything(db) == before


def mismatch(db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID) -> tuple[UUID, Seen]:
    envelope = PAYER.payment(USER.address, 10)
    row = add_row(db, user, tx_hash=envelope.hash_hex())
    sandbox.ledger.include([envelope])
    run_job(db, horizon)
    return row, seen(db, row)


def paid(sandbox: SandboxServer) -> str:
    """The hash of some payment that has nothing to do with the row."""
    envelope = PAYER.payment(STRANGER.address, 1)
    sandbox.ledger.include([envelope])
    return str(envelope.hash_hex())


def top_up(db: Database, user: UUID, amount: int) -> None:
    """Money that a user has beside what was withdrawn."""
    row = add_row(db, user, amount=Decimal(amount), status="SUCCESS")
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency)"
                " VALUES (:id, 'OPENING', 'USER', :user, 'CREDIT', :amount, 'XLM'),"
                " (:id, 'OPENING', 'PLATFORM_ASSET', NULL, 'DEBIT', :amount, 'XLM')"
            ),
            {"id": row, "user": user, "amount": amount},
        )
        conn.execute(
            text("UPDATE balances SET amount = amount + :amount WHERE user_id = :user"),
            {"amount": amount, "user": user},
        )
