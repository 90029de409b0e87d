"""Whether an included transaction paid a row: receiver, asset, amount, memo, and each operation once.

The key of a payment is (network, canonical hash, operation index). Of several rows that one operation would satisfy
the one that waits longest is paid, so that every worker reaches the same allocation whatever row it looks at first;
rows that were settled before claims were kept hold the operation that satisfies them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jobs.horizon.model import Address, Asset, ChainTransaction, Memo, Operation
from jobs.reconcile.oddity import brief, oddity
from jobs.reconcile.picture import CaseReason, Json, Row


@dataclass(frozen=True, slots=True)
class Paid:
    """The operation that pays the row."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs first, in a sentence for a person."""

    reason: CaseReason
    sentence: str


def match(
    row: Row, transaction: ChainTransaction, siblings: Iterable[Row], claims: Mapping[int, UUID]
) -> Paid | Difference:
    """Which operation of a successful transaction pays `row`, or why none does."""
    exact = _satisfying(row, transaction)
    if not exact:
        return _difference(row, transaction)
    if not memo_matches(row, transaction.memo):
        return Difference(
            CaseReason.MEMO_MISMATCH,
            f"The memo differs: expected {row.memo_type or 'any type'} {brief(row.memo)}, found "
            f"{transaction.memo.kind} {brief(transaction.memo.value)}.",
        )
    own = [operation for operation in exact if claims.get(operation.index) == row.id]
    taken = _taken(row, transaction, siblings, claims)
    free = own or [operation for operation in exact if operation.index not in taken]
    if free:
        return Paid(free[0])
    holders = ", ".join(sorted({str(taken[operation.index]) for operation in exact}))
    return Difference(
        CaseReason.HASH_REUSED,
        f"The payment of this hash belongs to another row already ({holders}): one payment pays one row.",
    )


def memo_matches(row: Row, memo: Memo) -> bool:
    """Type and value; a row without a memo accepts any."""
    if row.memo is None or (row.memo == "" and row.memo_type in (None, "none")):
        return row.memo is None or row.memo_type is None or memo.kind == "none"
    if row.memo_type is not None and row.memo_type != memo.kind:
        return False
    if memo.kind == "id":
        return _number(row.memo) is not None and _number(row.memo) == _number(memo.value)
    return memo.kind != "none" and row.memo == memo.value


def expected(row: Row) -> dict[str, Json]:
    """What the row expects, for a proof or a case."""
    return {
        "destination": row.receiver_text,
        "asset": asset_text(row.asset),
        "amount": row.amount_text,
        "memo_type": row.memo_type,
        "memo": row.memo,
    }


def found(transaction: ChainTransaction, operations: Iterable[Operation]) -> dict[str, Json]:
    """What the chain holds, for a proof or a case."""
    return {
        "memo_type": transaction.memo.kind,
        "memo": transaction.memo.value,
        "operations": [
            {
                "index": operation.index,
                "kind": operation.kind,
                "destination": None if operation.destination is None else address_text(operation.destination),
                "asset": None if operation.asset is None else asset_text(operation.asset),
                "received": None if operation.received is None else units(operation.received),
                "offered": None if operation.offered is None else units(operation.offered),
                "claimants": list(operation.claimants),
            }
            for operation in operations
        ],
    }


def relevant(transaction: ChainTransaction) -> list[Operation]:
    """The operations that may have paid somebody; at most twenty, a case is read by a person."""
    paying = [operation for operation in transaction.operations if operation.received is not None or operation.offered]
    return paying[:20]


def units(stroops: int) -> str:
    """Stroops as a decimal text, exact, seven places."""
    whole, rest = divmod(abs(stroops), 10_000_000)
    return f"{'-' if stroops < 0 else ''}{whole}.{rest:07d}"


def asset_text(asset: Asset) -> str:
    """Code and issuer as `CODE:ISSUER`, native as the plain code."""
    return asset.code if asset.issuer is None else f"{asset.code}:{asset.issuer}"


def address_text(address: Address) -> str:
    """The base account, with the id where the address was multiplexed."""
    return address.account if address.muxed_id is None else f"{address.account} (id {address.muxed_id})"


