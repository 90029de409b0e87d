"""A backup is whole, encrypted where there is a key, and the only file with its name; old ones go, the newest never."""

import os
import resource
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from checklists.checks.model import CheckContext, Verdict
from checklists.checks.registry import run_check
from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.core.kept_files import draft_of
from jobs.core.settings import Settings
from jobs.run.execute import execute
from jobs.run.store import request_run, stop_run
from jobs.upkeep import crypt, files, programs
from jobs.upkeep.backup import Backup, make_backup
from jobs.upkeep.heed import Stopped
from tests.db.books import run_job


def one_backup(db: Database, settings: Settings) -> Backup:
    """As `nexaops restore` takes one."""
    return make_backup(
        db, settings, actor="test", origin="cli", should_stop=lambda: False, seen=lambda *_: None
    )  # fmt: skip


def encrypted(settings: Settings) -> Settings:
    key = SecretStr(str(pyrage.x25519.Identity.generate()))
    return settings.model_copy(update={"backup_key": key})


def fill(db: Database, mib: int) -> None:
    """Rows that no compression makes small."""
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE bulk AS SELECT 0 AS n, ''::text AS noise LIMIT 0"))
        conn.execute(
            text(
                "INSERT INTO bulk SELECT i, string_agg(md5(random()::text || i || j), '')"
                " FROM generate_series(1, :rows) i, generate_series(1, 32) j GROUP BY i"
            ),
            {"rows": mib * 1024},
        )


