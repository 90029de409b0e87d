"""The sandbox's ledger: accounts, a queue of submitted transactions, and the ledgers that close over them.

Whole and in memory, without a network. One lock guards every change, because tests and demo traffic write from other threads
than the one that answers; look-ups by hash are single reads of a dict and take no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from stellar_sdk import Asset, Keypair, xdr
from stellar_sdk.utils import sha256

from jobs.horizon.sandbox.admission import Moment, bounds_code, refusal_code
from jobs.horizon.sandbox.apply import Context, apply_operation
from jobs.horizon.sandbox.chain import Chain, ClosedLedger
from jobs.horizon.sandbox.envelope import AnyEnvelope, Parsed, TxCode, parse, refusal, result, result_codes
from jobs.horizon.sandbox.journal import Journal
from jobs.horizon.sandbox.network import (
    LEDGER_INTERVAL_S,
    MAX_STROOPS,
    NATIVE,
    SANDBOX_PASSPHRASE,
    SEQUENCE_EPOCH,
    asset_key,
    stroops,
    toid,
)
from jobs.horizon.sandbox.outcome import Outcome
from jobs.horizon.sandbox.prepare import open_missing
from jobs.horizon.sandbox.records import Included, include
from jobs.horizon.sandbox.state import Draft, SandboxAccount, State

ROOT = Keypair.from_raw_ed25519_seed(sha256(b"nexaops sandbox: root account"))
"""The account that friendbot pays from."""
KEEP = timedelta(hours=24)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(eq=False)
class Refused(Exception):
    """A transaction that was not let in: its result, and what Horizon says of it."""

    parsed: Parsed
    result: xdr.TransactionResult

    def __str__(self) -> str:
        return f"The sandbox refused transaction {self.parsed.hash}: {result_codes(self.result)}."


class SandboxLedger:
    """The state behind one sandbox server.

    `clock` gives close times; `interval_s` is the distance of ledgers, `keep` how long they stay in history. With a journal
    the ledger begins where the last process stopped.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        interval_s: float = LEDGER_INTERVAL_S,
        keep: timedelta = KEEP,
        journal: Journal | None = None,
    ) -> None:
        self.passphrase = SANDBOX_PASSPHRASE
        self.lock = threading.RLock()
        self.interval_s = interval_s
        self._clock = clock
        self._state = State()
        self._prices: dict[str, Fraction] = {}
        self._pending: dict[str, Parsed] = {}
        self._last_sequence: dict[str, int] = {}
        self._changed: set[str] = set()
        self._changed_balances: set[str] = set()
        self._journal = journal
        if journal:
            journal.open(clock() - keep)
            self._state = journal.state
        self.chain = Chain(clock(), interval_s, keep, journal.last if journal else None)
        if journal:
            for parsed, entry in journal.transactions():
                self.chain.add(entry, parsed.participants())
        if ROOT.public_key not in self._state.accounts:
            self._put(SandboxAccount(ROOT.public_key, 0, {NATIVE: MAX_STROOPS // 2}))

    @property
    def latest(self) -> ClosedLedger:
        return self.chain.latest

    def account(self, account_id: str) -> SandboxAccount | None:
        """The account as of the last closed ledger; to be read, not changed."""
        return self._state.accounts.get(account_id)

    def sequence_at(self, account: SandboxAccount, ledger: int) -> int:
        """An account's sequence number at an earlier ledger. Balances are always the newest: nothing proves by them."""
        if account.sequence_ledger <= ledger:
            return account.sequence
        later = self.chain.transactions(account.id)
        unseen = [entry.sequence for entry in later if entry.ledger > ledger and entry.source == account.id]
        return min(unseen, default=account.sequence + 1) - 1

    def find(self, tx_hash: str) -> Included | None:
        """An included transaction under its hash, or a fee-bump under either of its two."""
        return self.chain.find(tx_hash)

    def is_pending(self, tx_hash: str) -> bool:
        return tx_hash in self._pending

    def set_price(self, asset: Asset, native_per_unit: Decimal | str | int) -> None:
        """What path payments exchange the asset for: units of the native asset per unit of it."""
        self._prices[asset_key(asset)] = Fraction(native_per_unit)

    def fund(
        self,
        account_id: str,
        native: Decimal | str | int = 10_000,
        assets: Mapping[Asset, Decimal | str | int] | None = None,
    ) -> SandboxAccount:
        """Give an account these balances (units), opening it, its trust lines and their issuers as needed: no transaction."""
        with self.lock:
            known = self._state.accounts.get(account_id)
            account = known.copy() if known else SandboxAccount(account_id, toid(self.latest.sequence))
            account.balances[NATIVE] = stroops(native)
            for asset, amount in (assets or {}).items():
                key = asset_key(asset)
                if asset.issuer and asset.issuer != account_id and asset.issuer not in self._state.accounts:
                    self.fund(asset.issuer)
                if not account.issues(key):
                    account.limits[key] = MAX_STROOPS
                    account.balances[key] = stroops(amount)
            self._put(account)
            return account

    def submit(self, envelope: str | AnyEnvelope) -> str:
        """Queue a transaction for the next ledger, as the network would; its hash.

        Raises `Refused` when the network would not let it in. Queued and included ones are told by their hash again.
        """
        parsed = parse(envelope, self.passphrase)
        with self.lock:
            if parsed.hash in self._pending or self.chain.find(parsed.hash):
                return parsed.hash
            self._admit(parsed, signed=True)
        return parsed.hash

    def include(
        self, envelopes: Iterable[str | AnyEnvelope], *, prepare: bool = True, at: datetime | None = None
    ) -> list[Included]:
        """The quick road for tests and demo: close ledgers over these envelopes at once, signed or not.

        With `prepare`, accounts, trust lines and source sequences that are missing are put right first, so that a test states
        only what it is about. Raises `Refused` for what even so cannot be let in (then nothing of the list is included).
        """
        with self.lock:
            parsed = [parse(envelope, self.passphrase) for envelope in envelopes]
            earlier = dict(self._pending), dict(self._last_sequence)
            try:
                for one in parsed:
                    if prepare:
                        self._prepare(one)
                    self._admit(one, signed=False)
            except Refused:
                self._pending, self._last_sequence = earlier
                raise
            self.close_ledger(at)
            return [found for one in parsed if (found := self.chain.find(one.hash))]

    def close_ledger(self, at: datetime | None = None, *, sequence: int | None = None) -> ClosedLedger:
        """Close the next ledger over everything queued; `at` is its close time, never before the last one's."""
        with self.lock:
            closing = self.chain.next(at or self._clock(), sequence)
            moment = Moment(closing.sequence, int(closing.closed_at.timestamp()))
            added: list[Included] = []
            for parsed in self._pending.values():
                if bounds_code(parsed.transaction, moment) is None:
                    added.append(self._apply(parsed, closing, len(added) + 1))
                    self.chain.add(added[-1], parsed.participants())
            self._pending.clear()
            self._last_sequence.clear()
            self.chain.close(closing)
            if self._journal:
                self._journal.append(closing, added, self._changed, self._changed_balances, self._state)
            self._changed.clear()
            self._changed_balances.clear()
            return self.chain.latest

    def due_sequence(self) -> int:
        """The number that the clock gives to a ledger closing now: numbers skip what was closed while nobody ran."""
        return self.chain.due(self._clock())

    def until_next_s(self) -> float:
        """Seconds until the clock gives the next number."""
        elapsed = (self._clock() - SEQUENCE_EPOCH).total_seconds()
        return self.interval_s - elapsed % self.interval_s

    def next_sequence(self, account_id: str) -> int:
        """The sequence number that the account's next transaction must have, after everything queued; `KeyError` without it."""
        account = self._state.accounts[account_id]
        return self._last_sequence.get(account_id, account.sequence) + 1

    def close(self) -> None:
        """Close a last ledger over what is still queued (what was let in is not lost by a stop), and the journal."""
        if self._pending:
            self.close_ledger()
        if self._journal:
            self._journal.close()

    def _admit(self, parsed: Parsed, *, signed: bool) -> None:
        source = parsed.source.account_id
        account = self._state.accounts.get(source)
        last = self._last_sequence.get(source, account.sequence if account else 0)
        moment = Moment(self.latest.sequence + 1, int(self.latest.closed_at.timestamp()))
        if refused := refusal_code(parsed, self._state, moment, last, signed=signed):
            raise Refused(parsed, refusal(parsed, *refused))
        self._pending[parsed.hash] = parsed
        self._last_sequence[source] = parsed.transaction.sequence

    def _prepare(self, parsed: Parsed) -> None:
        for account in open_missing(parsed, self._state, toid(self.latest.sequence)):
            self._put(account)
        source, number = self._state.accounts[parsed.source.account_id], parsed.transaction.sequence
        last = self._last_sequence.get(source.id, source.sequence)
        untouched = source.sequence_ledger == 0 and source.id not in self._last_sequence
        if number > last + 1 or (untouched and number <= last):
            self._last_sequence[source.id] = number - 1

    def _put(self, account: SandboxAccount) -> None:
        account.modified_ledger = self.latest.sequence
        account.modified_time = int(self.latest.closed_at.timestamp())
        self._state.accounts[account.id] = account
        self._changed.add(account.id)

    def _apply(self, parsed: Parsed, closing: ClosedLedger, order: int) -> Included:
        close_time = int(closing.closed_at.timestamp())
        spent = Draft(self._state)
        payer, source = spent.account(parsed.fee_source.account_id), spent.account(parsed.source.account_id)
        if payer:
            payer.balances[NATIVE] -= min(parsed.fee_charged, payer.native)
        if source:
            source.sequence = parsed.transaction.sequence
            source.sequence_ledger, source.sequence_time = closing.sequence, close_time
        self._changed.update(spent.accounts_touched())
        spent.commit(closing.sequence, close_time)
        draft, outcomes = Draft(self._state), list[Outcome]()
        for index, operation in enumerate(parsed.transaction.operations):
            context = Context(
                closing.sequence, parsed.source.account_id, parsed.transaction.sequence, index, self._prices
            )
            outcomes.append(apply_operation(draft, operation, context))
        ok = all(outcome.ok for outcome in outcomes)
        if ok:
            self._changed.update(draft.accounts_touched())
            self._changed_balances.update(draft.balances_touched())
            draft.commit(closing.sequence, close_time)
        code = TxCode.txSUCCESS if ok else TxCode.txFAILED
        told = result(parsed, code, outcomes, fee=parsed.fee_charged).to_xdr()
        return include(parsed, closing.sequence, order, closing.closed_at, ok, told)
