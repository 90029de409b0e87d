"""What the rules look at and what they answer: frozen values, so that a decision can be made again from its proof.

A `Picture` holds everything that was asked and answered about one row; a `Decision` is what follows from it. Amounts
of rows are `Decimal` units as the table has them, amounts on the chain are stroops; times are aware and UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from jobs.horizon.model import Address, Asset, Lookup, SignedEnvelope, Watermark

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]


class CaseReason(StrEnum):
    """Why a person has to decide."""

    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    ASSET_MISMATCH = "ASSET_MISMATCH"
    DESTINATION_MISMATCH = "DESTINATION_MISMATCH"
    MEMO_MISMATCH = "MEMO_MISMATCH"
    HASH_REUSED = "HASH_REUSED"
    CLAIMABLE_UNCLAIMED = "CLAIMABLE_UNCLAIMED"
    NO_HASH = "NO_HASH"
    INVALID_HASH = "INVALID_HASH"
    BEYOND_HISTORY = "BEYOND_HISTORY"
    EXPIRED_UNPROVEN = "EXPIRED_UNPROVEN"
    REFUND_SPENT = "REFUND_SPENT"
    ODD_ROW = "ODD_ROW"
    """The row itself cannot be right: see oddity.py, and what the database refuses to settle."""


class Verdict(StrEnum):
    """What follows for the row. Rules decide the first four, and only the first two of them change its status, only on
    proof; the last three are a person's decision on a case (verdicts.py)."""

    SUCCESS = "success"
    FAILED = "failed"
    KEEP = "keep"
    CASE = "case"
    ACCEPTED = "accepted"
    MARKED_FAILED = "marked_failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Row:
    """A transaction of the application as it stood when it was read; an application may have dropped its constraints."""

    id: UUID
    user_id: UUID | None
    """None: the row names nobody, or nobody who exists."""
    type: str | None
    status: str
    amount: Decimal | None
    currency: str | None
    asset_issuer: str | None
    tx_hash: str | None
    receiver_text: str | None
    """`destination`, or where that is null the user's wallet."""
    receiver: Address | None
    """The same, decoded; None: the row names nobody, or nobody that exists."""
    memo_type: str | None
    memo: str | None
    created_at: datetime | None

    @property
    def hash(self) -> str | None:
        """The hash in the only form that is compared, lower case; None where there is none."""
        text = self.tx_hash or ""
        return text.lower() if text.strip() else None

    @property
    def asset(self) -> Asset:
        return Asset(self.currency or "", self.asset_issuer or None)

    @property
    def amount_text(self) -> str:
        """The amount as a sentence or a proof says it."""
        return "nothing" if self.amount is None else f"{self.amount:f}"

    @property
    def order(self) -> tuple[datetime, UUID]:
        """By which rows stand in line: the oldest first, and one without a time before all."""
        return self.created_at or datetime.min.replace(tzinfo=UTC), self.id

    @property
    def stroops(self) -> int | None:
        """The amount in stroops; None where it is no whole number of them and so can never have been paid."""
        if self.amount is None or not self.amount.is_finite():
            return None
        numerator, denominator = self.amount.as_integer_ratio()  # Decimal's own arithmetic rounds to 28 digits
        stroops, rest = divmod(numerator * 10_000_000, denominator)
        return None if rest else stroops


@dataclass(frozen=True, slots=True)
class Look:
    """One answer, with the watermark of the same server that was read before it was asked."""

    watermark: Watermark
    lookup: Lookup


@dataclass(frozen=True, slots=True)
class AccountState:
    """How far an account's sequence number was, at the ledger that last changed the account."""

    server: str
    account: str
    sequence: int
    ledger: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that turn waiting into a case."""

    no_hash_after: timedelta = timedelta(minutes=60)
    expire_unproven_after: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is known about one row at the moment of deciding."""

    row: Row
    now: datetime
    """The database's clock. It opens cases; it never proves anything."""
    looks: tuple[Look, ...] = ()
    canary: bool = False
    """A hash that the server itself had listed was found on the same address: its 404 can mean *absent*."""
    lists_nothing: bool = False
    """There was no canary because the server lists no transaction at all: enough to call a person, never a proof."""
    frozen: str | None = None
    """Why no answer of this server may change anything."""
    envelope: SignedEnvelope | None = None
    unreadable: bool = False
    """An envelope is kept, and it does not decode."""
    account: AccountState | None = None
    account_asked: bool = False
    siblings: tuple[Row, ...] = ()
    """Other rows that hold a hash of the same chain transaction and were paid, or may still be paid."""
    claims: Mapping[int, UUID] = field(default_factory=dict)
    """Operations of the same chain transaction that rows were already paid by."""
    claimings: Mapping[str, Sequence[Lookup]] = field(default_factory=dict)
    """What is listed beside claimable balances that were asked about, by the balance's id: claiming.py."""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Ask:
    """What would have to be asked before more can be said: hashes (again), an account's sequence number, and what is
    listed beside claimable balances."""

    hashes: tuple[str, ...] = ()
    account: str | None = None
    balances: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hashes or self.account or self.balances)


NOTHING = Ask()


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived: stroops of an asset."""

    stroops: int
    asset: Asset

    @property
    def amount(self) -> Decimal:
        """In units, exact."""
        return Decimal(self.stroops).scaleb(-7)


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows, why in one code and one sentence, and the proof as JSON."""

    verdict: Verdict
    reason: str
    sentence: str
    proof: dict[str, Json] = field(default_factory=dict)
    canonical: str | None = None
    """Of a success: the hash under which the payment counts once."""
    operation: int | None = None
    """Of a success: the operation that pays the row."""
    received: Received | None = None
    """Of a payment that a person accepted: what it is settled with; None: with what the row expects."""
    ask: Ask = NOTHING
