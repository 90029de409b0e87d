"""Who owns what on the sandbox's ledger, and drafts of it that a failed transaction throws away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from jobs.horizon.sandbox.network import BASE_RESERVE, MAX_STROOPS, NATIVE


@dataclass(slots=True)
class SandboxAccount:
    """An account: balances and trust limits in stroops by asset key, and where its sequence number last moved."""

    id: str
    sequence: int
    balances: dict[str, int] = field(default_factory=lambda: {NATIVE: 0})
    limits: dict[str, int] = field(default_factory=dict)
    sequence_ledger: int = 0
    sequence_time: int = 0
    modified_ledger: int = 0
    modified_time: int = 0

    @property
    def modified_at(self) -> datetime:
        return datetime.fromtimestamp(self.modified_time, UTC)

    @property
    def native(self) -> int:
        return self.balances[NATIVE]

    @property
    def spendable(self) -> int:
        """Native stroops above the minimum reserve."""
        return self.native - (2 + len(self.limits)) * BASE_RESERVE

    def issues(self, key: str) -> bool:
        return key.endswith(f":{self.id}")

    def trusts(self, key: str) -> bool:
        """Whether it may hold the asset at all: native, its own, or one that it has a trust line for."""
        return key == NATIVE or key in self.limits or self.issues(key)

    def available(self, key: str) -> int:
        """Stroops it can send of an asset; an issuer never runs out."""
        if key == NATIVE:
            return self.spendable
        return MAX_STROOPS if self.issues(key) else self.balances.get(key, 0)

    def room(self, key: str) -> int:
        """Stroops it can still receive of an asset."""
        if self.issues(key):
            return MAX_STROOPS
        return self.limits.get(key, MAX_STROOPS) - self.balances.get(key, 0)

    def move(self, key: str, change: int) -> None:
        """Add to (or take from) a balance; what an issuer sends or gets back comes into being or vanishes."""
        if not self.issues(key):
            self.balances[key] = self.balances.get(key, 0) + change

    def copy(self) -> SandboxAccount:
        return replace(self, balances=dict(self.balances), limits=dict(self.limits))


@dataclass(frozen=True, slots=True)
class ClaimableBalance:
    """A balance that waits for one of its claimants; `claimants` holds those whose predicate is unconditional."""

    id: str
    asset: str
    amount: int
    claimants: tuple[str, ...]


@dataclass(slots=True)
class State:
    """All accounts and claimable balances as of the last closed ledger."""

    accounts: dict[str, SandboxAccount] = field(default_factory=dict)
    claimable: dict[str, ClaimableBalance] = field(default_factory=dict)


class Draft:
    """Changes of one transaction on top of the state: all of them are committed, or none."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._accounts: dict[str, SandboxAccount | None] = {}
        self._claimable: dict[str, ClaimableBalance | None] = {}

    def account(self, account_id: str) -> SandboxAccount | None:
        """The account to read and change, or None when it does not exist."""
        if account_id not in self._accounts:
            found = self._state.accounts.get(account_id)
            self._accounts[account_id] = None if found is None else found.copy()
        return self._accounts[account_id]

    def put_account(self, account: SandboxAccount) -> None:
        self._accounts[account.id] = account

    def remove_account(self, account_id: str) -> None:
        self._accounts[account_id] = None

    def claimable(self, balance_id: str) -> ClaimableBalance | None:
        if balance_id in self._claimable:
            return self._claimable[balance_id]
        return self._state.claimable.get(balance_id)

    def put_claimable(self, balance: ClaimableBalance) -> None:
        self._claimable[balance.id] = balance

    def remove_claimable(self, balance_id: str) -> None:
        self._claimable[balance_id] = None

    def accounts_touched(self) -> Iterable[str]:
        return self._accounts.keys()

    def balances_touched(self) -> Iterable[str]:
        return self._claimable.keys()

    def commit(self, ledger: int, close_time: int) -> None:
        """Write every change into the state, marked with the ledger that made it (close time in unix seconds)."""
        accounts, claimable = self._state.accounts, self._state.claimable
        for account_id, account in self._accounts.items():
            if account is None:
                accounts.pop(account_id, None)
                continue
            known = accounts.get(account_id)
            if known is None or known.balances != account.balances or known.limits != account.limits:
                account.modified_ledger, account.modified_time = ledger, close_time
            accounts[account_id] = account
        for balance_id, balance in self._claimable.items():
            if balance is None:
                claimable.pop(balance_id, None)
            else:
                claimable[balance_id] = balance
