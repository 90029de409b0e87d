"""Root, health, fees, ledgers and accounts as Horizon prints them. Hrefs carry `BASE` for the server's address."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from math import ceil

from stellar_sdk import xdr

from jobs.horizon.sandbox.chain import ClosedLedger, ledger_hash
from jobs.horizon.sandbox.network import (
    BASE_FEE,
    BASE_RESERVE,
    MAX_OPERATIONS_PER_LEDGER,
    MAX_STROOPS,
    NATIVE,
    PROTOCOL,
    key_asset,
    stamp,
    toid,
    units,
)
from jobs.horizon.sandbox.records import PAGE_HINT, Included, Record, link
from jobs.horizon.sandbox.state import SandboxAccount
from jobs.horizon.sandbox.view import View

HORIZON_VERSION = "24.0.0-sandbox"
CORE_VERSION = "stellar-core 24.0.0 (sandbox)"
_ROOT_LINKS = {
    "account": link("/accounts/{account_id}"),
    "account_transactions": link("/accounts/{account_id}/transactions" + PAGE_HINT),
    "fee_stats": link("/fee_stats"),
    "friendbot": link("/friendbot{?addr}"),
    "ledger": link("/ledgers/{sequence}"),
    "ledgers": link("/ledgers" + PAGE_HINT),
    "operation": link("/operations/{id}"),
    "operations": link("/operations{?cursor,limit,order,include_failed}"),
    "payments": link("/payments{?cursor,limit,order,include_failed}"),
    "self": link("/"),
    "transaction": link("/transactions/{hash}"),
    "transactions": link("/transactions" + PAGE_HINT),
}
_PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)


def root(view: View) -> Record:
    """Where the server stands; `sandbox` says what no other Horizon says."""
    return {
        "_links": _ROOT_LINKS,
        "sandbox": True,
        "horizon_version": HORIZON_VERSION,
        "core_version": CORE_VERSION,
        "ingest_latest_ledger": view.ingest,
        "history_latest_ledger": view.latest,
        "history_latest_ledger_closed_at": stamp(view.closed_at),
        "history_elder_ledger": view.elder,
        "core_latest_ledger": view.core,
        "network_passphrase": view.passphrase,
        "current_protocol_version": view.protocol,
        "supported_protocol_version": PROTOCOL,
        "core_supported_protocol_version": PROTOCOL,
    }


def health(*, core_synced: bool) -> Record:
    return {"database_connected": True, "core_up": True, "core_synced": core_synced}


def fee_stats(last: ClosedLedger, recent: Sequence[Included]) -> Record:
    """Fees of recent transactions per operation; the base fee where there were none. Numbers are strings."""
    charged = sorted(entry.fee_charged // entry.operation_count for entry in recent)
    bids = sorted(entry.max_fee // entry.operation_count for entry in recent)
    return {
        "last_ledger": str(last.sequence),
        "last_ledger_base_fee": str(BASE_FEE),
        "ledger_capacity_usage": f"{min(1.0, last.set_operations / MAX_OPERATIONS_PER_LEDGER):.2f}",
        "fee_charged": _spread(charged or [BASE_FEE]),
        "max_fee": _spread(bids or [BASE_FEE]),
    }


def _spread(fees: Sequence[int]) -> dict[str, str]:
    found = {"max": fees[-1], "min": fees[0], "mode": Counter(fees).most_common(1)[0][0]}
    found |= {f"p{share}": fees[ceil(share * len(fees) / 100) - 1] for share in _PERCENTILES}
    return {key: str(fee) for key, fee in found.items()}


def ledger(closed: ClosedLedger) -> Record:
    own = f"/ledgers/{closed.sequence}"
    return {
        "_links": {
            "self": link(own),
            **{
                name: link(f"{own}/{name}{PAGE_HINT}") for name in ("transactions", "operations", "payments", "effects")
            },
        },
        "id": closed.hash,
        "paging_token": str(toid(closed.sequence)),
        "hash": closed.hash,
        "prev_hash": ledger_hash(closed.sequence - 1),
        "sequence": closed.sequence,
        "successful_transaction_count": closed.successful,
        "failed_transaction_count": closed.failed,
        "operation_count": closed.operations,
        "tx_set_operation_count": closed.set_operations,
        "closed_at": stamp(closed.closed_at),
        "total_coins": units(MAX_STROOPS),
        "fee_pool": units(0),
        "base_fee_in_stroops": BASE_FEE,
        "base_reserve_in_stroops": BASE_RESERVE,
        "max_tx_set_size": MAX_OPERATIONS_PER_LEDGER,
        "protocol_version": PROTOCOL,
        "header_xdr": b64encode(_header(closed).to_xdr_bytes()).decode(),
    }


def _header(closed: ClosedLedger) -> xdr.LedgerHeader:
    """A valid header; it hashes to nothing, as the ledger's hash is made up."""
    zero = xdr.Hash(bytes(32))
    value = xdr.StellarValue(
        zero,
        xdr.TimePoint(xdr.Uint64(int(closed.closed_at.timestamp()))),
        [],
        xdr.StellarValueExt(xdr.StellarValueType.STELLAR_VALUE_BASIC),
    )
    return xdr.LedgerHeader(
        ledger_version=xdr.Uint32(PROTOCOL),
        previous_ledger_hash=xdr.Hash(bytes.fromhex(ledger_hash(closed.sequence - 1))),
        scp_value=value,
        tx_set_result_hash=zero,
        bucket_list_hash=zero,
        ledger_seq=xdr.Uint32(closed.sequence),
        total_coins=xdr.Int64(MAX_STROOPS),
        fee_pool=xdr.Int64(0),
        inflation_seq=xdr.Uint32(0),
        id_pool=xdr.Uint64(0),
        base_fee=xdr.Uint32(BASE_FEE),
        base_reserve=xdr.Uint32(BASE_RESERVE),
        max_tx_set_size=xdr.Uint32(MAX_OPERATIONS_PER_LEDGER),
        skip_list=[zero] * 4,
        ext=xdr.LedgerHeaderExt(0),
    )


