"""Genuine envelopes and results for the decoder's tests, made with stellar-sdk and never by the decoder itself."""

from __future__ import annotations

import base64

from stellar_sdk import (
    Account,
    FeeBumpTransactionEnvelope,
    Keypair,
    TransactionBuilder,
    TransactionEnvelope,
    xdr,
)
from stellar_sdk.operation import Operation

PASSPHRASE = "Test SDF Network ; September 2015"
PAYER = Keypair.from_raw_ed25519_seed(b"\1" * 32)
PAYEE = Keypair.from_raw_ed25519_seed(b"\2" * 32)
ISSUER = Keypair.from_raw_ed25519_seed(b"\3" * 32)
SPONSOR = Keypair.from_raw_ed25519_seed(b"\4" * 32)


def builder(*operations: Operation, source: str | None = None, v1: bool = True) -> TransactionBuilder:
    """A transaction in the making with sequence number 42, without time bounds and memo."""
    made = TransactionBuilder(Account(source or PAYER.public_key, 41), PASSPHRASE, base_fee=100, v1=v1)
    for operation in operations:
        made.append_operation(operation)
    return made


def sign(made: TransactionBuilder) -> TransactionEnvelope:
    if made.time_bounds is None:
        made.add_time_bounds(0, 0)  # none, said explicitly
    envelope = made.build()
    envelope.sign(PAYER)
    return envelope


def fee_bump(inner: TransactionEnvelope) -> FeeBumpTransactionEnvelope:
    envelope = TransactionBuilder.build_fee_bump_transaction(SPONSOR, 400, inner, PASSPHRASE)
    envelope.sign(SPONSOR)
    return envelope


def operation_result(kind: xdr.OperationType, **result: object) -> xdr.OperationResult:
    """The result of one executed operation: `operation_result(PAYMENT, payment_result=…)`."""
    return xdr.OperationResult(
        xdr.OperationResultCode.opINNER,
        xdr.OperationResultTr(kind, **result),  # type: ignore[arg-type]  # one union arm, chosen by the caller
    )


def paid() -> xdr.OperationResult:
    """A payment that succeeded."""
    return operation_result(
        xdr.OperationType.PAYMENT, payment_result=xdr.PaymentResult(xdr.PaymentResultCode.PAYMENT_SUCCESS)
    )


def result(
    *operations: xdr.OperationResult, code: xdr.TransactionResultCode = xdr.TransactionResultCode.txSUCCESS
) -> str:
    """A transaction's result in base64."""
    outcome = xdr.TransactionResultResult(code, results=list(operations))
    return xdr.TransactionResult(xdr.Int64(100), outcome, xdr.TransactionResultExt(0)).to_xdr()


def fee_bump_result(
    inner: TransactionEnvelope,
    *operations: xdr.OperationResult,
    code: xdr.TransactionResultCode = xdr.TransactionResultCode.txSUCCESS,
) -> str:
    """A fee-bump's result in base64, around the inner transaction's."""
    outer = (
        xdr.TransactionResultCode.txFEE_BUMP_INNER_SUCCESS
        if code is xdr.TransactionResultCode.txSUCCESS
        else xdr.TransactionResultCode.txFEE_BUMP_INNER_FAILED
    )
    pair = xdr.InnerTransactionResultPair(
        xdr.Hash(inner.hash()),
        xdr.InnerTransactionResult(
            xdr.Int64(100),
            xdr.InnerTransactionResultResult(code, results=list(operations)),
            xdr.InnerTransactionResultExt(0),
        ),
    )
    outcome = xdr.TransactionResultResult(outer, inner_result_pair=pair)
    return xdr.TransactionResult(xdr.Int64(200), outcome, xdr.TransactionResultExt(0)).to_xdr()


def cut(text: str, size: int) -> str:
    """The first `size` bytes of what a base64 text holds, in base64."""
    return base64.b64encode(base64.b64decode(text)[:size]).decode()
