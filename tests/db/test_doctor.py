"""`nexaops doctor` on a real database and a real Horizon: what is wrong is named with its mend, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from jobs import doctor
from jobs.core.db import Database
from jobs.core.schema import head
from jobs.horizon.sandbox.server import SandboxServer
from jobs.probes.diagnosis import Finding, Line
from tests.ui import seed


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        running.ledger.close_ledger()
        yield running


@pytest.fixture
def machine(db: Database, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a host that works: this database, this Horizon, its network."""
    monkeypatch.setattr(doctor, "configure_logging", lambda *_, **__: None)
    sandbox.ledger.close_ledger()
    for name, value in {
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": sandbox.url,
        "STELLAR_NETWORK": "CUSTOM",
        "STELLAR_NETWORK_PASSPHRASE": sandbox.ledger.passphrase,
        "NEXAOPS_NOTICE_URLS": "json://team.example",
        "NEXAOPS_PING_URL": "https://ping.example/1",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def lines(check: str) -> list[Line]:
    return [line for line in doctor.examine() if line.check == check]


def test_a_desk_that_works_has_nothing_to_mend(machine: pytest.MonkeyPatch, db: Database) -> None:
    seed.living(db)
    found = list(doctor.examine())
    assert [line for line in found if line.finding is not Finding.OK] == []
    assert [line.check for line in found] == [
        "settings", "telling", "jobs", "database", "migrations", "indexes", "privileges", "horizon", "workers", "disk",
    ]  # fmt: skip


def test_an_index_is_known_by_its_columns_whatever_its_name(machine: pytest.MonkeyPatch, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("ALTER INDEX idx_transactions_status_created RENAME TO theirs"))
        conn.execute(text("DROP INDEX idx_transactions_user_status"))
    (line,) = lines("indexes")
    assert line.finding is Finding.WARN
    assert line.mend == "Run CREATE INDEX CONCURRENTLY ON transactions (user_id, status);"
    with db.begin() as conn:
        conn.execute(text("CREATE INDEX longer ON transactions (user_id, status, created_at)"))
    assert lines("indexes")[0].finding is Finding.OK


def test_a_user_who_may_not_do_what_the_jobs_do_is_told_the_grant(machine: pytest.MonkeyPatch, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("DROP ROLE IF EXISTS doctored"))
        conn.execute(text("CREATE ROLE doctored LOGIN"))
        conn.execute(text("GRANT USAGE ON SCHEMA ops TO doctored"))
        conn.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, ops TO doctored"))
        conn.execute(text("REVOKE DELETE ON notifications FROM doctored"))
        conn.execute(text("REVOKE UPDATE ON ops.audit, ops.runs FROM doctored"))
    machine.setenv("DB_USERNAME", "doctored")
    try:
        assert [line.mend for line in lines("privileges")] == [
            'Run GRANT DELETE ON notifications TO "doctored";',
            'Run GRANT UPDATE ON ops.runs TO "doctored";',
        ]
    finally:
        with db.begin() as conn:
            conn.execute(text("DROP OWNED BY doctored; DROP ROLE doctored"))


def test_a_database_of_another_version_is_sent_to_migrate(machine: pytest.MonkeyPatch, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.alembic_version SET version_num = '0003'"))
    (line,) = lines("migrations")
    assert (line.finding, line.mend) == (Finding.FAIL, "Run `nexaops migrate`.")
    assert line.says == f"the database is at 0003, this version needs {head()}"


def test_a_horizon_of_another_network_fails_and_no_key_of_its_address_is_said(
    machine: pytest.MonkeyPatch, sandbox: SandboxServer
) -> None:
    machine.setenv("STELLAR_NETWORK_PASSPHRASE", "Another Network")
    (line,) = lines("horizon")
    assert line.finding is Finding.FAIL
    assert "configured is “Another Network”" in line.says
    assert line.mend == "Set STELLAR_NETWORK, or STELLAR_HORIZON_URL, so that they mean the same network."
    machine.setenv("STELLAR_NETWORK_PASSPHRASE", sandbox.ledger.passphrase)
    machine.setenv("STELLAR_HORIZON_URL", f"{sandbox.url},http://127.0.0.1:9/v1/key0123456789")
    up, down = lines("horizon")
    assert (up.finding, down.finding) == (Finding.OK, Finding.WARN)
    assert "key0123456789" not in down.says


def test_a_desk_without_workers_fails(machine: pytest.MonkeyPatch, db: Database) -> None:
    assert lines("workers")[0].says == "none has run"
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.workers SET scheduler_at = now() - interval '5 minutes'"))
    (line,) = lines("workers")
    assert (line.finding, "no job starts by itself" in line.says) == (Finding.FAIL, True)


def test_without_settings_or_a_database_the_rest_is_still_looked_at(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("DB_HOST", "127.0.0.1")
    machine.setenv("DB_PORT", "9")
    found = {line.check: line.finding for line in doctor.examine()}
    assert found["database"] is Finding.FAIL
    assert found["disk"] is not Finding.FAIL
    machine.setenv("STELLAR_NETWORK", "MAIN")
    (line,) = doctor.examine()
    assert (line.finding, "STELLAR_NETWORK is not accepted" in line.says) == (Finding.FAIL, True)
