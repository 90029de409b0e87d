"""What a run leaves in the log of its process: lines that are found again by run, transaction and hash."""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from pydantic import SecretStr

from jobs.core import logs
from jobs.core.db import Database
from jobs.core.logs import configure_logging
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from tests.db.books import add_row, run_job


@pytest.fixture
def written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, as JSON lines, by a process whose database's password is the user's favourite word."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logs, "_known", ())
    root = logging.getLogger()
    before = root.handlers[:], root.level
    held = settings.model_copy(update={"log_format": "json", "db_password": SecretStr("reconcile-pending")})
    configure_logging(held, component="worker")
    yield stream
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def test_a_settled_transaction_has_a_line_with_its_ids_and_its_runs_and_no_secret(
    db: Database, horizon: Settings, sandbox: SandboxServer, user: UUID, written: io.StringIO
) -> None:
    paid = Wallet.named("payer").payment(Wallet.named("user").address, "10.5")
    row = add_row(db, user, tx_hash=paid.hash_hex())
    sandbox.ledger.include([paid])
    run = run_job(db, horizon)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (settled,) = [line for line in lines if line["event"] == "transaction settled"]
    assert (settled["transaction_id"], settled["tx_hash"]) == (str(row), paid.hash_hex())
    assert (settled["run_id"], settled["attempt"], settled["host"]) == (run.id, 1, socket.gethostname())
    ends = [line["event"] for line in lines if line.get("run_id") == run.id]
    assert ends[0] == "run started"
    assert ends[-1] == "run ended"
    assert settled["job"] == "[secret]"
    assert "reconcile-pending" not in written.getvalue()
    assert "trace_id" not in settled
