"""Executes the jobs of run_jobs.py as a worker would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import text

import tests.db.run_jobs  # noqa: F401  # registers them
from jobs.core.db import Database
from jobs.core.jobs import find_job
from jobs.core.settings import Settings
from jobs.run.execute import execute
from jobs.run.store import RunRow, request_run
from jobs.schedule.store import seed_schedules

ADA = "ada@example.org"
WORKER = UUID(int=7)


class Doing:
    """Has the job do something, and returns the run as it ended."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        with db.begin() as conn:
            seed_schedules(conn, {"test-todo": find_job("test-todo")})

    def __call__(
        self, how: str, *, dry_run: bool = False, worker_id: UUID | None = WORKER, **options: object
    ) -> RunRow:
        run_id = ask(self.db, how, dry_run=dry_run)
        return execute(self.db, self.settings, run_id, worker_id=worker_id, **options)  # type: ignore[arg-type]  # cases


def ask(db: Database, how: str, *, job: str = "test-todo", dry_run: bool = False) -> int:
    with db.begin() as conn:
        return request_run(conn, job=job, params={"how": how}, dry_run=dry_run, actor=ADA)


def fetch(db: Database) -> None:
    """As if a worker had taken everything from the queue."""
    with db.begin() as conn:
        conn.execute(text("UPDATE procrastinate.procrastinate_jobs SET status = 'doing'"))


def later(seconds: float, action: Callable[[], object]) -> None:
    threading.Timer(seconds, action).start()


def limit(db: Database, seconds: int) -> None:
    """The time limit of the schedule's runs."""
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET timeout_s = :s WHERE name = 'test-todo'"), {"s": seconds})
