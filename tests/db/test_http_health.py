"""What other programs are told: alive, jobs running, figures; promptly, and nothing personal."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL, text
from starlette.applications import Starlette

from dashboard import health, queries
from dashboard.desk import open_desk
from dashboard.serve import listen
from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.core.settings import Settings
from tests.db.conftest import free_port, serving, start_dashboard
from tests.ui import seed

# One process: its dashboard takes seconds to start.
pytestmark = pytest.mark.xdist_group("site-health")


@pytest.fixture
def client(db: Database, settings: Settings) -> Iterator[httpx.Client]:
    settings = settings.model_copy(update={"horizon_urls": seed.SERVERS, "rate_limit_per_hour": 3600})
    open_desk(settings, db)
    with serving(Starlette(routes=health.routes(settings, db))) as base, httpx.Client(base_url=base) as found:
        yield found


def figures(client: httpx.Client) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_a_desk_that_does_well_answers_200(client: httpx.Client, db: Database) -> None:
    seed.living(db)
    answer = client.get("/health/scheduled-jobs")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "ok"
    assert body["database"] == {"ok": True}
    assert body["workers"] == {"ok": True, "alive": 1, "scheduling": 1}
    assert body["jobs"]["reconcile-pending"]["runs"] == "every 2 minutes"
    assert body["jobs"]["reconcile-pending"]["last_success_at"] is not None


def test_a_failing_job_answers_503_and_says_which_without_saying_too_much(client: httpx.Client, db: Database) -> None:
    seed.living(db, trouble=True)
    answer = client.get("/health/scheduled-jobs")
    assert answer.status_code == 503
    body = answer.json()
    assert (
        body["jobs"]["reconcile-pending"] | {"ok": False, "state": "failing", "failures": 3}
        == (body["jobs"]["reconcile-pending"])
    )
    assert body["jobs"]["cleanup-notifications"]["state"] == "paused"
    assert "nexafx.com" not in answer.text
    assert "over capacity" not in answer.text


def test_a_desk_without_workers_answers_503(client: httpx.Client, db: Database) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.workers SET beat_at = now() - interval '31 seconds'"))
    answer = client.get("/health/scheduled-jobs")
    assert answer.status_code == 503
    assert answer.json()["workers"]["ok"] is False


def test_a_dead_database_is_said_in_json(settings: Settings) -> None:
    nobody = Database(URL.create("postgresql+psycopg", host="127.0.0.1", port=free_port(), database="x"))
    open_desk(settings, nobody)
    with serving(Starlette(routes=health.routes(settings, nobody))) as base, httpx.Client(base_url=base) as client:
        answer = client.get("/health/scheduled-jobs")
        assert answer.status_code == 503
        assert answer.json()["database"]["ok"] is False
        assert client.get("/health").status_code == 200
        assert "nexaops_database_up 0.0" in client.get("/metrics").text
    nobody.close()


def test_a_database_that_hangs_is_given_up_promptly(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        hung = Database(URL.create("postgresql+psycopg", host="127.0.0.1", port=port, database="x"))
        open_desk(settings, hung)
        started = time.monotonic()
        with serving(Starlette(routes=health.routes(settings, hung))) as base, httpx.Client(base_url=base) as client:
            assert client.get("/health/scheduled-jobs").status_code == 503
            assert time.monotonic() - started < health.PATIENCE_S + 1
        hung.close()


def test_metrics_say_what_stands_in_the_tables(client: httpx.Client, db: Database) -> None:
    seed.living(db, trouble=True)
    found = figures(client)
    assert found["nexaops_database_up"] == 1
    assert found["nexaops_pending_transactions USDC"] == 5
    assert found["nexaops_cases_open"] == 2
    assert found["nexaops_job_failures_in_a_row reconcile-pending"] == 3
    assert found["nexaops_horizon_lag_ledgers https://horizon.stellar.org"] == 4
    assert found["nexaops_flag enableRetry"] == 0


def test_events_that_are_not_taken_are_figures_where_there_is_a_receiver(client: httpx.Client, db: Database) -> None:
    seed.living(db)
    assert "nexaops_events_waiting" not in figures(client)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.schedules SET enabled = true WHERE name = 'deliver-events'"))
        conn.execute(
            text(
                "INSERT INTO ops.outbox (kind, transaction_id, payload, created_at, dead_at, sent_at)"
                " SELECT 'transaction.' || n, t.id, '{}', now() - interval '1 hour',"
                "        CASE n WHEN 1 THEN now() END, CASE n WHEN 2 THEN now() END"
                " FROM generate_series(1, 5) AS n, (SELECT id FROM transactions LIMIT 1) AS t"
            )
        )
    queries.forget()
    found = figures(client)
    assert (found["nexaops_events_waiting"], found["nexaops_events_dead"]) == (3, 1)
    assert 3500 < found["nexaops_event_oldest_seconds"] < 3700


def test_metrics_say_which_server_was_left_and_which_is_behind(client: httpx.Client, db: Database) -> None:
    seed.living(db)
    here, there = seed.SERVERS
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.horizon_samples SET latest_ledger = latest_ledger - 4 WHERE server = :s"), {"s": there}
        )
        conn.execute(
            text(
                "UPDATE ops.horizon_servers SET failures = 3, openings = 1, left_at = now(),"
                " retry_at = now() + interval '30 s' WHERE server = :s"
            ),
            {"s": there},
        )
    found = figures(client)
    states = ("closed", "half_open", "open")
    assert [found[f"nexaops_horizon_breaker {here} {state}"] for state in states] == [1, 0, 0]
    assert [found[f"nexaops_horizon_breaker {there} {state}"] for state in states] == [0, 0, 1]
    assert (found[f"nexaops_horizon_behind_ledgers {here}"], found[f"nexaops_horizon_behind_ledgers {there}"]) == (0, 4)


def test_metrics_say_what_differs_in_the_books_and_when_they_were_proved(client: httpx.Client, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.integrity_findings (check_name, subject, expected, actual, sentence, found_run, seen_run)"
                " VALUES ('balances', 'x', '1', '2', 'It differs', 1, 1)"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.integrity_checks (name, as_of, looked_at, run_id) VALUES ('wallets', to_timestamp(9), 1, 1)"
            )
        )
    found = figures(client)
    assert found["nexaops_integrity_findings_open balances"] == 1
    assert found["nexaops_integrity_findings_open double-entry"] == 0
    assert found["nexaops_integrity_proved_timestamp_seconds wallets"] == 9
    assert "nexaops_integrity_proved_timestamp_seconds balances" not in found


def test_each_run_is_counted_once_when_it_ends(client: httpx.Client, db: Database) -> None:
    figures(client)
    with db.begin() as conn:
        run_id = conn.execute(
            text(
                "INSERT INTO ops.runs (job, trigger, triggered_by, state, started_at)"
                " VALUES ('reconcile-pending', 'manual', 'x', 'running', now() - interval '2 seconds') RETURNING id"
            )
        ).scalar_one()
    assert "nexaops_runs_total reconcile-pending succeeded" not in figures(client)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.runs SET state = 'succeeded', finished_at = now() WHERE id = :id"), {"id": run_id}
        )
    for _ in range(2):
        found = figures(client)
        assert found["nexaops_runs_total reconcile-pending succeeded"] == 1
        assert found["nexaops_run_duration_seconds_count reconcile-pending"] == 1
        assert 1.9 < found["nexaops_run_duration_seconds_sum reconcile-pending"] < 3


def test_what_a_page_sends_is_not_held_back_for_an_acknowledgement() -> None:
    """Nagle's algorithm and a browser's delayed acknowledgement would cost 40 ms a page."""

    async def held_back() -> int:
        seen: asyncio.Queue[int] = asyncio.Queue()

        async def met(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            seen.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(met, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
                writer.close()
                return await seen.get()

    assert asyncio.run(held_back()), "TCP_NODELAY is not set on what it accepts"


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(NexaError, match=rf"cannot listen on 127\.0\.0\.1:{port}: another program uses it"):
            listen("127.0.0.1", port)


def test_the_dashboard_ends_cleanly_and_metrics_can_be_private(db: Database, server_socket: Path) -> None:
    port = free_port()
    process = start_dashboard(db, server_socket, port, NEXAOPS_PUBLIC_METRICS="false")
    assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 401
    assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "ok"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def test_a_remembered_read_is_kept_by_database_and_argument(db: Database, settings: Settings) -> None:
    calls: list[str] = []
    name = uuid4().hex

    def read(_conn: object, word: str, *, times: int = 1) -> str:
        calls.append(word)
        return word * times

    read.__qualname__ = name
    kept = queries.cached(ttl=60)(read)
    open_desk(settings, db)
    assert (kept("a"), kept("a"), kept("b"), kept("a", times=2)) == ("a", "a", "b", "aa")
    assert calls == ["a", "b", "a"]
    queries.forget()
    kept("a")
    assert len(calls) == 4
