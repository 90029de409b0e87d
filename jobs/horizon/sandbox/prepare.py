"""What bulk inclusion puts right before it applies an envelope: accounts and trust lines that a test did not set up."""

from __future__ import annotations

from collections.abc import Iterator

from stellar_sdk import (
    AccountMerge,
    Asset,
    CreateAccount,
    CreateClaimableBalance,
    Operation,
    PathPaymentStrictReceive,
    PathPaymentStrictSend,
    Payment,
)

from jobs.horizon.sandbox.envelope import Parsed
from jobs.horizon.sandbox.network import MAX_STROOPS, NATIVE, STROOPS, asset_key
from jobs.horizon.sandbox.state import SandboxAccount, State

PREPARED_STROOPS = 10_000_000 * STROOPS
"""What an account is opened with, of the native asset and of each asset that it is about to send."""


def open_missing(parsed: Parsed, state: State, sequence: int) -> list[SandboxAccount]:
    """The accounts to write before the envelope is applied; those that need nothing are not among them."""
    changed: dict[str, SandboxAccount] = {}

    def account(account_id: str) -> SandboxAccount:
        if account_id not in changed:
            known = state.accounts.get(account_id)
            changed[account_id] = (
                known.copy() if known else SandboxAccount(account_id, sequence, {NATIVE: PREPARED_STROOPS})
            )
        return changed[account_id]

    def trust(account_id: str, asset: Asset, balance: int) -> None:
        holder, key = account(account_id), asset_key(asset)
        if asset.issuer:
            account(asset.issuer)
        if not holder.trusts(key):
            holder.limits[key], holder.balances[key] = MAX_STROOPS, balance

    tx_source = parsed.source.account_id
    account(parsed.fee_source.account_id)
    account(tx_source)
    for operation in parsed.transaction.operations:
        source = operation.source.account_id if operation.source else tx_source
        account(source)
        for asset in _sent(operation):
            trust(source, asset, PREPARED_STROOPS)
        for holder, asset in _received(operation):
            trust(holder, asset, 0)
    return [found for found in changed.values() if found != state.accounts.get(found.id)]


def _sent(operation: Operation) -> Iterator[Asset]:
    match operation:
        case Payment() | CreateClaimableBalance():
            yield operation.asset
        case PathPaymentStrictSend() | PathPaymentStrictReceive():
            yield operation.send_asset
        case CreateAccount():
            yield Asset.native()


def _received(operation: Operation) -> Iterator[tuple[str, Asset]]:
    match operation:
        case Payment():
            yield operation.destination.account_id, operation.asset
        case PathPaymentStrictSend() | PathPaymentStrictReceive():
            yield operation.destination.account_id, operation.dest_asset
        case AccountMerge():
            yield operation.destination.account_id, Asset.native()
