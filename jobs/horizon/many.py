"""Many look-ups at the same time, each answer as it comes: how every provider is asked about a batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from jobs.horizon.model import Lookup


async def look_up_many(
    lookup: Callable[[str], Awaitable[Lookup]], hashes: Iterable[str], parallel: int
) -> AsyncGenerator[Lookup, None]:
    """Yields each answer as it comes, in no order; stopping early cancels what is on its way."""
    todo = iter(hashes)
    # Bounded: a slow consumer must slow the requests down, not fill the memory.
    answers: asyncio.Queue[Lookup | Exception | None] = asyncio.Queue(parallel * 4)

    async def look_up_next() -> None:
        for tx_hash in todo:
            await answers.put(await lookup(tx_hash))

    async def look_up_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(parallel):
                    group.create_task(look_up_next())
        except ExceptionGroup as failed:  # the database, or a fault of ours: never a server's answer
            await answers.put(failed.exceptions[0])
        else:
            await answers.put(None)

    worker = asyncio.create_task(look_up_all())
    try:
        while (answer := await answers.get()) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
