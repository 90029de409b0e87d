"""sync-wallets: asks for each wallet once, compares it with the books, and overwrites nothing.

Wallets whose books moved since they were last compared come first, but never more than half of a run, so that the quiet
ones have their turn, too, those that waited longest before the others. A server that does not answer, is frozen or is
behind leads to no finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from jobs.core.errors import TransientError
from jobs.core.jobs import Run
from jobs.horizon.choice import Choice, read_watermark
from jobs.horizon.client import Horizon
from jobs.horizon.model import Answer, Holdings, Watermark
from jobs.horizon.transport import HorizonError
from jobs.integrity import wallet_store as store
from jobs.integrity.drift import Standing, compare, finding
from jobs.integrity.findings import Kept, finish_pass, keep, resolve_unseen
from jobs.integrity.model import Check
from jobs.integrity.verify import tell
from jobs.reconcile.asking import GIVE_UP_AFTER
from jobs.reconcile.store import database_now

BATCH = 50
SETTLING = timedelta(minutes=1)
"""What the books settled less than this before a wallet was asked counts as recent: clocks differ."""


@dataclass(slots=True)
class Asked:
    """The answers of one batch."""

    holdings: list[Holdings] = field(default_factory=list)
    silent: int = 0
    """Wallets without an answer since the last one that had one, batches before this one included."""
    spent: bool = False


def sync_wallets(run: Run, limit: int, tolerance: Decimal) -> None:
    """Compares up to `limit` wallets; differences up to `tolerance` (units) are no drift.

    Counts wallets, findings, new and resolved ones, unanswered and requests. Raises NexaError when no server can be
    believed, TransientError when it stops answering.
    """
    for name in ("wallets", "findings", "new", "resolved", "unanswered", "requests"):
        run.count(name, 0)
    # Who owns which wallet is bookkeeping: a dry run needs it as much, and it is no finding.
    if malformed := store.refresh_owners(run.db):
        run.count("malformed", malformed)
        run.warning(f"{malformed} users have an address that names no account: they cannot be compared")
    with run.db.read() as conn:
        accounts = store.due(conn, limit)
    run.progress(0, len(accounts))
    if accounts:
        asyncio.run(_compare_all(run, accounts, tolerance))
    if not run.dry_run:
        _finish(run)


async def _compare_all(run: Run, accounts: Sequence[str], tolerance: Decimal) -> None:
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(Choice(run))
        horizon = servers.current
        if not isinstance(horizon, Horizon):
            raise TransientError("No Horizon can be used, and only a Horizon knows what wallets hold: they wait.")
        canary = await horizon.canary()
        silent = 0
        for start in range(0, len(accounts), BATCH):
            if run.should_stop():
                return
            batch = accounts[start : start + BATCH]
            with run.db.read() as conn:
                since = database_now(conn) - SETTLING
            try:
                mark = await read_watermark(horizon)
                if mark.behind:
                    raise TransientError(
                        f"{horizon.server} is behind the network: wallets are not compared with old states."
                    )
                asked = await _ask(run, horizon, batch, mark, Asked(silent=silent), absent_counts=bool(canary))
                await read_watermark(horizon)  # a server that was frozen meanwhile has answered nothing
            finally:
                servers.count_requests()
            _compare(run, horizon.server, asked.holdings, since, tolerance)
            run.progress(start + len(batch), len(accounts))
            silent = asked.silent
            if asked.spent:
                run.warning("the request budget is spent: the other wallets wait for the next run")
                return
            if silent >= GIVE_UP_AFTER:
                raise TransientError(f"{horizon.server} stopped answering: what was not compared waits.")


async def _ask(
    run: Run, horizon: Horizon, accounts: Sequence[str], mark: Watermark, asked: Asked, *, absent_counts: bool
) -> Asked:
    """The wallets of a batch at the same time; what gave no answer that counts is left out."""
    places = asyncio.Semaphore(run.settings.horizon_parallel)

    async def ask(account: str) -> None:
        async with places:
            if run.should_stop() or asked.spent or asked.silent >= GIVE_UP_AFTER:
                return
            try:
                found = await horizon.holdings(account)
            except HorizonError as error:
                if error.answer is Answer.ABSENT and absent_counts:
                    found = Holdings(account, {}, mark.ledger)
                else:
                    run.count("unanswered")
                    asked.silent += 1
                    asked.spent = asked.spent or error.answer is Answer.RATE_LIMITED
                    return
            asked.silent = 0
            if found.ledger >= mark.ledger:
                asked.holdings.append(found)
            else:  # by a member of the server that is behind the one which gave the watermark
                run.count("unanswered")

    await asyncio.gather(*(ask(account) for account in accounts))
    return asked


def _compare(run: Run, server: str, holdings: Sequence[Holdings], since: datetime, tolerance: Decimal) -> None:
    """Compares a batch and writes what follows from it, in one transaction."""
    with run.db.read() as conn:
        books = store.books_of(conn, [held.account for held in holdings], since)
    compared = [one for held in holdings for one in compare(books, held)]
    found = [finding(one) for one in compared if one.standing(tolerance) is Standing.DRIFTS]
    run.count("wallets", len(holdings))
    if run.dry_run:
        tell(run, Kept(len(found), 0, found))
        return
    with run.db.begin() as conn:
        now = database_now(conn)
        kept = keep(conn, Check.WALLETS, found, run_id=run.id)
        subjects = [one.subject for one in compared if one.standing(tolerance) is Standing.AGREES]
        resolved = resolve_unseen(conn, Check.WALLETS, before=now, run_id=run.id, subjects=subjects)
        store.note(conn, holdings, compared, server=server, run_id=run.id)
    tell(run, kept)
    run.count("resolved", resolved)


def _finish(run: Run) -> None:
    """What nobody owns any more is no drift; and how old the oldest comparison is."""
    with run.db.begin() as conn:
        run.count("resolved", store.resolve_gone(conn, run.id))
        done = store.compared_since(conn)
        if done is not None:
            as_of, wallets = done
            finish_pass(conn, Check.WALLETS, as_of=as_of, looked_at=wallets, run_id=run.id)