def account(found: SandboxAccount, sequence: int) -> Record:
    """The account, with the sequence number that the answer may tell."""
    own = f"/accounts/{found.id}"
    pages = ("transactions", "operations", "payments", "effects", "offers", "trades")
    document: Record = {
        "_links": {
            "self": link(own),
            **{name: link(f"{own}/{name}{PAGE_HINT}") for name in pages},
            "data": link(f"{own}/data/{{key}}"),
        },
        "id": found.id,
        "account_id": found.id,
        "sequence": str(sequence),
    }
    if found.sequence_ledger:
        document |= {"sequence_ledger": found.sequence_ledger, "sequence_time": str(found.sequence_time)}
    return document | {
        "subentry_count": len(found.limits),
        "last_modified_ledger": found.modified_ledger,
        "last_modified_time": stamp(found.modified_at),
        "thresholds": {"low_threshold": 0, "med_threshold": 0, "high_threshold": 0},
        "flags": {
            "auth_required": False,
            "auth_revocable": False,
            "auth_immutable": False,
            "auth_clawback_enabled": False,
        },
        "balances": [_balance(found, key) for key in sorted(found.limits)] + [_balance(found, NATIVE)],
        "signers": [{"weight": 1, "key": found.id, "type": "ed25519_public_key"}],
        "data": {},
        "num_sponsoring": 0,
        "num_sponsored": 0,
        "paging_token": found.id,
    }


def _balance(found: SandboxAccount, key: str) -> Record:
    amounts: Record = {
        "balance": units(found.balances.get(key, 0)),
        "buying_liabilities": units(0),
        "selling_liabilities": units(0),
    }
    if key == NATIVE:
        return amounts | {"asset_type": "native"}
    asset = key_asset(key)
    return amounts | {
        "limit": units(found.limits[key]),
        "last_modified_ledger": found.modified_ledger,
        "is_authorized": True,
        "is_authorized_to_maintain_liabilities": True,
        "asset_type": asset.type,
        "asset_code": asset.code,
        "asset_issuer": asset.issuer,
    }
