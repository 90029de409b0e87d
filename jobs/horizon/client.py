"""Horizon, as the jobs see it: questions with typed answers, over stellar-sdk's `ServerAsync` and our transport.

One object is one server, because a proof needs the watermark and the absence from the same one. A server is known
everywhere by its label, scheme, host and port: what else stands in its address may be a key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

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
from jobs.horizon.health import Thresholds, frozen_reason, is_behind
from jobs.horizon.many import look_up_many
from jobs.horizon.model import Answer, Entry, FeeStats, Frozen, Health, Holdings, Lookup, Page, Root, Watermark
from jobs.horizon.servers import label_of
from jobs.horizon.standing import highest_ledger, note_root
from jobs.horizon.transport import Body, HorizonError, Transport

WATERMARK_S = 5.0
"""For how long a watermark is used again: an older one is only more careful."""
PAGE_MAX = 200
BALANCE_PAGE = 10
"""A balance is created, claimed or taken back, and now and then its sponsor changes."""
Order = Literal["asc", "desc"]


def thresholds_of(settings: Settings) -> Thresholds:
    """The thresholds with what the settings say."""
    return Thresholds(
        age_warn_s=settings.horizon_age_warn_s,
        age_critical_s=settings.horizon_age_critical_s,
        lag_warn=settings.horizon_lag_warn,
        lag_critical=settings.horizon_lag_critical,
    )


class Horizon:
    """One server, for one job; an async context manager, bound to one event loop.

    `url` is an address of the settings, the first one if None; `urgent` may spend the reserve of the budget. Questions
    raise HorizonError when there is no usable answer, except `lookup`, `lookup_many` and `canary`, which never do.
    """

    def __init__(
        self, settings: Settings, db: Database, *, job: str, url: str | None = None, urgent: bool = False
    ) -> None:
        if url is None and not settings.horizon_urls:
            raise SettingsError(
                "STELLAR_HORIZON_URL is not set: accepted is an address like https://horizon.stellar.org."
            )
        self._url = url or settings.horizon_urls[0]
        self.server = label_of(self._url)
        self.frozen: Frozen | None = None
        """What the last root said; None as long as none was asked for."""
        self._settings = settings
        self._thresholds = thresholds_of(settings)
        self._db = db
        self._transport = Transport(settings, db, self._url, self.server, job, urgent=urgent)
        self._sdk = ServerAsync(self._url, self._transport)
        self._mark: tuple[float, Watermark | Frozen] | None = None
        self._elder: tuple[int, datetime] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, repeated ones included."""
        return self._transport.journal.requests

    async def root(self) -> Root:
        """Where the server stands; also notes its highest ledger, and freezes or thaws it (`frozen`)."""
        highest = await asyncio.to_thread(highest_ledger, self._db, self.server)
        body = _body(await self._sdk.root().call())
        server_time = read_server_time(body.headers)
        with self._usable(body):
            root = read_root(self.server, body, server_time=server_time, latency_ms=body.latency_ms)
        self.frozen = frozen_reason(root, self._settings.passphrase, highest)
        await asyncio.to_thread(note_root, self._db, root, self.frozen)
        return root

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
        """What the server says about one hash; never raises for what a server can answer.

        What is no hash is not asked for: it would be another path of the server.
        """
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

    def lookup_many(self, hashes: Iterable[str], concurrency: int | None = None) -> AsyncGenerator[Lookup, None]:
        """Looks hashes up at the same time and yields each answer as it comes, in no order.

        `concurrency` is at most, and by default, the setting's. Stopping early cancels what is on its way.
        """
        most = self._settings.horizon_parallel
        return look_up_many(self.lookup, hashes, min(concurrency or most, most))

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
            sequence = read_sequence(body)
        return sequence, await self._ledger_of(body)

    async def holdings(self, account: str) -> Holdings:
        """What an account holds; HorizonError with ABSENT where there is none, as far as one answer can tell."""
        body = await self._account(account)
        with self._usable(body):
            balances = read_balances(body)
        return Holdings(account, balances, await self._ledger_of(body))

    async def watermark(self) -> Watermark | Frozen:
        """How far the server has ingested, or why none of its answers counts; at most a few seconds old.

        Take it before the look-ups that it is to prove something for.
        """
        if self._mark is not None and time.monotonic() - self._mark[0] < WATERMARK_S:
            return self._mark[1]
        asked_at = time.monotonic()
        root = await self.root()
        mark = self.frozen or Watermark(
            server=self.server,
            ledger=root.latest_ledger,
            closed_at=root.latest_closed_at,
            elder_ledger=root.elder_ledger,
            elder_closed_at=await self._closed_at(root.elder_ledger),
            behind=is_behind(root, self._thresholds),
        )
        self._mark = (asked_at, mark)
        return mark

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

    async def _closed_at(self, ledger: int) -> datetime | None:
        if self._elder is None or self._elder[0] != ledger:
            try:
                body = _body(await self._sdk.ledgers().ledger(ledger).call())
                self._elder = (ledger, read_closed_at(body))
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

    @contextmanager
    def _usable(self, body: Body) -> Iterator[None]:
        try:
            yield
        except Undecodable as error:
            raise HorizonError(Answer.GARBLED, self.server, body.status, f"{self.server}: {error}") from error


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
