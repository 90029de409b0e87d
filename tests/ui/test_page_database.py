"""The Database page answers: will it hold for a month."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.ui.desk import run_page, seen
from tests.ui.probes import WELL, keep_list, look


def test_one_that_holds_says_what_is_left_and_how_fast_that_goes(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    look(db, "database", WELL)
    page = run_page(db, settings, "database", viewer)
    said = seen(page)
    assert "The database will hold for a month" in said
    assert "80.0 GiB left, grows 120.0 MiB a day, full in 682 days." in said
    assert "of 96," in said, "connections stand against their limit"
    assert "99.3%" in said
    assert len(page.get("plotly_chart")) == 4


def test_what_will_not_hold_comes_first_with_what_to_do(db: Database, settings: Settings, viewer: UUID) -> None:
    look(db, "database", WELL | {"database.full_days": 12.0, "database.connections_ratio": 0.97})
    said = seen(run_page(db, settings, "database", viewer))
    assert "The database will not hold" in said
    assert said.index("97% of the connections are taken.") < said.index("The database is full in 12 days.")
    assert "raise max_connections" in said


def test_an_old_green_is_never_shown(db: Database, settings: Settings, viewer: UUID) -> None:
    look(db, "database", WELL, ago=timedelta(minutes=2))
    said = seen(run_page(db, settings, "database", viewer))
    assert "the probe is silent" in said
    assert "no data since" in said
    assert "will hold for a month" not in said
    assert "41.0 GiB" not in said


def test_the_lists_say_what_to_do_and_show_text_as_text(db: Database, settings: Settings, viewer: UUID) -> None:
    look(db, "database", WELL)
    keep_list(db, "queries", {"query": "SELECT '<b>' FROM users", "calls": 9, "mean_ms": 2400.0, "total_ms": 21600.0,
                              "rows": 9, "source": "pg_stat_statements"})  # fmt: skip
    keep_list(
        db, "waiting", {"pid": 17, "blocked_by": [23], "application": "nexaops", "query": "UPDATE users", "waits_s": 75}
    )
    keep_list(
        db,
        "missing_indexes",
        {"table": "transactions", "columns": ["status", "created_at"], "used_for": "each run's search"},
    )
    keep_list(
        db,
        "vacuum",
        {"table": "public.users", "dead_rows": 5, "live_rows": 10, "last_vacuum": None, "last_analyze": None},
    )
    said = seen(run_page(db, settings, "database", viewer))
    assert "Somebody has waited 75 s for a lock" in said
    assert "process 23" in said
    assert "SELECT &#x27;&lt;b&gt;&#x27; FROM users" in said
    assert "9 times, 2.4 s each" in said
    assert "CREATE INDEX CONCURRENTLY ON transactions (status, created_at);" in said
    assert "1 index that the jobs live on is missing" in said
    assert "No replica follows this server." not in said, "what was not looked for yet is not said to be none"


def test_before_the_first_probe_it_says_how_figures_come(db: Database, settings: Settings, viewer: UUID) -> None:
    said = seen(run_page(db, settings, "database", viewer))
    assert "has not been probed yet" in said
    assert "probe-database" in said


def test_times_from_and_to_in_the_address_are_those_of_the_charts(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    look(db, "database", WELL)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.samples SET at = timestamptz '2026-11-20 10:30Z' + (at - now())"))
    page = run_page(
        db,
        settings,
        "database",
        viewer,
        **{"from": "2026-11-20T10:00:00+00:00", "to": "2026-11-20T11:00:00Z", "range": "7d"},
    )
    said = seen(page)
    assert "Shown: 20 Nov 10:00 to 20 Nov 11:00" in said
    assert "/database?range=7d" in said
    for since, until in (("2026-11-20", "2026-11-19"), ("yesterday", "2026-11-19"), ("1990-01-01", "2026-11-19"),
                         ("0001-01-01", "0001-01-01T01:00"), ("9999-12-31", "9999-12-31T23:59")):  # fmt: skip
        page = run_page(db, settings, "database", viewer, **{"from": since, "to": until})
        assert "Shown:" not in seen(page)
        assert not page.exception
