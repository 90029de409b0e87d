"""audit-history: asks the network again about transactions that were settled long ago, and changes no status.

Every row is judged by the rules that settle, as if it were still pending. An audit has a cursor in the database that
moves in the same transaction as what it paid for, so a run that is stopped, killed or out of budget is continued by
the next one, whatever that one asks for. A sample is drawn once and kept: the first rows by a hash of seed and id, so
the same seed draws the same rows from the same table.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import UUID

from jobs.core.errors import TransientError
from jobs.core.jobs import Run
from jobs.horizon.choice import Choice
from jobs.integrity import history_store as store
from jobs.integrity.findings import Kept
from jobs.integrity.history_store import Audit, Draw
from jobs.integrity.verdict import Standing, finding, judge
from jobs.integrity.verify import tell
from jobs.reconcile.asking import ask_about, decide_all
from jobs.reconcile.picture import Decision, Row
from jobs.reconcile.settle import Attempt
from jobs.reconcile.store import Held, database_now

BATCH = 100


def audit_history(run: Run, draw: Draw, *, restart: bool) -> None:
    """Goes on with the unfinished audit, or begins one; `restart` gives the unfinished one up.

    Counts seen = confirmed + contradicted + unknown, findings, new and resolved ones, and requests. Raises NexaError
    when no server can be believed, TransientError when it stops answering.
    """
    for name in ("seen", "confirmed", "contradicted", "unknown", "findings", "new", "resolved", "requests"):
        run.count(name, 0)
    audit = _begin(run, draw, restart=restart)
    run.progress(audit.done, audit.total)
    asyncio.run(_walk(run, audit))


def _begin(run: Run, draw: Draw, *, restart: bool) -> Audit:
    if run.dry_run:
        with run.db.read() as conn:
            return store.draw_for_nothing(conn, draw)
    with run.db.begin() as conn:
        if restart and store.give_up(conn):
            run.warning("the unfinished audit is given up: this run begins a new one")
        audit, continued = store.continue_or_begin(conn, draw, run.id)
    what = "every settled transaction" if audit.sample is None else f"a sample of {audit.total:,}"
    run.info("the audit goes on" if continued else "an audit begins", audit=audit.id, of=what, seed=audit.seed,
             done=audit.done, total=audit.total)  # fmt: skip
    return audit


async def _walk(run: Run, audit: Audit) -> None:
    attempt = Attempt(run.id, f"run:{run.id}:{run.token}", run.settings.passphrase)
    async with AsyncExitStack() as stack:
        servers: Choice | None = None
        cursor, silent, done = audit.cursor, 0, audit.done
        while not run.should_stop():
            with run.db.read() as conn:
                batch, now = store.next_batch(conn, audit, cursor, BATCH), database_now(conn)
            if not batch:
                _finish(run, audit)
                return
            if servers is None:
                servers = await stack.enter_async_context(Choice(run))
            try:
                pending = [Held(replace(held.row, status="PENDING"), held.envelope_xdr) for held in batch]
                findings = await ask_about(run, servers.current, pending, now, silent)
            finally:
                servers.count_requests()
            silent = findings.silent
            if findings.spent:
                run.warning("the request budget is spent: the next run goes on where this one stopped")
                return
            if findings.gave_up:
                if run.should_stop():
                    return
                why = findings.frozen or "it stopped answering"
                raise TransientError(
                    f"{servers.current.server} cannot be used: {why}. The audit goes on with the next run."
                )
            judged = decide_all(run, attempt.network, pending, findings)
            _conclude(run, audit, cursor, [held.row for held in batch], judged)
            cursor = batch[-1].row.id
            done += len(batch)
            run.progress(done, max(done, audit.total))


def _conclude(
    run: Run, audit: Audit, before: UUID | None, rows: Sequence[Row], judged: Sequence[tuple[Row, Decision]]
) -> None:
    """Writes what a batch showed, with the cursor, in one transaction."""
    status = {row.id: row.status for row in rows}
    standings = [(row, decision, judge(status[row.id], decision)) for row, decision in judged]
    counted = Counter(standing for _, _, standing in standings)
    found = [
        finding(row, status[row.id], decision)
        for row, decision, standing in standings
        if standing is Standing.CONTRADICTED
    ]
    if run.dry_run:
        kept, resolved = Kept(len(found), 0, found), 0
    else:
        with run.db.begin() as conn:
            kept, resolved = store.advance(
                conn,
                audit,
                before=before,
                cursor=rows[-1].id,
                found=found,
                clear=[row.id for row, _, standing in standings if standing is Standing.CONFIRMED],
                counted=counted,
                run_id=run.id,
            )
    run.count("seen", len(rows))
    for standing in Standing:
        run.count(standing.value, counted[standing])
    run.count("resolved", resolved)
    tell(run, kept)


def _finish(run: Run, audit: Audit) -> None:
    if run.dry_run:
        return
    with run.db.begin() as conn:
        run.count("resolved", store.finish(conn, audit, run.id))
    run.info("the audit is finished", audit=audit.id)
