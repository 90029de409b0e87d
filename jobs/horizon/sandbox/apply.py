"""What an operation does to the sandbox's ledger, and its genuine result XDR.

Effects are simple but coherent: balances, trust lines, reserves and claimable balances follow the network's rules;
path payments trade with one market maker at fixed prices. Operations outside this list fail with `op_not_supported`.
"""

from __future__ import annotations

from dataclasses import dataclass

from stellar_sdk import (
    AccountMerge,
    BumpSequence,
    ChangeTrust,
    ClaimClaimableBalance,
    ClaimPredicate,
    CreateAccount,
    CreateClaimableBalance,
    Keypair,
    LiquidityPoolAsset,
    Operation,
    PathPaymentStrictReceive,
    PathPaymentStrictSend,
    Payment,
    xdr,
)
from stellar_sdk.operation.create_claimable_balance import ClaimPredicateType
from stellar_sdk.utils import sha256

from jobs.horizon.sandbox.exchange import Prices, path_receive, path_send
from jobs.horizon.sandbox.network import BASE_RESERVE, asset_key, stroops, toid
from jobs.horizon.sandbox.outcome import Outcome, wrap
from jobs.horizon.sandbox.state import ClaimableBalance, Draft, SandboxAccount


@dataclass(frozen=True, slots=True)
class Context:
    """Where an operation stands: its ledger, its transaction's source and sequence, and the market's prices."""

    ledger: int
    tx_source: str
    tx_sequence: int
    index: int
    prices: Prices


def apply_operation(draft: Draft, operation: Operation, context: Context) -> Outcome:
    """Change the draft as the operation says; on failure the caller drops the whole draft."""
    source_id = operation.source.account_id if operation.source else context.tx_source
    source = draft.account(source_id)
    if source is None:
        code = xdr.OperationResultCode.opNO_ACCOUNT
        return Outcome("op_no_source_account", xdr.OperationResult(code))
    match operation:
        case Payment():
            return _payment(draft, source, operation)
        case CreateAccount():
            return _create_account(draft, source, operation, context)
        case PathPaymentStrictSend():
            return path_send(draft, source, operation, context.prices)
        case PathPaymentStrictReceive():
            return path_receive(draft, source, operation, context.prices)
        case AccountMerge():
            return _merge(draft, source, operation)
        case CreateClaimableBalance():
            return _create_claimable(draft, source, operation, context)
        case ClaimClaimableBalance():
            return _claim(draft, source, operation)
        case ChangeTrust():
            return _change_trust(draft, source, operation)
        case BumpSequence():
            source.sequence = max(source.sequence, operation.bump_to)
            return _bumped()
        case _:
            code = xdr.OperationResultCode.opNOT_SUPPORTED
            return Outcome("op_not_supported", xdr.OperationResult(code))


def _payment(draft: Draft, source: SandboxAccount, op: Payment) -> Outcome:
    codes = xdr.PaymentResultCode
    key, amount = asset_key(op.asset), stroops(op.amount)
    target = draft.account(op.destination.account_id)
    if target is None:
        code = codes.PAYMENT_NO_DESTINATION
    elif not source.trusts(key):
        code = codes.PAYMENT_SRC_NO_TRUST
    elif source.available(key) < amount:
        code = codes.PAYMENT_UNDERFUNDED
    elif not target.trusts(key):
        code = codes.PAYMENT_NO_TRUST
    elif target is not source and target.room(key) < amount:
        code = codes.PAYMENT_LINE_FULL
    else:
        source.move(key, -amount)
        target.move(key, amount)
        code = codes.PAYMENT_SUCCESS
    return wrap(code, xdr.OperationResultTr(xdr.OperationType.PAYMENT, payment_result=xdr.PaymentResult(code)))


def _create_account(draft: Draft, source: SandboxAccount, op: CreateAccount, context: Context) -> Outcome:
    codes = xdr.CreateAccountResultCode
    amount = stroops(op.starting_balance)
    if draft.account(op.destination) is not None:
        code = codes.CREATE_ACCOUNT_ALREADY_EXIST
    elif amount < 2 * BASE_RESERVE:
        code = codes.CREATE_ACCOUNT_LOW_RESERVE
    elif source.spendable < amount:
        code = codes.CREATE_ACCOUNT_UNDERFUNDED
    else:
        source.move("native", -amount)
        draft.put_account(SandboxAccount(op.destination, toid(context.ledger), {"native": amount}))
        code = codes.CREATE_ACCOUNT_SUCCESS
    result = xdr.CreateAccountResult(code)
    return wrap(code, xdr.OperationResultTr(xdr.OperationType.CREATE_ACCOUNT, create_account_result=result))


def _merge(draft: Draft, source: SandboxAccount, op: AccountMerge) -> Outcome:
    codes = xdr.AccountMergeResultCode
    target = draft.account(op.destination.account_id)
    balance: xdr.Int64 | None = None
    if op.destination.account_id == source.id:
        code = codes.ACCOUNT_MERGE_MALFORMED
    elif target is None:
        code = codes.ACCOUNT_MERGE_NO_ACCOUNT
    elif source.limits:
        code = codes.ACCOUNT_MERGE_HAS_SUB_ENTRIES
    else:
        code, balance = codes.ACCOUNT_MERGE_SUCCESS, xdr.Int64(source.native)
        target.move("native", source.native)
        draft.remove_account(source.id)
    result = xdr.AccountMergeResult(code, balance)
    return wrap(code, xdr.OperationResultTr(xdr.OperationType.ACCOUNT_MERGE, account_merge_result=result))


