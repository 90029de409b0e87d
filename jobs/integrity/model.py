"""What is proved, and what a proof that fails leaves behind: names and frozen values.

A finding says what was expected and what is there, as text that a person reads; where both are amounts, the difference
(actual minus expected) is a number of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class Check(StrEnum):
    """Everything that is proved, in the order of the pages; the names stand in the database and in metrics."""

    DOUBLE_ENTRY = "double-entry"
    BALANCES = "balances"
    OVERDRAWN = "overdrawn"
    ENTRIES = "entries"
    POSTINGS = "postings"
    DOUBLES = "doubles"
    STATUSES = "statuses"
    WALLETS = "wallets"
    HISTORY = "history"


JOB_OF = dict.fromkeys(Check, "verify-ledger") | {
    Check.WALLETS: "sync-wallets",
    Check.HISTORY: "audit-history",
}
"""Which job proves what."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that differs; `subject` tells it from everything else that its check may find."""

    check: Check
    subject: str
    sentence: str
    expected: str
    actual: str
    difference: Decimal | None = None
    transaction_id: UUID | None = None
    user_id: UUID | None = None
    account: str | None = None
    currency: str | None = None
    asset_issuer: str | None = None


@dataclass(frozen=True, slots=True)
class CheckState:
    """How one check stands: when its last whole pass began, over how much, and what is open since when."""

    check: Check
    as_of: datetime | None
    looked_at: int
    run_id: int | None
    findings: int
    oldest: datetime | None
