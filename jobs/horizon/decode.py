"""Envelope and result XDR to what a transaction did, decoded once and locally.

Horizon's JSON is a retelling; the envelope is what was signed and the result what the network did, so amounts,
receivers and hashes come from them. A hash is recomputed over the very bytes that were signed: SHA-256 of the network
id, the envelope's type and the transaction, under the configured passphrase (CAP-15 for fee-bumps, CAP-27 for
multiplexed accounts).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from functools import lru_cache

from stellar_sdk import StrKey, xdr
from xdrlib3 import Error as XdrError

from jobs.core.errors import NexaError
from jobs.horizon.codes import word
from jobs.horizon.model import Address, Asset, ChainTransaction, Memo, Operation, SignedEnvelope
from jobs.horizon.plain import NATIVE, Plain, encode_account, hash_memo, read_plain, text_memo

_HASH = re.compile("[0-9a-fA-F]{64}")
_TX = (2).to_bytes(4, "big")  # ENVELOPE_TYPE_TX
_ED25519 = bytes(4)  # KEY_TYPE_ED25519
_OTHER_KIND = "Envelope and result belong to different transactions: the operations differ in kind."
_SUCCESS = (xdr.TransactionResultCode.txSUCCESS, xdr.TransactionResultCode.txFEE_BUMP_INNER_SUCCESS)
BROKEN = (ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError, XdrError)
"""What stellar-sdk's generated decoders raise on bytes that are not what they should be."""

_Transaction = xdr.Transaction | xdr.TransactionV0


class Undecodable(NexaError):
    """XDR that cannot be read: not base64, cut off, of an unknown protocol, or result and envelope do not fit."""


@dataclass(frozen=True, slots=True)
class _Envelope:
    """A decoded envelope: the inner transaction, and its hashes under one passphrase."""

    transaction: _Transaction
    inner: str
    outer: str | None


@dataclass(frozen=True, slots=True)
class _PlainEnvelope:
    """The same of the plainest kind, which has no other hash than its own."""

    transaction: Plain
    inner: str
    outer: None = None


def decode_envelope(envelope_xdr: str, passphrase: str) -> SignedEnvelope:
    """The facts of a signed envelope (base64) under a network's passphrase; raises Undecodable."""
    try:
        envelope = _read_envelope(_raw(envelope_xdr), passphrase)
        transaction = envelope.transaction
        max_time, max_ledger = _bounds(transaction)
        return SignedEnvelope(
            hashes=(envelope.inner,) if envelope.outer is None else (envelope.outer, envelope.inner),
            source=_source(transaction).account,
            sequence=int(transaction.seq_num.sequence_number.int64),
            max_time=max_time,
            max_ledger=max_ledger,
        )
    except BROKEN as error:
        raise Undecodable("The envelope cannot be decoded: it is cut off, or not a transaction of Stellar.") from error


def decode_transaction(
    asked: str, envelope_xdr: str, result_xdr: str, *, ledger: int, closed_at: datetime, passphrase: str
) -> ChainTransaction:
    """An included transaction from its envelope and result, both base64; raises Undecodable.

    `asked` is the hash (lower case) under which a server gave it; `hash_proved` says whether it is the transaction's
    own, outer or inner, under `passphrase`.
    """
    try:
        raw = _raw(envelope_xdr)
        envelope = _read_plain(raw, passphrase) or _read_envelope(raw, passphrase)
        outcome = _read_result(result_xdr).result
        code, pair = outcome.code, outcome.inner_result_pair
        results = outcome.results
        proved = asked in (envelope.inner, envelope.outer)
        if (pair is None) != (envelope.outer is None):
            raise Undecodable("Envelope and result belong to different transactions: one is a fee-bump.")
        if pair is not None:
            # The result names the inner transaction too: a result of another envelope proves nothing.
            proved = proved and pair.transaction_hash.hash.hex() == envelope.inner
            inner = pair.result.result
            code, results = inner.code, inner.results
        successful = code in _SUCCESS and outcome.code in _SUCCESS
        transaction = envelope.transaction
        if results is not None and len(results) != len(transaction.operations):
            raise Undecodable("Envelope and result belong to different transactions: the operations differ in number.")
        done = results if successful and results else None
        if isinstance(transaction, Plain):
            memo, operations = transaction.memo, _payments(transaction.operations, done)
        else:
            memo, source = _memo(transaction.memo), _source(transaction)
            operations = tuple(
                _operation(index, operation, source, None if done is None else done[index])
                for index, operation in enumerate(transaction.operations)
            )
        return ChainTransaction(
            asked=asked,
            canonical=envelope.inner,
            outer=envelope.outer,
            successful=successful,
            ledger=ledger,
            closed_at=closed_at,
            memo=memo,
            operations=operations,
            result_code=word(code),
            operation_codes=() if successful else tuple(word(_operation_code(item)) for item in results or ()),
            hash_proved=proved,
        )
    except BROKEN as error:
        raise Undecodable("The transaction's XDR cannot be decoded: it is cut off, or newer than this version.") from (
            error
        )


