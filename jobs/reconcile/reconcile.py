"""One run over the rows that are due: pages or hashes, batch by batch: ask, decide, settle, let go.

Memory holds one batch; the books change in one transaction a batch, and only if the flags still allow it then. A
server that dies in the middle leaves rows as they are and locks released.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.core.errors import NexaError, SettingsError, TransientError
from jobs.core.flags import Flag
from jobs.core.jobs import Run
from jobs.horizon.client import Horizon
from jobs.reconcile.asking import ServerFrozen, ask_about, decide_all, look_at, read_watermark
from jobs.reconcile.conclude import Judged, conclude
from jobs.reconcile.picture import Picture
from jobs.reconcile.plan import NETWORK, NETWORK_FROM, Sample, make_plan, to_sample
from jobs.reconcile.reading import Chunk, newest_pages, planned_pages, scope_name
from jobs.reconcile.rules import decide
from jobs.reconcile.scopes import Due, Move, read_due
from jobs.reconcile.settle import Attempt
from jobs.reconcile.store import (
    Held,
    Key,
    Wanted,
    alive,
    database_now,
    hold_batch,
    hold_listed,
    peek_batch,
    peek_listed,
    release,
)

SAMPLE_MOST = 200
"""Accounts whose newest page one run looks at: those with the most rows."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a job wants of a run: which rows, how many at most, and the flag that allows it."""

    wanted: Wanted
    limit: int | None
    flag: Flag


def reconcile(run: Run, task: Task) -> None:
    """Looks at the rows that are due and settles what is proved.

    Counts seen = settled + failed + cases + pending (+ lost), and requests estimated and sent. Raises NexaError when
    no server can be believed, TransientError when they do not answer.
    """
    for name in ("seen", "settled", "failed", "pending", "cases", "requests_estimated", "requests"):
        run.count(name, 0)
    asyncio.run(_reconcile(run, task))


async def _reconcile(run: Run, task: Task) -> None:
    attempt = Attempt(run.id, f"run:{run.id}:{run.token}", run.settings.passphrase)
    async with AsyncExitStack() as stack:
        if not run.dry_run:
            stack.enter_context(alive(run.db, attempt.owner))
        _raise_undated(run, attempt, task)
        horizon = await _choose_server(run, stack)
        await _Reconciliation(run, task, attempt, horizon).work()


