"""Which server a run asks, and the next one when it fails.

A proof never mixes servers, so a run has one server at a time; the batch that was not concluded when it failed is asked
of the next one from the beginning. Each server is used once a run at most: what failed a moment ago is left to its
breaker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from jobs.core.errors import NexaError, SettingsError
from jobs.core.jobs import Asker
from jobs.horizon.breaker import OPENS_AFTER, Breaker, failed, froze, succeeded
from jobs.horizon.breakers import change, claim_try, read_candidates
from jobs.horizon.client import Horizon
from jobs.horizon.model import Answer, Frozen, Watermark
from jobs.horizon.provider import Provider
from jobs.horizon.ranking import Candidate, allowed, next_due
from jobs.horizon.rpc import Rpc
from jobs.horizon.server import thresholds_of
from jobs.horizon.servers import label_of, rpc_label, servers
from jobs.horizon.transport import HorizonError


class ServerFrozen(NexaError):
    """No answer of this server may change anything: another network, or its ledger went backwards."""


async def read_watermark(horizon: Provider) -> Watermark:
    """Where the server stands; raises ServerFrozen, or HorizonError when it does not say."""
    mark = await horizon.watermark()
    if isinstance(mark, Frozen):
        raise ServerFrozen(f"Nothing is settled on the answers of {mark.server}: {mark.reason}")
    return mark


class Choice:
    """The server of one run, as an async context manager that has chosen one when it is entered.

    Entering raises SettingsError without a server, else the most telling refusal when none can be used: ServerFrozen,
    then HorizonError. `urgent` may spend the reserve of the request budget: a person waits. Ending without an error tells
    the server's breaker that all went well, or that it had stopped answering when the time was up.
    """

    def __init__(self, run: Asker, *, urgent: bool = False) -> None:
        self._run = run
        self._urgent = urgent
        self._urls = {label_of(url): url for url in reversed(run.settings.horizon_urls)}
        self._opened: list[Provider] = []
        self._used: set[str] = set()
        self._counted = 0
        self._failing = False
        """The current server failed, and there is no other one."""
        self._stack = AsyncExitStack()
        self.current: Provider
        """The server to ask now."""

    async def __aenter__(self) -> Self:
        try:
            self.current = await self._choose()
        except BaseException:
            await self._stack.aclose()
            raise
        finally:
            self.count_requests()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A server that hangs takes the whole time of a run: the next run must not wait for it again. One question that it
        # cannot answer says nothing about it.
        unanswered = self.current.silent // self._run.settings.horizon_attempts
        if unanswered >= OPENS_AFTER and not self._failing:
            reason = "It left requests without an answer until the end of a run."
            await self._tell(self.current, lambda breaker, now: failed(breaker, now, reason, unanswered))
        elif kind is None and not self._failing:
            await self._tell(self.current, lambda breaker, _: succeeded(breaker))
        await self._stack.aclose()

    def count_requests(self) -> None:
        """Adds what was sent since the last time, to whichever server, to the run's requests."""
        sent = sum(horizon.requests for horizon in self._opened)
        self._run.count("requests", sent - self._counted)
        self._counted = sent

    async def leave(self, reason: str, *, frozen: bool = False, failures: int = 1) -> bool:
        """Leaves the current server, of which `failures` requests in a row got no answer, for the next one.

        False when no other one can be used: then it stays the current one. A budget that is spent is no failure of the
        server: 0 failures.
        """
        left = self.current
        if frozen:
            await self._tell(left, lambda breaker, now: froze(breaker, now, reason))
        elif failures:
            await self._tell(left, lambda breaker, now: failed(breaker, now, reason, failures))
        try:
            self.current = await self._choose()
        except NexaError:
            self._failing = True
            return False
        self._run.count("servers_changed")
        self._run.warning(
            "the run goes on with another server", left=left.server, why=reason, server=self.current.server
        )
        return True

    async def _choose(self) -> Provider:
        """The best server that can be believed; one that is behind only when no other one can."""
        candidates, now = await asyncio.to_thread(self._read_candidates)
        refusals: list[NexaError] = []
        behind: list[tuple[Watermark, Provider]] = []
        for candidate in allowed(candidates, self._run.settings.passphrase, thresholds_of(self._run.settings), now):
            if candidate.stand_in and behind:
                break
            if candidate.breaker.left_at is not None and not await self._claim_try(candidate):
                continue
            found = await self._try(candidate, refusals)
            if found is None:
                continue
            if not found[0].behind:
                return self._use(found[1])
            behind.append(found)
        if behind:
            return self._use(max(behind, key=lambda item: item[0].ledger)[1])
        # There is nobody to leave it for: money would wait for a breaker alone.
        last = next_due(candidate for candidate in candidates if candidate.server not in self._used)
        if last is not None:
            await self._claim_try(last, in_turn=False)
            if (found := await self._try(last, refusals)) is not None:
                return self._use(found[1])
        raise min(refusals, key=_how_telling, default=NexaError("There is no other server to ask."))

    async def _try(self, candidate: Candidate, refusals: list[NexaError]) -> tuple[Watermark, Provider] | None:
        """Where a server stands; None when it cannot be used, which its breaker is told."""
        settings, db, job = self._run.settings, self._run.db, self._run.job
        horizon: Provider
        if candidate.stand_in:
            horizon = await self._stack.enter_async_context(Rpc(settings, db, job=job))
        else:
            url = self._urls[candidate.server]
            horizon = await self._stack.enter_async_context(
                Horizon(settings, db, job=job, url=url, urgent=self._urgent)
            )
        self._opened.append(horizon)
        try:
            return await read_watermark(horizon), horizon
        except ServerFrozen as error:
            refused: NexaError = error
            reason = str(error)
            self._run.error("a server is frozen", server=horizon.server, why=reason)
            await self._tell(horizon, lambda breaker, now: froze(breaker, now, reason))
        except HorizonError as error:
            refused = error
            reason = error.detail
            self._run.error("a server does not answer", server=horizon.server, why=reason)
            if error.answer is not Answer.RATE_LIMITED:  # our own budget, or a server that only asks for patience
                await self._tell(horizon, lambda breaker, now: failed(breaker, now, reason))
        self._used.add(horizon.server)
        refusals.append(refused)
        return None

    def _use(self, horizon: Provider) -> Provider:
        self._used.add(horizon.server)
        return horizon

    def _read_candidates(self) -> tuple[list[Candidate], datetime]:
        labels, rpc_url = list(servers(self._run.settings)), self._run.settings.rpc_url
        if not labels:
            raise SettingsError(
                "STELLAR_HORIZON_URL is not set: accepted is an address like https://horizon.stellar.org."
            )
        with self._run.db.read() as conn:
            candidates, now = read_candidates(conn, labels, rpc_label(rpc_url) if rpc_url else None)
        return [candidate for candidate in candidates if candidate.server not in self._used], now

    async def _claim_try(self, candidate: Candidate, *, in_turn: bool = True) -> bool:
        return await asyncio.to_thread(claim_try, self._run.db, candidate.server, in_turn=in_turn)

    async def _tell(self, horizon: Provider, rule: Callable[[Breaker, datetime], Breaker]) -> None:
        await asyncio.to_thread(change, self._run.db, horizon.server, rule)


def _how_telling(refusal: NexaError) -> int:
    """The refusal that a person can do most about comes first; the earlier one of equals."""
    if isinstance(refusal, ServerFrozen):
        return 0
    return 2 if isinstance(refusal, HorizonError) and refusal.answer is Answer.RATE_LIMITED else 1
