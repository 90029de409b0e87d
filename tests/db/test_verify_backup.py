"""A backup is proved by restoring it: what differs is named, and no scratch database outlives its run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.probes.attention import Severity, find_problems
from jobs.probes.facts import read_facts
from jobs.upkeep import programs
from jobs.upkeep.databases import SCRATCH, administering, scratch_name
from jobs.upkeep.dump import load
from jobs.upkeep.manifest import BadBackup
from tests.conftest import database_url
from tests.db.books import run_job
from tests.db.looking import FAILED, PASSED, look
from tests.db.test_backup import encrypted, one_backup


def scratches(db: Database) -> list[str]:
    """The scratch databases of this database; other tests have their own."""
    with administering(db) as admin:
        own = scratch_name(admin, str(db.url.database))
        found = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{own}%",)).fetchall()
    return [row[0] for row in found]


def rewrite_manifest(file: Path, before: str, after: str) -> None:
    """Another manifest, with checksums that fit it."""
    beside = file.with_name(f"{file.name}.json")
    said = beside.read_text()
    assert before in said
    beside.write_text(said.replace(before, after, 1))
    digests = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in (file, beside)]
    file.with_name(f"{file.name}.sha256").write_text("".join(digests))


def test_the_newest_backup_is_restored_compared_and_remembered(db: Database, settings: Settings) -> None:
    settings = encrypted(settings)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO users (email) SELECT 'u' || i || '@x.com' FROM generate_series(1, 50) i"))
    assert look(db, settings, "backup.verified").verdict is FAILED
    file = one_backup(db, settings).file
    with db.begin() as conn:  # what came afterwards is not the backup's fault
        conn.execute(text("DELETE FROM users"))
    run = run_job(db, settings, "verify-backup")
    assert (run.state, run.error, run.counters["differing"]) == ("succeeded", None, 0)
    assert run.counters["rows"] > 50
    assert scratches(db) == []
    with db.read() as conn:
        row = conn.execute(text("SELECT file, verified_at IS NOT NULL, verified_by, problem FROM ops.backups")).one()
    assert tuple(row) == (file.name, True, f"run:{run.id}", None)
    assert look(db, settings, "backup.verified").verdict is PASSED


def test_a_copy_that_differs_fails_the_run_and_stands_on_the_overview(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO users (email) VALUES ('a@x.com'), ('b@x.com'), ('c@x.com')"))
    file = one_backup(db, settings).file
    rewrite_manifest(file, '"rows": 3,\n   "checksum": "', '"rows": 3,\n   "checksum": "1')
    run = run_job(db, settings, "verify-backup")
    assert run.state == "failed"
    assert "users has other values in its 3 rows" in (run.error or "")
    assert scratches(db) == []
    assert look(db, settings, "backup.verified").verdict is FAILED
    with db.read() as conn:
        problems = find_problems(read_facts(conn, settings))
    assert any(one.severity is Severity.CRITICAL and "does not restore" in one.sentence for one in problems)


def test_a_damaged_file_is_found_before_it_is_restored(db: Database, settings: Settings) -> None:
    file = one_backup(db, settings).file
    with file.open("r+b") as stream:
        stream.seek(2000)
        stream.write(b"damaged")
    run = run_job(db, settings, "verify-backup")
    assert (run.state, "its checksum is not the one" in (run.error or "")) == ("failed", True)


def test_another_key_is_named(db: Database, settings: Settings) -> None:
    one_backup(db, encrypted(settings))
    run = run_job(db, encrypted(settings), "verify-backup")
    assert (run.state, "NEXAOPS_BACKUP_KEY is not the one" in (run.error or "")) == ("failed", True)
    assert scratches(db) == []
    without = run_job(db, settings, "verify-backup")
    assert (without.state, "set NEXAOPS_BACKUP_KEY" in (without.error or "")) == ("failed", True)


def test_a_program_that_fails_before_it_has_read_everything_speaks_for_itself(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = encrypted(settings)
    file = one_backup(db, sealed).file
    monkeypatch.setattr(programs, "environment", lambda _db: {"PGHOST": "/nowhere"})
    with pytest.raises(BadBackup, match=r"pg_restore failed: .*/nowhere"):
        load(db, file, sealed.backup_key, owners=False, should_stop=lambda: False, seen=lambda: None)


def test_without_a_backup_it_says_what_to_run_first(db: Database, settings: Settings) -> None:
    run = run_job(db, settings, "verify-backup")
    assert (run.state, "run the job `backup` first" in (run.error or "")) == ("failed", True)


def test_what_a_killed_run_left_is_dropped_and_one_at_work_is_left_alone(db: Database, settings: Settings) -> None:
    one_backup(db, settings)
    with administering(db) as admin:
        left = scratch_name(admin, str(db.url.database))
        admin.execute(f"CREATE DATABASE {left}".encode())
        admin.execute(f"CREATE DATABASE {SCRATCH}4294967295".encode())  # of a database that was replaced
    socket = Path(str(db.url.query["host"]))
    other = Database(database_url(socket, left))
    with other.read() as conn:
        conn.execute(text("SELECT 1"))
        run = run_job(db, settings, "verify-backup")
    other.close()
    assert (run.state, "Somebody is connected" in (run.error or "")) == ("failed", True)
    assert scratches(db) == [left]
    run = run_job(db, settings, "verify-backup")
    assert (run.state, run.error) == ("succeeded", None)
    assert scratches(db) == []
    with administering(db) as admin:
        assert (
            admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (f"{SCRATCH}4294967295",)).fetchone() is None
        )


def test_a_stopped_verification_decides_nothing(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_backup(db, settings)
    monkeypatch.setattr("jobs.run.context.RunContext.should_stop", lambda _self: True)
    run = run_job(db, settings, "verify-backup")
    assert "differing" not in run.counters
    assert scratches(db) == []
    assert look(db, settings, "backup.verified").verdict is FAILED
