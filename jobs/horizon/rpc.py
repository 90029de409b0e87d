"""Stellar RPC in Horizon's place: the same questions by hash, over the same transport, budget and figures.

It keeps about a week, so what is older is simply not known to it. Its NOT_FOUND means absent only if it indexes a
fee-bump under its inner hash too, which some versions did not (stellar/stellar-rpc#862): there, a transaction that
somebody else has wrapped would look as if it had never been. So the canary is the inner hash of a fee-bump that the
server itself lists.
"""

from __future__ import annotations

from datetime import datetime

from jobs.core.db import Database
from jobs.core.errors import SettingsError, UsageError
from jobs.core.logs import redact
from jobs.core.settings import Settings
from jobs.horizon.answers import clean, read_server_time
from jobs.horizon.decode import Undecodable, is_account, is_hash
from jobs.horizon.model import Answer, Frozen, Lookup, Root
from jobs.horizon.rpc_answers import (
    Range,
    account_key,
    read_account,
    read_found,
    read_inner_hashes,
    read_number,
    read_passphrase,
    read_range,
    read_status,
)
from jobs.horizon.server import Server
from jobs.horizon.servers import rpc_label
from jobs.horizon.transport import Body, HorizonError

NOBODYS_HASH = "0" * 64
"""No transaction has it; the answer to it says which ledgers a server has."""
CANARY_LEDGERS = 10
CANARY_PAGE = 100
_REQUEST = "getTransaction "


class Rpc(Server):
    """The server of the settings."""

    keeps_all = False

    def __init__(self, settings: Settings, db: Database, *, job: str, urgent: bool = False) -> None:
        if settings.rpc_url is None:
            raise SettingsError("STELLAR_RPC_URL is not set: accepted is an address like https://rpc.example.org.")
        super().__init__(settings, db, settings.rpc_url, rpc_label(settings.rpc_url), job, urgent=urgent)
        self._seen = 0
        """The newest ledger that the server has shown."""
        self._range: Range | None = None

    async def _ask_root(self) -> Root:
        network = await self._call("getNetwork")
        health = await self._call("getHealth")
        answer = await self._call("getTransaction", {"hash": NOBODYS_HASH})
        with self._usable(answer):
            if health.get("status") != "healthy":
                raise Undecodable("It does not say that it is healthy.")
            if read_status(answer) != "NOT_FOUND":
                raise Undecodable("It knows a transaction that cannot exist.")
            ledgers = read_range(answer)
            protocol = read_number({"protocolVersion": 0, **network}, "protocolVersion", 10_000)
            passphrase = read_passphrase(network)
        self._range, self._seen = ledgers, max(self._seen, ledgers.latest)
        return Root(
            server=self.server,
            horizon_version="",
            core_version="",
            network_passphrase=passphrase,
            latest_ledger=ledgers.latest,
            latest_closed_at=ledgers.latest_closed_at,
            elder_ledger=ledgers.oldest,
            core_ledger=ledgers.latest,
            ingest_ledger=ledgers.latest,
            protocol=protocol,
            supported_protocol=protocol,
            server_time=read_server_time(answer.headers),
            latency_ms=answer.latency_ms,
        )

    async def _closed_at(self, ledger: int) -> datetime | None:
        return None if self._range is None or self._range.oldest != ledger else self._range.oldest_closed_at

    async def lookup(self, tx_hash: str) -> Lookup:
        if not is_hash(tx_hash):
            detail = "The hash is malformed: it is not 64 hex digits."
            return Lookup(tx_hash, Answer.MALFORMED, self.server, None, detail, verb=_REQUEST)
        asked = tx_hash.lower()
        at_least = self._seen
        try:
            result = await self._call("getTransaction", {"hash": asked})
        except HorizonError as error:
            return Lookup(asked, error.answer, self.server, error.status, error.detail, verb=_REQUEST)
        try:
            if read_range(result).latest < at_least:
                # A member behind a load balancer that has not come so far: its NOT_FOUND may only be late.
                detail = "It answered from an older ledger than before."
                return Lookup(asked, Answer.UNAVAILABLE, self.server, None, detail, verb=_REQUEST)
            if read_status(result) == "NOT_FOUND":
                return Lookup(asked, Answer.ABSENT, self.server, None, "NOT_FOUND", verb=_REQUEST)
            transaction = read_found(asked, result, self._settings.passphrase)
        except Undecodable as error:
            return Lookup(asked, Answer.GARBLED, self.server, None, str(error), verb=_REQUEST)
        detail = f"Included in ledger {transaction.ledger} with {transaction.result_code}."
        return Lookup(asked, Answer.FOUND, self.server, None, detail, transaction, verb=_REQUEST)

    async def canary(self) -> bool | None:
        """Whether a fee-bump that the server itself lists is found by its inner hash; if not, NOT_FOUND means nothing.

        Without a fee-bump in its last ledgers nothing shows that it is. None: no transaction is listed at all.
        """
        try:
            mark = await self.watermark()
            if isinstance(mark, Frozen):
                return False
            start = max(mark.elder_ledger, mark.ledger - CANARY_LEDGERS + 1)
            listed = await self._call("getTransactions", {"startLedger": start, "pagination": {"limit": CANARY_PAGE}})
            inner_hashes, number = read_inner_hashes(listed, self._settings.passphrase)
        except (HorizonError, Undecodable):
            return False
        if not inner_hashes:
            return None if number == 0 else False
        return (await self.lookup(inner_hashes[-1])).answer is Answer.FOUND

    async def account_sequence(self, account: str) -> tuple[int, int]:
        """An account's sequence number, and a ledger at or past the one at which it was read."""
        if not is_account(account):
            raise UsageError("The account is malformed: it is not G and 55 more letters and digits.")
        result = await self._call("getLedgerEntries", {"keys": [account_key(account)]})
        with self._usable(result):
            return read_account(result, account)

    async def transactions_of_balance(self, balance_id: str) -> list[Lookup]:
        """Nothing: it keeps no list of what happened to a claimable balance."""
        return []

    async def _call(self, method: str, params: dict[str, object] | None = None) -> Body:
        """The result of one method, with the answer's headers."""
        # A method without parameters refuses even an empty object of them.
        question = {"jsonrpc": "2.0", "id": 1, "method": method} | ({} if params is None else {"params": params})
        try:
            body = await self._transport.ask(self._url, question=question, endpoint=method)
        except HorizonError as error:
            if error.answer not in (Answer.ABSENT, Answer.GONE, Answer.MALFORMED):
                raise
            # Of HTTP, not of the ledger: nobody serves RPC at this address.
            raise HorizonError(Answer.UNAVAILABLE, self.server, error.status, error.detail) from error
        if isinstance(failure := body.get("error"), dict):
            words = redact(clean(str(failure.get("message", "")), 200)).rstrip(".")
            detail = f"{self.server} refuses {method}{f' ({words})' if words else ''}."
            raise HorizonError(Answer.UNAVAILABLE, self.server, body.status, detail)
        if not isinstance(result := body.get("result"), dict):
            raise HorizonError(Answer.GARBLED, self.server, body.status, f"{self.server} gave no result to {method}.")
        found = Body(result)
        found.headers, found.status, found.latency_ms = body.headers, body.status, body.latency_ms
        return found