class _Reconciliation:
    """One run on one server: pages where they are cheaper, hashes for everything that no page has shown."""

    def __init__(self, run: Run, task: Task, attempt: Attempt, horizon: Horizon) -> None:
        self._run = run
        self._task = task
        self._attempt = attempt
        self._horizon = horizon
        self._requests = 0
        self._done = self._total = 0
        self._silent = 0
        self._after: Key | None = None
        self._over = False
        """The flags say that this run is over, or no more requests may be sent."""

    async def work(self) -> None:
        try:
            due = await self._due()
            self._total = due.rows if self._task.limit is None else min(due.rows, self._task.limit)
            self._run.progress(0, self._total)
            if self._task.limit is None and self._task.wanted.transaction_id is None:
                await self._by_pages(due)
            else:
                askable = due.others + sum(group.rows for group in due.groups)
                self._run.count("requests_estimated", min(askable, self._total))
            while not (self._over or self._run.should_stop()):
                size = self._run.settings.batch_size
                left = size if self._task.limit is None else min(size, self._task.limit - self._done)
                if left == 0 or await self._by_hash(self._task.wanted, left) < left:
                    break
        finally:
            self._count_requests()

    async def _by_pages(self, due: Due) -> None:
        """First what the newest pages show, then what the plan names; in turns with what waits in vain."""
        run, horizon = self._run, self._horizon
        samples: dict[str, Sample] = {}
        if scopes := to_sample(due.groups)[:SAMPLE_MOST]:
            mark = await read_watermark(horizon)
            await self._settle_pages(newest_pages(run, horizon, scopes, mark.ledger, samples), None)
            due = await self._due()
        plan = make_plan(due.groups, samples, others=due.others)
        if plan.requests >= NETWORK_FROM:
            mark = await read_watermark(horizon)
            await self._settle_pages(newest_pages(run, horizon, [NETWORK], mark.ledger, samples), None)
            plan = make_plan(due.groups, samples, others=due.others)
        run.count("requests_estimated", plan.requests + len(samples))
        for reading in plan.readings[:20]:
            where = {"scope": scope_name(reading.scope), "from_ledger": reading.since}
            run.info(f"plan: about {reading.pages:,} pages for {reading.rows:,} rows", **where)
        if plan.readings:
            run.info(f"plan: {plan.by_hash:,} rows by hash, about {plan.requests:,} requests in all")
            await self._settle_pages(planned_pages(run, horizon, plan, self._attempt.network), plan.oldest)

    async def _settle_pages(self, chunks: AsyncGenerator[Chunk, None], oldest: datetime | None) -> None:
        """Settles what pages show: one chunk is judged while the one before it is written.

        Rows that were created before `oldest`, or are asked for in vain again and again, get as many requests as the
        pages: they must not starve behind them.
        """
        waiting = None if oldest is None else replace(self._task.wanted, waiting_since=oldest)
        writing: asyncio.Task[None] | None = None
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    if self._over or self._run.should_stop():
                        break
                    batch, judged = await self._judge(chunk)
                    if writing is not None:
                        await asyncio.wait({writing})
                    before, writing = (
                        writing,
                        asyncio.create_task(asyncio.to_thread(self._settle, batch, judged, chunk.moves)),
                    )
                    if before is not None:
                        before.result()
                    if waiting is not None:
                        await writing
                        turn = max(1, len(chunk.moves))
                        if self._over or await self._by_hash(waiting, turn) < turn:
                            waiting = None
        finally:
            if writing is not None:
                await writing
        self._after = None

    async def _judge(self, chunk: Chunk) -> tuple[list[Held], Judged]:
        """The rows that a chunk is about, held, and the decision on each."""
        entries = {hash_: entry for entry in chunk.entries for hash_ in entry.hashes}
        batch, now = await asyncio.to_thread(self._take_listed, list(entries))
        try:
            mark = await read_watermark(self._horizon)

            def judge() -> Judged:
                findings = look_at(self._horizon, mark, batch, entries, now)
                return decide_all(self._run, self._attempt.network, batch, findings)

            return batch, await asyncio.to_thread(judge)
        except BaseException:
            await asyncio.to_thread(self._let_go, batch)
            raise

    async def _by_hash(self, wanted: Wanted, size: int) -> int:
        """Asks for the next rows by their hashes and settles them; how many there were."""
        batch, now = _take(self._run, self._attempt, wanted, self._after, size)
        if not batch:
            return 0
        try:
            findings = await ask_about(self._run, self._horizon, batch, now, self._silent)
            self._silent = findings.silent
            judged = decide_all(self._run, self._attempt.network, batch, findings)
        except BaseException:
            self._let_go(batch)
            raise
        self._settle(batch, judged)
        if findings.spent:
            self._run.warning("the request budget is spent: what was not asked waits for the next run")
            self._over = True
        elif findings.gave_up and not self._run.should_stop():
            why = findings.frozen or "it stopped answering"
            raise TransientError(f"{self._horizon.server} cannot be used: {why}. What was not proved stays as it is.")
        self._after = batch[-1].row.order
        return len(batch)

    async def _due(self) -> Due:
        mark = await read_watermark(self._horizon)
        with self._run.db.read() as conn:
            return read_due(conn, self._task.wanted, mark, self._run.settings.passphrase, run_id=self._run.id)

    def _settle(self, batch: Sequence[Held], judged: Judged, moves: Sequence[Move] = ()) -> None:
        """Writes what follows for a batch that is held, and lets go of it."""
        try:
            go_on = conclude(self._run, self._attempt, self._task.flag, judged, moves)
        finally:
            self._let_go(batch)
        self._over = self._over or not go_on
        self._done += len(batch)
        self._run.progress(self._done, max(self._total, self._done))

    def _take_listed(self, hashes: Sequence[str]) -> tuple[list[Held], datetime]:
        """The rows that hold one of these hashes, in the same way."""
        wanted, run_id = self._task.wanted, self._run.id
        if self._run.dry_run:
            with self._run.db.read() as conn:
                return peek_listed(conn, wanted, hashes, run_id=run_id), database_now(conn)
        with self._run.db.begin() as conn:
            owner = self._attempt.owner
            return hold_listed(conn, wanted, hashes, owner=owner, run_id=run_id), database_now(conn)

    def _let_go(self, batch: Sequence[Held]) -> None:
        self._count_requests()
        _let_go(self._run, self._attempt, batch)

    def _count_requests(self) -> None:
        sent = self._horizon.requests
        self._run.count("requests", sent - self._requests)
        self._requests = sent


def _raise_undated(run: Run, attempt: Attempt, task: Task) -> None:
    """Rows whose time cannot be right stand in no order, and nothing is asked about them: a person gets them at once."""
    size = min(run.settings.batch_size, task.limit or COUNT_MOST)
    batch, now = _take(run, attempt, replace(task.wanted, undated=True), None, size)
    if not batch:
        return
    try:
        conclude(run, attempt, task.flag, [(held.row, decide(Picture(held.row, now))) for held in batch])
    finally:
        _let_go(run, attempt, batch)


def _take(run: Run, attempt: Attempt, wanted: Wanted, after: Key | None, size: int) -> tuple[list[Held], datetime]:
    """The next batch and the database's clock; locked, unless the run is dry."""
    if run.dry_run:
        with run.db.read() as conn:
            return peek_batch(conn, wanted, run_id=run.id, after=after, limit=size), database_now(conn)
    with run.db.begin() as conn:
        held = hold_batch(conn, wanted, owner=attempt.owner, run_id=run.id, after=after, limit=size)
        return held, database_now(conn)


def _let_go(run: Run, attempt: Attempt, batch: Sequence[Held]) -> None:
    if batch and not run.dry_run:
        with run.db.begin() as conn:
            release(conn, attempt.owner, [held.row.id for held in batch])


async def _choose_server(run: Run, stack: AsyncExitStack) -> Horizon:
    """The first configured server that answers and can be believed; raises what the first one said otherwise."""
    refusal: NexaError | None = None
    for url in run.settings.horizon_urls:
        horizon = await stack.enter_async_context(Horizon(run.settings, run.db, job=run.job, url=url))
        try:
            await read_watermark(horizon)
        except NexaError as error:
            what = "a server is frozen" if isinstance(error, ServerFrozen) else "a server does not answer"
            run.error(what, server=horizon.server, why=str(error))
            run.count("requests", horizon.requests)
            refusal = refusal or error
        else:
            return horizon
    raise refusal or SettingsError(
        "STELLAR_HORIZON_URL is not set: accepted is an address like https://horizon.stellar.org."
    )