def is_hash(text: str) -> bool:
    """Whether a text is a transaction hash: 64 hex digits, in either case."""
    return _HASH.fullmatch(text) is not None


def is_account(text: str) -> bool:
    """Whether a text is a base account (`G…`)."""
    return StrKey.is_valid_ed25519_public_key(text)


@lru_cache(maxsize=8)
def _network_id(passphrase: str) -> bytes:
    return hashlib.sha256(passphrase.encode()).digest()


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _read_plain(raw: bytes, passphrase: str) -> _PlainEnvelope | None:
    plain = read_plain(raw)
    if plain is None:
        return None
    return _PlainEnvelope(plain, hashlib.sha256(_network_id(passphrase) + raw[: plain.signed]).hexdigest())


def _read_envelope(raw: bytes, passphrase: str) -> _Envelope:
    """Decodes once and hashes slices of the bytes received: packing again would cost more than decoding."""
    envelope = xdr.TransactionEnvelope.from_xdr_bytes(raw)
    network = _network_id(passphrase)
    if envelope.v1 is not None:
        signed = raw[: len(raw) - _length(envelope.v1.signatures)]
        return _Envelope(envelope.v1.tx, hashlib.sha256(network + signed).hexdigest(), None)
    if envelope.v0 is not None:
        # Core hashes a version 0 transaction as version 1: the same bytes with a key type before the source account.
        signed = _TX + _ED25519 + raw[4 : len(raw) - _length(envelope.v0.signatures)]
        return _Envelope(envelope.v0.tx, hashlib.sha256(network + signed).hexdigest(), None)
    if envelope.fee_bump is None or envelope.fee_bump.tx.inner_tx.v1 is None:
        raise ValueError("no transaction in the envelope")
    bump, inner = envelope.fee_bump, envelope.fee_bump.tx.inner_tx.v1
    end = len(raw) - _length(bump.signatures)
    start = 4 + (36 if bump.tx.fee_source.med25519 is None else 44) + 8  # type, fee source, fee
    inner_end = end - 4 - _length(inner.signatures)  # the 4: the fee-bump's empty extension
    return _Envelope(
        inner.tx,
        hashlib.sha256(network + raw[start:inner_end]).hexdigest(),
        hashlib.sha256(network + raw[:end]).hexdigest(),
    )


@lru_cache(maxsize=1024)
def _read_result(result_xdr: str) -> xdr.TransactionResult:
    """Payments that succeed have the same few results: they are decoded once, and never changed."""
    outcome = xdr.TransactionResult.from_xdr_bytes(_raw(result_xdr))
    pair = outcome.result.inner_result_pair
    told = outcome.result if pair is None else pair.result.result
    if told.code in _SUCCESS and any(_operation_code(done) != 0 for done in told.results or ()):
        raise Undecodable("The result contradicts itself: the transaction succeeded, and an operation of it failed.")
    return outcome


