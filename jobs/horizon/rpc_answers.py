"""Stellar RPC's results to frozen values; everything else a server may send is Undecodable, never another error.

Ledgers come as numbers and times as texts of Unix seconds, from some providers the other way round: both are read. See
https://developers.stellar.org/docs/data/apis/rpc/api-reference.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from stellar_sdk import Keypair, xdr

from jobs.horizon.answers import JsonObject
from jobs.horizon.decode import BROKEN, Undecodable, decode_envelope, decode_transaction
from jobs.horizon.model import ChainTransaction

_LEDGER_MAX = 2**32 - 1
_SECONDS_MAX = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class Range:
    """The ledgers that a server has, as every answer of `getTransaction` says."""

    latest: int
    latest_closed_at: datetime
    oldest: int
    oldest_closed_at: datetime


def read_range(result: JsonObject) -> Range:
    """The range of an answer to `getTransaction`; raises Undecodable."""
    return Range(
        latest=read_number(result, "latestLedger"),
        latest_closed_at=_moment(result, "latestLedgerCloseTime"),
        oldest=read_number(result, "oldestLedger"),
        oldest_closed_at=_moment(result, "oldestLedgerCloseTime"),
    )


def read_status(result: JsonObject) -> str:
    """SUCCESS, FAILED or NOT_FOUND; raises Undecodable for anything else."""
    status = result.get("status")
    if status not in ("SUCCESS", "FAILED", "NOT_FOUND"):
        raise Undecodable("The answer has no `status` that is known.")
    return str(status)


def read_found(asked: str, result: JsonObject, passphrase: str) -> ChainTransaction:
    """An included transaction, decoded from its envelope and result; raises Undecodable.

    `asked` (lower case) is the hash of the request, outer or inner.
    """
    transaction = decode_transaction(
        asked,
        _text(result, "envelopeXdr"),
        _text(result, "resultXdr"),
        ledger=read_number(result, "ledger"),
        closed_at=_moment(result, "createdAt"),
        passphrase=passphrase,
    )
    if (result.get("status") == "SUCCESS") is not transaction.successful:
        raise Undecodable("The answer's `status` contradicts its own result XDR.")
    return transaction


def read_inner_hashes(result: JsonObject, passphrase: str) -> tuple[list[str], int]:
    """Of a list of `getTransactions`: the inner hashes of its fee-bumps, and how many transactions it has."""
    listed = result.get("transactions")
    if not isinstance(listed, list) or not all(isinstance(record, dict) for record in listed):
        raise Undecodable("The answer has no `transactions`.")
    found: list[str] = []
    for record in listed:
        if record.get("feeBump") is True:
            hashes = decode_envelope(_text(record, "envelopeXdr"), passphrase).hashes
            found += hashes[1:]
    return found, len(listed)


def read_passphrase(result: JsonObject) -> str:
    """The network that `getNetwork` names, exactly as sent; raises Undecodable."""
    value = _text(result, "passphrase")
    if len(value) > 200 or not value.isprintable():
        raise Undecodable("The answer has no usable `passphrase`.")
    return value


def account_key(account: str) -> str:
    """The key of an account (`G…`) for `getLedgerEntries`."""
    account_id = Keypair.from_public_key(account).xdr_account_id()
    return xdr.LedgerKey(xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(account_id)).to_xdr()


def read_account(result: JsonObject, account: str) -> tuple[int, int]:
    """An account's sequence number, and a ledger at or past the one that last changed it; raises Undecodable."""
    entries = result.get("entries")
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        raise Undecodable("The answer does not have the one account that was asked for.")
    entry = entries[0]
    try:
        found = xdr.LedgerEntryData.from_xdr_bytes(base64.b64decode(_text(entry, "xdr"), validate=True)).account
    except BROKEN as error:
        raise Undecodable("The account's XDR cannot be decoded.") from error
    if found is None or found.account_id != Keypair.from_public_key(account).xdr_account_id():
        raise Undecodable("The answer is about another account than the one that was asked for.")
    # The entries may come from a core that is ahead of `latestLedger`.
    ledger = max(read_number(result, "latestLedger"), read_number(entry, "lastModifiedLedgerSeq"))
    return int(found.seq_num.sequence_number.int64), ledger


def read_number(result: JsonObject, key: str, most: int = _LEDGER_MAX) -> int:
    """A whole number from 0 to `most`, a ledger's unless said otherwise; raises Undecodable."""
    value = result.get(key)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Undecodable(f"The answer has no usable `{key}`.")
    return value


def _moment(result: JsonObject, key: str) -> datetime:
    return datetime.fromtimestamp(read_number(result, key, _SECONDS_MAX), UTC)


def _text(result: JsonObject, key: str) -> str:
    value = result.get(key)
    if not isinstance(value, str):
        raise Undecodable(f"The answer has no `{key}`.")
    return value
