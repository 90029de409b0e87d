"""Writes what follows from the decisions on a batch: settlements, cases, the looks themselves and the cursors, at once.

All of it is one transaction, and only if the flags still allow it then. A batch that the database refuses is written in
halves, so that one odd row costs nobody else anything. Rows that come `free`, held by nobody, are settled as they are;
those of them that only get a case or a look are held for as long as that is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobs.core import traces
from jobs.core.db import first_line
from jobs.core.errors import TransientError
from jobs.core.flags import Flag, read_flags
from jobs.core.jobs import Run
from jobs.core.logs import get_logger
from jobs.reconcile.cases import open_cases
from jobs.reconcile.picture import CaseReason, Decision, Row, Verdict
from jobs.reconcile.rules import with_reason
from jobs.reconcile.scopes import Move, advance
from jobs.reconcile.settle import Attempt, Outcome, Proved, settle
from jobs.reconcile.store import Check, hold_free, record_checks, record_dry_decisions, release

log = get_logger(__name__)

_AGAIN = ("40P01", "40001")  # deadlock, serialization: nothing was written, and the next try finds another order
_ODD = ("22", "23", "27", "44", "P0")
"""Classes of SQLSTATE in which a database refuses what a row holds: data, constraints, and an application's triggers."""
_HOPELESS = ("absent", "unreadable", "gone", "beyond_memory", "final", "odd", "no_hash_yet")
_REFUSED = {
    Outcome.REUSED: (CaseReason.HASH_REUSED, "Another row was paid by this operation: one payment pays one row."),
    Outcome.REFUND_SPENT: (
        CaseReason.REFUND_SPENT,
        "The withdrawal did succeed, but its refund was spent: the balance no longer covers it.",
    ),
}
Judged = Sequence[tuple[Row, Decision]]


def conclude(
    run: Run, attempt: Attempt, flag: Flag, judged: Judged, moves: Sequence[Move] = (), *, free: bool = False
) -> bool:
    """Writes what follows from the decisions; False if the flags say that this run is over."""
    if run.dry_run:
        _tell(run, judged)
        return True
    counted = _write_in_parts(run, attempt, flag, judged, moves, free=free)
    for name, number in (counted or {}).items():
        if number:
            run.count(name, number)
    return counted is not None


def _write_in_parts(
    run: Run, attempt: Attempt, flag: Flag, judged: Judged, moves: Sequence[Move] = (), *, free: bool
) -> Counter[str] | None:
    """Writes a batch; one that the database refuses is halved until the odd row stands alone, and becomes a case.

    Only a batch that is written whole moves cursors: no cursor passes a row that failed.
    """
    for _ in range(3):
        try:
            settled: list[tuple[Row, Decision]] = []
            with traces.span("settle.batch", {"nexaops.rows": len(judged)}) as span:
                with run.db.begin() as conn:
                    counted = _write(conn, run, attempt, flag, judged, moves, settled, free=free)
                span.set({"nexaops.settled": len(settled)})
            _say_settled(settled)
            return counted
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None) or ""
            if state in _AGAIN:
                continue
            if state[:2] not in _ODD:
                raise
            if len(judged) == 1:
                return _write_odd(run, attempt, flag, judged[0], first_line(error), free=free)
            middle = len(judged) // 2
            halves = [
                _write_in_parts(run, attempt, flag, part, free=free) for part in (judged[:middle], judged[middle:])
            ]
            return None if None in halves else sum((half for half in halves if half), Counter())
    raise TransientError("The books are too busy: three attempts to settle one batch met a deadlock.")


def _write_odd(
    run: Run, attempt: Attempt, flag: Flag, judged: tuple[Row, Decision], why: str, *, free: bool
) -> Counter[str] | None:
    """The case of a row that the database refuses to settle; one that cannot even be a case is left as it is."""
    row, decision = judged
    run.error("a row cannot be settled", transaction=str(row.id), why=why)
    if decision.reason == CaseReason.ODD_ROW:
        return Counter(seen=1, pending=1, odd=1)
    sentence = f"The database refuses what would settle it ({why}): mend the row, or what it would add to."
    case = [(row, with_reason(decision, CaseReason.ODD_ROW, sentence))]
    counted = _write_in_parts(run, attempt, flag, case, free=free)
    return None if counted is None else counted | Counter(odd=1)


def _write(
    conn: Connection,
    run: Run,
    attempt: Attempt,
    flag: Flag,
    judged: Judged,
    moves: Sequence[Move],
    settled: list[tuple[Row, Decision]],
    *,
    free: bool,
) -> Counter[str] | None:
    """One batch, one transaction: settlements, cases and the look itself; None if the flags forbid it by now.

    Adds to `settled` what is settled once the transaction has committed.
    """
    flags = read_flags(conn)
    if not flags[flag] or flags[Flag.DRY_RUN]:
        return None
    counted: Counter[str] = Counter(seen=len(judged))
    proved = [Proved(row, it) for row, it in judged if it.verdict in (Verdict.SUCCESS, Verdict.FAILED)]
    outcomes = dict(
        settle(conn, attempt, proved, notify=flags[Flag.NOTIFICATIONS], move_balances=flags[Flag.BALANCE_UPDATES])
    )
    held: set[UUID] = set()
    if free:
        staying = {row.id for row, _ in judged if outcomes.get(row.id) not in (Outcome.SETTLED, Outcome.LOST)}
        held = hold_free(conn, attempt.owner, list(staying), run_id=run.id)
        outcomes |= dict.fromkeys(staying - held, Outcome.LOST)
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
            settled.append((row, decision))
            continue  # its decision says all that a look would
        if decision.verdict is Verdict.CASE:
            counted["cases"] += 1
            cases.append((row, decision))
        else:
            counted["pending"] += 1
            counted["held"] += outcome is Outcome.HELD
        checks.append(_check(row, decision))
    decisions = {row.id: decision for row, decision in cases}
    for row_id in open_cases(conn, attempt, cases):
        counted["cases_opened"] += 1
        reason = decisions[row_id]
        warn = run.error if reason.reason == CaseReason.REFUND_SPENT else run.warning
        warn(f"case opened: {reason.sentence}", transaction=str(row_id), reason=reason.reason)
    record_checks(conn, run.id, checks)
    if held:
        release(conn, attempt.owner, list(held))
    if not counted["lost"]:  # such a row has not been paid by us: no cursor passes it
        advance(conn, attempt.network, moves)
    return counted


def _say_settled(settled: Judged) -> None:
    for row, decision in settled:
        log.info(
            "transaction settled", transaction_id=str(row.id), tx_hash=row.tx_hash, verdict=decision.verdict.value,
            reason=decision.reason,
        )  # fmt: skip


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
    server, ledger, request = proof.get("server"), proof.get("ledger"), proof.get("request")
    return Check(
        transaction_id=row.id,
        outcome=decision.reason,
        detail=decision.sentence,
        server=server if isinstance(server, str) else None,
        ledger=ledger if isinstance(ledger, int) else None,
        request=request if isinstance(request, str) else None,
        hopeless=decision.verdict is Verdict.CASE or decision.reason in _HOPELESS,
    )
