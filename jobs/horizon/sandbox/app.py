"""The sandbox's routes: Horizon's read endpoints, submission, Stellar RPC, and `/sandbox` to see and switch its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jobs.horizon.sandbox import documents
from jobs.horizon.sandbox.answers import hal
from jobs.horizon.sandbox.control import control_routes
from jobs.horizon.sandbox.faults import FaultName, Faults
from jobs.horizon.sandbox.gate import Gate, seen_by
from jobs.horizon.sandbox.history import history_routes
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.problems import NOT_FOUND, Problem
from jobs.horizon.sandbox.rpc import rpc_routes
from jobs.horizon.sandbox.submission import submission_routes
from jobs.horizon.sandbox.view import Viewer

Reset = Callable[[tuple[str, int]], None]
FEE_STATS_LEDGERS = 5


def build_app(
    ledger: SandboxLedger, faults: Faults, *, close_by_itself: bool = True, reset: Reset | None = None
) -> Starlette:
    """A Horizon over this ledger.

    `close_by_itself` closes a ledger every `ledger.interval_s` seconds; without it ledgers close by hand, and a submission
    closes one at once. `reset` cuts a client's connection for the fault of that name.
    """

    async def root(request: Request) -> Response:
        return hal(request, documents.root(seen_by(request)))

    async def health(request: Request) -> Response:
        well = not faults.on(FaultName.CORE_DOWN)
        return hal(request, documents.health(core_synced=well), 200 if well else 503)

    async def fee_stats(request: Request) -> Response:
        view = seen_by(request)
        recent = [
            entry
            for number in range(view.latest - FEE_STATS_LEDGERS + 1, view.latest + 1)
            for entry in ledger.chain.transactions(ledger=number)
        ]
        last = ledger.chain.ledger(view.latest) or ledger.latest
        return hal(request, documents.fee_stats(last, recent))

    @asynccontextmanager
    async def closing(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(close_forever(ledger, faults)) if close_by_itself else None
        yield
        if task:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        ledger.close()

    return Starlette(
        routes=[
            *history_routes(ledger),
            *submission_routes(ledger, faults, close_at_once=not close_by_itself),
            *rpc_routes(ledger, faults),
            Route("/", root),
            Route("/health", health),
            Route("/fee_stats", fee_stats),
            *control_routes(ledger, faults),
        ],
        middleware=[Middleware(Gate, faults=faults, viewer=Viewer(ledger.chain, faults), reset=reset)],
        exception_handlers={Problem: _problem, 404: _unknown, 405: _unknown},
        lifespan=closing,
    )


async def close_forever(ledger: SandboxLedger, faults: Faults) -> None:
    """Close a ledger at every multiple of the interval, numbered by the clock."""
    while True:
        await asyncio.sleep(ledger.until_next_s())
        if not faults.on(FaultName.FROZEN):
            ledger.close_ledger(sequence=ledger.due_sequence())


async def _problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _unknown(_: Request, __: Exception) -> Response:
    return NOT_FOUND.response()
