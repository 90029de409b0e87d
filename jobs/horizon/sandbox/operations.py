"""Operations as Horizon prints them, rendered when somebody asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import orjson
from stellar_sdk import (
    AccountMerge,
    Asset,
    BumpSequence,
    ChangeTrust,
    ClaimClaimableBalance,
    ClaimPredicate,
    CreateAccount,
    CreateClaimableBalance,
    LiquidityPoolAsset,
    MuxedAccount,
    Operation,
    PathPaymentStrictReceive,
    PathPaymentStrictSend,
    Payment,
    xdr,
)
from stellar_sdk.operation.create_claimable_balance import ClaimPredicateType

from jobs.horizon.sandbox.envelope import operation_participants, parse
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE, asset_key, stamp, stroops, toid, units
from jobs.horizon.sandbox.records import Included, Record, link, muxed

_PAYMENTS = (CreateAccount, Payment, PathPaymentStrictSend, PathPaymentStrictReceive, AccountMerge)


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One operation's JSON, its paging token, and whom it concerns; `/payments` lists those that are payments."""

    token: int
    body: bytes
    participants: frozenset[str]
    payment: bool


def operation_records(entry: Included) -> Sequence[OperationRecord]:
    """The operations of an included transaction, in order."""
    return _render(
        entry.envelope_xdr, entry.result_xdr, entry.hash, entry.toid, entry.successful, stamp(entry.closed_at)
    )


def joined(record: OperationRecord, entry: Included) -> bytes:
    """The operation's JSON with its transaction inside, as `join=transactions` gives it."""
    return record.body[:-1] + b',"transaction":' + entry.body + b"}"


@lru_cache(maxsize=1024)
def _render(
    envelope_xdr: str, result_xdr: str, tx_hash: str, first: int, successful: bool, created_at: str
) -> tuple[OperationRecord, ...]:
    parsed = parse(envelope_xdr, SANDBOX_PASSPHRASE)
    results = _operation_results(result_xdr)
    found = []
    for index, operation in enumerate(parsed.transaction.operations):
        token = toid(0, 0, index + 1) + first
        source = operation.source or parsed.source
        kind = operation.to_xdr_object().body.type
        own = f"/operations/{token}"
        record: Record = {
            "_links": {
                "self": link(own),
                "transaction": link(f"/transactions/{tx_hash}"),
                "effects": link(f"{own}/effects"),
                "succeeds": link(f"/effects?order=desc&cursor={token}"),
                "precedes": link(f"/effects?order=asc&cursor={token}"),
            },
            "id": str(token),
            "paging_token": str(token),
            "transaction_successful": successful,
            "source_account": source.account_id,
            **muxed("source_account", source),
            "type": kind.name.lower(),
            "type_i": int(kind),
            "created_at": created_at,
            "transaction_hash": tx_hash,
            **_details(operation, source, results[index] if index < len(results) else None),
        }
        concerned = frozenset(operation_participants(operation, parsed.source.account_id))
        found.append(OperationRecord(token, orjson.dumps(record), concerned, isinstance(operation, _PAYMENTS)))
    return tuple(found)


def _operation_results(result_xdr: str) -> Sequence[xdr.OperationResult]:
    result = xdr.TransactionResult.from_xdr(result_xdr).result
    pair = result.inner_result_pair
    return (pair.result.result.results if pair else result.results) or ()


