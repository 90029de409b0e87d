"""The columns of the application's tables that the jobs read and write, with the types that they count on. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_UUID, _TEXT, _VARCHAR, _NUMBER, _JSON, _TIME = (
    "uuid",
    "text",
    "character varying",
    "numeric",
    "jsonb",
    "timestamp with time zone",
)
APPLICATION: Mapping[str, Mapping[str, str]] = {
    "users": {"id": _UUID, "email": _TEXT, "wallet_public_key": _VARCHAR, "created_at": _TIME},
    "transactions": {
        "id": _UUID,
        "user_id": _UUID,
        "type": _TEXT,
        "amount": _NUMBER,
        "currency": _VARCHAR,
        "asset_issuer": _VARCHAR,
        "status": _TEXT,
        "tx_hash": _VARCHAR,
        "envelope_xdr": _TEXT,
        "destination": _VARCHAR,
        "memo_type": _TEXT,
        "memo": _TEXT,
        "failure_reason": _TEXT,
        "metadata": _JSON,
        "processing_locked_at": _TIME,
        "processing_locked_by": _TEXT,
        "created_at": _TIME,
        "updated_at": _TIME,
    },
    "notifications": {
        "id": _UUID,
        "user_id": _UUID,
        "type": _TEXT,
        "title": _TEXT,
        "message": _TEXT,
        "status": _TEXT,
        "related_id": _UUID,
        "metadata": _JSON,
        "created_at": _TIME,
        "read_at": _TIME,
    },
    "balances": {
        "user_id": _UUID,
        "currency": _VARCHAR,
        "asset_issuer": _VARCHAR,
        "amount": _NUMBER,
        "updated_at": _TIME,
    },
    "ledger_entries": {
        "id": "bigint",
        "transaction_id": _UUID,
        "kind": _TEXT,
        "account_type": _TEXT,
        "user_id": _UUID,
        "direction": _TEXT,
        "amount": _NUMBER,
        "currency": _VARCHAR,
        "asset_issuer": _VARCHAR,
        "created_at": _TIME,
    },
}
