"""What the checks of integrity prove, in words, and for how long a proof is worth a green light."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.integrity.model import Check

PROVES: Mapping[str, str] = {
    Check.DOUBLE_ENTRY: "Every posting sums to zero",
    Check.BALANCES: "Every balance is the sum of its entries",
    Check.OVERDRAWN: "No balance is below zero",
    Check.ENTRIES: "Every entry belongs to a transaction that calls for it",
    Check.POSTINGS: "Every settled transaction has its postings",
    Check.DOUBLES: "Nothing is posted or paid twice",
    Check.STATUSES: "Every status agrees with its proof",
    Check.WALLETS: "Wallets hold what the books say",
    Check.HISTORY: "The network confirms what was settled",
}
_DAY = 86_400.0
FRESH_S: Mapping[str, float] = {"verify-ledger": 0.75 * _DAY, "sync-wallets": _DAY, "audit-history": 62 * _DAY}
"""For so many seconds a whole pass of a job counts: three intervals, a day for a round of all wallets, two months."""
_COUNTED: Mapping[str, str] = {Check.BALANCES: "user", Check.OVERDRAWN: "user", Check.WALLETS: "wallet"}


def proves(name: str) -> str:
    """What a check proves; its bare name where this version does not know it."""
    return PROVES.get(name, name)


def looked_at(check: Check, count: int) -> str:
    """Over how much it was proved: "1,204 transactions"."""
    what = _COUNTED.get(check, "transaction")
    return f"{count:,} {what}{'' if count == 1 else 's'}"
