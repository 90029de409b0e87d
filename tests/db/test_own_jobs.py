"""The page on jobs of one's own works as it stands: its package is put beside ours, and its commands are run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.core.db import Database
from tests.db.books import add_row, add_user
from tests.db.packages import install

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "jobs" / "own-jobs.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0].splitlines()
DRY, REAL = (command.removeprefix("nexaops ").split() for command in COMMANDS)


@dataclass
class Accounting:
    """The receiver of the example: what it was sent, and what it answers."""

    address: str = ""
    status: int = 200
    sent: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def accounting() -> Iterator[Accounting]:
    system = Accounting()

    class Books(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if system.status == 200:
                system.sent.append(body)
            self.send_response(system.status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Books) as server:
        system.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield system
        server.shutdown()


@dataclass
class Company:
    """A shell where the example's package is installed beside ours."""

    folder: Path
    environment: dict[str, str]

    def nexaops(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "jobs", *arguments, **more)

    def python(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment | more,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def company(db: Database, tmp_path: Path) -> Company:
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    install(tmp_path, project["name"], FILES, project["entry-points"]["nexaops.jobs"])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))),
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
        "NEXAOPS_HOME": str(tmp_path / "home"),
    }
    return Company(tmp_path, environment)


@pytest.fixture
def moved(db: Database) -> None:
    """Three settled transactions of the example's day, and one of the day after."""
    user = add_user(db)
    for amount, kind, currency, day in ((2, "DEPOSIT", "XLM", 27), (3, "DEPOSIT", "XLM", 27),
                                        (4, "WITHDRAW", "USDC", 27), (5, "DEPOSIT", "XLM", 28)):  # fmt: skip
        row = add_row(db, user, amount=Decimal(amount), type=kind, currency=currency, status="SUCCESS")
        with db.begin() as conn:
            at = datetime(2026, 11, day, 23, 59, 59, tzinfo=UTC)
            conn.exec_driver_sql("UPDATE transactions SET updated_at = %s WHERE id = %s", (at, row))


@pytest.mark.slow
@pytest.mark.usefixtures("moved")
def test_the_pages_commands_do_what_it_says(company: Company, accounting: Accounting) -> None:
    there = {"ACME_ACCOUNTING_URL": accounting.address}
    dry = company.nexaops(*DRY, **there)
    assert dry.returncode == 0, dry.stderr
    assert (json.loads(dry.stdout)["state"], json.loads(dry.stdout)["dry_run"]) == ("succeeded", True)
    assert accounting.sent == []
    real = company.nexaops(*REAL, **there)
    assert real.returncode == 0, real.stderr
    printed = json.loads(real.stdout)
    assert (printed["state"], printed["counters"], printed["params"]) == (
        "succeeded",
        {"totals": 2},
        {"day": "2026-11-27"},
    )
    assert [(body["key"], Decimal(body["amount"])) for body in accounting.sent] == [
        ("2026-11-27/USDC/WITHDRAW", 4),
        ("2026-11-27/XLM/DEPOSIT", 5),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("moved")
def test_its_errors_are_sentences_and_only_the_transient_one_deserves_another_attempt(
    company: Company, accounting: Accounting
) -> None:
    accounting.status = 503
    away = company.nexaops(*REAL, ACME_ACCOUNTING_URL=accounting.address)
    unset = company.nexaops(*REAL)
    assert (away.returncode, unset.returncode) == (1, 1)
    ended = [json.loads(done.stdout) for done in (away, unset)]
    assert [(run["state"], run["error_class"], run["error"]) for run in ended] == [
        ("failed", "TransientError", "The accounting system answers 503: it may work the next time."),
        ("failed", "NexaError", "ACME_ACCOUNTING_URL is not set: set it where the workers run."),
    ]


def test_the_pages_own_tests_pass(company: Company) -> None:
    done = company.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_worker_gives_it_its_schedule_and_its_form_has_its_parameters(company: Company) -> None:
    assert company.nexaops("migrate").returncode == 0
    listed = {row["job"]: row for row in json.loads(company.nexaops("jobs", "list", "--json").stdout)}
    assert listed["acme-send-totals"]["schedule"] == "daily at 01:30 UTC"
    refused = company.nexaops("jobs", "run", "acme-send-totals", "--param", "day=soon")
    assert refused.returncode == 2
    assert "day: input should be a valid date" in refused.stderr
