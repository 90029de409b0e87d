"""The demo's own process, started by `nexaops up --demo`: the sandbox Horizon and the customers on it."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import orjson

from jobs.core.cli import one_line_errors
from jobs.core.db import open_database
from jobs.core.errors import NexaError
from jobs.core.logs import configure_logging, get_logger
from jobs.core.settings import load_settings
from jobs.demo.history import Customer, write_history
from jobs.demo.traffic import Traffic
from jobs.horizon.sandbox.journal import Journal
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet

CUSTOMERS = 40
PORT = 18101
PAUSE_S = 2.5  # between two customers
log = get_logger(__name__)


def main() -> None:
    settings = load_settings()
    if not settings.demo:
        raise NexaError("The demo's customers only trade on the sandbox: start them with `nexaops up --demo`.")
    configure_logging(settings, component="sandbox")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    settings.demo_file.parent.mkdir(parents=True, exist_ok=True)
    wallets = [Wallet.named(f"customer {number}") for number in range(1, CUSTOMERS + 1)]
    customers = [
        Customer(f"customer{number:02}@example.com", wallet.address) for number, wallet in enumerate(wallets, start=1)
    ]
    ledger = SandboxLedger(journal=Journal(settings.demo_file.parent / "sandbox.jsonl"))
    with open_database(settings) as db, _sandbox(ledger) as server:
        traffic = Traffic(db, ledger, random.Random())  # noqa: S311 — a demo's luck, no secret
        with db.begin() as conn:
            write_history(
                conn,
                customers,
                issuer=traffic.issuer,
                server=server.url,
                passphrase=SANDBOX_PASSPHRASE,
                ledger=ledger.latest.sequence,
            )
        for entry in entry_points(group="nexaops.demo"):
            entry.load()(db)
        traffic.open_accounts(wallets)
        traffic.begin()
        _announce(settings.demo_file, server.url)
        while not stop.wait(PAUSE_S):
            try:
                traffic.step()
            except Exception:  # the demo goes on when the database is away for a moment
                log.exception("a customer could not trade")
                stop.wait(PAUSE_S)


@contextmanager
def _sandbox(ledger: SandboxLedger) -> Iterator[SandboxServer]:
    """The sandbox on the port it had last time, so that its history stays one server's; on another if that is taken."""
    server = SandboxServer(ledger, port=PORT, close_by_itself=True)
    try:
        server.start()
    except NexaError:
        server = SandboxServer(ledger, close_by_itself=True)
        server.start()
    try:
        yield server
    finally:
        server.stop()


def _announce(file: Path, url: str) -> None:
    """Says where the sandbox answers: complete or not at all, because others wait for the file."""
    whole = file.with_suffix(".new")
    whole.write_bytes(orjson.dumps({"url": url, "passphrase": SANDBOX_PASSPHRASE}))
    whole.replace(file)


with one_line_errors():
    main()
