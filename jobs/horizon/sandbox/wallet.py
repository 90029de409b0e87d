"""Genuine envelopes for tests and demo traffic: built with stellar-sdk and signed under the sandbox's passphrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypedDict, Unpack

from stellar_sdk import (
    AccountMerge,
    Asset,
    ChangeTrust,
    Claimant,
    ClaimClaimableBalance,
    CreateAccount,
    CreateClaimableBalance,
    FeeBumpTransactionEnvelope,
    HashMemo,
    IdMemo,
    Keypair,
    LedgerBounds,
    MuxedAccount,
    NoneMemo,
    Operation,
    PathPaymentStrictReceive,
    PathPaymentStrictSend,
    Payment,
    Preconditions,
    ReturnHashMemo,
    TextMemo,
    TimeBounds,
    Transaction,
    TransactionBuilder,
    TransactionEnvelope,
)
from stellar_sdk.memo import Memo
from stellar_sdk.utils import sha256

from jobs.horizon.sandbox.network import BASE_FEE, SANDBOX_PASSPHRASE, stroops, units

XLM = Asset.native()
MORE_THAN_ANYBODY_HAS = Decimal(500000000000)
Amount = Decimal | str | int
MemoKind = Literal["none", "text", "id", "hash", "return"]


class Terms(TypedDict, total=False):
    """What any transaction may carry beside its operations; times in unix seconds, 0 for no bound."""

    memo: Memo
    min_time: int
    max_time: int
    max_ledger: int
    sequence: int
    muxed_id: int
    """Sign as the multiplexed account with this id."""
    signed: bool
    """Off leaves the envelope unsigned: faster, for bulk inclusion."""
    passphrase: str


def memo(kind: MemoKind, value: str | None) -> Memo:
    """A memo by its kind, `hash` and `return` in hex (rows hold them in base64). `ValueError` for what no memo can hold."""
    match kind:
        case "text":
            return TextMemo(value or "")
        case "id":
            return IdMemo(int(value or 0))
        case "hash":
            return HashMemo(value or "")
        case "return":
            return ReturnHashMemo(value or "")
        case "none":
            return NoneMemo()


def asset(code: str, issuer: str) -> Asset:
    """An issued asset."""
    return Asset(code, issuer)


def muxed(account_id: str, muxed_id: int) -> str:
    """The `M…` address of an account and an id."""
    return MuxedAccount(account_id, muxed_id).universal_account_id


@dataclass(slots=True)
class Wallet:
    """A key pair that counts its own sequence numbers, so that many transactions can be built without asking a server."""

    keypair: Keypair = field(default_factory=Keypair.random)
    sequence: int = 0
    """The last number used; set it to the account's own before the first transaction that is submitted."""

    @classmethod
    def named(cls, name: str, sequence: int = 0) -> Wallet:
        """The same key pair for the same name, in every process."""
        return cls(Keypair.from_raw_ed25519_seed(sha256(f"nexaops sandbox wallet: {name}".encode())), sequence)

    @property
    def address(self) -> str:
        return self.keypair.public_key

    def transaction(self, *operations: Operation, **terms: Unpack[Terms]) -> TransactionEnvelope:
        """An envelope with these operations; takes the next sequence number unless the terms name one."""
        if "sequence" in terms:
            number = terms["sequence"]
        else:
            number = self.sequence = self.sequence + 1
        max_ledger = terms.get("max_ledger", 0)
        bounds = Preconditions(
            time_bounds=TimeBounds(terms.get("min_time", 0), terms.get("max_time", 0)),
            ledger_bounds=LedgerBounds(0, max_ledger) if max_ledger else None,
        )
        source = MuxedAccount(self.address, terms["muxed_id"]) if "muxed_id" in terms else self.address
        fee = BASE_FEE * len(operations)
        built = Transaction(source, number, fee, list(operations), terms.get("memo", NoneMemo()), bounds)
        envelope = TransactionEnvelope(built, terms.get("passphrase", SANDBOX_PASSPHRASE))
        if terms.get("signed", True):
            envelope.sign(self.keypair)
        return envelope

    def payment(
        self, destination: str, amount: Amount, asset: Asset = XLM, **terms: Unpack[Terms]
    ) -> TransactionEnvelope:
        """Pay `amount` units to a `G…` or `M…` address."""
        return self.transaction(Payment(destination, asset, _text(amount)), **terms)

    def failing_payment(self, destination: str, asset: Asset = XLM, **terms: Unpack[Terms]) -> TransactionEnvelope:
        """A payment that is included and fails (`op_underfunded`) unless the wallet issues the asset."""
        return self.payment(destination, MORE_THAN_ANYBODY_HAS, asset, **terms)

    def create_account(self, destination: str, starting_balance: Amount, **terms: Unpack[Terms]) -> TransactionEnvelope:
        return self.transaction(CreateAccount(destination, _text(starting_balance)), **terms)

    def path_send(
        self,
        destination: str,
        send: tuple[Amount, Asset],
        receive: tuple[Amount, Asset],
        path: Sequence[Asset] = (),
        **terms: Unpack[Terms],
    ) -> TransactionEnvelope:
        """Send exactly the one, so that at least the other arrives."""
        operation = PathPaymentStrictSend(
            destination, send[1], _text(send[0]), receive[1], _text(receive[0]), list(path)
        )
        return self.transaction(operation, **terms)

    def path_receive(
        self,
        destination: str,
        send: tuple[Amount, Asset],
        receive: tuple[Amount, Asset],
        path: Sequence[Asset] = (),
        **terms: Unpack[Terms],
    ) -> TransactionEnvelope:
        """Spend at most the one, so that exactly the other arrives."""
        operation = PathPaymentStrictReceive(
            destination, send[1], _text(send[0]), receive[1], _text(receive[0]), list(path)
        )
        return self.transaction(operation, **terms)

    def merge(self, destination: str, **terms: Unpack[Terms]) -> TransactionEnvelope:
        """Give the whole native balance to the destination and vanish."""
        return self.transaction(AccountMerge(destination), **terms)

    def claimable_balance(
        self, claimants: Sequence[str], amount: Amount, asset: Asset = XLM, **terms: Unpack[Terms]
    ) -> TransactionEnvelope:
        """Lay an amount aside for whichever claimant comes first."""
        people = [Claimant(claimant) for claimant in claimants]
        return self.transaction(CreateClaimableBalance(asset, _text(amount), people), **terms)

    def claim(self, balance_id: str, **terms: Unpack[Terms]) -> TransactionEnvelope:
        return self.transaction(ClaimClaimableBalance(balance_id), **terms)

    def trust(self, asset: Asset, **terms: Unpack[Terms]) -> TransactionEnvelope:
        return self.transaction(ChangeTrust(asset), **terms)

    def fee_bump(
        self, inner: TransactionEnvelope, base_fee: int = 2 * BASE_FEE, *, signed: bool = True
    ) -> FeeBumpTransactionEnvelope:
        """Pay the fee of somebody's transaction, under the inner envelope's own passphrase; stroops per operation."""
        bumped = TransactionBuilder.build_fee_bump_transaction(self.address, base_fee, inner, inner.network_passphrase)
        if signed:
            bumped.sign(self.keypair)
        return bumped


def _text(amount: Amount) -> str:
    return units(stroops(amount))
