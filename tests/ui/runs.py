"""Single runs with exactly what a test of a page needs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy import text

from jobs.core.db import Database, jsonb
from jobs.run.store import add_logs

STARTED = ("running", "succeeded", "failed", "timed_out", "lost", "stopped")


def a_run(db: Database, state: str = "succeeded", **values: Any) -> int:
    """One run of reconcile-pending, begun a minute ago; `values` are columns."""
    row: dict[str, Any] = {
        "job": "reconcile-pending",
        "trigger": "manual",
        "triggered_by": "ada@nexafx.com",
        "state": state,
        "attempt": 1,
        **values,
    }
    row |= {name: jsonb(row[name]) for name in ("params", "counters") if name in row}
    started = "now() - interval '1 minute'" if state in STARTED else "NULL"
    finished = "NULL" if state in ("queued", "running") else "now() - interval '40 seconds'"
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    with db.begin() as conn:
        found: int = conn.execute(
            text(
                f"INSERT INTO ops.runs ({columns}, queued_at, started_at, finished_at)"
                f" VALUES ({places}, now() - interval '61 seconds', {started}, {finished}) RETURNING id"
            ),
            row,
        ).scalar_one()
    return found


def log_lines(db: Database, run_id: int, *lines: tuple[str, str]) -> None:
    """Lines of a run's log: level and event."""
    with db.begin() as conn:
        add_logs(conn, run_id, [{"level": level, "event": event, "fields": {"n": i}}
                                for i, (level, event) in enumerate(lines)])  # fmt: skip


def decide(db: Database, run_id: int, count: int) -> list[str]:
    """Decisions of a run about that many transactions; their ids."""
    with db.begin() as conn:
        user = conn.execute(
            text("INSERT INTO users (email) VALUES (:email) RETURNING id"), {"email": f"{uuid4()}@example.com"}
        ).scalar_one()
        ids = conn.execute(
            text(
                "WITH rows AS (INSERT INTO transactions (user_id, type, amount, currency)"
                " SELECT :user, 'DEPOSIT', 1, 'XLM' FROM generate_series(1, :count) RETURNING id), decided AS ("
                " INSERT INTO ops.decisions (run_id, transaction_id, dry_run, verdict, reason, proof)"
                " SELECT :run, id, false, 'success', 'included', '{}' FROM rows) SELECT id::text FROM rows"
            ),
            {"user": user, "count": count, "run": run_id},
        ).scalars()
        return list(ids)
