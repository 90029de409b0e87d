"""`POST /rpc`: the same ledger as Stellar RPC shows it, with the methods that a look-up by hash needs.

Answers have stellar-rpc's names and types: ledgers are numbers, the times of `getTransaction` are texts, those of lists
are numbers. What is older than the view keeps, or newer than it sees, is not found.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from stellar_sdk import StrKey, xdr
from stellar_sdk.exceptions import SdkError

from jobs.horizon.sandbox.faults import FaultName, Faults
from jobs.horizon.sandbox.gate import seen_by
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.records import Included, Record
from jobs.horizon.sandbox.state import SandboxAccount
from jobs.horizon.sandbox.view import View

PAGE_MAX = 200
_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS, _INTERNAL = -32700, -32600, -32601, -32602, -32603
_HEX = frozenset("0123456789abcdef")
Params = Mapping[str, object]


class _Refused(Exception):
    """A JSON-RPC error: its code and its words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def rpc_routes(ledger: SandboxLedger, faults: Faults) -> list[Route]:
    """The one route of JSON-RPC."""
    return [Route("/rpc", _Rpc(ledger, faults).answer, methods=["POST"])]


class _Rpc:
    def __init__(self, ledger: SandboxLedger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults
        self._methods: dict[str, Callable[[View, Params], Record]] = {
            "getHealth": self._health,
            "getNetwork": self._network,
            "getLatestLedger": self._latest_ledger,
            "getTransaction": self._transaction,
            "getTransactions": self._transactions,
            "getLedgerEntries": self._ledger_entries,
        }

    async def answer(self, request: Request) -> Response:
        asked: object = None
        try:
            body = _read(await request.body())
            asked = body.get("id")
            method = self._methods.get(str(body.get("method")))
            if method is None:
                raise _Refused(_NO_METHOD, "method not found")
            params = body.get("params", {})
            if not isinstance(params, dict):
                raise _Refused(_INVALID_PARAMS, "parameters are named")
            outcome: Record = {"result": method(seen_by(request), params)}
        except _Refused as error:
            outcome = {"error": {"code": error.code, "message": str(error)}}
        return Response(
            orjson.dumps({"jsonrpc": "2.0", "id": asked, **outcome}), media_type="application/json; charset=utf-8"
        )

    def _health(self, view: View, params: Params) -> Record:
        if self._faults.on(FaultName.CORE_DOWN):
            raise _Refused(_INTERNAL, "latency since last known ledger closed is too high")
        return {
            "status": "healthy",
            "latestLedger": view.latest,
            "oldestLedger": view.elder,
            "ledgerRetentionWindow": view.latest - view.elder + 1,
        }

    def _network(self, view: View, params: Params) -> Record:
        return {"passphrase": view.passphrase, "protocolVersion": view.protocol}

    def _latest_ledger(self, view: View, params: Params) -> Record:
        closed = self._ledger.chain.ledger(view.latest) or self._ledger.latest
        return {
            "id": closed.hash,
            "protocolVersion": view.protocol,
            "sequence": view.latest,
            "closeTime": str(int(view.closed_at.timestamp())),
        }

    def _transaction(self, view: View, params: Params) -> Record:
        asked = str(params.get("hash", "")).lower()
        if len(asked) != 64 or not _HEX.issuperset(asked):
            raise _Refused(_INVALID_PARAMS, "a transaction hash is 64 hex digits")
        latest, oldest = self._times(view)
        found: Record = {
            "latestLedger": view.latest,
            "latestLedgerCloseTime": str(latest),
            "oldestLedger": view.elder,
            "oldestLedgerCloseTime": str(oldest),
        }
        entry = self._ledger.find(asked)
        if entry is None or not view.sees(entry):
            return {"status": "NOT_FOUND", "txHash": asked, **found}
        return {**found, **_shown(entry), "createdAt": str(int(entry.closed_at.timestamp()))}

    def _transactions(self, view: View, params: Params) -> Record:
        start, pages = params.get("startLedger"), params.get("pagination", {})
        limit = pages.get("limit", 50) if isinstance(pages, dict) else None
        if not isinstance(start, int) or not view.elder <= start <= view.latest:
            raise _Refused(_INVALID_PARAMS, f"start ledger must be between {view.elder} and {view.latest}")
        if not isinstance(limit, int) or not 0 < limit <= PAGE_MAX:
            raise _Refused(_INVALID_PARAMS, f"limit must be from 1 to {PAGE_MAX}")
        with self._ledger.lock:
            entries = [
                entry
                for number in range(start, view.latest + 1)
                for entry in self._ledger.chain.transactions(ledger=number)
            ][:limit]
        latest, oldest = self._times(view)
        return {
            "transactions": [{**_shown(entry), "createdAt": int(entry.closed_at.timestamp())} for entry in entries],
            "latestLedger": view.latest,
            "latestLedgerCloseTimestamp": latest,
            "oldestLedger": view.elder,
            "oldestLedgerCloseTimestamp": oldest,
            "cursor": str(entries[-1].toid if entries else view.latest << 32),
        }

    def _ledger_entries(self, view: View, params: Params) -> Record:
        keys = params.get("keys")
        if not isinstance(keys, list) or len(keys) > PAGE_MAX:
            raise _Refused(_INVALID_PARAMS, "keys are a list of ledger keys")
        found = []
        for key in keys:
            account = self._ledger.account(_account_of(key))
            if account is not None:
                sequence = self._ledger.sequence_at(account, view.latest)
                changed = min(max(account.modified_ledger, account.sequence_ledger), view.latest)
                found.append({"key": key, "xdr": _entry(account, sequence), "lastModifiedLedgerSeq": changed})
        return {"entries": found, "latestLedger": view.latest}

    def _times(self, view: View) -> tuple[int, int]:
        elder = self._ledger.chain.ledger(view.elder) or self._ledger.latest
        return int(view.closed_at.timestamp()), int(elder.closed_at.timestamp())


def _read(raw: bytes) -> Mapping[str, object]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _Refused(_PARSE_ERROR, "the body is no JSON") from error
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise _Refused(_INVALID_REQUEST, "the body is no request of JSON-RPC 2.0")
    return body


def _shown(entry: Included) -> Record:
    return {
        "status": "SUCCESS" if entry.successful else "FAILED",
        "txHash": entry.hash,
        "applicationOrder": entry.order,
        "feeBump": entry.inner_hash is not None,
        "envelopeXdr": entry.envelope_xdr,
        "resultXdr": entry.result_xdr,
        "ledger": entry.ledger,
    }


def _account_of(key: object) -> str:
    try:
        account = xdr.LedgerKey.from_xdr(str(key)).account
        if account is None or account.account_id.account_id.ed25519 is None:
            raise ValueError
        return StrKey.encode_ed25519_public_key(account.account_id.account_id.ed25519.uint256)
    except (ValueError, EOFError, SdkError) as error:
        raise _Refused(_INVALID_PARAMS, "the sandbox shows accounts only, by their ledger keys") from error


def _entry(account: SandboxAccount, sequence: int) -> str:
    """The account as an entry of the ledger; of its balances only the native one."""
    raw = StrKey.decode_ed25519_public_key(account.id)
    entry = xdr.AccountEntry(
        account_id=xdr.AccountID(xdr.PublicKey(xdr.PublicKeyType.PUBLIC_KEY_TYPE_ED25519, xdr.Uint256(raw))),
        balance=xdr.Int64(account.native),
        seq_num=xdr.SequenceNumber(xdr.Int64(sequence)),
        num_sub_entries=xdr.Uint32(len(account.limits)),
        inflation_dest=None,
        flags=xdr.Uint32(0),
        home_domain=xdr.String32(b""),
        thresholds=xdr.Thresholds(b"\x01\x00\x00\x00"),
        signers=[],
        ext=xdr.AccountEntryExt(0),
    )
    return b64encode(xdr.LedgerEntryData(xdr.LedgerEntryType.ACCOUNT, account=entry).to_xdr_bytes()).decode()
