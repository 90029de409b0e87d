"""What the sandbox's network is: its passphrase, its fees and its paging tokens.

The passphrase is its own, so an envelope signed for the sandbox is worthless anywhere else, and a real one is refused here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from stellar_sdk import Asset, StrKey

SANDBOX_PASSPHRASE = "NexaFX Sandbox Network ; 2026"  # noqa: S105  a network's name, which everybody knows

SEQUENCE_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Ledger numbers count from here by the clock: a restarted sandbox goes on above every ledger it ever closed."""

LEDGER_INTERVAL_S = 5.0
BASE_FEE = 100
BASE_RESERVE = 5_000_000
PROTOCOL = 23
MAX_OPERATIONS_PER_LEDGER = 1000
STROOPS = 10_000_000
MAX_STROOPS = 2**63 - 1
NATIVE = "native"


def toid(ledger: int, order: int = 0, operation: int = 0) -> int:
    """The total order id of a ledger, of its `order`-th transaction (from 1), or of an operation in it (from 1)."""
    return ledger << 32 | order << 12 | operation


def asset_key(asset: Asset) -> str:
    """`native`, or `CODE:ISSUER` as Horizon writes an asset in one string."""
    return NATIVE if asset.is_native() else f"{asset.code}:{asset.issuer}"


def key_asset(key: str) -> Asset:
    """The asset of a key; `ValueError` or stellar-sdk's errors for anything else."""
    if key == NATIVE:
        return Asset.native()
    code, _, issuer = key.partition(":")
    return Asset(code, issuer)


def stroops(amount: str | Decimal | int) -> int:
    """An amount in units, exact to seven places, as stroops; `ValueError` for an eighth place."""
    scaled = Decimal(amount) * STROOPS
    if scaled != int(scaled):
        raise ValueError(f"{amount} has more than seven decimal places")
    return int(scaled)


def units(amount: int) -> str:
    """Stroops as Horizon prints them: always seven places."""
    whole, rest = divmod(abs(amount), STROOPS)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:07d}"


def stamp(moment: datetime) -> str:
    """A time as Horizon prints it: whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_id(key: bytes) -> str:
    """The `G…` address of a public key, 32 bytes."""
    return StrKey.encode_ed25519_public_key(key)
