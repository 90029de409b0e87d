"""One run over the rows that are due: pages or hashes, batch by batch: ask, decide, settle.

Memory holds one batch; the books change in one transaction a batch, and only if the flags still allow it then. A
server that dies in the middle is left for the next one; without one, rows stay as they are and locks are released.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.core.errors import TransientError
from jobs.core.flags import Flag
from jobs.core.jobs import Run
from jobs.horizon.choice import Choice, ServerFrozen, read_watermark
from jobs.horizon.client import Horizon
from jobs.horizon.model import Answer
from jobs.horizon.provider import Provider
from jobs.horizon.transport import HorizonError
from jobs.reconcile.asking import Findings, ask_about_balances, decide_all, look_at
from jobs.reconcile.conclude import Judged, conclude
from jobs.reconcile.density import Known
from jobs.reconcile.failover import ask_or_change_server
from jobs.reconcile.picture import Picture
from jobs.reconcile.plan import NETWORK, NETWORK_FROM, PROBE_FROM, PROBES, Plan, make_plan, to_probe, to_sample
from jobs.reconcile.reading import Chunk, newest_pages, planned_pages, probed_pages, scope_name
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
    peek_batch,
    peek_listed,
    release,
)

COLLECT_AFTER = 50_000
"""New objects after which Python looks for cycles among them: a batch makes so many, none of them in one."""
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
    gc.set_threshold(max(COLLECT_AFTER, gc.get_threshold()[0]))  # for the process: whatever it does gains by it
    asyncio.run(_reconcile(run, task))


async def _reconcile(run: Run, task: Task) -> None:
    attempt = Attempt(run.id, f"run:{run.id}:{run.token}", run.settings.passphrase)
    async with AsyncExitStack() as stack:
        if not run.dry_run:
            stack.enter_context(alive(run.db, attempt.owner))
        _raise_undated(run, attempt, task)
        servers = await stack.enter_async_context(Choice(run))
        await _Reconciliation(run, task, attempt, servers).work()


class _Reconciliation:
    """One run: pages where they are cheaper, hashes for everything that no page has shown."""

    def __init__(self, run: Run, task: Task, attempt: Attempt, servers: Choice) -> None:
        self._run = run
        self._task = task
        self._attempt = attempt
        self._servers = servers
        self._done = self._total = 0
        self._silent = 0
        self._after: Key | None = None
        self._over = False
        """The flags say that this run is over, or no more requests may be sent."""

    async def work(self) -> None:
        try:
            if self._task.limit is None and self._task.wanted.transaction_id is None:
                await self._by_pages()
            else:
                due = await self._due(self._servers.current)
                askable = due.others + sum(group.rows for group in due.groups)
                self._run.count("requests_estimated", min(askable, self._total))
            while not (self._over or self._run.should_stop()):
                size = self._run.settings.batch_size
                left = size if self._task.limit is None else min(size, self._task.limit - self._done)
                if left == 0 or await self._by_hash(self._task.wanted, left) < left:
                    break
        finally:
            self._servers.count_requests()

    async def _by_pages(self) -> None:
        """Plans for the server and reads its pages; when another one takes over, it is planned anew for that."""
        while isinstance(horizon := self._servers.current, Horizon):
            try:
                await self._plan_and_read(horizon)
            except (ServerFrozen, HorizonError) as error:
                if self._servers.current is not horizon:
                    continue
                spent = isinstance(error, HorizonError) and error.answer is Answer.RATE_LIMITED
                frozen = isinstance(error, ServerFrozen)
                if not await self._servers.leave(str(error), frozen=frozen, failures=0 if spent else 1):
                    raise
            else:
                return
        due = await self._due(self._servers.current)
        self._run.count("requests_estimated", due.others + sum(group.rows for group in due.groups))

    async def _plan_and_read(self, horizon: Horizon) -> None:
        """First what the newest pages and probes show, then what the plan names; in turns with what waits in vain.

        The estimate is what was asked until then, and what the plan still takes.
        """
        run = self._run
        due = await self._due(horizon)
        known: dict[str, Known] = {}
        if scopes := to_sample(due.groups)[:SAMPLE_MOST]:
            await self._settle_pages(horizon, newest_pages(run, horizon, scopes, known), None)
            due = await self._due(horizon)
        # Long readings of accounts are probed before the network is thought of: a burst in the newest page alone would
        # make them look so dear that everybody's transactions seem to cost less.
        plan = await self._probe(horizon, due, known, pages=PROBE_FROM)
        if plan.requests >= NETWORK_FROM:
            await self._settle_pages(horizon, newest_pages(run, horizon, [NETWORK], known), None)
        plan = await self._probe(horizon, due, known)
        run.count("requests_estimated", horizon.requests + plan.requests)
        for reading in plan.readings[:20]:
            where = {"scope": scope_name(reading.scope), "from_ledger": reading.since}
            run.info(f"plan: about {reading.pages:,} pages for {reading.rows:,} rows", **where)
        if plan.readings:
            run.info(f"plan: {plan.by_hash:,} rows by hash, about {plan.requests:,} requests in all")
            pages = planned_pages(run, horizon, plan, self._attempt.network)
            await self._settle_pages(horizon, pages, plan.oldest)

    async def _probe(self, horizon: Horizon, due: Due, known: dict[str, Known], *, pages: int = 0) -> Plan:
        """The plan, once probes have told what is worth knowing of readings of so many pages or more."""
        plan = make_plan(due.groups, known, others=due.others)
        for _ in range(PROBES):
            places = to_probe(due.groups, known, plan, pages=pages)
            if not places or self._over or self._run.should_stop():
                break
            await self._settle_pages(horizon, probed_pages(self._run, horizon, places, known), None)
            plan = make_plan(due.groups, known, others=due.others)
        return plan

    async def _settle_pages(
        self, horizon: Horizon, chunks: AsyncGenerator[Chunk, None], oldest: datetime | None
    ) -> None:
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
                    judged = await self._judge(horizon, chunk)
                    if writing is not None:
                        await asyncio.wait({writing})
                    before, writing = (
                        writing,
                        asyncio.create_task(asyncio.to_thread(self._settle_free, judged, chunk.moves)),
                    )
                    if before is not None:
                        before.result()
                    self._servers.count_requests()
                    if waiting is not None:
                        await writing
                        turn = max(1, len(chunk.moves))
                        if self._over or await self._by_hash(waiting, turn) < turn:
                            waiting = None
        finally:
            if writing is not None:
                await writing
        self._after = None

    async def _judge(self, horizon: Horizon, chunk: Chunk) -> Judged:
        """The rows that a chunk is about, and the decision on each."""
        mark = await read_watermark(horizon)
        run = self._run
        entries = {hash_: entry for entry in chunk.entries for hash_ in entry.hashes}

        def look() -> tuple[list[Held], Findings]:
            with run.db.read() as conn:
                batch, now = peek_listed(conn, self._task.wanted, list(entries), run_id=run.id), database_now(conn)
            findings = look_at(horizon, mark, batch, entries, now)
            # What a page shows in a form that cannot be read is asked by its hash, where a canary stands beside it.
            readable = [held for held in batch if findings.looks[held.row.hash or ""][0].lookup.transaction is not None]
            return readable, findings

        batch, findings = await asyncio.to_thread(look)

        def judge() -> Judged:
            return decide_all(run, self._attempt.network, batch, findings)

        judged = await asyncio.to_thread(judge)
        if claimable := [decision.ask for _, decision in judged if decision.ask.balances]:
            await ask_about_balances(run, horizon, claimable, findings)
            judged = await asyncio.to_thread(judge)
        return judged

    async def _by_hash(self, wanted: Wanted, size: int) -> int:
        """Asks for the next rows by their hashes and settles them; how many there were, `size` if they are asked again."""
        batch, now = _take(self._run, self._attempt, wanted, self._after, size)
        if not batch:
            return 0
        try:
            findings = await ask_or_change_server(self._run, self._servers, batch, now, self._silent)
            if findings is None:
                self._silent = 0
                _let_go(self._run, self._attempt, batch)
                return size
            self._silent = findings.silent
            judged = decide_all(self._run, self._attempt.network, batch, findings)
        except BaseException:
            _let_go(self._run, self._attempt, batch)
            raise
        self._settle(batch, judged)
        self._servers.count_requests()
        if findings.spent:
            self._run.warning("the request budget is spent: what was not asked waits for the next run")
            self._over = True
        elif findings.gave_up and not self._run.should_stop():
            why = findings.frozen or "it stopped answering"
            server = self._servers.current.server
            raise TransientError(f"{server} cannot be used: {why}. What was not proved stays as it is.")
        self._after = batch[-1].row.order
        return len(batch)

    async def _due(self, server: Provider) -> Due:
        mark = await read_watermark(server)
        with self._run.db.read() as conn:
            due = read_due(conn, self._task.wanted, mark, self._run.settings.passphrase, run_id=self._run.id)
        self._total = self._done + (due.rows if self._task.limit is None else min(due.rows, self._task.limit))
        self._run.progress(self._done, self._total)
        return due

    def _settle(self, batch: Sequence[Held], judged: Judged) -> None:
        """Writes what follows for a batch that is held, and lets go of it."""
        try:
            go_on = conclude(self._run, self._attempt, self._task.flag, judged)
        finally:
            _let_go(self._run, self._attempt, batch)
        self._note(go_on, judged)

    def _settle_free(self, judged: Judged, moves: Sequence[Move]) -> None:
        """Writes what follows for rows that nobody holds."""
        self._note(conclude(self._run, self._attempt, self._task.flag, judged, moves, free=True), judged)

    def _note(self, go_on: bool, judged: Judged) -> None:
        self._over = self._over or not go_on
        self._done += len(judged)
        self._run.progress(self._done, max(self._total, self._done))


def _raise_undated(run: Run, attempt: Attempt, task: Task) -> None:
    """Rows whose time cannot be right stand in no order, and nothing is asked about them: a person gets them at once."""
    size = min(run.settings.batch_size, task.limit or run.settings.batch_size)
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
