"""A transaction as Horizon prints it, rendered once when its ledger closes.

Hrefs carry `BASE` in place of the server's address, so an answer is one `bytes.replace` away.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from stellar_sdk import (
    DecoratedSignature,
    HashMemo,
    IdMemo,
    MuxedAccount,
    Preconditions,
    ReturnHashMemo,
    TextMemo,
)
from stellar_sdk.memo import Memo

from jobs.horizon.sandbox.envelope import EMPTY_FEE_META, Parsed, empty_meta
from jobs.horizon.sandbox.network import stamp, toid

BASE = "{horizon}"
BASE_BYTES = BASE.encode()
PAGE_HINT = "{?cursor,limit,order}"
Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Included:
    """A transaction in a closed ledger, and its prerendered record under each of its hashes."""

    hash: str
    inner_hash: str | None
    ledger: int
    order: int
    closed_at: datetime
    successful: bool
    source: str
    sequence: int
    envelope_xdr: str
    result_xdr: str
    fee_charged: int
    max_fee: int
    operation_count: int
    body: bytes
    inner_body: bytes

    @property
    def toid(self) -> int:
        return toid(self.ledger, self.order)

    def record(self, asked: str) -> bytes:
        """The record's JSON as asked for under one of its hashes."""
        return self.inner_body if asked == self.inner_hash else self.body


def include(
    parsed: Parsed, ledger: int, order: int, closed_at: datetime, successful: bool, result_xdr: str
) -> Included:
    """Render a transaction that its ledger has just applied."""
    record = _record(parsed, ledger, order, closed_at, successful, result_xdr)
    body = orjson.dumps(record)
    inner_body = body
    if parsed.inner_hash:
        inner_body = orjson.dumps(_seen_as_inner(record, parsed, parsed.inner_hash, ledger, toid(ledger, order)))
    return Included(
        hash=parsed.hash,
        inner_hash=parsed.inner_hash,
        ledger=ledger,
        order=order,
        closed_at=closed_at,
        successful=successful,
        source=parsed.source.account_id,
        sequence=parsed.transaction.sequence,
        envelope_xdr=parsed.xdr,
        result_xdr=result_xdr,
        fee_charged=parsed.fee_charged,
        max_fee=parsed.max_fee,
        operation_count=len(parsed.transaction.operations),
        body=body,
        inner_body=inner_body,
    )


def link(path: str) -> Record:
    """A link, marked as a template when it has a hole."""
    href = f"{BASE}{path}"
    return {"href": href, "templated": True} if "{" in path else {"href": href}


def muxed(prefix: str, account: MuxedAccount) -> Record:
    """`<prefix>_muxed` and `<prefix>_muxed_id`; like Horizon, an id of 0 is left out and others are strings."""
    if account.account_muxed is None:
        return {}
    found: Record = {f"{prefix}_muxed": account.account_muxed}
    if account.account_muxed_id:
        found[f"{prefix}_muxed_id"] = str(account.account_muxed_id)
    return found


def _links(digest: str, source: str, ledger: int, token: int) -> Record:
    own = f"/transactions/{digest}"
    return {
        "self": link(own),
        "account": link(f"/accounts/{source}"),
        "ledger": link(f"/ledgers/{ledger}"),
        "operations": link(f"{own}/operations{PAGE_HINT}"),
        "effects": link(f"{own}/effects{PAGE_HINT}"),
        "precedes": link(f"/transactions?order=asc&cursor={token}"),
        "succeeds": link(f"/transactions?order=desc&cursor={token}"),
        "transaction": link(own),
    }


def _record(parsed: Parsed, ledger: int, order: int, closed_at: datetime, successful: bool, result_xdr: str) -> Record:
    transaction, token = parsed.transaction, toid(ledger, order)
    source = parsed.source.account_id
    outer = parsed.fee_bump.signatures if parsed.fee_bump else parsed.signatures
    record: Record = {
        **_memo(transaction.memo),
        "_links": _links(parsed.hash, source, ledger, token),
        "id": parsed.hash,
        "paging_token": str(token),
        "successful": successful,
        "hash": parsed.hash,
        "ledger": ledger,
        "created_at": stamp(closed_at),
        "source_account": source,
        **muxed("account", parsed.source),
        "source_account_sequence": str(transaction.sequence),
        "fee_account": parsed.fee_source.account_id,
        **muxed("fee_account", parsed.fee_source),
        "fee_charged": str(parsed.fee_charged),
        "max_fee": str(parsed.max_fee),
        "operation_count": len(transaction.operations),
        "envelope_xdr": parsed.xdr,
        "result_xdr": result_xdr,
        "result_meta_xdr": empty_meta(len(transaction.operations)),
        "fee_meta_xdr": EMPTY_FEE_META,
        "memo_type": _memo_type(transaction.memo),
        "signatures": _signatures(outer),
        **_preconditions(transaction.preconditions),
    }
    if parsed.fee_bump:
        record["fee_bump_transaction"] = {"hash": parsed.hash, "signatures": _signatures(outer)}
        record["inner_transaction"] = {
            "hash": parsed.inner_hash,
            "signatures": _signatures(parsed.signatures),
            "max_fee": str(transaction.fee),
        }
    return record


def _seen_as_inner(record: Record, parsed: Parsed, inner_hash: str, ledger: int, token: int) -> Record:
    """The same transaction asked for under its inner hash: that hash is echoed, with the inner signatures."""
    return {
        **record,
        "_links": _links(inner_hash, parsed.source.account_id, ledger, token),
        "id": inner_hash,
        "hash": inner_hash,
        "signatures": _signatures(parsed.signatures),
    }


def _signatures(signatures: Sequence[DecoratedSignature]) -> list[str]:
    return [b64encode(decorated.signature).decode() for decorated in signatures]


def _memo_type(memo: Memo) -> str:
    match memo:
        case TextMemo():
            return "text"
        case IdMemo():
            return "id"
        case HashMemo():
            return "hash"
        case ReturnHashMemo():
            return "return"
        case _:
            return "none"


def _memo(memo: Memo) -> Record:
    match memo:
        case TextMemo():
            raw = memo.memo_text
            return {"memo": raw.decode("utf-8", "replace"), "memo_bytes": b64encode(raw).decode()}
        case IdMemo():
            return {"memo": str(memo.memo_id)}
        case HashMemo():
            return {"memo": b64encode(memo.memo_hash).decode()}
        case ReturnHashMemo():
            return {"memo": b64encode(memo.memo_return).decode()}
        case _:
            return {}


def _preconditions(bounds: Preconditions | None) -> Record:
    if bounds is None:
        return {}
    found: Record = {}
    inside: Record = {}
    if times := bounds.time_bounds:
        found["valid_after"] = stamp(datetime.fromtimestamp(times.min_time, UTC))
        inside["timebounds"] = {"min_time": str(times.min_time)}
        if times.max_time:
            # Horizon prints any year; one beyond the calendar stays out of `valid_before`.
            if times.max_time < 253_402_300_800:
                found["valid_before"] = stamp(datetime.fromtimestamp(times.max_time, UTC))
            inside["timebounds"] = {"min_time": str(times.min_time), "max_time": str(times.max_time)}
    if ledgers := bounds.ledger_bounds:
        inside["ledgerbounds"] = {"min_ledger": ledgers.min_ledger} | (
            {"max_ledger": ledgers.max_ledger} if ledgers.max_ledger else {}
        )
    if bounds.min_sequence_number is not None:
        inside["min_account_sequence"] = str(bounds.min_sequence_number)
    if inside:
        found["preconditions"] = inside
    return found
