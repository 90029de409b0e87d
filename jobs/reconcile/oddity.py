"""Rows that nobody foresaw: what no deposit or withdrawal can look like, in a sentence for whoever mends it.

On an application's own database any constraint may be missing, and people edit rows by hand. Such a row becomes a case
before anything is asked or moved for it; a mistake in one row costs no other. What only differs from the chain (another
issuer, an amount between two stroops) is no oddity: the chain's own answer says more about it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from jobs.reconcile.address import parse_address
from jobs.reconcile.picture import Row

MOST = Decimal(2**63 - 1).scaleb(-7)
"""The largest amount that the network can move: stroops are 64-bit integers."""
FIRST_DAY = datetime(2014, 1, 1, tzinfo=UTC)
"""Stellar's ledger begins later: nothing can have been sent before."""
AHEAD = timedelta(minutes=10)
"""How far a clock of the application may run ahead of the database's."""
_CODE = re.compile(r"[A-Za-z0-9]{1,12}")


def oddity(row: Row) -> str | None:
    """What is odd about a row and what to do about it; None: nothing is."""
    if row.user_id is None:
        return "The row names no user who exists: nobody could be credited or refunded. Set its user."
    if row.type not in ("DEPOSIT", "WITHDRAW"):
        return f"The type is {brief(row.type)}: set DEPOSIT, WITHDRAW or SWAP."
    amount = row.amount
    if amount is None or not amount.is_finite():
        return "The amount is no number: set what was asked for."
    if amount <= 0:
        return f"The amount is {amount:f}: one above zero is needed."
    if amount > MOST:
        return f"The amount is {amount:f}, more than Stellar can move ({MOST:f}): set what was asked for."
    if row.currency is None or not _CODE.fullmatch(row.currency):
        return f"The currency is {brief(row.currency)}: an asset's code has 1 to 12 letters and digits."
    if row.asset_issuer and not _is_account(row.asset_issuer):
        return f"The issuer is {brief(row.asset_issuer)}, which is no account: set the whole G… address."
    return None


def mistimed(row: Row, now: datetime) -> str | None:
    """What is odd about the time of a row; no proof may be dated by it. The due query in store.py draws the same line."""
    if row.created_at is None:
        return "The row does not say when it was created: set its time."
    if row.created_at < FIRST_DAY:
        return f"It was created {row.created_at:%Y-%m-%d}, before Stellar's first ledger: set its time, in UTC."
    if row.created_at > now + AHEAD:
        return f"It was created in the future ({row.created_at:%Y-%m-%d %H:%M} UTC): set its time, in UTC."
    return None


def brief(value: str | None, most: int = 60) -> str:
    """A value of a row as a sentence may quote it: cut, and with what cannot be seen made visible."""
    if value is None:
        return "empty"
    return repr(value) if len(value) <= most else f"{value[:most]!r}… ({len(value):,} characters)"


@lru_cache(maxsize=4096)
def _is_account(text: str) -> bool:
    address = parse_address(text)
    return address is not None and address.muxed_id is None
