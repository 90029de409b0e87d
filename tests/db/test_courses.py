"""Courses, requests and marks over a window, read from the real tables: gaps stay gaps, and nothing counts twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from dashboard.desk import open_desk
from dashboard.queries import forget
from dashboard.queries_marks import MOST, Mark, marks
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.settings import Settings
from jobs.horizon.latency import SIZE
from jobs.probes.courses import Course, Part, read_courses
from jobs.probes.figures import Requests, requests
from jobs.probes.rollup import roll_up
from jobs.probes.spans import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SERIES = ("here", "host.cpu_ratio")
SERVER = "https://h.example"


def sample(
    db: Database, every: timedelta, length: timedelta, *, hole: tuple[timedelta, timedelta] | None = None
) -> int:
    """Samples of one series so far back, counting up, without those of the hole; returns how many."""
    with db.begin() as conn:
        return conn.execute(
            text(
                "WITH s AS (INSERT INTO ops.series (subject, metric) VALUES ('here', 'host.cpu_ratio') RETURNING id)"
                " INSERT INTO ops.samples SELECT s.id, now() - ago, extract(epoch FROM ago) FROM s,"
                " (SELECT n * CAST(:every AS interval) AS ago FROM generate_series(1, CAST(:times AS integer)) n) AS points"
                " WHERE ago NOT BETWEEN :since AND :until"
            ),
            {
                "every": every,
                "times": length / every,
                "since": (hole or (-DAY,))[0],
                "until": (hole or (-DAY, -DAY))[-1],
            },
        ).rowcount


def course(db: Database, window: Window, part: Part = "most") -> Course:
    parts: tuple[Part, ...] = ("least", "mean", "most")
    with db.read() as conn:
        wanted = [("here", "host.nothing", part), *((*SERIES, one) for one in parts)]
        return read_courses(conn, wanted, window).of(*SERIES, part)


def rolled_up(db: Database) -> None:
    with db.begin() as conn:
        now = datetime.now(UTC)
        roll_up(conn, now, now - timedelta(days=60))


def test_a_gap_is_told_as_a_gap_and_the_line_goes_on_behind_it(db: Database) -> None:
    sample(db, timedelta(seconds=30), HOUR, hole=(timedelta(minutes=20), timedelta(minutes=30)))
    found = course(db, Window(HOUR))
    assert found.values.count(None) == 1
    place = found.values.index(None)
    assert found.at[place + 1] - found.at[place - 1] >= timedelta(minutes=10)
    assert list(found.at) == sorted(found.at)


def test_what_horizon_said_is_told_before_it_is_rolled_up_for_the_first_time(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.horizon_servers (server) VALUES (:server)"), {"server": SERVER})
        conn.execute(
            text("INSERT INTO ops.horizon_samples (server, at, verdict, latency_ms) VALUES (:server, now(), 'ok', 21)"),
            {"server": SERVER},
        )
        found = read_courses(conn, [(SERVER, "horizon.latency_ms", "most")], Window(HOUR, datetime.now(UTC) + HOUR / 2))
    assert found.of(SERVER, "horizon.latency_ms", "most").values == (21,)


@pytest.mark.parametrize("length", [HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY])
def test_rolled_up_or_not_every_sample_is_in_it_once(db: Database, length: timedelta) -> None:
    """Also those that came after the last roll-up: half an hour of them here."""
    sample(db, timedelta(minutes=1), 40 * HOUR)
    before, usual = course(db, Window(length)), course(db, Window(length), "mean")
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE later AS SELECT * FROM ops.samples WHERE at > now() - interval '30 minutes'"))
        conn.execute(text("DELETE FROM ops.samples WHERE at > now() - interval '30 minutes'"))
    rolled_up(db)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.samples SELECT * FROM later"))
    after = course(db, Window(length))
    assert after.at == before.at
    assert after.values[1:] == before.values[1:], "the first bucket may begin before the window"
    assert course(db, Window(length), "mean").values[1:] == pytest.approx(usual.values[1:])


def test_a_fixed_window_long_ago_is_read_from_what_is_left_of_it(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "WITH s AS (INSERT INTO ops.series (subject, metric) VALUES ('here', 'host.cpu_ratio') RETURNING id)"
                " INSERT INTO ops.rollups SELECT 'hour', s.id, date_trunc('hour', now()) - n * interval '1 hour', 2, 6, 1, 5"
                " FROM s, generate_series(960, 1000) n"
            )
        )
    then = Window(6 * HOUR, datetime.now(UTC) - 40 * DAY)
    least, mean, most = course(db, then, "least"), course(db, then, "mean"), course(db, then, "most")
    assert (set(least.values), set(mean.values), set(most.values)) == ({1}, {3}, {5})
    assert 5 <= len(most.at) <= 6
    assert not course(db, Window(6 * HOUR))


def ask(db: Database, ago: timedelta, *, outcome: str = "ok", job: str = "probe-horizon", bucket: int = 5) -> None:
    buckets = [10 if place == bucket else 0 for place in range(SIZE)]
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_requests VALUES (date_trunc('minute', now() - CAST(:ago AS interval)), :server,"
                " 'root', :job, :outcome, 10, 400, :buckets)"
            ),
            {"ago": ago, "server": SERVER, "job": job, "outcome": outcome, "buckets": buckets},
        )


def asked(db: Database, length: timedelta) -> Requests:
    with db.read() as conn:
        return requests(conn, Window(length))


@pytest.mark.parametrize("length", [HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY])
def test_requests_are_counted_once_whether_they_are_summed_or_not(db: Database, length: timedelta) -> None:
    for minutes in (2, 20, 40):
        ask(db, timedelta(minutes=minutes))
        ask(db, timedelta(minutes=minutes), outcome="timeout", job="retry-failed", bucket=SIZE - 1)
    before = asked(db, length)
    rolled_up(db)
    ask(db, timedelta(minutes=1))
    after = asked(db, length)
    assert (before.total, after.total) == (60, 70)
    assert before.errors == after.errors == (("timeout", 30),)
    assert dict(after.by_job) == {"probe-horizon": 40, "retry-failed": 30}
    assert sum(moment.requests for _, moment in after.course if moment) == 70
    assert sum(moment.errors.get("timeout", 0) for _, moment in after.course if moment) == 30
    assert after.p95 == before.p95 == 20_000


def test_sums_outlive_the_minutes_that_they_were_made_of(db: Database) -> None:
    ask(db, 3 * DAY)
    ask(db, 20 * DAY)
    rolled_up(db)
    with db.begin() as conn:
        conn.execute(text("DELETE FROM ops.horizon_requests WHERE minute < now() - interval '10 days'"))
    rolled_up(db)
    assert (asked(db, 7 * DAY).total, asked(db, 30 * DAY).total, asked(db, 365 * DAY).total) == (10, 20, 20)
    (latency,) = asked(db, 365 * DAY).latency
    assert (latency.name, latency.requests) == ("root", 20)
    assert latency.p50 is not None
    assert 20 < latency.p50 <= 50


def marked(db: Database, settings: Settings, window: Window) -> tuple[Mark, ...]:
    open_desk(settings, db)
    forget()
    return marks(window)


def test_what_happened_in_the_window_is_marked_and_nothing_else(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        set_flag(conn, Flag.RETRY, False, actor="ada@nexafx.com", reason="by <hand>", origin="test")
        conn.execute(
            text(
                "INSERT INTO ops.app_versions VALUES ('2.4.0', now() - interval '1 hour'), ('2.3.0', now() - interval '1 year')"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.incidents (title, severity, began_at, opened_by, lead, resolved_at, resolved_by) VALUES"
                " ('Horizon is down', 'critical', now() - interval '30 hours', 'a', 'a', now() - interval '20 hours', 'a'),"
                " ('It is still so', 'warn', now() - interval '2 days', 'a', 'a', NULL, NULL),"
                " ('Long over', 'warn', now() - interval '9 days', 'a', 'a', now() - interval '8 days', 'a')"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.silences (kind, title, starts_at, ends_at, reason, created_by, ended_at) VALUES"
                " ('maintenance', 'New disk', now() - interval '3 hours', now() + interval '1 hour', 'r', 'a', now() - interval '2 hours'),"
                " ('silence', 'Quiet', now(), now() + interval '1 hour', 'r', 'a', NULL)"
            )
        )
    found = marked(db, settings, Window(DAY))
    assert [(mark.kind, mark.label) for mark in found] == [
        ("incident", "Incident 2: It is still so"),
        ("incident", "Incident 1: Horizon is down"),
        ("maintenance", "Maintenance: New disk"),
        ("deployment", "Version 2.4.0 runs"),
        ("flag", "enableRetry off by ada@nexafx.com: by <hand>"),
    ]
    assert found[2].until is not None
    assert found[2].until < datetime.now(UTC) - HOUR, "taken back before its time"
    assert marked(db, settings, Window(HOUR, datetime.now(UTC) - 5 * DAY)) == ()


def test_of_many_marks_incidents_stay(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.app_versions SELECT '3.' || n, now() - interval '1 hour' FROM generate_series(1, 50) n"
            )
        )
        conn.execute(text("INSERT INTO ops.incidents (title, severity, began_at, opened_by, lead)"
                          " VALUES ('Old', 'warn', now() - interval '1 day', 'a', 'a')"))  # fmt: skip
    found = marked(db, settings, Window(DAY))
    assert len(found) == MOST
    assert found[0].label == "Incident 1: Old"