def test_a_backup_passes_its_check_and_says_what_is_in_it(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO users (email) SELECT 'u' || i || '@x.com' FROM generate_series(1, 50) i"))
    run = run_job(db, settings, "backup")
    assert (run.state, run.error) == ("succeeded", None)
    folder = settings.home / "backups"
    (file,) = folder.glob("*.dump")
    assert {one.name for one in folder.iterdir()} == {file.name, f"{file.name}.json", f"{file.name}.sha256"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert run.counters["bytes"] == file.stat().st_size
    manifest, digest = files.read_backup(file)
    assert manifest.tables["users"].rows == 50
    assert "ops.audit" in manifest.tables
    assert run.counters["rows"] == manifest.rows
    now = datetime.now(UTC)
    assert run_check("backup.latest", {}, CheckContext(db, settings, {}, now, now, ())).verdict is Verdict.PASSED
    with db.read() as conn:
        recorded = conn.execute(text("SELECT file, bytes, sha256, encrypted, made_by FROM ops.backups")).one()
    assert tuple(recorded) == (file.name, file.stat().st_size, digest, False, f"run:{run.id}")


def test_an_encrypted_backup_is_read_by_age_and_by_nobody_without_the_key(db: Database, settings: Settings) -> None:
    sealed = encrypted(settings)
    file = one_backup(db, sealed).file
    assert file.name.endswith(".dump.age")
    assert file.read_bytes().startswith(b"age-encryption.org/v1")
    identity = pyrage.x25519.Identity.from_str(sealed.backup_key.get_secret_value())
    assert pyrage.decrypt(file.read_bytes(), [identity]).startswith(b"PGDMP")
    now = datetime.now(UTC)
    assert run_check("backup.latest", {}, CheckContext(db, settings, {}, now, now, ())).verdict is Verdict.PASSED


def test_old_backups_of_this_database_go_and_those_of_others_stay(db: Database, settings: Settings) -> None:
    folder = settings.home / "backups"
    folder.mkdir(parents=True)
    long_ago = time.time() - 15 * 86400
    mine = f"{db.url.database}-20261101T010000Z.dump"
    others = {"by-hand.dump", "nexafx-20261101T010000Z.dump", f"x-{mine}"}
    beside = {f"{mine}.sha256", f"{mine}.json", f"{mine}.part"}
    for name in (mine, *beside, *others):
        (folder / name).write_text("x")
        os.utime(folder / name, (long_ago, long_ago))
    dry = run_job(db, settings, "backup", dry_run=True)
    assert (dry.state, len(list(folder.iterdir()))) == ("succeeded", 7)
    run = run_job(db, settings, "backup")
    assert run.counters["deleted"] == 1
    left = {file.name for file in folder.iterdir()}
    assert others < left
    assert len(left - others) == 3  # the new one and what lies beside it
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_dump_trusts_the_server_no_more_easily_than_the_desk(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    known = programs.environment(db)
    assert (known["PGSSLMODE"], known["PGSSLROOTCERT"]) == ("verify-full", "/etc/ca.pem")


def test_without_a_fitting_program_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_installed", lambda _name: [])
    with pytest.raises(NexaError, match="postgresql-client-18"):
        programs.find_program("pg_dump", 18)


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file of this process, nor of those that it starts, grows beyond `size` bytes: like a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_full_disk_leaves_nothing_behind_and_is_named(db: Database, settings: Settings, sealed: bool) -> None:
    fill(db, 2)
    settings = encrypted(settings) if sealed else settings
    with full_after(300_000), pytest.raises(NexaError, match=r"too large|SIGXFSZ"):
        one_backup(db, settings)
    assert list((settings.home / "backups").iterdir()) == []


def test_a_backup_does_not_begin_where_the_last_would_not_fit(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_backup(db, settings)
    free = os.statvfs(settings.home)
    (file,) = files.backups_of(settings.home / "backups", str(db.url.database))
    os.truncate(file, free.f_bavail * free.f_frsize)  # a hole: it takes no room
    with pytest.raises(NexaError, match=r"as large as the last needs .* MiB free: make room"):
        one_backup(db, settings)


def test_another_backup_of_the_same_name_under_way_is_left_alone(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = settings.home / "backups" / "theirs.dump"
    theirs.parent.mkdir(parents=True)
    draft_of(theirs).write_text("half")
    monkeypatch.setattr(files, "new_name", lambda *_, **__: theirs)
    with pytest.raises(NexaError, match="File exists"):
        one_backup(db, settings)
    assert draft_of(theirs).read_text() == "half"


@pytest.mark.parametrize("sealed", [False, True])
def test_a_stopped_backup_leaves_no_half_file(db: Database, settings: Settings, sealed: bool) -> None:
    fill(db, 2)
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        make_backup(
            db, encrypted(settings) if sealed else settings, actor="test", origin="cli",
            should_stop=lambda: next(asked, True), seen=lambda *_: None,
        )  # fmt: skip
    assert list((settings.home / "backups").iterdir()) == []
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.backups")).scalar_one() == 0


def test_a_backup_that_waits_for_a_lock_ends_when_its_run_is_stopped(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
        run_id = run_in_background(db, settings)
        with db.begin() as other:
            stop_run(other, run_id, "test", "enough", origin="cli")
        assert wait_for(db, run_id) == "stopped"
    assert list((settings.home / "backups").iterdir()) == []


def run_in_background(db: Database, settings: Settings) -> int:
    """A backup that waits for a lock which its test holds."""
    with db.begin() as conn:
        run_id = request_run(conn, job="backup", params={}, dry_run=False, actor="test", queued=False)
    threading.Thread(target=execute, args=(db, settings, run_id), kwargs={"worker_id": None}, daemon=True).start()
    deadline, waiting = time.monotonic() + 20, 0
    while not waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        with db.read() as conn:
            waiting = conn.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
            ).scalar_one()
    assert waiting
    return run_id


def wait_for(db: Database, run_id: int) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with db.read() as conn:
            state = conn.execute(text("SELECT state FROM ops.runs WHERE id = :id"), {"id": run_id}).scalar_one()
        if state != "running":
            return str(state)
        time.sleep(0.1)
    return "running"


def test_a_dump_that_fails_leaves_nothing_and_says_why(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "environment", lambda _db: {"PGHOST": "/nowhere", "PATH": "/usr/bin"})
    run = run_job(db, settings, "backup")
    assert run.state == "failed"
    assert "pg_dump failed" in (run.error or "")
    assert list((settings.home / "backups").iterdir()) == []


def test_memory_stays_small_while_a_backup_is_encrypted(db: Database, settings: Settings, tmp_path: Path) -> None:
    """Sixteen megabytes through a pipe: what is read at once is a piece, not the dump."""
    key, largest = encrypted(settings).backup_key, 0

    class Source:
        left = 16 << 20

        def read(self, size: int = -1) -> bytes:
            nonlocal largest
            assert size > 0, "it wants everything at once"
            largest, size = max(largest, size), min(size, self.left)
            self.left -= size
            return bytes(size)

    with (tmp_path / "sealed").open("wb") as target:
        crypt.seal(Source(), target, key)  # type: ignore[arg-type]
    assert largest <= 1 << 20
    with (tmp_path / "sealed").open("rb") as source, (tmp_path / "open").open("wb") as target:
        crypt.unseal(source, target, key)
    assert (tmp_path / "open").stat().st_size == 16 << 20
