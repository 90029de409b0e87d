"""Samples become minutes, hours and days exactly once, also late ones; what has served its time goes, gaps stay gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.probes.courses import Course, Key, read_courses
from jobs.probes.rollup import kept_from, roll_up
from jobs.probes.spans import Window
from tests.db.books import run_job

NOW = datetime(2026, 11, 28, 12, 34, 56, tzinfo=UTC)


def add(conn: Connection, at: datetime, value: float, metric: str = "host.cpu_ratio") -> None:
    conn.execute(
        text(
            "WITH s AS (INSERT INTO ops.series (subject, metric) VALUES ('here', :metric)"
            " ON CONFLICT (subject, metric) DO UPDATE SET metric = excluded.metric RETURNING id)"
            " INSERT INTO ops.samples (series, at, value) SELECT id, :at, :value FROM s ON CONFLICT DO NOTHING"
        ),
        {"metric": metric, "at": at, "value": value},
    )


def buckets(conn: Connection, span: str) -> dict[datetime, tuple[int, float, float, float]]:
    rows = conn.execute(
        text("SELECT at, n, total, least, most FROM ops.rollups WHERE span = :span ORDER BY at"), {"span": span}
    )
    return {row.at: (row.n, row.total, row.least, row.most) for row in rows}


def test_minutes_hours_and_days_hold_what_was_sampled_and_nothing_else(db: Database) -> None:
    with db.begin() as conn:
        for seconds, value in ((0, 1.0), (30, 3.0), (60, 5.0), (3 * 3600, 7.0)):
            add(conn, NOW - timedelta(hours=5) + timedelta(seconds=seconds), value)
        assert roll_up(conn, NOW, NOW - timedelta(days=1)) == {"minute": 3, "hour": 2, "day": 1}
        assert list(buckets(conn, "minute").values()) == [(1, 1, 1, 1), (2, 8, 3, 5), (1, 7, 7, 7)]
        assert buckets(conn, "hour") == {
            datetime(2026, 11, 28, 7, tzinfo=UTC): (3, 9, 1, 5),
            datetime(2026, 11, 28, 10, tzinfo=UTC): (1, 7, 7, 7),
        }
        assert buckets(conn, "day") == {datetime(2026, 11, 28, tzinfo=UTC): (4, 16, 1, 7)}
        assert roll_up(conn, NOW, NOW - timedelta(days=1)) == {"minute": 0, "hour": 0, "day": 0}
        add(conn, NOW - timedelta(hours=5, seconds=-10), 9.0)  # it came late
        assert roll_up(conn, NOW, NOW - timedelta(days=1)) == {"minute": 1, "hour": 1, "day": 1}
        assert buckets(conn, "day") == {datetime(2026, 11, 28, tzinfo=UTC): (5, 25, 1, 9)}


samples = st.lists(st.tuples(st.integers(0, 47 * 3600), st.integers(-5, 5)), max_size=12, unique_by=lambda one: one[0])


@examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples, st.lists(st.integers(0, 48), max_size=4))
def test_whatever_the_order_and_however_often_each_sample_is_counted_once(
    db: Database, some: list[tuple[int, int]], windows: list[int]
) -> None:
    with db.engine.connect() as conn, conn.begin() as undone:
        for (ago, value), hours in zip(some, [*windows, *[48] * len(some)], strict=False):
            add(conn, NOW - timedelta(seconds=ago), value)
            roll_up(conn, NOW, NOW - timedelta(hours=hours))
        roll_up(conn, NOW, kept_from(NOW)["samples"])
        for span in ("minute", "hour", "day"):
            found = buckets(conn, span)
            assert sum(one[0] for one in found.values()) == len(some)
            assert sum(one[1] for one in found.values()) == sum(value for _, value in some)
        undone.rollback()


def test_after_a_pause_what_was_sampled_in_it_is_rolled_up(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        for hours in (30, 20, 5):
            add(conn, datetime.now(UTC) - timedelta(hours=hours), hours)
    first = run_job(db, settings, "rollup-metrics")
    assert (first.state, first.counters["minute"]) == ("succeeded", 3)
    with db.begin() as conn:
        conn.execute(text("DELETE FROM ops.rollups WHERE at > now() - interval '21 hours'"))
    assert run_job(db, settings, "rollup-metrics").counters["minute"] == 2


def test_horizons_samples_are_rolled_up_by_server(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_samples (server, at, verdict, latency_ms, age_s, lag)"
                " SELECT 'https://h.example', now() - interval '3 minutes' - i * interval '1 second', 'ok', 40 + i, NULL, 0"
                " FROM generate_series(1, 10) i"
            )
        )
    assert run_job(db, settings, "rollup-metrics").state == "succeeded"
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT s.metric, r.n, r.least, r.most FROM ops.rollups r JOIN ops.series s ON s.id = r.series"
                " WHERE span = 'day' AND s.subject = 'https://h.example' ORDER BY 1"
            )
        ).all()
    assert {row.metric: sum(one.n for one in rows if one.metric == row.metric) for row in rows} == {
        "horizon.lag_ledgers": 10,
        "horizon.latency_ms": 10,
    }, "what was not measured is no zero"


def test_a_course_of_a_week_goes_on_where_the_samples_end(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_samples (server, at, verdict, latency_ms, age_s, lag)"
                " SELECT 'https://h.example', now() - h * interval '1 hour', 'ok', h, 5, 0 FROM unnest(ARRAY[1, 40, 47]) h"
            )
        )
    run_job(db, settings, "rollup-metrics")
    with db.begin() as conn:  # two days later
        conn.execute(text("UPDATE ops.horizon_samples SET at = at - interval '2 days'"))
        conn.execute(text("UPDATE ops.rollups SET at = at - interval '2 days'"))
    before = _course(db, "latency_ms")
    assert run_job(db, settings, "prune").counters["samples"] == 2
    after = _course(db, "latency_ms")
    assert [value for value in after.values if value is not None] == [47, 40, 1]
    assert after == before
    assert _course(db, "age_s").values[0] == 5
    assert None in after.values, "a day without a sample is a gap"


def _course(db: Database, metric: str) -> Course:
    key: Key = ("https://h.example", f"horizon.{metric}", "most")
    with db.read() as conn:
        return read_courses(conn, [key], Window(timedelta(days=7))).of(*key)


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_has_served_its_time_goes_after_it_was_rolled_up(db: Database, settings: Settings, dry_run: bool) -> None:
    now = datetime.now(UTC)
    with db.begin() as conn:
        for hours in (49.5, 47.5, 1):
            add(conn, now - timedelta(hours=hours), 1)
        series = conn.execute(text("SELECT id FROM ops.series")).scalar_one()
        for span, days in (("minute", 32), ("minute", 29), ("hour", 732), ("hour", 32), ("day", 732), ("day", 600)):
            conn.execute(
                text("INSERT INTO ops.rollups VALUES (:span, :series, date_trunc('day', :at, 'UTC'), 1, 1, 1, 1)"),
                {"span": span, "series": series, "at": now - timedelta(days=days)},
            )
        conn.execute(
            text(
                "INSERT INTO ops.horizon_samples (server, at, verdict) VALUES ('a', now() - interval '5 days', 'ok'),"
                " ('a', now() - interval '4 days', 'ok'), ('b', now() - interval '9 days', 'ok')"
            )
        )
        conn.execute(
            text(
                "WITH r AS (INSERT INTO ops.runs (job, trigger, triggered_by, state) VALUES ('x', 'manual', 't', 'failed')"
                " RETURNING id) INSERT INTO ops.run_logs (run_id, at, level, event)"
                " SELECT id, now() - d * interval '1 day', 'info', 'x' FROM r, unnest(ARRAY[89, 91]) d"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.notices (key, channel, title, body, created_by, created_at, state, ended_at)"
                " SELECT key, 'json', 't', 'b', 't', ended - interval '1 hour', state, CASE state WHEN 'dead' THEN ended END"
                "   FROM (VALUES ('old', 'dead', now() - interval '91 days'), ('young', 'dead', now() - interval '89 days'),"
                "         ('waits', 'waiting', now() - interval '91 days')) AS n (key, state, ended)"
            )
        )
    run = run_job(db, settings, "prune", dry_run=dry_run)
    assert run.state == "succeeded", run.error
    assert {name: run.counters[name] for name in ("samples", "rollups", "log lines", "notices")} == {
        "samples": 2, "rollups": 3, "log lines": 1, "notices": 1,
    }  # fmt: skip
    with db.read() as conn:
        left = [
            conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in (
                "ops.samples",
                "ops.horizon_samples WHERE server = 'a'",
                "ops.horizon_samples WHERE server = 'b'",
            )
        ]
        minutes = conn.execute(
            text("SELECT count(*) FROM ops.rollups WHERE span = 'minute' AND at > now() - '3 days'::interval")
        ).scalar_one()
    assert left == ([3, 2, 1] if dry_run else [2, 1, 1]), (
        "the newest of each server stays: it says since when there is none"
    )
    assert minutes == (0 if dry_run else 2), "what was still a sample is a minute"


def test_switched_off_with_every_other_clean_up(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.flags SET value = false WHERE name = 'enableCleanup'"))
    assert run_job(db, settings, "prune").state == "skipped"
