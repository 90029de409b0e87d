"""Submission: `POST /transactions` waits until the transaction is in a ledger, `/transactions_async` does not.

Friendbot opens accounts with a transaction of its own, as on the test network.
"""

from __future__ import annotations

import asyncio
import binascii
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from stellar_sdk import StrKey, xdr
from stellar_sdk.exceptions import SdkError

from jobs.horizon.sandbox.answers import hal, rendered
from jobs.horizon.sandbox.envelope import Parsed, parse, result_codes
from jobs.horizon.sandbox.faults import FaultName, Faults
from jobs.horizon.sandbox.ledger import ROOT, Refused, SandboxLedger
from jobs.horizon.sandbox.problems import (
    TIMEOUT,
    UNSUPPORTED_MEDIA_TYPE,
    bad_field,
    transaction_failed,
    transaction_malformed,
)
from jobs.horizon.sandbox.wallet import Wallet

SUBMIT_TIMEOUT_S = 30.0
POLL_S = 0.02
FRIENDBOT_UNITS = 10_000


def submission_routes(ledger: SandboxLedger, faults: Faults, *, close_at_once: bool) -> list[Route]:
    """The routes; `close_at_once` closes a ledger over each submission, for sandboxes whose ledgers close by hand."""
    submission = _Submission(ledger, faults, close_at_once=close_at_once)
    return [
        Route("/transactions", submission.submit, methods=["POST"]),
        Route("/transactions_async", submission.submit_async, methods=["POST"]),
        Route("/friendbot", submission.friendbot, methods=["GET", "POST"]),
    ]


class _Submission:
    def __init__(self, ledger: SandboxLedger, faults: Faults, *, close_at_once: bool) -> None:
        self._ledger = ledger
        self._faults = faults
        self._close_at_once = close_at_once

    async def submit(self, request: Request) -> Response:
        parsed = await self._read(request)
        self._queue(parsed)
        if self._faults.take(FaultName.SUBMIT_TIMEOUT, request.url.path):
            # The answer is lost, the transaction is not: the next ledger includes it.
            raise TIMEOUT
        return await self._outcome(request, parsed)

    async def submit_async(self, request: Request) -> Response:
        parsed = await self._read(request)
        if self._ledger.is_pending(parsed.hash) or self._ledger.find(parsed.hash):
            return hal(request, {"tx_status": "DUPLICATE", "hash": parsed.hash}, 409)
        try:
            self._ledger.submit(parsed.xdr)
        except Refused as refused:
            document = {"error_result_xdr": refused.result.to_xdr(), "tx_status": "ERROR", "hash": parsed.hash}
            return hal(request, {**document}, 400)
        return hal(request, {"tx_status": "PENDING", "hash": parsed.hash}, 201)

    async def friendbot(self, request: Request) -> Response:
        address = request.query_params.get("addr") or (await _form(request)).get("addr", "")
        if not StrKey.is_valid_ed25519_public_key(address):
            raise bad_field("addr", "an account id begins with G and has 56 characters")
        with self._ledger.lock:
            wallet = Wallet(ROOT, self._ledger.next_sequence(ROOT.public_key) - 1)
            parsed = parse(wallet.create_account(address, FRIENDBOT_UNITS), self._ledger.passphrase)
            self._queue(parsed)
        return await self._outcome(request, parsed)

    async def _read(self, request: Request) -> Parsed:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in ("", "application/x-www-form-urlencoded"):
            raise UNSUPPORTED_MEDIA_TYPE
        text = (await _form(request)).get("tx", "")
        try:
            return parse(text, self._ledger.passphrase)
        except (ValueError, TypeError, EOFError, binascii.Error, SdkError) as error:
            raise transaction_malformed(text) from error

    def _queue(self, parsed: Parsed) -> None:
        try:
            self._ledger.submit(parsed.xdr)
        except Refused as refused:
            raise _failed(parsed, refused.result) from refused

    async def _outcome(self, request: Request, parsed: Parsed) -> Response:
        """Wait for the ledger that includes it; a transaction that runs out of its time bounds ends as a time-out."""
        if self._close_at_once:
            self._ledger.close_ledger()
        waited = 0.0
        while True:
            # First whether it waits, then whether it is there: a ledger may close in between.
            waits = self._ledger.is_pending(parsed.hash)
            if entry := self._ledger.find(parsed.hash):
                break
            if not waits or waited >= SUBMIT_TIMEOUT_S:
                raise TIMEOUT
            await asyncio.sleep(POLL_S)
            waited += POLL_S
        if not entry.successful:
            raise _failed(parsed, xdr.TransactionResult.from_xdr(entry.result_xdr))
        return rendered(request, entry.body)


def _failed(parsed: Parsed, result: xdr.TransactionResult) -> Exception:
    return transaction_failed(parsed.xdr, result.to_xdr(), parsed.hash, result_codes(result))


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body).items()}
