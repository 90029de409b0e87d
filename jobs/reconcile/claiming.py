"""Claimable balances: created is not received, but one that was claimed was received by whoever claimed it.

The transaction that a row names only creates the balance. Another one claims it, at any later time: Horizon lists it
beside the balance. Both count only with an envelope that gives their hash. What was claimed is put into the creating
transaction as received, so that the same rules compare it, and so that it pays once, under the creating operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.horizon.model import Address, ChainTransaction, Lookup, Operation
from jobs.reconcile.picture import Json, Row

Claimings = Mapping[str, Sequence[Lookup]]
"""Transactions that a server lists beside claimable balances, by the balance's id; none: it lists nothing."""
_MOST = 20
"""Balances of one transaction that are asked for."""


def with_claimed(transaction: ChainTransaction, claimings: Claimings) -> ChainTransaction:
    """The transaction with what was claimed of its balances as received by the accounts that claimed it."""
    operations = tuple(_as_received(operation, claimings) for operation in transaction.operations)
    return transaction if operations == transaction.operations else replace(transaction, operations=operations)


def proof_of_claim(operation: Operation, claimings: Claimings) -> dict[str, Json]:
    """Where an operation's balance was claimed; empty if it was not."""
    claim = _claim(operation, claimings)
    if claim is None:
        return {}
    lookup, transaction, _ = claim
    return {
        "claimed_by": transaction.canonical,
        "claimed_in_ledger": transaction.ledger,
        "requests": [lookup.request],
    }


def balances_to_ask(row: Row, transaction: ChainTransaction, claimings: Claimings) -> tuple[str, ...]:
    """The balances laid aside for the row's receiver that nobody was asked about yet."""
    if row.receiver is None:
        return ()
    waiting = [
        operation.balance_id
        for operation in transaction.operations
        if operation.offered is not None and row.receiver.account in operation.claimants
    ]
    return tuple(balance for balance in waiting[:_MOST] if balance is not None and balance not in claimings)


def _as_received(operation: Operation, claimings: Claimings) -> Operation:
    claim = _claim(operation, claimings)
    if claim is None:
        return operation
    return replace(operation, destination=claim[2], received=operation.offered)


def _claim(operation: Operation, claimings: Claimings) -> tuple[Lookup, ChainTransaction, Address] | None:
    if operation.offered is None or operation.balance_id is None:
        return None
    for lookup in claimings.get(operation.balance_id, ()):
        transaction = lookup.transaction
        if transaction is None or not transaction.hash_proved or not transaction.successful:
            continue
        for one in transaction.operations:
            if one.kind == "claim_claimable_balance" and one.balance_id == operation.balance_id and one.destination:
                # The balance names base accounts: an id in the claim's own source says nothing about the receiver.
                return lookup, transaction, Address(one.destination.account)
    return None
