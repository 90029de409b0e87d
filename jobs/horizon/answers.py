"""Horizon's JSON bodies to frozen values; everything else a server may send is Undecodable, never another error.

Numbers are checked against the type that they have on the network (ledgers are 32 bits, fees 64), because what passes
here goes into the database; texts lose their control characters and their excess.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime

from jobs.horizon.decode import Undecodable, decode_transaction, is_hash
from jobs.horizon.model import Asset, ChainTransaction, FeeStats, Health, Root

JsonObject = Mapping[str, object]
_LEDGER_MAX = 2**32 - 1
_INT64_MAX = 2**63 - 1


def read_root(server: str, body: JsonObject, *, server_time: datetime | None, latency_ms: float) -> Root:
    """The answer of `GET /`; raises Undecodable.

    What no decision needs may be absent (versions, protocols, the ingestion's ledger in older Horizons); what is there
    has to make sense.
    """
    latest = _number(body, "history_latest_ledger", _LEDGER_MAX)
    protocol = _number({"current_protocol_version": 0, **body}, "current_protocol_version", 10_000)
    return Root(
        server=server,
        horizon_version=_words({"horizon_version": "", **body}, "horizon_version"),
        core_version=_words({"core_version": "", **body}, "core_version"),
        network_passphrase=_passphrase(body),
        latest_ledger=latest,
        latest_closed_at=_instant(body, "history_latest_ledger_closed_at"),
        elder_ledger=_number(body, "history_elder_ledger", _LEDGER_MAX),
        core_ledger=_number(body, "core_latest_ledger", _LEDGER_MAX),
        ingest_ledger=_number({"ingest_latest_ledger": latest, **body}, "ingest_latest_ledger", _LEDGER_MAX),
        protocol=protocol,
        supported_protocol=_number(
            {"supported_protocol_version": protocol, **body}, "supported_protocol_version", 10_000
        ),
        server_time=server_time,
        latency_ms=latency_ms,
    )


def read_health(body: JsonObject) -> Health:
    """The answer of `GET /health`, with status 200 or 503; raises Undecodable."""
    return Health(_flag(body, "database_connected"), _flag(body, "core_up"), _flag(body, "core_synced"))


def read_fee_stats(body: JsonObject) -> FeeStats:
    """The answer of `GET /fee_stats`, whose numbers are texts; raises Undecodable."""
    usage = body.get("ledger_capacity_usage")
    try:
        capacity = Decimal(usage) if isinstance(usage, str) and len(usage) <= 20 else Decimal("NaN")
    except InvalidOperation:
        capacity = Decimal("NaN")
    if not (capacity.is_finite() and 0 <= capacity <= 1000):
        raise Undecodable("The answer has no usable `ledger_capacity_usage`.")
    charged, offered = _object(body, "fee_charged"), _object(body, "max_fee")
    return FeeStats(
        last_ledger=_digits(body, "last_ledger", _LEDGER_MAX),
        capacity_usage=str(capacity),
        base_fee=_digits(body, "last_ledger_base_fee", _INT64_MAX),
        charged_p50=_digits(charged, "p50", _INT64_MAX),
        charged_p95=_digits(charged, "p95", _INT64_MAX),
        max_fee_p95=_digits(offered, "p95", _INT64_MAX),
    )


def read_transaction(asked: str, body: JsonObject, passphrase: str) -> ChainTransaction:
    """A transaction's record, decoded from its envelope and result; raises Undecodable.

    `asked` (lower case) is the hash of the request; a record that claims another one, or another outcome than its own
    XDR, is no answer.
    """
    if asked not in read_hashes(body):
        raise Undecodable("The answer is about another transaction than the one that was asked for.")
    transaction = decode_transaction(
        asked,
        _text(body, "envelope_xdr"),
        _text(body, "result_xdr"),
        ledger=_number(body, "ledger", _LEDGER_MAX),
        closed_at=_instant(body, "created_at"),
        passphrase=passphrase,
    )
    if body.get("successful") is not transaction.successful:
        raise Undecodable("The answer's `successful` contradicts its own result XDR.")
    return transaction


def read_records(body: JsonObject) -> list[JsonObject]:
    """The records of a page; raises Undecodable if it is no page."""
    records = _object(body, "_embedded").get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise Undecodable("The answer is no page: it has no `_embedded.records`.")
    return records


def read_hash(record: JsonObject) -> str:
    """The hash that a listed transaction has; raises Undecodable."""
    found = record.get("hash")
    if not isinstance(found, str) or not is_hash(found):
        raise Undecodable("A listed transaction has no hash.")
    return found.lower()


def read_hashes(record: JsonObject) -> tuple[str, ...]:
    """Every hash under which a record says that it may be asked for, of a fee-bump both; raises Undecodable."""
    inner, outer = record.get("inner_transaction"), record.get("fee_bump_transaction")
    parts = [record, *(part for part in (inner, outer) if isinstance(part, dict))]
    return tuple(dict.fromkeys(read_hash(part) for part in parts))


def read_token(record: JsonObject) -> int:
    """The paging token (TOID) to continue after a record; raises Undecodable."""
    return _digits(record, "paging_token", _INT64_MAX)


def read_closed_at(ledger: int, body: JsonObject) -> datetime:
    """When a ledger closed, from its record; raises Undecodable, also for another ledger's."""
    if body.get("sequence") != ledger:
        raise Undecodable("The answer is about another ledger than the one that was asked for.")
    return _instant(body, "closed_at")


def read_sequence(account: str, body: JsonObject) -> int:
    """An account's sequence number, from its record; raises Undecodable, also for another account's."""
    _is_about(account, body)
    return _digits(body, "sequence", _INT64_MAX)


def read_balances(account: str, body: JsonObject) -> dict[Asset, int]:
    """What an account holds, in stroops by asset; shares of liquidity pools are no asset.

    Raises Undecodable, also for another account's record.
    """
    _is_about(account, body)
    lines = body.get("balances")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise Undecodable("The answer has no `balances`.")
    found: dict[Asset, int] = {}
    for line in lines:
        kind = _text(line, "asset_type")
        if kind == "liquidity_pool_shares":
            continue
        native = kind == "native"
        asset = Asset("XLM", None) if native else Asset(_text(line, "asset_code"), _text(line, "asset_issuer"))
        if asset in found:
            raise Undecodable("The answer names a balance twice.")
        found[asset] = _stroops(line, "balance")
    return found


def read_server_time(headers: Mapping[str, str]) -> datetime | None:
    """The server's clock when the answer arrived: `Date`, and the `Age` that a cache on the way has added."""
    try:
        sent = parsedate_to_datetime(headers["Date"]).astimezone(UTC)
        age = headers.get("Age", "0")
        return datetime.fromtimestamp(sent.timestamp() + (int(age) if age.isdecimal() else 0), UTC)
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return None


def problem_words(body: JsonObject) -> str:
    """Title and detail of a problem document, short and clean; empty if it has neither."""
    parts = (clean(str(body[key]), 200) for key in ("title", "detail") if isinstance(body.get(key), str))
    return ": ".join(part for part in parts if part)


def clean(text: str, limit: int) -> str:
    """A server's text without control characters (PostgreSQL cannot hold NUL), on one line, cut at `limit`."""
    printable = "".join(character if character.isprintable() else " " for character in text[: limit * 2])
    return " ".join(printable.split())[:limit]


def _is_about(account: str, body: JsonObject) -> None:
    if body.get("account_id") != account:
        raise Undecodable("The answer is about another account than the one that was asked for.")


def _object(body: JsonObject, key: str) -> JsonObject:
    value = body.get(key)
    if not isinstance(value, dict):
        raise Undecodable(f"The answer has no `{key}`.")
    return value


def _text(body: JsonObject, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise Undecodable(f"The answer has no `{key}`.")
    return value


def _passphrase(body: JsonObject) -> str:
    """Exactly as sent, since it is compared exactly."""
    value = _text(body, "network_passphrase")
    if len(value) > 200 or not value.isprintable():
        raise Undecodable("The answer has no usable `network_passphrase`.")
    return value


def _words(body: JsonObject, key: str) -> str:
    return clean(_text(body, key), 200)


def _flag(body: JsonObject, key: str) -> bool:
    value = body.get(key)
    if not isinstance(value, bool):
        raise Undecodable(f"The answer has no `{key}`.")
    return value


def _number(body: JsonObject, key: str, most: int) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Undecodable(f"The answer has no usable `{key}`.")
    return value


def _digits(body: JsonObject, key: str, most: int) -> int:
    value = body.get(key)
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal() and len(value) <= 19):
        raise Undecodable(f"The answer has no usable `{key}`.")
    if int(value) > most:
        raise Undecodable(f"The answer has no usable `{key}`.")
    return int(value)


def _stroops(body: JsonObject, key: str) -> int:
    """An amount as Horizon writes it, "12.3456789", in stroops."""
    whole, point, fraction = _text(body, key).partition(".")
    digits = whole + fraction.ljust(7, "0")
    if not whole or (point and not fraction) or len(fraction) > 7 or len(digits) > 19:
        raise Undecodable(f"The answer has no usable `{key}`.")
    return _digits({key: digits}, key, _INT64_MAX)


def _instant(body: JsonObject, key: str) -> datetime:
    value = body.get(key)
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        if instant is not None and instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Undecodable(f"The answer has no usable `{key}`.")
