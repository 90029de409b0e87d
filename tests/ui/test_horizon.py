"""The Horizon page answers: can the chain's answers be trusted now."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from sqlalchemy import text

from dashboard.queries import forget
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"horizon_urls": seed.SERVERS, "rate_limit_per_hour": 3600})


def test_one_good_server_is_enough_and_the_other_is_named(db: Database, settings: Settings) -> None:
    seed.living(db, trouble=True)
    said = seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
    assert "answers can be trusted" in said
    assert "1 of 2 servers does worse" in said
    assert "horizon.stellar.org: the newest ledger is 34 s old" in said


def test_an_old_green_is_never_shown(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.horizon_samples SET at = at - interval '1 minute'"))
    said = seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
    assert "the probe is silent" in said
    assert "no data since" in said
    assert "nx-chip nx-ok" not in said


def test_figures_come_with_their_units_and_percentiles(db: Database, settings: Settings) -> None:
    seed.living(db)
    page = run_page(db, settings, "horizon", seed.person(db, Role.VIEWER))
    said = seen(page)
    assert "fee stats" in said
    assert "62 ms" in said
    assert "probe-horizon" in said
    assert "unavailable" in said
    assert len(page.get("plotly_chart")) == 6


def test_parts_of_a_tile_fail_alone(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("ALTER TABLE ops.horizon_requests RENAME TO gone"))
    said = seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
    assert said.count("The database does not answer") == 2, "the figures of an hour, and the charts"
    assert "answers can be trusted" in said
    assert "Servers side by side" in said


def test_the_time_shown_stands_in_the_address(db: Database, settings: Settings) -> None:
    seed.living(db)
    page = run_page(db, settings, "horizon", seed.person(db, Role.VIEWER), range="24h")
    assert page.button_group[0].value == "24h"


def test_the_stand_in_says_whether_it_answers_and_never_an_old_green(db: Database, settings: Settings) -> None:
    settings = settings.model_copy(update={"rpc_url": "https://rpc.example.org/?key=hunter2"})
    viewer = seed.person(db, Role.VIEWER)
    seed.living(db)
    assert "rpc.example.org (RPC) has not been probed yet." in seen(run_page(db, settings, "horizon", viewer))
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_samples (server, verdict, reasons, latest_ledger, elder_ledger, passphrase, latency_ms)"
                " SELECT 'https://rpc.example.org (RPC)', 'warn', CAST(:reasons AS jsonb), max(latest_ledger) - 2, 1000,"
                " max(passphrase), 87 FROM ops.horizon_samples"
            ),
            {"reasons": '[{"signal": "age", "verdict": "warn", "sentence": "The newest ledger is 25 s old."}]'},
        )
    said = _stand_in(db, settings, viewer)
    assert "The newest ledger is 25 s old." in said
    assert "2 ledgers behind the furthest server" in said
    assert "hunter2" not in said
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.horizon_samples SET at = at - interval '10 minutes', verdict = 'ok'"))
    assert "nx-chip nx-ok" not in _stand_in(db, settings, viewer)


def _stand_in(db: Database, settings: Settings, viewer: UUID) -> str:
    forget()
    said = seen(run_page(db, settings, "horizon", viewer))
    return said[said.index("In Horizon") :]


def test_another_network_stands_out(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.horizon_samples SET passphrase = 'Somewhere else'"))
    assert "another network" in seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))


def test_a_server_that_was_left_says_since_when_why_and_when_it_is_tried_again(
    db: Database, settings: Settings
) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.horizon_servers SET failures = 3, openings = 1, left_at = now() - interval '9 s',"
                " left_reason = 'It does not answer.', retry_at = now() + interval '40 s' WHERE server = :server"
            ),
            {"server": seed.SERVERS[1]},
        )
        at = conn.execute(text("SELECT left_at FROM ops.horizon_servers WHERE left_at IS NOT NULL")).scalar_one()
    said = seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
    found = re.search(r"left at (\d\d:\d\d) UTC after 3 failures \(It does not answer\), next try in (\d+) s", said)
    assert found
    assert found[1] == f"{at:%H:%M}"
    assert 30 <= int(found[2]) <= 40


def test_of_servers_side_by_side_the_one_that_is_behind_stands_out(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.horizon_samples SET latest_ledger = latest_ledger - 4 WHERE server = :server"),
            {"server": seed.SERVERS[1]},
        )
    said = seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
    assert said.count("4 ledgers behind the furthest server") == 1


def test_the_status_page_is_advice_and_never_an_old_green(db: Database, settings: Settings) -> None:
    viewer = seed.person(db, Role.VIEWER)
    seed.living(db)
    assert "What status.stellar.org says will stand here." in seen(run_page(db, settings, "horizon", viewer))
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.status_pages (page, asked_at, answered_at, indicator, description, incidents) VALUES"
                " ('https://status.stellar.org', now(), now(), 'major', 'Partial outage', CAST(:incidents AS jsonb))"
            ),
            {
                "incidents": '[{"name": "<b>Horizon</b> is slow", "status": "monitoring", "impact": "major", "at": "soon"}]'
            },
        )
    said = _status(db, settings, viewer)
    assert "advice and never a proof" in said
    assert "Partial outage" in said
    assert "&lt;b&gt;Horizon&lt;/b&gt; is slow" in said
    assert "monitoring, major" in said
    assert "answers can be trusted" in seen(run_page(db, settings, "horizon", viewer)), "it is no proof of anything"
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.status_pages SET indicator = 'none', answered_at = now() - interval '4 minutes', error = 'It is gone.'"
            )
        )
    said = _status(db, settings, viewer)
    assert "It gave no answer when it was asked last: It is gone." in said
    assert "nx-chip nx-ok" not in said


def _status(db: Database, settings: Settings, viewer: UUID) -> str:
    forget()
    said = seen(run_page(db, settings, "horizon", viewer))
    return said[said.index("status page</h2>") :]


def test_of_several_servers_each_has_its_latency_and_its_health(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_requests SELECT minute, :other, endpoint, job, outcome, count, total_ms, buckets"
                " FROM ops.horizon_requests"
            ),
            {"other": seed.SERVERS[1]},
        )
        conn.execute(
            text(
                "UPDATE ops.horizon_samples SET core_synced = false, ingest_ledger = latest_ledger - 2 WHERE server = :server"
            ),
            {"server": seed.SERVERS[1]},
        )
    said = seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
    assert "Latency by server" in said
    assert said.count("not well: core in step") == 1
    assert said.count("2 ledgers apart from the history") == 1


def test_fees_that_are_asked_once_a_minute_stand_there_all_the_time(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.horizon_samples SET capacity_usage = NULL, fee_p50 = NULL, fee_p95 = NULL, max_fee_p95 = NULL"
                " WHERE at > now() - interval '40 s'"
            )
        )
    assert "100, 2,000 stroops" in seen(run_page(db, settings, "horizon", seed.person(db, Role.VIEWER)))
