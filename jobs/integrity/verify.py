"""verify-ledger: walks the books in ranges and keeps what does not hold.

A check is closed only by a pass that looked at everything: a run that stops half-way has found what it has found,
resolves nothing, and the age of the last whole pass goes on growing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from jobs.core.jobs import Run
from jobs.integrity.findings import MOST_NAMED, Kept, finish_pass, look, resolve_unseen
from jobs.integrity.model import Check, Found
from jobs.integrity.proofs import WALKS, Walk
from jobs.reconcile.store import database_now

_LAST = UUID(int=2**128 - 1)
Bounds = Mapping[str, object]


def verify(run: Run, only: Check | None) -> None:
    """Proves everything, or one check alone; counts transactions, users, findings, new and resolved ones."""
    for name in ("transactions", "users", "findings", "new", "resolved"):
        run.count(name, 0)
    walks = [walk for walk in WALKS if only is None or only in walk.proofs]
    sizes = _sizes(run)
    total = sum(sizes[walk.table or "transactions"] for walk in walks)
    with run.db.read() as conn:
        as_of = database_now(conn)
    done = 0
    for walk in walks:
        rows = sizes[walk.table or "transactions"]
        for bounds, reached in _ranges(run, walk, rows):
            if run.should_stop():
                run.warning("stopped before the end: what was not looked at keeps its findings", done=done, total=total)
                return
            for check, statements in walk.proofs.items():
                if only in (None, check):
                    for statement in statements:
                        _prove(run, check, statement, bounds)
            run.progress(done + min(reached, rows), total)
        done += rows
        if walk.table:
            run.count(walk.table, rows)
    if not run.dry_run:
        _finish(run, {check for walk in walks for check in walk.proofs if only in (None, check)}, as_of, sizes)


def tell(run: Run, kept: Kept) -> None:
    """Counts findings and names each in the run's log, up to a thousand of one look."""
    run.count("findings", kept.count)
    run.count("new", kept.new)
    for found in kept.named:
        run.error(found.sentence, **_facts(found))
    if kept.count > MOST_NAMED:
        run.error(f"{kept.count - MOST_NAMED:,} more differ in the same way: the page Integrity has them all")


def _prove(run: Run, check: Check, statement: str, bounds: Bounds) -> None:
    with run.db.read() if run.dry_run else run.db.begin() as conn:
        kept = look(conn, check, statement, bounds, run_id=run.id, dry_run=run.dry_run)
    tell(run, kept)


def _sizes(run: Run) -> dict[str, int]:
    with run.db.read() as conn:
        row = conn.execute(
            text("SELECT (SELECT count(*) FROM transactions) AS transactions, (SELECT count(*) FROM users) AS users")
        ).one()
    return {"transactions": row.transactions, "users": row.users}


def _ranges(run: Run, walk: Walk, rows: int) -> Iterator[tuple[Bounds, int]]:
    """Ranges that leave no gap, whatever is inserted meanwhile, and how many rows they have reached."""
    if not walk.table:
        parts = max(1, -(-rows // walk.size))
        for part in range(parts):
            yield {"part": part, "parts": parts}, (part + 1) * walk.size
        return
    first, reached = UUID(int=0), 0
    while True:
        with run.db.read() as conn:
            last: UUID | None = conn.execute(
                text(f"SELECT id FROM {walk.table} WHERE id >= :first ORDER BY id OFFSET :skip LIMIT 1"),  # noqa: S608
                {"first": first, "skip": walk.size - 1},
            ).scalar()
        reached += walk.size
        # The last range goes to the end of all ids, and so finds rows that belong to nothing, too.
        yield {"first": first, "last": last or _LAST}, reached
        if last is None or last == _LAST:
            return
        first = UUID(int=last.int + 1)


def _finish(run: Run, checks: set[Check], as_of: datetime, sizes: Mapping[str, int]) -> None:
    """The checks whose every row was looked at: what was not found again is over."""
    for check in sorted(checks):
        looked_at = sizes["users" if check in (Check.BALANCES, Check.OVERDRAWN) else "transactions"]
        with run.db.begin() as conn:
            resolved = resolve_unseen(conn, check, before=as_of, run_id=run.id)
            finish_pass(conn, check, as_of=as_of, looked_at=looked_at, run_id=run.id)
        run.count("resolved", resolved)
        if resolved:
            run.info(f"{check}: {resolved} findings are gone")


def _facts(found: Found) -> dict[str, object]:
    facts = {
        "check": found.check.value,
        "expected": found.expected,
        "actual": found.actual,
        "difference": None if found.difference is None else f"{found.difference.normalize():f}",
        "transaction": found.transaction_id,
        "user": found.user_id,
        "account": found.account,
    }
    return {name: str(value) for name, value in facts.items() if value is not None}
