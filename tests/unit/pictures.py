"""Rows, answers and pictures as the rules get them, a sound one each; tests change what they are about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from jobs.horizon.model import (
    Address,
    Answer,
    Asset,
    ChainTransaction,
    Lookup,
    Memo,
    Operation,
    SignedEnvelope,
    Watermark,
)
from jobs.reconcile.picture import Look, Picture, Row

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HASH, OUTER, OTHER = "a" * 64, "b" * 64, "c" * 64
SERVER = "https://horizon.test"
USER, STRANGER, ISSUER = (
    Address("GUSER"),
    Address("GSTRANGER"),
    "GBBOAVYXIIH2JBGXGC7UBORYU5WGSMLMTYMQ4XLYM4C2KVHBY2DT3JS7",
)
USDC = Asset("USDC", ISSUER)
XLM = Asset("XLM", None)


def a_row(number: int = 1, **changes: object) -> Row:
    row = Row(
        id=UUID(int=number),
        user_id=UUID(int=100),
        type="DEPOSIT",
        status="PENDING",
        amount=Decimal("10.50000000"),
        currency="USDC",
        asset_issuer=ISSUER,
        tx_hash=HASH,
        receiver_text="GUSER",
        receiver=USER,
        memo_type=None,
        memo=None,
        created_at=NOW - timedelta(minutes=5),
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # a table of changes


def a_payment(index: int = 0, **changes: object) -> Operation:
    operation = Operation(index, "payment", STRANGER, USER, USDC, 105_000_000)
    return replace(operation, **changes)  # type: ignore[arg-type]  # a table of changes


def included(*operations: Operation, **changes: object) -> ChainTransaction:
    transaction = ChainTransaction(
        asked=HASH,
        canonical=HASH,
        outer=None,
        successful=True,
        ledger=1000,
        closed_at=NOW - timedelta(minutes=4),
        memo=Memo("none", None),
        operations=operations or (a_payment(),),
        result_code="tx_success",
        operation_codes=("op_success",),
        hash_proved=True,
    )
    return replace(transaction, **changes)  # type: ignore[arg-type]  # a table of changes


def a_mark(**changes: object) -> Watermark:
    mark = Watermark(SERVER, 2000, NOW - timedelta(seconds=4), 10, NOW - timedelta(days=365), behind=False)
    return replace(mark, **changes)  # type: ignore[arg-type]  # a table of changes


def a_look(answer: Answer, asked: str = HASH, mark: Watermark | None = None, server: str = SERVER) -> Look:
    return Look(mark or a_mark(), Lookup(asked, answer, server, 404, "said the server"))


def found(transaction: ChainTransaction, asked: str = HASH) -> Look:
    return Look(a_mark(), Lookup(asked, Answer.FOUND, SERVER, 200, "found", transaction))


def a_picture(*looks: Look, row: Row | None = None, **changes: object) -> Picture:
    picture = Picture(row or a_row(), NOW, looks, canary=True)
    return replace(picture, **changes)  # type: ignore[arg-type]  # a table of changes


def signed(**changes: object) -> SignedEnvelope:
    envelope = SignedEnvelope((HASH,), "GSOURCE", 77, 0, 0)
    return replace(envelope, **changes)  # type: ignore[arg-type]  # a table of changes


def absent_twice(**changes: object) -> tuple[Look, Look]:
    mark = a_mark(**changes)
    return a_look(Answer.ABSENT, mark=mark), a_look(Answer.ABSENT, mark=mark)


EXPIRED = int((NOW - timedelta(minutes=1)).timestamp())
