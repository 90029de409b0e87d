"""A backup is whole, verifies, restores, and is the only file with its name; old ones go, the newest never."""

import os
import stat
import subprocess
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from checklists.checks.model import CheckContext, Verdict
from checklists.checks.registry import run_check
from jobs.core.db import Database
from jobs.core.embedded import programs
from jobs.core.errors import NexaError
from jobs.core.settings import Settings
from jobs.upkeep import backup, dump
from tests.db.books import run_job
from tests.ui import seed


def test_a_backup_passes_its_check_and_restores_to_the_same_rows(
    db: Database, empty_db: Database, settings: Settings
) -> None:
    seed.people(db)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO users (email) SELECT 'u' || i || '@x.com' FROM generate_series(1, 50) i"))
    run = run_job(db, settings, "backup")
    assert (run.state, run.error) == ("succeeded", None)
    folder = settings.home / "backups"
    (file,) = folder.glob("*.dump")
    assert sorted(one.name for one in folder.iterdir()) == [file.name, f"{file.name}.sha256"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run.counters["bytes"] == file.stat().st_size
    now = datetime.now(UTC)
    assert run_check("backup.latest", {}, CheckContext(db, settings, {}, now, now, ())).verdict is Verdict.PASSED
    command = [
        str(programs() / "pg_restore"),
        "--exit-on-error",
        "--no-owner",
        f"--dbname={empty_db.url.database}",
        str(file),
    ]
    environment = {**os.environ, "PGHOST": str(empty_db.url.query["host"]), "PGUSER": "postgres"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    for table in ("users", "ops.people", "ops.audit"):
        counted = []
        for each in (db, empty_db):
            with each.read() as conn:
                counted.append(conn.execute(text(f"SELECT count(*) FROM {table} WHERE true")).scalar_one())
        # The backup's own audit row came after it.
        assert counted[0] - counted[1] in ({0} if table != "ops.audit" else {0, 1, 2, 3})


def test_old_backups_of_this_database_go_and_those_of_others_stay(db: Database, settings: Settings) -> None:
    folder = settings.home / "backups"
    folder.mkdir(parents=True)
    long_ago = time.time() - 15 * 86400
    mine = f"{db.url.database}-20261101T010000Z.dump"
    others = {"by-hand.dump", "nexafx-20261101T010000Z.dump", f"x-{mine}"}
    for name in (mine, f"{mine}.sha256", f"{db.url.database}-20261101T010000Z.part", *others):
        (folder / name).write_text("x")
        os.utime(folder / name, (long_ago, long_ago))
    dry = run_job(db, settings, "backup", dry_run=True)
    assert (dry.state, len(list(folder.iterdir()))) == ("succeeded", 6)
    run = run_job(db, settings, "backup")
    assert run.counters["deleted"] == 1
    left = {file.name for file in folder.iterdir()}
    assert others < left
    assert len(left - others) == 2  # the new one and its checksum
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_lonely_backup_is_never_taken_for_old(db: Database, settings: Settings) -> None:
    run_job(db, settings, "backup")
    (file,) = (settings.home / "backups").glob("*.dump")
    assert backup._old(file.parent, str(db.url.database), file, 0) == []


def test_the_dump_trusts_the_server_no_more_easily_than_the_desk(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    known = dump._environment(db)
    assert (known["PGSSLMODE"], known["PGSSLROOTCERT"]) == ("verify-full", "/etc/ca.pem")


def test_without_a_fitting_pg_dump_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "_wheels", lambda: None)
    monkeypatch.setattr(dump.shutil, "which", lambda _name: None)
    with pytest.raises(NexaError, match="postgresql-client-18"):
        dump.find_pg_dump(18)


def test_a_dump_that_fails_leaves_nothing_and_says_why(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "_environment", lambda _db: {"PGHOST": "/nowhere", "PATH": "/usr/bin"})
    run = run_job(db, settings, "backup")
    assert run.state == "failed"
    assert "pg_dump failed" in (run.error or "")
    assert list((settings.home / "backups").iterdir()) == []
