"""`nexaops up` as a new user meets it: one command, living data, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import psutil
import pytest
from sqlalchemy import Row, text

from tests.e2e.conftest import Desk, free_port, fresh_home, running_desk, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]


def ask(desk: Desk, statement: str) -> list[Row[tuple[object, ...]]]:
    with desk.database() as db, db.read() as conn:
        return list(conn.execute(text(statement)))


def test_it_says_where_it_is_and_how_to_sign_in(desk: Desk) -> None:
    said = "\n".join(desk.lines)
    assert desk.url in said
    assert "DEMO" in said
    assert "STELLAR_HORIZON_URL" in said
    assert len(desk.password) >= 12
    assert desk.started_s < 60
    with urllib.request.urlopen(f"{desk.url}/health") as answer:
        assert answer.status == 200


def test_a_deposit_settles_with_balance_books_and_notification(desk: Desk) -> None:
    settled = (
        "SELECT t.id FROM transactions t JOIN ops.decisions d ON d.transaction_id = t.id AND NOT d.dry_run"
        " JOIN ledger_entries e ON e.transaction_id = t.id AND e.kind = 'DEPOSIT_CREDIT' AND e.account_type = 'USER'"
        " JOIN notifications n ON n.related_id = t.id"
        " WHERE t.type = 'DEPOSIT' AND t.status = 'SUCCESS'"
    )
    wait_until(lambda: ask(desk, settled), 90, "a settled deposit")


def test_a_withdrawal_that_failed_on_chain_is_refunded(desk: Desk) -> None:
    refunded = (
        "SELECT t.id FROM transactions t JOIN ledger_entries e ON e.transaction_id = t.id AND e.kind = 'WITHDRAW_REFUND'"
        " WHERE t.type = 'WITHDRAW' AND t.status = 'FAILED' AND t.failure_reason LIKE '%op_underfunded%'"
    )
    wait_until(lambda: ask(desk, refunded), 150, "a refund")


def test_the_books_of_the_demo_balance(desk: Desk) -> None:
    differing = ask(
        desk,
        "SELECT b.user_id FROM balances b LEFT JOIN ("
        "  SELECT user_id, currency, asset_issuer, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS amount"
        "  FROM ledger_entries WHERE account_type = 'USER' GROUP BY 1, 2, 3) e USING (user_id, currency, asset_issuer)"
        " WHERE b.amount <> coalesce(e.amount, 0)",
    )
    assert differing == []


def test_a_job_run_beside_it_settles_and_prints_one_object(desk: Desk) -> None:
    done = desk.nexaops("jobs", "run", "reconcile-pending", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["state"] == "succeeded"


def test_a_second_start_on_the_same_folder_is_one_clear_line(desk: Desk) -> None:
    second = desk.nexaops("up", "--demo", "--port", str(free_port()))
    assert second.returncode == 1
    assert second.stderr.strip().splitlines()[-1].startswith("error: nexaops is already running on")


def test_a_taken_port_is_one_clear_line(desk: Desk, tmp_path: Path) -> None:
    port = desk.url.rsplit(":", 1)[1]
    taken = subprocess.run(
        [sys.executable, "-m", "jobs", "up", "--demo", "--port", port],
        env={**os.environ, "NEXAOPS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert taken.returncode == 1
    assert f"Port {port}" in taken.stderr
    assert "--port" in taken.stderr
    assert "Traceback" not in taken.stderr


def test_a_crash_leaves_nothing_in_the_way_and_a_stop_leaves_no_process() -> None:
    with fresh_home() as home:
        with running_desk(home) as first:
            parts = first.family()
            os.kill(first.process.pid, signal.SIGKILL)
            for part in parts:
                if part.is_running() and part.name() == "postgres":
                    part.kill()
            psutil.wait_procs(parts, timeout=60)  # a worker lets its runs end first
            assert not [part for part in parts if part.is_running()], "the parts outlived the desk"
        with running_desk(home) as second:
            assert second.started_s < 30
            assert second.password, "an administrator who never signed in gets a new one-time password"
            parts = second.family()
            second.process.send_signal(signal.SIGINT)
            assert second.process.wait(60) == 0
        psutil.wait_procs(parts, timeout=5)
        assert [part for part in parts if part.is_running()] == []
