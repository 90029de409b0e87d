"""The jobs of this room: they prove, and change nothing but what they found."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from jobs.core.jobs import Cron, Every, Params, Run, job
from jobs.integrity.history import audit_history
from jobs.integrity.history_store import Draw
from jobs.integrity.model import Check
from jobs.integrity.verify import verify
from jobs.integrity.wallets import sync_wallets

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


class WalletParams(Params):
    """How many wallets, and what counts as drift."""

    limit: int = Field(100, ge=1, le=10_000, description="at most so many wallets, one request each")
    tolerance: Decimal = Field(Decimal(0), ge=0, description="differences up to so many units are no drift")


@job(
    name="sync-wallets",
    title="Compare wallets with the books",
    does="Compares what users' wallets hold on the chain with their balances and reports what differs; overwrites "
    "nothing. Wallets that moved come first, the others take turns.",
    schedule=Every(seconds=600),
    timeout_s=540,
    params=WalletParams,
)
def compare_wallets(run: Run, params: WalletParams) -> None:
    """Drift is a finding, never a correction: which side is right is for a person to say."""
    sync_wallets(run, params.limit, params.tolerance)


class HistoryParams(Params):
    """What a new audit looks at; an unfinished one goes on as it began."""

    sample: int = Field(
        1000, ge=0, le=1_000_000, description="so many settled transactions by chance; 0: open findings"
    )
    everything: bool = Field(False, description="every settled transaction instead of a sample")
    seed: int | None = Field(None, ge=0, lt=2**63, description="draws the same sample again; empty: the run's number")
    restart: bool = Field(False, description="give the unfinished audit up and begin a new one")


@job(
    name="audit-history",
    title="Audit the history",
    does="Asks the network again about settled transactions and reports those whose status it contradicts; changes no "
    "status. What one run leaves the next one goes on with.",
    schedule=Cron("0 4 1 * *"),
    timeout_s=14_400,
    retries=2,
    params=HistoryParams,
)
def verify_history(run: Run, params: HistoryParams) -> None:
    """A month's sample, or everything, against the network."""
    draw = Draw(None if params.everything else params.sample, run.id if params.seed is None else params.seed)
    audit_history(run, draw, restart=params.restart)
