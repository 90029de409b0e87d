"""Whether the network lets a transaction in: signatures, sequence, bounds and fee, before anything is spent.

A refused transaction leaves no trace on the ledger: it is neither a success nor a failure, and may come again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stellar_sdk import DecoratedSignature, Keypair, Transaction, xdr
from stellar_sdk.exceptions import BadSignatureError

from jobs.horizon.sandbox.envelope import Parsed, TxCode
from jobs.horizon.sandbox.network import BASE_FEE
from jobs.horizon.sandbox.outcome import Outcome
from jobs.horizon.sandbox.state import State


@dataclass(frozen=True, slots=True)
class Moment:
    """The ledger that a transaction asks to be in: number, and close time in unix seconds."""

    ledger: int
    close_time: int


def bounds_code(transaction: Transaction, moment: Moment) -> TxCode | None:
    """`txTOO_EARLY` or `txTOO_LATE` when the transaction cannot be in that ledger."""
    bounds = transaction.preconditions
    if bounds is None:
        return None
    times, ledgers = bounds.time_bounds, bounds.ledger_bounds
    if (times and moment.close_time < times.min_time) or (ledgers and moment.ledger < ledgers.min_ledger):
        return TxCode.txTOO_EARLY
    # A transaction may be in a ledger that closes at max_time; max_ledger itself is already too late.
    late = times and times.max_time and moment.close_time > times.max_time
    if late or (ledgers and ledgers.max_ledger and moment.ledger >= ledgers.max_ledger):
        return TxCode.txTOO_LATE
    return None


def refusal_code(
    parsed: Parsed, state: State, moment: Moment, last_sequence: int, *, signed: bool
) -> tuple[TxCode, list[Outcome]] | None:
    """Why it is refused (with the operations' results where they are the reason), or None when it is let in.

    `last_sequence` is the source's number after everything already queued; `signed` off skips the signatures.
    """
    transaction = parsed.transaction
    if not transaction.operations:
        return TxCode.txMISSING_OPERATION, []
    if early_or_late := bounds_code(transaction, moment):
        return early_or_late, []
    if parsed.max_fee < parsed.fee_charged or (not parsed.fee_bump and transaction.fee < BASE_FEE):
        return TxCode.txINSUFFICIENT_FEE, []
    payer = state.accounts.get(parsed.fee_source.account_id)
    if payer is None or transaction.source.account_id not in state.accounts:
        return TxCode.txNO_ACCOUNT, []
    if transaction.sequence != last_sequence + 1:
        return TxCode.txBAD_SEQ, []
    if signed and (bad := _bad_signatures(parsed)):
        return bad
    if payer.native < parsed.fee_charged:
        return TxCode.txINSUFFICIENT_BALANCE, []
    return None


def _bad_signatures(parsed: Parsed) -> tuple[TxCode, list[Outcome]] | None:
    """Master keys only: the sandbox's accounts have no other signers."""
    if parsed.fee_bump:
        outer = parsed.fee_bump
        if _used(outer.transaction.fee_source.account_id, outer.hash(), outer.signatures) is None:
            return TxCode.txBAD_AUTH, []
    transaction = parsed.transaction
    digest = bytes.fromhex(parsed.inner_hash or parsed.hash)
    used = {_used(transaction.source.account_id, digest, parsed.signatures)}
    if None in used:
        return TxCode.txBAD_AUTH, []
    outcomes: list[Outcome] = []
    for operation in transaction.operations:
        signer = operation.source.account_id if operation.source else transaction.source.account_id
        found = _used(signer, digest, parsed.signatures)
        used.add(found)
        code = xdr.OperationResultCode.opBAD_AUTH
        outcomes.append(Outcome("op_bad_auth" if found is None else "op_success", xdr.OperationResult(code)))
    if any(outcome.code == "op_bad_auth" for outcome in outcomes):
        return TxCode.txFAILED, [outcome for outcome in outcomes if not outcome.ok]
    if len(used) < len(parsed.signatures):
        return TxCode.txBAD_AUTH_EXTRA, []
    return None


def _used(account_id: str, digest: bytes, signatures: Sequence[DecoratedSignature]) -> int | None:
    """The position of the account's own valid signature, None without one."""
    key = Keypair.from_public_key(account_id)
    hint = key.signature_hint()
    for position, decorated in enumerate(signatures):
        if decorated.signature_hint == hint:
            try:
                key.verify(digest, decorated.signature)
            except BadSignatureError:
                continue
            return position
    return None