def _length(signatures: list[xdr.DecoratedSignature]) -> int:
    """The bytes that a list of signatures takes: a count; a hint, a length and padded bytes each."""
    return 4 + sum(8 + (len(item.signature.signature) + 3) // 4 * 4 for item in signatures)


def _account_id(account: xdr.AccountID) -> str:
    key = account.account_id.ed25519
    if key is None:
        raise ValueError("an account without a key")
    return encode_account(key.uint256)


def _address(account: xdr.MuxedAccount) -> Address:
    if account.med25519 is not None:
        return Address(encode_account(account.med25519.ed25519.uint256), int(account.med25519.id.uint64))
    if account.ed25519 is None:
        raise ValueError("an account without a key")
    return Address(encode_account(account.ed25519.uint256))


def _source(transaction: _Transaction) -> Address:
    if isinstance(transaction, xdr.TransactionV0):
        return Address(encode_account(transaction.source_account_ed25519.uint256))
    return _address(transaction.source_account)


def _asset(asset: xdr.Asset) -> Asset:
    if asset.alpha_num4 is not None:
        code, issuer = asset.alpha_num4.asset_code.asset_code4, asset.alpha_num4.issuer
    elif asset.alpha_num12 is not None:
        code, issuer = asset.alpha_num12.asset_code.asset_code12, asset.alpha_num12.issuer
    else:
        return NATIVE
    return Asset(code.rstrip(b"\0").decode("ascii"), _account_id(issuer))


def _memo(memo: xdr.Memo) -> Memo:
    if memo.text is not None:
        return text_memo(memo.text)
    if memo.id is not None:
        return Memo("id", str(memo.id.uint64))
    if memo.hash is not None:
        return hash_memo("hash", memo.hash.hash)
    if memo.ret_hash is not None:
        return hash_memo("return", memo.ret_hash.hash)
    return Memo("none", None)


def _bounds(transaction: _Transaction) -> tuple[int, int]:
    """Latest close time (unix seconds) and first ledger that is too late; 0: none."""
    if isinstance(transaction, xdr.TransactionV0):
        times, ledgers = transaction.time_bounds, None
    elif transaction.cond.v2 is not None:
        times, ledgers = transaction.cond.v2.time_bounds, transaction.cond.v2.ledger_bounds
    else:
        times, ledgers = transaction.cond.time_bounds, None
    return (
        0 if times is None else int(times.max_time.time_point.uint64),
        0 if ledgers is None else int(ledgers.max_ledger.uint32),
    )


def _operation_code(result: xdr.OperationResult) -> IntEnum:
    """Why an operation failed, in its own enumeration; 0 in each of them: it did not."""
    if result.tr is None:
        return result.code
    inner = next(value for name, value in vars(result.tr).items() if name != "type" and value is not None)
    code: IntEnum = inner.code
    return code


def _payments(
    operations: tuple[Operation, ...], results: Sequence[xdr.OperationResult] | None
) -> tuple[Operation, ...]:
    """Plain payments: received if the results are there, which say of each no more than that it is one."""
    if results is None:
        return tuple(replace(operation, received=None) for operation in operations)
    if any(result.tr is None or result.tr.type is not xdr.OperationType.PAYMENT for result in results):
        raise Undecodable(_OTHER_KIND)
    return operations


def _operation(index: int, operation: xdr.Operation, outer: Address, result: xdr.OperationResult | None) -> Operation:
    """One operation; `result` only if the whole transaction succeeded, else nothing was received."""
    body = operation.body
    source = outer if operation.source_account is None else _address(operation.source_account)
    kind = body.type.name.lower()
    done = None if result is None else result.tr
    if result is not None and (done is None or done.type != body.type):
        raise Undecodable(_OTHER_KIND)
    if body.payment_op is not None:
        paid = int(body.payment_op.amount.int64) if done is not None else None
        return Operation(
            index, kind, source, _address(body.payment_op.destination), _asset(body.payment_op.asset), paid
        )
    if body.create_account_op is not None:
        created = body.create_account_op
        paid = int(created.starting_balance.int64) if done is not None else None
        return Operation(index, kind, source, Address(_account_id(created.destination)), NATIVE, paid)
    strict = body.path_payment_strict_receive_op or body.path_payment_strict_send_op
    if strict is not None:
        return Operation(
            index, kind, source, _address(strict.destination), _asset(strict.dest_asset), _path_received(done)
        )
    if body.destination is not None:  # account_merge: everything that the source had
        return Operation(index, kind, source, _address(body.destination), NATIVE, _merged(done))
    balance = body.create_claimable_balance_op
    if balance is not None:
        claimants = tuple(_account_id(item.v0.destination) for item in balance.claimants if item.v0 is not None)
        offered = int(balance.amount.int64)
        made = None if done is None else done.create_claimable_balance_result
        balance_id = None if made is None else _balance_id(made.balance_id)
        return Operation(
            index,
            kind,
            source,
            asset=_asset(balance.asset),
            claimants=claimants,
            offered=offered,
            balance_id=balance_id,
        )
    claim = body.claim_claimable_balance_op
    if claim is not None:
        # Asset and amount stand in the balance's creation, not here: the receiver is known, what was received is not.
        return Operation(index, kind, source, destination=source, balance_id=_balance_id(claim.balance_id))
    return Operation(index, kind, source)


def _balance_id(balance_id: xdr.ClaimableBalanceID | None) -> str | None:
    return None if balance_id is None else balance_id.to_xdr_bytes().hex()


def _path_received(done: xdr.OperationResultTr | None) -> int | None:
    """What the receiver of a path payment got: only the result knows it for strict send."""
    if done is None:
        return None
    path = done.path_payment_strict_receive_result or done.path_payment_strict_send_result
    if path is None or path.success is None:
        raise ValueError("a path payment without its result")
    return int(path.success.last.amount.int64)


def _merged(done: xdr.OperationResultTr | None) -> int | None:
    if done is None:
        return None
    if done.account_merge_result is None or done.account_merge_result.source_account_balance is None:
        raise ValueError("a merge without its result")
    return int(done.account_merge_result.source_account_balance.int64)
