"""Whether a wallet holds what the books say, as far as two sources that are never read at the same instant can tell.

Comparable is one asset of one base account: the balances of all users whose address leads there, summed (multiplexed
addresses share an account), beside what the account holds on the chain. Assets that the books do not keep for any of
them are the users' own business, and currencies without an issuer, other than the native one, are on no chain.

What is pending makes a wallet hold more than the books say: a deposit has arrived before it is credited, a withdrawal
is debited before it leaves. What was settled a moment ago may stand on one side only, whichever. Only what those amounts
cannot explain is drift; what they can explain is neither drift nor agreement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from jobs.horizon.model import Asset, Holdings
from jobs.integrity.model import Check, Found

STROOP = Decimal("0.0000001")


@dataclass(frozen=True, slots=True)
class Books:
    """What the books keep of one asset for all users of one account; amounts in units."""

    account: str
    currency: str
    asset_issuer: str
    amount: Decimal
    pending: Decimal
    recent: Decimal
    """Settled too recently for the chain's answer to be surely newer."""
    users: int
    user_id: UUID | None
    """The user, where it is one alone."""

    @property
    def comparable(self) -> bool:
        return bool(self.asset_issuer) or self.currency == "XLM"


class Standing(StrEnum):
    """What a comparison shows."""

    AGREES = "agrees"
    DRIFTS = "drifts"
    IN_MOTION = "in motion"


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sides; amounts in units."""

    books: Books
    chain: Decimal
    ledger: int

    @property
    def difference(self) -> Decimal:
        """Chain minus books."""
        return self.chain - self.books.amount

    @property
    def in_motion(self) -> Decimal:
        return self.books.pending + self.books.recent

    def standing(self, tolerance: Decimal) -> Standing:
        """Agreement up to `tolerance`, drift beyond what is in motion; less than a stroop exists on no chain."""
        if abs(self.difference) < STROOP or abs(self.difference) <= tolerance:
            return Standing.AGREES
        explained = -self.books.recent - tolerance <= self.difference <= self.in_motion + tolerance
        return Standing.IN_MOTION if explained else Standing.DRIFTS

    @property
    def subject(self) -> str:
        return f"{self.books.account} {self.books.currency} {self.books.asset_issuer}"


def compare(books: Iterable[Books], holdings: Holdings) -> list[Compared]:
    """Every asset of an account that the books keep and a chain can have; one without a trust line is zero."""
    return [
        Compared(one, holdings.balances.get(Asset(one.currency, one.asset_issuer or None), 0) * STROOP, holdings.ledger)
        for one in books
        if one.comparable and one.account == holdings.account
    ]


def finding(compared: Compared) -> Found:
    """A drift as a finding."""
    books, more = compared.books, compared.difference > 0
    whose = "The wallet" if books.users == 1 else f"The wallet that {books.users} users share"
    return Found(
        check=Check.WALLETS,
        subject=compared.subject,
        sentence=f"{whose} holds {_plain(abs(compared.difference))} {books.currency} "
        f"{'more' if more else 'less'} than the books say",
        expected=_plain(books.amount),
        actual=_plain(compared.chain),
        difference=compared.difference,
        user_id=books.user_id,
        account=books.account,
        currency=books.currency,
        asset_issuer=books.asset_issuer,
    )


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
