"""A submitted envelope, taken apart once: its hashes, who it concerns, and the results that it can have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from stellar_sdk import (
    AccountMerge,
    ClaimClaimableBalance,
    CreateAccount,
    CreateClaimableBalance,
    DecoratedSignature,
    FeeBumpTransactionEnvelope,
    MuxedAccount,
    Operation,
    PathPaymentStrictReceive,
    PathPaymentStrictSend,
    Payment,
    Transaction,
    TransactionEnvelope,
    xdr,
)

from jobs.horizon.sandbox.network import BASE_FEE
from jobs.horizon.sandbox.outcome import Outcome, code_name

TxCode = xdr.TransactionResultCode
AnyEnvelope = TransactionEnvelope | FeeBumpTransactionEnvelope


@dataclass(frozen=True, slots=True)
class Parsed:
    """An envelope of either kind; `transaction` is the inner one of a fee-bump. Hashes are lower-case hex."""

    xdr: str
    hash: str
    transaction: Transaction
    signatures: Sequence[DecoratedSignature]
    """Those of the transaction itself (the inner ones of a fee-bump)."""
    inner_hash: str | None = None
    fee_bump: FeeBumpTransactionEnvelope | None = None

    @property
    def source(self) -> MuxedAccount:
        return self.transaction.source

    @property
    def fee_source(self) -> MuxedAccount:
        return self.fee_bump.transaction.fee_source if self.fee_bump else self.transaction.source

    @property
    def max_fee(self) -> int:
        return self.fee_bump.transaction.fee if self.fee_bump else self.transaction.fee

    @property
    def fee_charged(self) -> int:
        """Stroops: the base fee per operation, and one more for a fee-bump."""
        return BASE_FEE * (len(self.transaction.operations) + (1 if self.fee_bump else 0))

    def hashes(self) -> tuple[str, ...]:
        return (self.hash, self.inner_hash) if self.inner_hash else (self.hash,)

    def participants(self) -> set[str]:
        """Base accounts and claimable balances whose pages list the transaction."""
        found = {self.source.account_id, self.fee_source.account_id}
        for index, operation in enumerate(self.transaction.operations):
            found.update(operation_participants(operation, self.source.account_id))
            if isinstance(operation, CreateClaimableBalance):
                found.add(self.transaction.get_claimable_balance_id(index))
            elif isinstance(operation, ClaimClaimableBalance):
                found.add(operation.balance_id)
        return found


def parse(envelope: str | AnyEnvelope, passphrase: str) -> Parsed:
    """Take an envelope apart; stellar-sdk's and XDR's errors (`ValueError`, `EOFError` and kin) for anything else."""
    if isinstance(envelope, str):
        tree = xdr.TransactionEnvelope.from_xdr(envelope)
        if tree.type == xdr.EnvelopeType.ENVELOPE_TYPE_TX_FEE_BUMP:
            return parse(FeeBumpTransactionEnvelope.from_xdr_object(tree, passphrase), passphrase)
        return parse(TransactionEnvelope.from_xdr_object(tree, passphrase), passphrase)
    if envelope.network_passphrase != passphrase:
        return parse(envelope.to_xdr(), passphrase)
    text, digest = envelope.to_xdr(), envelope.hash_hex()
    if isinstance(envelope, FeeBumpTransactionEnvelope):
        inner = envelope.transaction.inner_transaction_envelope
        return Parsed(text, digest, inner.transaction, inner.signatures, inner.hash_hex(), envelope)
    return Parsed(text, digest, envelope.transaction, envelope.signatures)


def operation_participants(operation: Operation, tx_source: str) -> Iterator[str]:
    """Base accounts whose pages list the operation: its source and whoever it names as receiver."""
    yield operation.source.account_id if operation.source else tx_source
    match operation:
        case Payment() | PathPaymentStrictSend() | PathPaymentStrictReceive() | AccountMerge():
            yield operation.destination.account_id
        case CreateAccount():
            yield operation.destination
        case CreateClaimableBalance():
            yield from (claimant.destination for claimant in operation.claimants)


def result(parsed: Parsed, code: TxCode, outcomes: Sequence[Outcome] = (), *, fee: int) -> xdr.TransactionResult:
    """The transaction's result: `code` is the transaction's own; a fee-bump's wraps it with the inner hash."""
    with_operations = code in (TxCode.txSUCCESS, TxCode.txFAILED)
    results = [outcome.result for outcome in outcomes] if with_operations else None
    if parsed.inner_hash is None:
        body = xdr.TransactionResultResult(code, results=results)
        return xdr.TransactionResult(xdr.Int64(fee), body, xdr.TransactionResultExt(0))
    inner = xdr.InnerTransactionResult(
        xdr.Int64(BASE_FEE * len(parsed.transaction.operations)),
        xdr.InnerTransactionResultResult(code, results),
        xdr.InnerTransactionResultExt(0),
    )
    pair = xdr.InnerTransactionResultPair(xdr.Hash(bytes.fromhex(parsed.inner_hash)), inner)
    ok = code == TxCode.txSUCCESS
    outer = TxCode.txFEE_BUMP_INNER_SUCCESS if ok else TxCode.txFEE_BUMP_INNER_FAILED
    body = xdr.TransactionResultResult(outer, inner_result_pair=pair)
    return xdr.TransactionResult(xdr.Int64(fee), body, xdr.TransactionResultExt(0))


def refusal(parsed: Parsed, code: TxCode, outcomes: Sequence[Outcome] = ()) -> xdr.TransactionResult:
    """The result of a transaction that is not let in; a fee-bump's own trouble is not wrapped."""
    own = code in (TxCode.txINSUFFICIENT_FEE, TxCode.txINSUFFICIENT_BALANCE, TxCode.txNO_ACCOUNT, TxCode.txBAD_AUTH)
    if parsed.fee_bump and own and not outcomes:
        body = xdr.TransactionResultResult(code)
        return xdr.TransactionResult(xdr.Int64(0), body, xdr.TransactionResultExt(0))
    return result(parsed, code, outcomes, fee=0)


_TX_NAMES = {TxCode.txNO_ACCOUNT: "tx_no_source_account"}


def tx_code_name(code: TxCode) -> str:
    """Horizon's word for a transaction's result code: `txBAD_SEQ` → `tx_bad_seq`."""
    return _TX_NAMES.get(code, f"tx_{code.name.removeprefix('tx').lower()}")


@cache
def empty_meta(operations: int) -> str:
    """Valid result meta without any ledger change: nothing in this project reads the changes."""
    none = xdr.LedgerEntryChanges([])
    each = [xdr.OperationMeta(none) for _ in range(operations)]
    return xdr.TransactionMeta(2, v2=xdr.TransactionMetaV2(none, each, none)).to_xdr()


EMPTY_FEE_META = xdr.LedgerEntryChanges([]).to_xdr()


def result_codes(told: xdr.TransactionResult) -> dict[str, object]:
    """Horizon's `result_codes`: of the transaction, of a fee-bump's inner one, and of the operations."""
    body = told.result
    codes: dict[str, object] = {"transaction": tx_code_name(body.code)}
    results = body.results
    if body.inner_result_pair:
        inner = body.inner_result_pair.result.result
        codes["inner_transaction"] = tx_code_name(inner.code)
        results = inner.results
    if results is not None:
        codes["operations"] = [_operation_code(one) for one in results]
    return codes


def _operation_code(one: xdr.OperationResult) -> str:
    if one.tr is None:
        return code_name(one.code)
    return next(code_name(arm.code) for arm in vars(one.tr).values() if hasattr(arm, "code"))
