"""What every server that answers for the chain has in common: its address and label, its budget, and how far it can be believed."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import ClassVar, Self

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.decode import Undecodable
from jobs.horizon.health import Thresholds, frozen_reason, is_behind
from jobs.horizon.many import look_up_many
from jobs.horizon.model import Answer, Frozen, Lookup, Root, Watermark
from jobs.horizon.standing import highest_ledger, note_root
from jobs.horizon.transport import Body, HorizonError, Transport

WATERMARK_S = 5.0
"""For how long a watermark is used again: an older one is only more careful."""


def thresholds_of(settings: Settings) -> Thresholds:
    """The thresholds as the settings say."""
    return Thresholds(
        age_warn_s=settings.horizon_age_warn_s,
        age_critical_s=settings.horizon_age_critical_s,
        lag_warn=settings.horizon_lag_warn,
        lag_critical=settings.horizon_lag_critical,
        ingestion_warn_s=settings.horizon_ingestion_warn_s,
        ingestion_critical_s=settings.horizon_ingestion_critical_s,
        p95_warn_ms=settings.horizon_p95_warn_ms,
        p95_critical_ms=settings.horizon_p95_critical_ms,
        budget_warn=settings.horizon_budget_warn,
        budget_critical=settings.horizon_budget_critical,
        capacity_warn=Decimal(str(settings.horizon_capacity_warn)),
        errors_warn=settings.horizon_errors_warn,
        errors_critical=settings.horizon_errors_critical,
    )


class Server(ABC):
    """One server, for one job; an async context manager, bound to one event loop.

    `label` is what it is called everywhere; `urgent` may spend the reserve of the budget. Questions raise HorizonError
    when there is no usable answer, except `lookup`, `lookup_many` and `canary`, which never do.
    """

    keeps_all: ClassVar[bool] = True
    """False: it forgets by design."""

    def __init__(self, settings: Settings, db: Database, url: str, label: str, job: str, *, urgent: bool) -> None:
        self.server = label
        self.frozen: Frozen | None = None
        """What the last root said; None as long as none was asked for."""
        self._url = url
        self._settings = settings
        self._db = db
        self._transport = Transport(settings, db, url, label, job, urgent=urgent)
        self._mark: tuple[float, Watermark | Frozen] | None = None

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

    @property
    def silent(self) -> int:
        """Requests since the last answer: all of them failed, or were not answered in time."""
        return self._transport.silent

    async def root(self) -> Root:
        """Where the server stands; also notes its highest ledger, and freezes or thaws it (`frozen`)."""
        highest = await asyncio.to_thread(highest_ledger, self._db, self.server)
        root = await self._ask_root()
        self.frozen = frozen_reason(root, self._settings.passphrase, highest)
        await asyncio.to_thread(note_root, self._db, root, self.frozen)
        return root

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
            behind=is_behind(root, thresholds_of(self._settings)),
            keeps_all=self.keeps_all,
        )
        self._mark = (asked_at, mark)
        return mark

    @abstractmethod
    async def lookup(self, tx_hash: str) -> Lookup:
        """What the server says about one hash; never raises for what a server can answer.

        What is no hash is not asked for: it would be another path of the server.
        """

    def lookup_many(self, hashes: Iterable[str], concurrency: int | None = None) -> AsyncGenerator[Lookup, None]:
        """Looks hashes up at the same time and yields each answer as it comes, in no order.

        `concurrency` is at most, and by default, the setting's. Stopping early cancels what is on its way.
        """
        most = self._settings.horizon_parallel
        return look_up_many(self.lookup, hashes, min(concurrency or most, most))

    @abstractmethod
    async def _ask_root(self) -> Root:
        """Asks where the server stands."""

    @abstractmethod
    async def _closed_at(self, ledger: int) -> datetime | None:
        """When the oldest ledger that it keeps closed; None: it does not say, and then retention proves nothing."""

    @contextmanager
    def _usable(self, body: Body) -> Iterator[None]:
        try:
            yield
        except Undecodable as error:
            raise HorizonError(Answer.GARBLED, self.server, body.status, f"{self.server}: {error}") from error
