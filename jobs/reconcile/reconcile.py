"""One run over the rows that are due: batch by batch, ask, decide, settle, let go.

Memory holds one batch; the books change in one transaction a batch, and only if the flags still allow it then. A
server that dies in the middle leaves rows as they are and locks released.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from jobs.core.errors import TransientError
from jobs.core.flags import Flag, read_flags
from jobs.core.jobs import Run
from jobs.reconcile.asking import ask_about, choose_server, decide_all
from jobs.reconcile.cases import open_cases
from jobs.reconcile.picture import CaseReason, Decision, Row, Verdict
from jobs.reconcile.rules import with_reason
from jobs.reconcile.settle import Attempt, Outcome, Proved, settle
from jobs.reconcile.store import (
    Check,
    Held,
    Key,
    Wanted,
    alive,
    count_due,
    database_now,
    hold_batch,
    peek_batch,
    record_checks,
    record_dry_decisions,
    release,
)

COUNT_MOST = 100_000
_AGAIN = ("40P01", "40001")  # deadlock, serialization: nothing was written, and the next try finds another order
_HOPELESS = ("absent", "gone", "final", "odd", "no_hash_yet")
_REFUSED = {
    Outcome.REUSED: (CaseReason.HASH_REUSED, "Another row was paid by this operation: one payment pays one row."),
    Outcome.REFUND_SPENT: (
        CaseReason.REFUND_SPENT,
        "The withdrawal did succeed, but its refund was spent: the balance no longer covers it.",
    ),
}
Judged = Sequence[tuple[Row, Decision]]


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
    with run.db.read() as conn:
        total = count_due(conn, task.wanted, most=min(task.limit or COUNT_MOST, COUNT_MOST))
    run.progress(0, total)
    async with AsyncExitStack() as stack:
        if not run.dry_run:
            stack.enter_context(alive(run.db, attempt.owner))
        horizon = await choose_server(run, stack)
        after: Key | None = None
        done = spent = silent = 0
        while not run.should_stop():
            size = min(run.settings.batch_size, task.limit - done if task.limit is not None else COUNT_MOST)
            batch, now = _take(run, attempt, task.wanted, after, size)
            if not batch:
                break
            try:
                findings = await ask_about(run, horizon, batch, now, silent)
                silent = findings.silent
                judged = decide_all(run, attempt.network, batch, findings)
                go_on = _conclude(run, attempt, task.flag, judged)
            finally:
                run.count("requests", horizon.requests - spent)
                spent = horizon.requests
                if not run.dry_run:
                    with run.db.begin() as conn:
                        release(conn, attempt.owner, [held.row.id for held in batch])
            done += len(batch)
            run.progress(done, max(total, done))
            if findings.spent:
                run.warning("the request budget is spent: what was not asked waits for the next run")
                break
            if findings.gave_up and not run.should_stop():
                why = findings.frozen or "it stopped answering"
                raise TransientError(f"{horizon.server} cannot be used: {why}. What was not proved stays as it is.")
            last = batch[-1].row
            after = (last.created_at, last.id)
            if not go_on or len(batch) < size or done == task.limit:
                break


def _take(run: Run, attempt: Attempt, wanted: Wanted, after: Key | None, size: int) -> tuple[list[Held], datetime]:
    """The next batch and the database's clock; locked, unless the run is dry."""
    if run.dry_run:
        with run.db.read() as conn:
            return peek_batch(conn, wanted, after=after, limit=size), database_now(conn)
    with run.db.begin() as conn:
        return hold_batch(conn, wanted, owner=attempt.owner, after=after, limit=size), database_now(conn)


def _conclude(run: Run, attempt: Attempt, flag: Flag, judged: Judged) -> bool:
    """Writes what follows from the decisions; False if the flags say that this run is over."""
    if run.dry_run:
        _tell(run, judged)
        return True
    counted = _write_in_parts(run, attempt, flag, judged)
    for name, number in (counted or {}).items():
        if number:
            run.count(name, number)
    return counted is not None


