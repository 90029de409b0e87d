"""The demo's sandbox goes on after a restart where it stopped, and refuses a file that is not its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.core.errors import NexaError
from jobs.horizon.sandbox.journal import Journal
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.wallet import Wallet

ISSUER = Wallet.named("issuer")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_journal_brings_everything_back_after_a_restart(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "sandbox.jsonl"
    before = SandboxLedger(clock=clock, journal=Journal(path))
    ann = Wallet.named("ann")
    ann.sequence = before.fund(ann.address, 100).sequence
    entry = before.include([ann.payment(ISSUER.address, 1)])[0]
    waiting = before.include([ann.claimable_balance([ISSUER.address], 5)])[0]
    before.close()
    clock.now += timedelta(minutes=1)
    after = SandboxLedger(clock=clock, journal=Journal(path))
    assert after.find(entry.hash) == entry
    assert after.find(waiting.hash) == waiting
    assert after.latest.sequence > before.latest.sequence
    assert after.account(ann.address) == before.account(ann.address)
    assert after.next_sequence(ann.address) == ann.sequence + 1
    after.close()


def test_a_journal_forgets_old_transactions_but_no_account(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "sandbox.jsonl"
    before = SandboxLedger(clock=clock, journal=Journal(path))
    entry = before.include([Wallet.named("ann").payment(ISSUER.address, 1)])[0]
    before.close()
    clock.now += timedelta(days=2)
    after = SandboxLedger(clock=clock, journal=Journal(path))
    assert after.find(entry.hash) is None
    assert after.account(ISSUER.address) == before.account(ISSUER.address)
    assert entry.hash not in path.read_text()
    after.close()


def test_a_journal_cut_short_by_a_crash_loses_only_its_last_line(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "sandbox.jsonl"
    before = SandboxLedger(clock=clock, journal=Journal(path))
    ann = Wallet.named("ann")
    first = before.include([ann.payment(ISSUER.address, 1)])[0]
    last = before.include([ann.payment(ISSUER.address, 2)])[0]
    before.close()
    path.write_bytes(path.read_bytes()[:-40])
    after = SandboxLedger(clock=clock, journal=Journal(path))
    assert after.find(first.hash) == first
    assert after.find(last.hash) is None
    after.close()


def test_a_file_that_is_no_journal_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk\neggs\n")
    with pytest.raises(NexaError, match="no sandbox journal"):
        SandboxLedger(journal=Journal(path))
    assert path.read_text() == "milk\neggs\n"
