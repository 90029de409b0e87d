"""The closed ledgers and the transactions in them, in order, as far back as history is kept.

Ledger numbers follow the clock (`SEQUENCE_EPOCH`), so numbers of ledgers that closed while nobody ran exist as empty
ledgers. Close times of the whole kept range stand in one array of integers: a day of history costs 140 kB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from stellar_sdk.utils import sha256

from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE, SEQUENCE_EPOCH, toid
from jobs.horizon.sandbox.records import Included

_by_toid = attrgetter("toid")


@dataclass(frozen=True, slots=True)
class ClosedLedger:
    """A closed ledger's header; times have whole seconds, as on the network."""

    sequence: int
    closed_at: datetime
    successful: int = 0
    failed: int = 0
    operations: int = 0
    """Operations of successful transactions."""
    set_operations: int = 0
    """Operations of all transactions."""

    @property
    def hash(self) -> str:
        return ledger_hash(self.sequence)


def ledger_hash(sequence: int) -> str:
    """A made-up but lasting hash: nothing can be proved with a sandbox's header."""
    return sha256(f"{SANDBOX_PASSPHRASE}/{sequence}".encode()).hex()


def whole_seconds(moment: datetime) -> datetime:
    return datetime.fromtimestamp(int(moment.timestamp()), UTC)


class Chain:
    """History from the elder to the latest ledger. Not locked: the ledger that owns it is."""

    def __init__(self, now: datetime, interval_s: float, keep: timedelta, last: ClosedLedger | None) -> None:
        self._interval_s = interval_s
        self._keep = keep
        # With a journal the numbers go on above its last ledger even when the clock was set back.
        sequence = max(self.due(now), last.sequence if last else 0)
        closed_at = max(whole_seconds(now), last.closed_at if last else whole_seconds(now))
        kept = min(int(keep.total_seconds() / interval_s), sequence - 2)
        end = closed_at.timestamp()
        times = array("q", (int(end - (kept - n) * interval_s) for n in range(kept + 1)))
        # The elder ledger and the close times from it on change in one assignment: others read without the lock.
        self._kept = (sequence - kept, times)
        self.latest = ClosedLedger(sequence, closed_at)
        self._busy: dict[int, ClosedLedger] = {}
        self._by_hash: dict[str, Included] = {}
        self._all: list[Included] = []
        self._by_account: dict[str, list[Included]] = {}

    @property
    def elder(self) -> int:
        """The oldest ledger that is kept."""
        return self._kept[0]

    def due(self, now: datetime) -> int:
        """The number that the clock gives to a ledger that closes now."""
        return int((now - SEQUENCE_EPOCH).total_seconds() / self._interval_s)

    def find(self, tx_hash: str) -> Included | None:
        return self._by_hash.get(tx_hash)

    def ledger(self, sequence: int) -> ClosedLedger | None:
        """A ledger of the kept range, also one in which nothing happened."""
        elder, times = self._kept
        if not elder <= sequence <= self.latest.sequence:
            return None
        return self._busy.get(sequence) or ClosedLedger(sequence, datetime.fromtimestamp(times[sequence - elder], UTC))

    def next(self, at: datetime, sequence: int | None) -> ClosedLedger:
        """The header of the ledger to close: above the latest, and not before it in time."""
        number = max(self.latest.sequence + 1, sequence or 0)
        return ClosedLedger(number, max(whole_seconds(at), self.latest.closed_at))

    def add(self, entry: Included, participants: set[str]) -> None:
        """Index a transaction; in the order of their tokens."""
        self._all.append(entry)
        for tx_hash in (entry.hash, entry.inner_hash):
            if tx_hash:
                self._by_hash[tx_hash] = entry
        for account_id in participants:
            self._by_account.setdefault(account_id, []).append(entry)
        known = self._busy.get(entry.ledger) or ClosedLedger(entry.ledger, entry.closed_at)
        count = entry.operation_count
        self._busy[entry.ledger] = ClosedLedger(
            entry.ledger,
            entry.closed_at,
            known.successful + entry.successful,
            known.failed + (not entry.successful),
            known.operations + (count if entry.successful else 0),
            known.set_operations + count,
        )

    def close(self, closing: ClosedLedger) -> None:
        """Make the ledger the latest one; skipped numbers become empty ledgers between the two close times."""
        before, gap = self.latest, closing.sequence - self.latest.sequence
        start, end = before.closed_at.timestamp(), closing.closed_at.timestamp()
        self._kept[1].extend(int(start + (end - start) * n / gap) for n in range(1, gap + 1))
        self.latest = self._busy.get(closing.sequence, closing)
        self._forget()

    def transactions(self, account_id: str | None = None, ledger: int | None = None) -> Sequence[Included]:
        """All kept transactions in order, or an account's, or a ledger's."""
        if account_id is not None:
            return self._by_account.get(account_id, ())
        if ledger is None:
            return self._all
        first, behind = (bisect_left(self._all, toid(n), key=_by_toid) for n in (ledger, ledger + 1))
        return self._all[first:behind]

    def _forget(self) -> None:
        """Drop what is older than history is kept, a hundred ledgers at a time."""
        elder, times = self._kept
        surplus = len(times) - 1 - int(self._keep.total_seconds() / self._interval_s)
        if surplus < 100:
            return
        self._kept = (elder + surplus, times[surplus:])
        old = bisect_left(self._all, toid(self.elder), key=_by_toid)
        for entry in self._all[:old]:
            self._busy.pop(entry.ledger, None)
            for tx_hash in (entry.hash, entry.inner_hash):
                if tx_hash:
                    self._by_hash.pop(tx_hash, None)
        if old:
            del self._all[:old]
            for account_id, entries in list(self._by_account.items()):
                del entries[: bisect_left(entries, toid(self.elder), key=_by_toid)]
                if not entries:
                    del self._by_account[account_id]
