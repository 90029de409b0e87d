"""The benchmark's Horizon, as a process of its own: a sandbox that remembers a payment for each pending row.

The payments lie in ledgers of the last minutes up to now, two hundred each. They are written to a file, a line each: hash,
receiver, amount, memo and close time, as PostgreSQL copies them. It answers until its standard input ends, so it never
outlives the process that started it.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import orjson

from jobs.bench.scenario import Scenario
from jobs.core.cli import one_line_errors
from jobs.horizon.sandbox.bulk import BulkPayment, Stencil
from jobs.horizon.sandbox.faults import FaultName, Faults
from jobs.horizon.sandbox.ledger import SandboxLedger, utc_now
from jobs.horizon.sandbox.network import LEDGER_INTERVAL_S, account_id, units
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet

A_LEDGER = 200
INTERVAL = timedelta(seconds=LEDGER_INTERVAL_S)


class _Clock:
    """Stands still where history begins, until the past is written."""

    def __init__(self, now: datetime) -> None:
        self.now: datetime | None = now

    def __call__(self) -> datetime:
        return self.now or utc_now()


def ledger_of(scenario: Scenario, payments: Path) -> SandboxLedger:
    """A ledger with the scenario's payments, which are written to the file."""
    ledgers = -(-scenario.pending // A_LEDGER)
    clock = _Clock(datetime.now(UTC) - ledgers * INTERVAL)
    begin = clock()
    ledger = SandboxLedger(clock=clock)
    stencil = Stencil(Wallet())  # nobody's before: scenarios share a database, and no hash may come twice
    with payments.open("w") as file:
        for number in range(ledgers):
            rows = range(number * A_LEDGER, min(scenario.pending, (number + 1) * A_LEDGER))
            made = [BulkPayment(_receiver(scenario, row), 10_000_000 + row % 1_000_000, row) for row in rows]
            for entry, payment in zip(
                stencil.close_ledger(ledger, made, begin + (number + 1) * INTERVAL), made, strict=True
            ):
                columns = (entry.hash, payment.receiver, units(payment.amount), payment.memo, entry.closed_at)
                file.write("\t".join(map(str, columns)) + "\n")
    clock.now = None
    return ledger


def _receiver(scenario: Scenario, row: int) -> str:
    number = row % scenario.custody if scenario.custody else row
    return account_id(sha256(f"{scenario.custody}/{number}".encode()).digest())


def main() -> None:
    scenario = Scenario(**orjson.loads(sys.argv[1]))
    folder = Path(sys.argv[2])
    faults = Faults()
    if scenario.latency_ms:
        faults.set(FaultName.LATENCY, scenario.latency_ms)
    if scenario.per_hour:
        # Horizon's own burst, or a second's worth where that is more.
        faults.set(FaultName.RATE_LIMIT, f"{scenario.per_hour},{max(100, scenario.per_hour // 3600)}")
    ledger = ledger_of(scenario, folder / "payments.tsv")
    with SandboxServer(ledger, faults, close_by_itself=True) as server:
        fresh = folder / "horizon.new"
        fresh.write_text(server.url)
        fresh.replace(folder / "horizon.url")
        sys.stdin.buffer.read()


if __name__ == "__main__":
    with one_line_errors():
        main()