def _satisfying(row: Row, transaction: ChainTransaction) -> list[Operation]:
    amount = row.stroops
    if row.receiver is None or amount is None:
        return []
    return [
        operation
        for operation in transaction.operations
        if operation.received == amount and operation.destination == row.receiver and operation.asset == row.asset
    ]


def _taken(
    row: Row, transaction: ChainTransaction, siblings: Iterable[Row], claims: Mapping[int, UUID]
) -> dict[int, UUID]:
    """Operations that rows with a better right hold, each with its holder."""
    ahead = [other for other in siblings if other.status == "SUCCESS" or _waits_longer(other, row)]
    return claimed_by_others(row, transaction, ahead, claims)


def claimed_by_others(
    row: Row, transaction: ChainTransaction, siblings: Iterable[Row], claims: Mapping[int, UUID]
) -> dict[int, UUID]:
    """Operations that pay, or would pay, one of `siblings`, each with its holder."""
    taken = {index: holder for index, holder in claims.items() if holder != row.id}
    settled = set(claims.values())
    others = [other for other in siblings if other.id not in settled and other.id != row.id]
    for other in sorted(others, key=_rank):
        choices = _satisfying(other, transaction) if memo_matches(other, transaction.memo) else []
        if other.status == "SUCCESS" and not choices:
            # Settled before claims were kept, on figures that we would not accept: it was paid by something here.
            choices = [operation for operation in transaction.operations if operation.destination == other.receiver]
        for operation in choices:
            if operation.index not in taken:
                taken[operation.index] = other.id
                break
    return taken


def _waits_longer(other: Row, row: Row) -> bool:
    return other.status in ("PENDING", "FAILED") and _rank(other) < _rank(row) and oddity(other) is None


def _rank(row: Row) -> tuple[int, datetime, UUID]:
    return ("SUCCESS", "PENDING", "FAILED").index(row.status), *row.order


def _difference(row: Row, transaction: ChainTransaction) -> Difference:
    """The first thing that keeps every operation from paying the row."""
    receiver, amount = row.receiver, row.stroops
    if receiver is None:
        return Difference(
            CaseReason.DESTINATION_MISMATCH,
            "The row names no receiver that exists, neither a destination nor the user's wallet.",
        )
    balances = [
        operation
        for operation in transaction.operations
        if operation.offered is not None and operation.received is None and receiver.account in operation.claimants
    ]
    if any(operation.asset == row.asset and operation.offered == amount for operation in balances):
        return Difference(
            CaseReason.CLAIMABLE_UNCLAIMED, "A claimable balance was created for the receiver; it is not claimed yet."
        )
    payments = [operation for operation in transaction.operations if operation.received is not None]
    mine = [operation for operation in payments if operation.destination == receiver]
    same_asset = [operation for operation in mine if operation.asset == row.asset]
    if same_asset:
        sums = ", ".join(units(operation.received or 0) for operation in same_asset)
        parts = f" over {len(same_asset)} operations" if len(same_asset) > 1 else ""
        return Difference(
            CaseReason.AMOUNT_MISMATCH, f"The amount differs: expected {row.amount_text}, received {sums}{parts}."
        )
    if mine:
        assets = ", ".join(sorted({asset_text(operation.asset) for operation in mine if operation.asset}))
        return Difference(
            CaseReason.ASSET_MISMATCH, f"The asset differs: expected {asset_text(row.asset)}, received {assets}."
        )
    if balances:
        return Difference(
            CaseReason.CLAIMABLE_UNCLAIMED,
            "A claimable balance with another asset or amount was created for the receiver; it is not claimed yet.",
        )
    if any(
        operation.kind == "claim_claimable_balance" and operation.destination == receiver
        for operation in transaction.operations
    ):
        return Difference(
            CaseReason.AMOUNT_MISMATCH,
            "A claimable balance was claimed: its asset and amount stand in another transaction, not in this one.",
        )
    receivers = ", ".join(
        sorted({address_text(operation.destination) for operation in payments if operation.destination})
    )
    return Difference(
        CaseReason.DESTINATION_MISMATCH,
        f"The receiver differs: expected {address_text(receiver)}, paid was {receivers or 'nobody'}.",
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
