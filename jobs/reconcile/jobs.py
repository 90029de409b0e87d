"""The jobs of this room: the pending rows, and the failed ones that the network may know better."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from pydantic import Field

from jobs.core.flags import Flag
from jobs.core.jobs import Every, Params, Run, job
from jobs.reconcile.reconcile import Task, reconcile
from jobs.reconcile.store import Wanted, asked_by_person


class ReconcileParams(Params):
    """Which rows to look at."""

    limit: int | None = Field(None, ge=1, description="at most so many transactions; empty: all that are due")
    older_than_min: int = Field(0, ge=0, description="only transactions that are at least so many minutes old")
    transaction_id: UUID | None = Field(None, description="only this transaction")


@job(
    name="reconcile-pending",
    title="Reconcile pending transactions",
    does="Asks Horizon about every pending transaction that is due and settles those whose outcome is proved; "
    "run by hand it looks at all of them.",
    schedule=Every(seconds=120),
    timeout_s=110,
    retries=1,
    flag=Flag.RECONCILIATION,
    params=ReconcileParams,
)
def reconcile_pending(run: Run, params: ReconcileParams) -> None:
    """PENDING rows, oldest first."""
    reconcile(run, _task(run, params, "PENDING", Flag.RECONCILIATION))


@job(
    name="retry-failed",
    title="Rescue failed transactions",
    does="Looks again at transactions that failed within the last 24 hours and rescues those that the network proves "
    "to have succeeded; every other one stays as it is.",
    schedule=Every(seconds=300),
    timeout_s=240,
    retries=1,
    flag=Flag.RETRY,
    params=ReconcileParams,
)
def retry_failed(run: Run, params: ReconcileParams) -> None:
    """FAILED rows of the last day, oldest first, a batch at a time."""
    reconcile(run, _task(run, params, "FAILED", Flag.RETRY))


def _task(run: Run, params: ReconcileParams, status: str, flag: Flag) -> Task:
    with run.db.read() as conn:
        by_person = asked_by_person(conn, run.id)
    age = timedelta(minutes=params.older_than_min)
    return Task(Wanted(status, age, params.transaction_id, everything=by_person), params.limit, flag)
