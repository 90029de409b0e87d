"""`nexaops restore` in the eyes of who needs it: what is lost is shown, the old one stays, a failure changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from jobs.cli import app
from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError, UsageError
from jobs.core.settings import Settings
from jobs.upkeep import restore as restoring
from jobs.upkeep.databases import administering
from jobs.upkeep.manifest import BadBackup
from tests.db.books import add_run
from tests.db.test_backup import encrypted, one_backup
from tests.db.test_verify_backup import rewrite_manifest, scratches


@pytest.fixture
def desk(db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, server_socket: Path) -> Iterator[Settings]:
    """Settings in the environment that lead to the test's database; what is left of old ones goes afterwards."""
    for name, value in {
        "DB_HOST": str(server_socket), "DB_NAME": str(db.url.database), "NEXAOPS_HOME": str(settings.home),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9", "STELLAR_NETWORK": "TESTNET",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("jobs.upkeep.cli.configure_logging", lambda *_, **__: None)
    yield settings
    with administering(db) as admin:
        for (left,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{db.url.database}_before_%",)
        ).fetchall():
            admin.execute(f"DROP DATABASE {left} WITH (FORCE)".encode())


def emails(db: Database) -> set[str]:
    with db.read() as conn:
        return set(conn.execute(text("SELECT email FROM users")).scalars())


def add(db: Database, email: str) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO users (email) VALUES (:email)"), {"email": email})


def settle_one(db: Database) -> None:
    """A run and its decisions, of which one settled something."""
    run_id = add_run(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.decisions (run_id, transaction_id, dry_run, verdict, reason, proof)"
                " SELECT :run, gen_random_uuid(), verdict = 'failed', verdict, 'x', '{}'"
                " FROM unnest(ARRAY['success', 'failed', 'keep', 'case']) AS v (verdict)"
            ),
            {"run": run_id},
        )


def rights_of(db: Database) -> set[str]:
    with db.read() as conn:
        rights = conn.execute(text("SELECT unnest(datacl)::text FROM pg_database WHERE datname = current_database()"))
        return set(rights.scalars())


def call(*arguments: str) -> str:
    """What the command prints; raises what ends it."""
    result = CliRunner().invoke(app, ["restore", *arguments], catch_exceptions=False)
    return result.output


def test_the_database_is_as_it_was_and_the_old_one_stays(
    db: Database, desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.core.db.REST_S", 0.0)  # as if everybody had rested: see test_connections.py
    add(db, "before@x.com")
    name = str(db.url.database)
    with administering(db) as admin:
        admin.execute(f"ALTER DATABASE {name} SET work_mem = '7MB'".encode())
        admin.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC".encode())
    rights = rights_of(db)
    file = one_backup(db, desk).file
    add(db, "after@x.com")
    settle_one(db)
    application = Database(db.url)
    with application.engine.connect() as connected:
        connected.execute(text("SELECT 1"))
        said = call(file.name, "--database", name, "--yes")
        with pytest.raises(OperationalError):
            connected.execute(text("SELECT 1"))
    assert emails(application) == emails(db) == {"before@x.com"}, "who was cut off comes back to the new one"
    application.close()
    assert "users" in said
    assert "Safety copy" in said
    assert "runs 1, settled transactions 1, rows of the audit trail" in " ".join(said.split())
    kept = next(word.rstrip(":") for word in said.split() if word.startswith(f"{name}_before_"))
    old = Database(db.url.set(database=kept))
    assert emails(old) == {"before@x.com", "after@x.com"}
    old.close()
    with db.read() as conn:
        assert conn.execute(text("SHOW work_mem")).scalar_one() == "7MB"
        audited = conn.execute(
            text("SELECT actor, new ->> 'file' FROM ops.audit WHERE action = 'database.restored'")
        ).one()
        assert audited[0].startswith("cli:")
        assert audited[1] == file.name
    assert rights_of(db) == rights
    assert scratches(db) == []
    # And back again: the safety copy holds what was there before.
    copies = sorted(file.parent.glob("*.dump"))
    monkeypatch.setattr("jobs.upkeep.cli.at_a_terminal", lambda: True)
    CliRunner().invoke(app, ["restore", str(copies[-1]), "--no-safety-copy"], input=f"{name}\n", catch_exceptions=False)
    assert emails(db) == {"before@x.com", "after@x.com"}


def test_an_encrypted_backup_restores_into_an_empty_database(
    db: Database, empty_db: Database, desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(db, "before@x.com")
    sealed = encrypted(desk)
    file = one_backup(db, sealed).file
    empty = str(empty_db.url.database)
    monkeypatch.setenv("DB_NAME", empty)
    with pytest.raises(UsageError, match="encrypted: set NEXAOPS_BACKUP_KEY"):
        call(str(file), "--database", empty, "--yes")
    monkeypatch.setenv("NEXAOPS_BACKUP_KEY", sealed.backup_key.get_secret_value())
    said = call(str(file), "--database", empty, "--yes")
    assert "nothing in it that could be lost" in said
    assert emails(empty_db) == {"before@x.com"}
    with administering(db) as admin:
        for (left,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{empty}_before_%",)
        ).fetchall():
            admin.execute(f"DROP DATABASE {left}".encode())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Nobody can be asked here"),
        (("--yes",), "Nobody can be asked here"),
        (("--database", "other", "--yes"), "not other: nothing was changed"),
    ],
)
def test_where_nobody_can_be_asked_the_name_has_to_be_given(
    db: Database, desk: Settings, arguments: tuple[str, ...], sentence: str
) -> None:
    file = one_backup(db, desk).file
    with pytest.raises(UsageError, match=sentence) as refused:
        call(str(file), *arguments)
    assert refused.value.exit_code == 2
    assert len(list(file.parent.glob("*.dump"))) == 1, "not even a safety copy was taken"