def _create_claimable(draft: Draft, source: SandboxAccount, op: CreateClaimableBalance, context: Context) -> Outcome:
    codes = xdr.CreateClaimableBalanceResultCode
    key, amount = asset_key(op.asset), stroops(op.amount)
    balance_id: xdr.ClaimableBalanceID | None = None
    if not source.trusts(key):
        code = codes.CREATE_CLAIMABLE_BALANCE_NO_TRUST
    elif source.available(key) < amount:
        code = codes.CREATE_CLAIMABLE_BALANCE_UNDERFUNDED
    else:
        code = codes.CREATE_CLAIMABLE_BALANCE_SUCCESS
        source.move(key, -amount)
        balance_id = _balance_id(context)
        free = tuple(claimant.destination for claimant in op.claimants if _unconditional(claimant.predicate))
        draft.put_claimable(ClaimableBalance(balance_id.to_xdr_bytes().hex(), key, amount, free))
    result = xdr.CreateClaimableBalanceResult(code, balance_id)
    kind = xdr.OperationType.CREATE_CLAIMABLE_BALANCE
    return wrap(code, xdr.OperationResultTr(kind, create_claimable_balance_result=result))


def _unconditional(predicate: ClaimPredicate) -> bool:
    return predicate.claim_predicate_type == ClaimPredicateType.CLAIM_PREDICATE_UNCONDITIONAL


def _balance_id(context: Context) -> xdr.ClaimableBalanceID:
    preimage = xdr.HashIDPreimage(
        xdr.EnvelopeType.ENVELOPE_TYPE_OP_ID,
        operation_id=xdr.HashIDPreimageOperationID(
            Keypair.from_public_key(context.tx_source).xdr_account_id(),
            xdr.SequenceNumber(xdr.Int64(context.tx_sequence)),
            xdr.Uint32(context.index),
        ),
    )
    kind = xdr.ClaimableBalanceIDType.CLAIMABLE_BALANCE_ID_TYPE_V0
    return xdr.ClaimableBalanceID(kind, xdr.Hash(sha256(preimage.to_xdr_bytes())))


def _claim(draft: Draft, source: SandboxAccount, op: ClaimClaimableBalance) -> Outcome:
    codes = xdr.ClaimClaimableBalanceResultCode
    balance = draft.claimable(op.balance_id)
    if balance is None:
        code = codes.CLAIM_CLAIMABLE_BALANCE_DOES_NOT_EXIST
    elif source.id not in balance.claimants:
        code = codes.CLAIM_CLAIMABLE_BALANCE_CANNOT_CLAIM
    elif not source.trusts(balance.asset):
        code = codes.CLAIM_CLAIMABLE_BALANCE_NO_TRUST
    elif source.room(balance.asset) < balance.amount:
        code = codes.CLAIM_CLAIMABLE_BALANCE_LINE_FULL
    else:
        source.move(balance.asset, balance.amount)
        draft.remove_claimable(balance.id)
        code = codes.CLAIM_CLAIMABLE_BALANCE_SUCCESS
    result = xdr.ClaimClaimableBalanceResult(code)
    kind = xdr.OperationType.CLAIM_CLAIMABLE_BALANCE
    return wrap(code, xdr.OperationResultTr(kind, claim_claimable_balance_result=result))


def _change_trust(draft: Draft, source: SandboxAccount, op: ChangeTrust) -> Outcome:
    codes = xdr.ChangeTrustResultCode
    if isinstance(op.asset, LiquidityPoolAsset):
        return Outcome("op_not_supported", xdr.OperationResult(xdr.OperationResultCode.opNOT_SUPPORTED))
    key, limit = asset_key(op.asset), stroops(op.limit)
    if op.asset.is_native() or source.issues(key):
        code = codes.CHANGE_TRUST_MALFORMED
    elif draft.account(op.asset.issuer or "") is None:
        code = codes.CHANGE_TRUST_NO_ISSUER
    elif limit < source.balances.get(key, 0):
        code = codes.CHANGE_TRUST_INVALID_LIMIT
    elif key not in source.limits and source.spendable < BASE_RESERVE:
        code = codes.CHANGE_TRUST_LOW_RESERVE
    else:
        code = codes.CHANGE_TRUST_SUCCESS
        if limit:
            source.limits[key] = limit
            source.balances.setdefault(key, 0)
        else:
            source.limits.pop(key, None)
            source.balances.pop(key, None)
    result = xdr.ChangeTrustResult(code)
    return wrap(code, xdr.OperationResultTr(xdr.OperationType.CHANGE_TRUST, change_trust_result=result))


def _bumped() -> Outcome:
    code = xdr.BumpSequenceResultCode.BUMP_SEQUENCE_SUCCESS
    result = xdr.BumpSequenceResult(code)
    return wrap(code, xdr.OperationResultTr(xdr.OperationType.BUMP_SEQUENCE, bump_seq_result=result))
