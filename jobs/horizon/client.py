"""Horizon, as the jobs see it: questions with typed answers, over stellar-sdk's `ServerAsync` and our transport.

One object is one server, because a proof needs the watermark and the absence from the same one. A server is known
everywhere by its label, scheme, host and port: what else stands in its address may be a key.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from stellar_sdk.server_async import ServerAsync
from stellar_sdk.utils import urljoin_with_query

from jobs.core.db import Database
from jobs.core.errors import SettingsError, UsageError
from jobs.core.settings import Settings
from jobs.horizon.answers import (
    JsonObject,
    read_balances,
    read_closed_at,
    read_fee_stats,
    read_hash,
    read_hashes,
    read_health,
    read_records,
    read_root,
    read_sequence,
    read_server_time,
    read_token,
    read_transaction,
)
from jobs.horizon.decode import Undecodable, is_account, is_hash
from jobs.horizon.model import Answer, Entry, FeeStats, Health, Holdings, Lookup, Page, Root
from jobs.horizon.server import Server
from jobs.horizon.servers import label_of
from jobs.horizon.transport import Body, HorizonError

PAGE_MAX = 200
BALANCE_PAGE = 10
"""A balance is created, claimed or taken back, and now and then its sponsor changes."""
Order = Literal["asc", "desc"]


class Horizon(Server):
    """One Horizon server; `url` is an address of the settings, the first one if None."""

    def __init__(
        self, settings: Settings, db: Database, *, job: str, url: str | None = None, urgent: bool = False
    ) -> None:
        if url is None and not settings.horizon_urls:
            raise SettingsError(
                "STELLAR_HORIZON_URL is not set: accepted is an address like https://horizon.stellar.org."
            )
        url = url or settings.horizon_urls[0]
        super().__init__(settings, db, url, label_of(url), job, urgent=urgent)
        self._sdk = ServerAsync(url, self._transport)
        self._elder: tuple[int, datetime] | None = None

    async def health(self) -> Health:
        """What `/health` says, also when it says so with 503."""
        body = await self._transport.ask(urljoin_with_query(self._url, "health"), accept=(200, 503))
        try:
            return read_health(body)
        except Undecodable as error:
            # A 503 that is not /health's own document is an ordinary failure.
            answer = Answer.GARBLED if body.status == 200 else Answer.UNAVAILABLE
            raise HorizonError(answer, self.server, body.status, f"{self.server}/health: {error}") from error

    async def fee_stats(self) -> FeeStats:
        """Fees of the last ledgers, and how full they were."""
        body = _body(await self._sdk.fee_stats().call())
        with self._usable(body):
            return read_fee_stats(body)

    async def lookup(self, tx_hash: str) -> Lookup:
        if not is_hash(tx_hash):
            return Lookup(
                tx_hash, Answer.MALFORMED, self.server, None, "The hash is malformed: it is not 64 hex digits."
            )
        asked = tx_hash.lower()
        try:
            body = _body(await self._sdk.transactions().transaction(asked).call())
        except HorizonError as error:
            return Lookup(asked, error.answer, self.server, error.status, error.detail)
        return self._read(asked, body, body.status)

    async def page(
        self, account: str | None = None, *, cursor: int | None = None, order: Order = "asc", limit: int = PAGE_MAX
    ) -> Page:
        """One page of the network's or an account's transactions after `cursor` (a TOID), failed ones included.

        An ascending page never begins before the server's oldest ledger: Horizon jumps there without a word, so a page
        proves what it lists and nothing about what it does not. Raises HorizonError; GONE for a descending cursor from
        before the history.
        """
        if account is not None and not is_account(account):
            raise UsageError("The account is malformed: it is not G and 55 more letters and digits.")
        pages = self._sdk.transactions().limit(limit).order(order == "desc").include_failed(True)
        if account is not None:
            pages = pages.for_account(account)
        if cursor is not None:
            pages = pages.cursor(str(cursor))
        body = _body(await pages.call())
        with self._usable(body):
            entries = tuple(_entry(record) for record in read_records(body)[:limit])
            tokens = [entry.token for entry in entries]
            if cursor is not None:
                tokens = [cursor, *tokens]
            if tokens != sorted(set(tokens), reverse=order == "desc"):
                raise Undecodable("A page is not in the order that was asked for.")
        return Page(entries, full=len(entries) == limit)

    def found(self, asked: str, entry: Entry) -> Lookup:
        """What a page says about one of an entry's hashes (lower case), as if it had been asked for by this hash."""
        return self._read(asked, entry.record, 200)

    async def transactions_of_balance(self, balance_id: str) -> list[Lookup]:
        """What is listed beside a claimable balance (`model.Operation.balance_id`): who claimed it, if anybody did.

        The newest few, of those that succeeded; none where the server does not know the balance. A record that cannot be
        read is GARBLED.
        """
        pages = self._sdk.transactions().for_claimable_balance(balance_id).limit(BALANCE_PAGE).order(True)
        try:
            body = _body(await pages.call())
        except HorizonError as error:
            if error.answer is Answer.ABSENT:
                return []
            raise
        with self._usable(body):
            listed = [(read_hash(record), record) for record in read_records(body)[:BALANCE_PAGE]]
        verb = f"GET /claimable_balances/{balance_id}/transactions → "
        return [replace(self._read(hash_, record, body.status), verb=verb) for hash_, record in listed]

    async def account_sequence(self, account: str) -> tuple[int, int]:
        """An account's sequence number, and a ledger at or past the one at which it was read."""
        body = await self._account(account)
        with self._usable(body):
            sequence = read_sequence(account, body)
        return sequence, await self._ledger_of(body)

    async def holdings(self, account: str) -> Holdings:
        """What an account holds; HorizonError with ABSENT where there is none, as far as one answer can tell."""
        body = await self._account(account)
        with self._usable(body):
            balances = read_balances(account, body)
        return Holdings(account, balances, await self._ledger_of(body))

    async def canary(self) -> bool | None:
        """Whether a transaction that the server itself lists is found by its hash; if not, its 404s mean nothing.

        None: it lists, but there is no transaction to list.
        """
        try:
            body = _body(await self._sdk.transactions().limit(1).order(True).include_failed(True).call())
            listed = [read_hash(record) for record in read_records(body)]
        except (HorizonError, Undecodable):
            return False
        return (await self.lookup(listed[0])).answer is Answer.FOUND if listed else None

    async def _account(self, account: str) -> Body:
        if not is_account(account):
            raise UsageError("The account is malformed: it is not G and 55 more letters and digits.")
        return _body(await self._sdk.accounts().account_id(account).call())

    async def _ledger_of(self, body: Body) -> int:
        """A ledger at or past the one that an answer showed."""
        ledger = body.headers.get("Latest-Ledger", "")
        if ledger.isascii() and ledger.isdecimal() and len(ledger) <= 10:
            return int(ledger)
        return (await self.root()).latest_ledger  # asked after the answer, so not before it

    async def _ask_root(self) -> Root:
        body = _body(await self._sdk.root().call())
        server_time = read_server_time(body.headers)
        with self._usable(body):
            return read_root(self.server, body, server_time=server_time, latency_ms=body.latency_ms)

    async def _closed_at(self, ledger: int) -> datetime | None:
        if self._elder is None or self._elder[0] != ledger:
            try:
                body = _body(await self._sdk.ledgers().ledger(ledger).call())
                self._elder = (ledger, read_closed_at(ledger, body))
            except (HorizonError, Undecodable):
                return None  # cleaned up meanwhile, or no answer: then retention proves nothing
        return self._elder[1]

    def _read(self, asked: str, record: JsonObject, status: int) -> Lookup:
        try:
            transaction = read_transaction(asked, record, self._settings.passphrase)
        except Undecodable as error:
            return Lookup(asked, Answer.GARBLED, self.server, status, str(error))
        detail = f"Included in ledger {transaction.ledger} with {transaction.result_code}."
        return Lookup(asked, Answer.FOUND, self.server, status, detail, transaction)


def _entry(record: JsonObject) -> Entry:
    """A record of a page; one whose hash cannot be read is nobody's, and spoils no page."""
    try:
        hashes = read_hashes(record)
    except Undecodable:
        hashes = ()
    return Entry(read_token(record), hashes, record)


def _body(answer: dict[str, Any]) -> Body:
    """stellar-sdk hands through what our transport parsed; its types know only the dict."""
    if not isinstance(answer, Body):
        raise TypeError("stellar-sdk did not use our transport")
    return answer