def test_another_name_than_the_databases_changes_nothing(
    db: Database, desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = one_backup(db, desk).file
    add(db, "after@x.com")
    monkeypatch.setattr("jobs.upkeep.cli.at_a_terminal", lambda: True)
    result = CliRunner().invoke(app, ["restore", str(file)], input="nexafx\n")
    assert isinstance(result.exception, UsageError)
    assert "Type the database's name" in result.output
    assert emails(db) == {"after@x.com"}


def test_it_refuses_while_a_worker_beats(db: Database, desk: Settings) -> None:
    file = one_backup(db, desk).file
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.workers (id, host, pid, version, concurrency) VALUES (:id, 'desk-2', 1, '0', 1)"),
            {"id": uuid4()},
        )
    with pytest.raises(Conflict, match="A worker runs on desk-2: stop it first"):
        call(str(file), "--database", str(db.url.database), "--yes")


def test_a_copy_that_differs_is_never_put_in_place(db: Database, desk: Settings) -> None:
    add(db, "before@x.com")
    file = one_backup(db, desk).file
    add(db, "after@x.com")
    rewrite_manifest(file, '"users": {\n   "rows": 1', '"users": {\n   "rows": 2')
    with pytest.raises(BadBackup, match="users has 1 rows instead of 2"):
        call(str(file), "--database", str(db.url.database), "--yes")
    assert emails(db) == {"before@x.com", "after@x.com"}
    assert scratches(db) == []


def test_a_failure_at_the_last_moment_leaves_the_old_one(
    db: Database, desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = one_backup(db, desk).file
    add(db, "after@x.com")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring, "swap", killed)
    result = CliRunner().invoke(app, ["restore", str(file), "--database", str(db.url.database), "--yes"])
    assert result.exit_code != 0
    assert emails(db) == {"after@x.com"}
    assert scratches(db) == []


def test_a_newer_backup_asks_for_an_upgrade_first(db: Database, desk: Settings) -> None:
    file = one_backup(db, desk).file
    said = file.with_name(f"{file.name}.json").read_text()
    (line,) = [line for line in said.splitlines() if '"revision"' in line]
    rewrite_manifest(file, line, ' "revision": "9999",')
    with pytest.raises(NexaError, match=r"newer version of nexaops.*upgrade first"):
        call(str(file), "--database", str(db.url.database), "--yes")


def test_a_file_that_is_no_backup_is_refused_in_a_sentence(db: Database, desk: Settings, tmp_path: Path) -> None:
    (tmp_path / "some.dump").write_text("x")
    with pytest.raises(BadBackup, match="a backup is three files"):
        call(str(tmp_path / "some.dump"), "--database", str(db.url.database), "--yes")
    with pytest.raises(UsageError, match=r"There is no other\.dump"):
        call("other.dump", "--database", str(db.url.database), "--yes")


def test_whoever_may_not_create_a_database_learns_what_to_run(db: Database) -> None:
    role = f"poor_{uuid4().hex[:8]}"
    with administering(db) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            with psycopg.connect(admin.info.dsn, user=role, autocommit=True) as poor, pytest.raises(
                NexaError, match=f"ALTER ROLE {role} CREATEDB"
            ):  # fmt: skip
                restoring.create_like(poor, f"{role}_x", str(db.url.database), whole=False)
        finally:
            admin.execute(f"DROP ROLE {role}".encode())
