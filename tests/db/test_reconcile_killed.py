"""kill −9 at random instants, with two runs at a time: the outcome is the same as if nothing had happened."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from decimal import Decimal

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from tests.db.books import add_user, assert_books_balance, balance_of, run_job, value

PAYER = Wallet.named("payer")
USER = Wallet.named("user")
ROWS = 600

_CHILD = """
import sys
from pathlib import Path
from sqlalchemy import make_url
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.run.nursery import young_nursery
from tests.db.books import run_job
url, horizon, passphrase, home = sys.argv[1:]
settings = Settings.model_validate(
    {"STELLAR_HORIZON_URL": (horizon,), "STELLAR_NETWORK": "CUSTOM", "STELLAR_NETWORK_PASSPHRASE": passphrase,
     "STELLAR_RATE_LIMIT_PER_HOUR": 0, "NEXAOPS_HOME": Path(home), "NEXAOPS_BATCH_SIZE": 10})
with young_nursery():
    db = Database(make_url(url))
    print("ready", flush=True)
    while True:
        run_job(db, settings)
"""


def test_killing_the_process_at_any_instant_changes_nothing_in_the_outcome(db: Database, settings: Settings) -> None:
    user = add_user(db, USER.address)
    envelopes = [PAYER.payment(USER.address, 1, signed=False) for _ in range(ROWS)]
    with SandboxServer() as sandbox:
        for start in range(0, ROWS, 300):
            sandbox.ledger.include(envelopes[start : start + 300])
        _add_pending(db, user_id=str(user), hashes=[envelope.hash_hex() for envelope in envelopes])
        chance = random.Random(7)
        for _ in range(4):
            children = [_start(db, settings, sandbox.url) for _ in range(2)]
            for child in children:
                assert child.stdout is not None
                assert child.stdout.readline().strip() == "ready"
            time.sleep(chance.uniform(0.02, 0.4))
            for child in children:
                child.kill()
                child.communicate()
            assert_books_balance(db)
        run = run_job(db, settings.model_copy(update={"horizon_urls": (sandbox.url,)}))
    assert run.state == "succeeded", run.error
    assert value(db, "SELECT count(*) FROM transactions WHERE status <> 'SUCCESS'") == 0
    assert balance_of(db, user) == Decimal(ROWS)
    for table in ("notifications", "ops.outbox", "ops.claims", "ops.decisions"):
        assert value(db, f"SELECT count(*) FROM {table}") == ROWS
    assert value(db, "SELECT count(*) FROM ledger_entries") == 2 * ROWS
    assert_books_balance(db)


def _start(db: Database, settings: Settings, horizon: str) -> subprocess.Popen[str]:
    url = db.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _CHILD, url, horizon, settings.passphrase, str(settings.home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_root())


def _root() -> str:
    return __file__.rsplit("/tests/", 1)[0]


def _add_pending(db: Database, *, user_id: str, hashes: list[str]) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO transactions (user_id, type, amount, currency, tx_hash)"
                " SELECT :user, 'DEPOSIT', 1, 'XLM', h FROM unnest(CAST(:hashes AS text[])) AS h"
            ),
            {"user": user_id, "hashes": hashes},
        )
