"""The sandbox as a program: it closes ledgers by itself, names a taken port, and ends cleanly on a signal."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jobs.core.errors import NexaError
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.server import SandboxServer, serve
from jobs.horizon.sandbox.wallet import Wallet

RUN = "from jobs.horizon.sandbox.cli import app; app()"


@pytest.fixture
def living() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxLedger(interval_s=0.2), close_by_itself=True) as server:
        yield server


def test_ledgers_close_by_themselves_until_they_are_frozen(living: SandboxServer) -> None:
    before = living.ledger.latest.sequence
    time.sleep(0.7)
    assert living.ledger.latest.sequence > before
    living.faults.set("frozen")
    time.sleep(0.3)
    frozen = living.ledger.latest.sequence
    time.sleep(0.5)
    assert living.ledger.latest.sequence == frozen


def test_a_submission_waits_for_the_ledger_that_includes_it(living: SandboxServer) -> None:
    wallet = Wallet.named("ann")
    wallet.sequence = living.ledger.fund(wallet.address).sequence
    envelope = wallet.create_account(Wallet().address, 5)
    answer = httpx.post(f"{living.url}/transactions", data={"tx": envelope.to_xdr()})
    assert answer.json()["ledger"] <= living.ledger.latest.sequence


def test_a_taken_port_is_one_sentence() -> None:
    with SandboxServer() as server, pytest.raises(NexaError, match=r"Port \d+ is taken"):
        serve(port=int(server.url.rpartition(":")[2]))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_and_ends_cleanly_on_a_signal(sent: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, "horizon", "--port", "0", "--fault", "lag=4"]
    command += ["--rate-limit", "1000", "--journal", str(tmp_path / "journal")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        url = re.findall(r"http://[\d.:]+", line)[0]
        answer = httpx.get(url)
        assert answer.json()["core_latest_ledger"] - answer.json()["history_latest_ledger"] == 4
        assert answer.headers["x-ratelimit-limit"] == "101"
        process.send_signal(sent)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