def _write_in_parts(run: Run, attempt: Attempt, flag: Flag, judged: Judged) -> Counter[str] | None:
    """Writes a batch; one that the database refuses is halved until the odd row stands alone, and is left as it is."""
    for _ in range(3):
        try:
            with run.db.begin() as conn:
                return _write(conn, run, attempt, flag, judged)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _AGAIN:
                raise
        except (DataError, IntegrityError) as error:
            if len(judged) == 1:
                run.error("a row cannot be settled", transaction=str(judged[0][0].id), why=str(error.orig))
                return Counter(seen=1, pending=1, odd=1)
            middle = len(judged) // 2
            halves = [_write_in_parts(run, attempt, flag, part) for part in (judged[:middle], judged[middle:])]
            return None if None in halves else sum((half for half in halves if half), Counter())
    raise TransientError("The books are too busy: three attempts to settle one batch met a deadlock.")


def _write(conn: Connection, run: Run, attempt: Attempt, flag: Flag, judged: Judged) -> Counter[str] | None:
    """One batch, one transaction: settlements, cases and the look itself; None if the flags forbid it by now."""
    flags = read_flags(conn)
    if not flags[flag] or flags[Flag.DRY_RUN]:
        return None
    counted: Counter[str] = Counter(seen=len(judged))
    proved = [Proved(row, it) for row, it in judged if it.verdict in (Verdict.SUCCESS, Verdict.FAILED)]
    outcomes = settle(
        conn, attempt, proved, notify=flags[Flag.NOTIFICATIONS], move_balances=flags[Flag.BALANCE_UPDATES]
    )
    cases: list[tuple[Row, Decision]] = []
    checks: list[Check] = []
    for row, judgement in judged:
        outcome = outcomes.get(row.id)
        decision = judgement
        if outcome in _REFUSED:
            decision = with_reason(judgement, *_REFUSED[outcome])
        if outcome is Outcome.LOST:
            counted["lost"] += 1
            continue
        if outcome is Outcome.SETTLED:
            counted["settled" if decision.verdict is Verdict.SUCCESS else "failed"] += 1
            counted["rescued"] += row.status == "FAILED"
        elif decision.verdict is Verdict.CASE:
            counted["cases"] += 1
            cases.append((row, decision))
        else:
            counted["pending"] += 1
            counted["held"] += outcome is Outcome.HELD
        checks.append(_check(row, decision))
    for row_id in open_cases(conn, attempt, cases):
        counted["cases_opened"] += 1
        reason = next(decision for row, decision in cases if row.id == row_id)
        warn = run.error if reason.reason == CaseReason.REFUND_SPENT else run.warning
        warn(f"case opened: {reason.sentence}", transaction=str(row_id), reason=reason.reason)
    record_checks(conn, run.id, checks)
    return counted


def _tell(run: Run, judged: Judged) -> None:
    """A dry run: the same decisions, stored with the run and printed, and nothing else."""
    decisions = []
    for row, decision in judged:
        name = "rescue" if decision.verdict is Verdict.SUCCESS and row.status == "FAILED" else decision.verdict.value
        run.count("seen")
        run.count({"keep": "pending", "case": "cases", "failed": "would_fail"}.get(name, "would_settle"))
        if decision.verdict is not Verdict.KEEP:
            decisions.append({"id": row.id, "verdict": name, "reason": decision.reason, "proof": decision.proof})
            run.info(f"would be {name}: {decision.sentence}", transaction=str(row.id), reason=decision.reason)
    with run.db.begin() as conn:
        record_dry_decisions(conn, run.id, decisions)


def _check(row: Row, decision: Decision) -> Check:
    proof = decision.proof
    server, ledger = proof.get("server"), proof.get("ledger")
    return Check(
        transaction_id=row.id,
        outcome=decision.reason,
        detail=decision.sentence,
        server=server if isinstance(server, str) else None,
        ledger=ledger if isinstance(ledger, int) else None,
        hopeless=decision.verdict is Verdict.CASE or decision.reason in _HOPELESS,
    )