def _details(operation: Operation, source: MuxedAccount, result: xdr.OperationResult | None) -> Record:
    match operation:
        case Payment():
            return {
                **_asset(operation.asset),
                **_sides(source, operation.destination),
                "amount": units(stroops(operation.amount)),
            }
        case CreateAccount():
            return {
                "starting_balance": units(stroops(operation.starting_balance)),
                "funder": source.account_id,
                **muxed("funder", source),
                "account": operation.destination,
            }
        case PathPaymentStrictSend() | PathPaymentStrictReceive():
            return _path_payment(operation, source, result)
        case AccountMerge():
            into = operation.destination
            return {
                "account": source.account_id,
                **muxed("account", source),
                "into": into.account_id,
                **muxed("into", into),
            }
        case CreateClaimableBalance():
            return {
                "sponsor": source.account_id,
                "asset": asset_key(operation.asset),
                "amount": units(stroops(operation.amount)),
                "claimants": [
                    {"destination": claimant.destination, "predicate": _predicate(claimant.predicate)}
                    for claimant in operation.claimants
                ],
            }
        case ClaimClaimableBalance():
            return {
                "balance_id": operation.balance_id,
                "claimant": source.account_id,
                **muxed("claimant", source),
            }
        case ChangeTrust():
            if isinstance(operation.asset, LiquidityPoolAsset):
                return {}
            return {
                **_asset(operation.asset),
                "limit": units(stroops(operation.limit)),
                "trustee": operation.asset.issuer,
                "trustor": source.account_id,
                **muxed("trustor", source),
            }
        case BumpSequence():
            return {"bump_to": str(operation.bump_to)}
        case _:
            return {}


def _asset(asset: Asset, prefix: str = "") -> Record:
    found: Record = {f"{prefix}asset_type": asset.type}
    if not asset.is_native():
        found |= {f"{prefix}asset_code": asset.code, f"{prefix}asset_issuer": asset.issuer}
    return found


def _sides(source: MuxedAccount, destination: MuxedAccount) -> Record:
    return {
        "from": source.account_id,
        **muxed("from", source),
        "to": destination.account_id,
        **muxed("to", destination),
    }


def _path_payment(
    operation: PathPaymentStrictSend | PathPaymentStrictReceive,
    source: MuxedAccount,
    result: xdr.OperationResult | None,
) -> Record:
    """Amounts that only the market decides are those of the result, and zero when the payment failed."""
    shared: Record = {
        **_asset(operation.dest_asset),
        **_sides(source, operation.destination),
        "path": [_asset(hop) for hop in operation.path],
        **_asset(operation.send_asset, "source_"),
    }
    tr = result.tr if result else None
    if isinstance(operation, PathPaymentStrictSend):
        sent = tr.path_payment_strict_send_result if tr else None
        arrived = sent.success.last.amount.int64 if sent and sent.success else 0
        return {
            **shared,
            "amount": units(arrived),
            "source_amount": units(stroops(operation.send_amount)),
            "destination_min": units(stroops(operation.dest_min)),
        }
    got = tr.path_payment_strict_receive_result if tr else None
    amount = stroops(operation.dest_amount)
    spent = 0
    if got and got.success:
        trades = [offer.order_book for offer in got.success.offers if offer.order_book]
        spent = trades[0].amount_bought.int64 if trades else amount
    return {
        **shared,
        "amount": units(amount),
        "source_amount": units(spent),
        "source_max": units(stroops(operation.send_max)),
    }


def _predicate(predicate: ClaimPredicate) -> Record:
    kinds = ClaimPredicateType
    match predicate.claim_predicate_type:
        case kinds.CLAIM_PREDICATE_AND if group := predicate.and_predicates:
            return {"and": [_predicate(group.left), _predicate(group.right)]}
        case kinds.CLAIM_PREDICATE_OR if group := predicate.or_predicates:
            return {"or": [_predicate(group.left), _predicate(group.right)]}
        case kinds.CLAIM_PREDICATE_NOT if predicate.not_predicate:
            return {"not": _predicate(predicate.not_predicate)}
        case kinds.CLAIM_PREDICATE_BEFORE_ABSOLUTE_TIME:
            epoch = predicate.abs_before or 0
            return {"abs_before": stamp(datetime.fromtimestamp(epoch, UTC)), "abs_before_epoch": str(epoch)}
        case kinds.CLAIM_PREDICATE_BEFORE_RELATIVE_TIME:
            return {"rel_before": str(predicate.rel_before)}
        case _:
            return {"unconditional": True}
