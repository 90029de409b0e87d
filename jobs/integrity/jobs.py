"""The jobs of this room: they prove, and change nothing but what they found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jobs.core.jobs import Every, Params, Run, job
from jobs.integrity.model import Check
from jobs.integrity.verify import verify

BooksCheck = Literal["double-entry", "balances", "overdrawn", "entries", "postings", "doubles", "statuses"]


class VerifyParams(Params):
    """What to prove."""

    only: BooksCheck | None = Field(None, description="only this check; empty: all of them")


@job(
    name="verify-ledger",
    title="Verify the ledger",
    does="Proves that every posting sums to zero, every balance is the sum of its entries, and every settled "
    "transaction has exactly what belongs to it; names each row that differs and changes nothing.",
    schedule=Every(seconds=21_600),
    timeout_s=3_600,
    retries=1,
    params=VerifyParams,
)
def verify_ledger(run: Run, params: VerifyParams) -> None:
    """Findings are counted and kept; the run itself succeeds, because it did its work."""
    verify(run, None if params.only is None else Check(params.only))
