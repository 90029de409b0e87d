"""The demo's memory between two starts: one JSON line per ledger in which something happened.

A line holds the ledger's transactions and the accounts and claimable balances that they left behind, so that loading
applies nothing again. At start the file is written anew: the state as it stands, and what is still in history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.core.errors import NexaError
from jobs.horizon.sandbox.chain import ClosedLedger
from jobs.horizon.sandbox.envelope import Parsed, parse
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE
from jobs.horizon.sandbox.records import Included, include
from jobs.horizon.sandbox.state import ClaimableBalance, SandboxAccount, State


class _Transaction(BaseModel):
    model_config = ConfigDict(frozen=True)
    order: int
    successful: bool
    envelope: str
    result: str


class _Line(BaseModel):
    """One ledger; an account or balance that is gone stands as null."""

    model_config = ConfigDict(frozen=True)
    network: str = SANDBOX_PASSPHRASE
    ledger: int
    closed_at: datetime
    transactions: tuple[_Transaction, ...] = ()
    accounts: dict[str, SandboxAccount | None] = {}
    claimable: dict[str, ClaimableBalance | None] = {}


class Journal:
    """A journal file; one process at a time writes it. A last line cut short by a crash is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.state = State()
        self.last: ClosedLedger | None = None
        self._lines: list[_Line] = []

    def open(self, since: datetime) -> None:
        """Read what is there, forget transactions of ledgers closed before `since`, and make ready to append.

        Raises `NexaError` when the file cannot be used or holds something else.
        """
        try:
            self._read(since)
            self._rewrite()
            self._file = self._path.open("ab")
        except OSError as error:
            raise NexaError(f"The sandbox's journal {self._path} cannot be used ({error.strerror}).") from error

    def transactions(self) -> Iterator[tuple[Parsed, Included]]:
        """The transactions still in history, oldest first; to be read once."""
        for line in self._lines:
            for one in line.transactions:
                parsed = parse(one.envelope, SANDBOX_PASSPHRASE)
                yield parsed, include(parsed, line.ledger, one.order, line.closed_at, one.successful, one.result)
        self._lines = []

    def append(
        self,
        closed: ClosedLedger,
        added: Sequence[Included],
        accounts: Iterable[str],
        balances: Iterable[str],
        state: State,
    ) -> None:
        """Write a ledger's transactions, and the named accounts and balances as they now stand."""
        line = _Line(
            ledger=closed.sequence,
            closed_at=closed.closed_at,
            transactions=tuple(
                _Transaction(order=t.order, successful=t.successful, envelope=t.envelope_xdr, result=t.result_xdr)
                for t in added
            ),
            accounts={name: state.accounts.get(name) for name in accounts},
            claimable={name: state.claimable.get(name) for name in balances},
        )
        if self._file and (line.transactions or line.accounts or line.claimable):
            self._file.write(_encode(line))
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _read(self, since: datetime) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_bytes().splitlines()
        for number, raw in enumerate(lines, 1):
            try:
                line = _Line.model_validate_json(raw)
            except ValidationError as error:
                if number == len(lines):
                    break
                raise NexaError(f"Line {number} of {self._path} is no sandbox journal; move the file away.") from error
            if line.network != SANDBOX_PASSPHRASE:
                raise NexaError(f"{self._path} is the journal of another network; name another file.")
            self._keep(line, since)

    def _keep(self, line: _Line, since: datetime) -> None:
        self.last = ClosedLedger(line.ledger, line.closed_at.astimezone(UTC))
        for account_id, account in line.accounts.items():
            if account is None:
                self.state.accounts.pop(account_id, None)
            else:
                self.state.accounts[account_id] = account
        for balance_id, balance in line.claimable.items():
            if balance is None:
                self.state.claimable.pop(balance_id, None)
            else:
                self.state.claimable[balance_id] = balance
        if line.transactions and line.closed_at >= since:
            self._lines.append(line.model_copy(update={"accounts": {}, "claimable": {}}))

    def _rewrite(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(_encode(line) for line in self._lines)
            if self.last:
                standing = _Line(
                    ledger=self.last.sequence,
                    closed_at=self.last.closed_at,
                    accounts=dict(self.state.accounts),
                    claimable=dict(self.state.claimable),
                )
                file.write(_encode(standing))
        fresh.replace(self._path)


def _encode(line: _Line) -> bytes:
    return line.model_dump_json().encode() + b"\n"
