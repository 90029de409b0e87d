"""Reads pages, all scopes at the same time, and hands them on in chunks of some pages.

First the newest page of every account that many rows share, which often shows them all, and probes where the plan is
unsure; then what the plan names. The
pages of one scope follow each other, so the next one is under way while the last one is settled; between scopes they
run in parallel as far as the budget allows. Nothing is decided here. What a page does not list proves nothing: the
server may have been asked at the wrong place, so what stays unseen is asked by its hash afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from jobs.core.jobs import Run
from jobs.horizon.client import Horizon
from jobs.horizon.model import Answer, Entry, Page
from jobs.horizon.transport import HorizonError
from jobs.reconcile.density import Known, covered, newest
from jobs.reconcile.plan import PAGE, Plan, Reading, worth_going_on
from jobs.reconcile.scopes import Move, begin

CHUNK = 5
"""Pages that are settled together: a thousand transactions at most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some pages, and the cursors that may move once everything on them is paid."""

    entries: tuple[Entry, ...]
    moves: tuple[Move, ...]


_Source = AsyncGenerator[Chunk, None]


def newest_pages(
    run: Run, horizon: Horizon, scopes: Sequence[str], known: dict[str, Known]
) -> AsyncGenerator[Chunk, None]:
    """The newest page of each scope; what it tells about the scope is put into `known`."""
    return _together(run, [_newest(run, horizon, scope, known) for scope in scopes])


def probed_pages(
    run: Run, horizon: Horizon, places: Mapping[str, int], known: dict[str, Known]
) -> AsyncGenerator[Chunk, None]:
    """A page of each scope from the ledger that is named; what it tells is added to `known`."""
    return _together(run, [_probed(run, horizon, scope, since, known) for scope, since in places.items()])


def planned_pages(run: Run, horizon: Horizon, plan: Plan, network: str) -> AsyncGenerator[Chunk, None]:
    """The pages of all readings, oldest first within each.

    A scope whose server does not answer, or whose budget is spent, ends early and keeps its cursor.
    """
    return _together(run, [_pages_of(run, horizon, reading, network) for reading in plan.readings])


async def _together(run: Run, sources: Sequence[_Source]) -> AsyncGenerator[Chunk, None]:
    """Reads the sources at the same time; a slow consumer slows them down, and a server that hangs delays no stop."""
    ready: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue(CHUNK)
    places = asyncio.Semaphore(run.settings.horizon_parallel)

    async def read(source: _Source) -> None:
        async with places, aclosing(source):
            async for page in source:
                await ready.put(page)

    async def read_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for source in sources:
                    group.create_task(read(source))
        except ExceptionGroup as failed:  # the database, or a fault of ours: never a server's answer
            await ready.put(failed.exceptions[0])
        else:
            await ready.put(None)

    async def end_early() -> None:
        while not run.should_stop():
            await asyncio.sleep(0.5)
        await ready.put(None)

    tasks = [asyncio.create_task(read_all()), asyncio.create_task(end_early())]
    try:
        ended = False
        while not ended:
            items = [await ready.get()]
            while not ready.empty() and len(items) < CHUNK:
                items.append(ready.get_nowait())
            chunks = [item for item in items if isinstance(item, Chunk)]
            if chunks:
                yield Chunk(
                    tuple(entry for chunk in chunks for entry in chunk.entries),
                    tuple(move for chunk in chunks for move in chunk.moves),
                )
            for item in items:
                if isinstance(item, Exception):
                    raise item
                ended = ended or item is None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _newest(run: Run, horizon: Horizon, scope: str, known: dict[str, Known]) -> _Source:
    if run.should_stop():
        return
    page = await _ask(run, horizon, scope, None)
    if page is not None:
        known[scope] = newest([entry.token for entry in page.entries], full=page.full)
        yield Chunk(page.entries, ())


async def _probed(run: Run, horizon: Horizon, scope: str, since: int, known: dict[str, Known]) -> _Source:
    if run.should_stop():
        return
    page = await _ask(run, horizon, scope, since << 32)
    if page is not None:
        stretch = covered([entry.token for entry in page.entries], since, full=page.full)
        known[scope] = known[scope].add(stretch)
        yield Chunk(page.entries, ())


async def _pages_of(run: Run, horizon: Horizon, reading: Reading, network: str) -> _Source:
    """One reading's pages, each with the move of its cursor."""
    cursor = reading.since << 32
    if not run.dry_run:
        cursor = await asyncio.to_thread(_begin, run, reading, network)
    while not run.should_stop():
        page = await _ask(run, horizon, reading.scope, cursor)
        if page is None:
            return
        after = page.entries[-1].token if page.full else None
        if after is not None and after >= reading.until << 32:
            after = None  # from there on the newest page has shown everything
        yield Chunk(page.entries, (Move(reading.scope, cursor, after),))
        if after is None:
            return
        if not worth_going_on(reading, after):
            run.info("pages end early: what is left costs less by hash", scope=scope_name(reading.scope))
            return
        cursor = after


async def _ask(run: Run, horizon: Horizon, scope: str, cursor: int | None) -> Page | None:
    """One page, the newest one without a cursor; None if the server does not give it."""
    try:
        page = await horizon.page(scope or None, cursor=cursor, order="desc" if cursor is None else "asc", limit=PAGE)
    except HorizonError as error:
        if error.answer is Answer.ABSENT:  # an account that does not exist has no transactions
            return Page((), full=False)
        run.warning("pages end early", scope=scope_name(scope), why=error.detail)
        return None
    run.count("pages")
    return page


def _begin(run: Run, reading: Reading, network: str) -> int:
    with run.db.begin() as conn:
        return begin(conn, network, reading.scope, reading.since)


def scope_name(scope: str) -> str:
    """A scope in words."""
    return scope or "the network"
