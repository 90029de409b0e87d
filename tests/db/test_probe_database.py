"""What the probes of PostgreSQL and of the hosts keep, and what they find."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.probes.host import HostProbe
from tests.db.books import run_job


def samples(db: Database) -> dict[str, list[float]]:
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT s.metric, x.value FROM ops.samples x JOIN ops.series s ON s.id = x.series ORDER BY x.at")
        )
        found: dict[str, list[float]] = {}
        for row in rows:
            found.setdefault(row.metric, []).append(row.value)
        return found


def listed(db: Database, kind: str) -> list[dict[str, Any]]:
    with db.read() as conn:
        found: list[dict[str, Any]] = conn.execute(
            text("SELECT entries FROM ops.database_lists WHERE kind = :kind"), {"kind": kind}
        ).scalar_one()
        return found


def test_the_database_is_sampled_and_what_is_not_measured_is_no_zero(db: Database, settings: Settings) -> None:
    for _ in range(2):
        run = run_job(db, settings, "probe-database")
        assert (run.state, run.error) == ("succeeded", None)
    found = samples(db)
    assert len(found["database.size_bytes"]) == 2
    assert all(value > 1e6 for value in found["database.size_bytes"])
    assert 0 < found["database.connections_ratio"][0] < 1
    assert found["database.connect_ms"][0] > 0
    assert len(found["database.cache_hit_ratio"]) <= 1, "a ratio needs the counters of the look before"
    assert "database.replication_lag_s" not in found
    assert "database.growth_bytes_per_day" not in found


def test_growth_is_what_the_hours_of_the_last_week_say(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "WITH s AS (INSERT INTO ops.series (subject, metric) VALUES ('database', 'database.size_bytes') RETURNING id)"
                " INSERT INTO ops.rollups SELECT 'hour', s.id, date_trunc('hour', now()) - h * interval '1 hour', 2,"
                " 2 * (1e9 - h * 1e6), 0, 0 FROM s, generate_series(1, 72) h"
            )
        )
    run_job(db, settings, "probe-database")
    (growth,) = samples(db)["database.growth_bytes_per_day"]
    assert 23.9e6 < growth < 24.1e6


def test_days_until_full_come_from_the_room_that_is_known(db: Database, settings: Settings) -> None:
    """Of a server of its own nobody can ask how large its disk is: a setting says so, or it is not known."""
    with db.begin() as conn:
        conn.execute(
            text(
                "WITH s AS (INSERT INTO ops.series (subject, metric) VALUES ('database', 'database.size_bytes') RETURNING id)"
                " INSERT INTO ops.rollups SELECT 'hour', s.id, date_trunc('hour', now()) - h * interval '1 hour', 1,"
                " 1e9 - h * 1e6, 0, 0 FROM s, generate_series(1, 72) h"
            )
        )
    elsewhere = settings.model_copy(update={"db_host": "db.example"})
    run_job(db, elsewhere, "probe-database")
    assert "database.room_bytes" not in samples(db)
    run_job(db, elsewhere.model_copy(update={"db_space_gb": 2.4}), "probe-database")
    found = samples(db)
    (room,), (days,), size = found["database.room_bytes"], found["database.full_days"], found["database.size_bytes"][-1]
    assert room == 2.4e9 - size
    assert 0.99 < days * 24e6 / room < 1.01
    run_job(db, settings, "probe-database")
    assert samples(db)["database.room_bytes"][-1] > 0, "the embedded one lies on this host's disk"


def test_an_index_that_the_jobs_live_on_is_missed_by_its_columns(db: Database, settings: Settings) -> None:
    run_job(db, settings, "probe-database")
    assert [one for one in listed(db, "missing_indexes") if "used_for" in one] == []
    with db.begin() as conn:
        name = conn.execute(
            text(
                "SELECT indexname FROM pg_indexes WHERE tablename = 'transactions' AND indexdef LIKE '%lower(%tx_hash%'"
            )
        ).scalar_one()
        conn.execute(text(f"DROP INDEX {name}"))
        conn.execute(text("CREATE INDEX by_another_name ON transactions (lower(tx_hash)) WHERE status = 'PENDING'"))
    run_job(db, settings, "probe-database")
    (missing,) = [one for one in listed(db, "missing_indexes") if "used_for" in one]
    assert (missing["table"], missing["columns"]) == ("transactions", ["lower(tx_hash)"])
    with db.begin() as conn:
        conn.execute(text("CREATE INDEX by_a_third_name ON transactions (lower(tx_hash), id)"))
    run_job(db, settings, "probe-database")
    assert [one for one in listed(db, "missing_indexes") if "used_for" in one] == []


def test_who_waits_for_whom_is_listed_without_secrets(db: Database, settings: Settings) -> None:
    with db.engine.connect() as holder, db.engine.connect() as waiter:
        holder.execute(text("LOCK TABLE users"))
        cursor = waiter.connection.cursor()
        cursor.execute("SET lock_timeout = '20s'")
        pid = waiter.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        cursor.connection.pgconn.send_query(b"SELECT 'password=hunter22', 'ada@example.com' FROM users")
        run = run_job(db, settings, "probe-database")
        cursor.connection.cancel()
        while cursor.connection.pgconn.get_result() is not None:
            pass
        holder.rollback()
    assert run.state == "succeeded", run.error
    assert samples(db)["database.locks_waiting"][0] >= 1
    (entry,) = [one for one in listed(db, "waiting") if one["pid"] == pid]
    assert len(entry["blocked_by"]) == 1
    assert "FROM users" in entry["query"]
    assert "hunter22" not in entry["query"]
    assert "ada@example.com" not in entry["query"]


def test_a_foreign_key_without_an_index_is_named_by_its_columns(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b))"))
        conn.execute(text("CREATE TABLE served (x int, a int, b int, FOREIGN KEY (a, b) REFERENCES parent)"))
        conn.execute(text("CREATE INDEX ON served (b, a, x)"))
        conn.execute(text("CREATE TABLE bare (x int, a int, b int, FOREIGN KEY (a, b) REFERENCES parent)"))
        conn.execute(text("CREATE INDEX ON bare (x, a, b)"))
        conn.execute(text("CREATE INDEX ON bare (a, b) WHERE x = 1"))
    run_job(db, settings, "probe-database")
    named = {one["table"]: one["columns"] for one in listed(db, "missing_indexes")}
    assert named["bare"] == ["a", "b"]
    assert "served" not in named


def test_a_host_is_sampled_by_its_worker(db: Database, settings: Settings) -> None:
    probe = HostProbe(db, settings)
    probe.step()
    probe.step()
    found = samples(db)
    assert all(len(values) == 2 for values in found.values())
    assert found["host.network_received_bytes_per_s"][0] >= 0
    assert found["host.disk_free_bytes"][0] > 0
    assert 0 < found["host.memory_used_ratio"][0] <= 1
    assert found["worker.memory_bytes"][0] > 1e6
    assert "host.disk_full_days" not in found, "nobody says it of a host that was never seen before"
