"""Checks of files on this host: the git repository and its documents, commands, backups, settings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from jobs.core.db import Database
from jobs.core.settings import Command, Settings
from tests.db.looking import FAILED, GATHERED, PASSED, UNABLE, look

SEED = "S" + "ABCDEFG2" * 6 + "ABCDEFG"


def git(folder: Path, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b.c",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b.c",
    }
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, env={**os.environ, **identity})


def commit(folder: Path, message: str = "x", **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md").replace("_ts", ".ts").replace("dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(folder, "add", "-A", "--force")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one commit that is pushed."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "clone")
    folder = tmp_path / "clone"
    git(folder, "checkout", "-q", "-b", "main")
    commit(folder, dot_gitignore=".env.*\n!.env.example\n", src__app_ts="export const port = process.env.APP_PORT;\n")
    git(folder, "push", "-q", "-u", "origin", "main")
    return folder


@pytest.fixture
def with_clone(settings: Settings, clone: Path) -> Settings:
    return settings.model_copy(update={"repository": clone})


def test_code_is_pushed_when_nothing_is_left_here(db: Database, with_clone: Settings, clone: Path) -> None:
    assert look(db, with_clone, "repository.pushed").verdict is PASSED
    (clone / "new.ts").write_text("x")
    assert look(db, with_clone, "repository.pushed").summary == "1 file not committed: new.ts."
    commit(clone)
    assert "1 commit not pushed to origin/main" in look(db, with_clone, "repository.pushed").summary
    git(clone, "push", "-q")
    assert look(db, with_clone, "repository.pushed").verdict is PASSED
    git(clone, "checkout", "-q", "--detach")
    assert look(db, with_clone, "repository.pushed").verdict is UNABLE


def test_a_file_of_secrets_must_never_have_been_committed(db: Database, with_clone: Settings, clone: Path) -> None:
    assert look(db, with_clone, "repository.untracked").verdict is PASSED
    commit(clone, services__api__dot_env="", dot_env="x")  # others do not count
    git(clone, "checkout", "-q", "-b", "side")
    (clone / "services" / ".env.production").write_text("DB_PASSWORD=x")
    commit(clone)
    assert look(db, with_clone, "repository.untracked").summary == ".env.production is tracked."
    git(clone, "rm", "-q", "services/.env.production")
    commit(clone)
    git(clone, "checkout", "-q", "main")
    gone = look(db, with_clone, "repository.untracked")
    assert (gone.verdict, "in the history: 2 commits" in gone.summary) == (FAILED, True), "on another branch, deleted"


def test_a_shallow_clone_has_not_shown_its_history(
    db: Database, settings: Settings, clone: Path, tmp_path: Path
) -> None:
    commit(clone)
    git(clone, "push", "-q")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tmp_path}/origin.git", "shallow")
    shallow = settings.model_copy(update={"repository": tmp_path / "shallow"})
    assert look(db, shallow, "repository.untracked").verdict is UNABLE
    assert look(db, shallow, "repository.secrets").verdict is UNABLE


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"const key = '{SEED}';", True),
        ("DB_PASSWORD=correct-horse", True),
        ("url = 'postgres://me:horse-battery@db/nexafx'", True),
        ("const mine = 'the-desks-own-password';", True),
        ("DB_PASSWORD=<secure-password>", False),
        ("password: process.env.DB_PASSWORD,", False),
    ],
)
def test_a_secret_stays_found_after_it_was_taken_out(
    db: Database, with_clone: Settings, clone: Path, line: str, found: bool
) -> None:
    commit(clone, src__keys_ts=f"{line}\n")
    commit(clone, src__keys_ts="nothing\n")
    known = with_clone.model_copy(update={"db_password": SecretStr("the-desks-own-password")})
    seen = look(db, known, "repository.secrets")
    assert (seen.verdict, "src/keys.ts" in seen.summary) == (FAILED if found else PASSED, found), seen
    assert SEED not in str(seen)
    assert "horse" not in str(seen)


def test_changes_since_the_last_tag_and_of_the_api_are_gathered(
    db: Database, with_clone: Settings, clone: Path
) -> None:
    assert look(db, with_clone, "repository.api_changes").verdict is UNABLE
    (clone / "openapi.json").write_text('{"paths": {"/a": {"get": {}}, "/b": {"get": {}}}}')
    commit(clone)
    git(clone, "tag", "v1")
    (clone / "openapi.json").write_text('{"paths": {"/a": {"get": {"parameters": [{"name": "q", "required": true}]}}}}')
    commit(clone, "Take b out")
    changed = look(db, with_clone, "repository.api_changes")
    assert (changed.verdict, changed.output["gone"]) == (GATHERED, ["GET /b"])
    assert changed.output["stricter"] == ["GET /a now requires q"]
    assert "1 commit since v1" in look(db, with_clone, "repository.changes").summary


def test_a_section_of_a_document_needs_a_heading_and_words(db: Database, with_clone: Settings, clone: Path) -> None:
    asked: dict[str, object] = {"title": "runbook|common issues"}
    commit(clone, docs__ops_md="# Ops\n```\n# Runbook\n```\n## Common issues\nsoon\n## Other\nx\n")
    assert "has 1 word" in look(db, with_clone, "documents.section", **asked).summary
    commit(clone, docs__ops_md="# Common issues\n## Horizon is down\n" + "wait and see " * 10)
    found = look(db, with_clone, "documents.section", **asked)
    assert (found.verdict, "docs/ops.md" in found.summary) == (GATHERED, True), found
    assert look(db, with_clone, "documents.section", title="escalation").verdict is FAILED
    assert look(db, with_clone, "documents.links", title="common").verdict is FAILED, "no address stands there"
    commit(clone, docs__ops_md="# Common issues\nSee http://127.0.0.1:9/dashboard.\n")
    dead = look(db, with_clone, "documents.links", title="common")
    assert (dead.verdict, "http://127.0.0.1:9/dashboard" in dead.summary) == (FAILED, True), dead


def test_variables_are_documented_when_all_that_the_code_reads_are(
    db: Database, with_clone: Settings, clone: Path
) -> None:
    names = ["STELLAR_NETWORK"]
    assert look(db, with_clone, "settings.documented", names=names).verdict is FAILED
    (clone / ".env.example").write_text("STELLAR_NETWORK=\n")
    commit(clone)
    assert look(db, with_clone, "settings.documented", names=names).output["missing"] == ["APP_PORT"]
    (clone / ".env.example").write_text("STELLAR_NETWORK=\n# APP_PORT is where it listens\n")
    assert look(db, with_clone, "settings.documented", names=names).verdict is PASSED


def test_an_environment_file_is_for_its_owner_and_complete(db: Database, with_clone: Settings, clone: Path) -> None:
    asked: dict[str, object] = {"names": ["DB_HOST", "DB_PASSWORD"]}
    file = clone / ".env.production"
    file.write_text("DB_HOST=db\nDB_PASSWORD='correct-horse'\n")
    file.chmod(0o640)
    assert "mode 0640" in look(db, with_clone, "settings.env_file", **asked).summary
    file.chmod(0o600)
    good = look(db, with_clone, "settings.env_file", **asked)
    assert (good.verdict, "horse" in str(good)) == (PASSED, False)
    file.write_text("DB_HOST=\nDB_PASSWORD=<secure-password>\n")
    assert "DB_HOST, DB_PASSWORD" in look(db, with_clone, "settings.env_file", **asked).summary


def test_settings_are_set_when_somebody_chose_them(db: Database, settings: Settings) -> None:
    assert look(db, settings, "settings.present", names=["STELLAR_HORIZON_URL"]).verdict is PASSED
    assert look(db, settings, "settings.present", names=["DB_PORT"]).verdict is FAILED, "a default is not a choice"
    assert look(db, settings, "settings.one_of", name="STELLAR_NETWORK", accepted=["CUSTOM"]).verdict is PASSED
    assert look(db, settings, "settings.one_of", name="NODE_ENV", accepted=["production"]).verdict is FAILED
    demo = settings.model_copy(update={"demo": True})
    assert look(db, demo, "settings.present", names=["STELLAR_HORIZON_URL"]).verdict is FAILED
    secret = settings.model_copy(update={"db_password": SecretStr("correct-horse")})
    kept = look(db, secret, "settings.secrets")
    assert (kept.verdict, "horse" in str(kept), "DB_PASSWORD" in str(kept)) == (GATHERED, False, True)


def allow(settings: Settings, folder: Path, **more: object) -> Settings:
    command = Command.model_validate({"cwd": folder, **more})
    return settings.model_copy(update={"commands": {"it": command}, "db_password": SecretStr("correct-horse-battery")})


def test_only_allowed_commands_run_without_a_shell_and_without_our_environment(
    db: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct-horse-battery")
    shown = look(db, allow(settings, tmp_path, argv=["env"]), "commands.run", command="it")
    said = str(shown.output["says"])
    assert shown.verdict is PASSED
    assert {line.partition("=")[0] for line in said.splitlines()} <= {"PATH", "HOME", "LANG"}
    literal = look(
        db, allow(settings, tmp_path, argv=["echo", "$HOME; ls", "\x1b[31mred\x1b[0m"]), "commands.run", command="it"
    )
    assert literal.output["says"] == "$HOME; ls red\n"
    assert look(db, settings, "commands.run", command="it").verdict is UNABLE
    assert look(db, allow(settings, tmp_path, argv=["no-such-program"]), "commands.run", command="it").verdict is UNABLE
    leak = look(db, allow(settings, tmp_path, argv=["echo", "correct-horse-battery"]), "commands.gather", command="it")
    assert (leak.verdict, "horse" in str(leak)) == (GATHERED, False)


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(
    db: Database, settings: Settings, tmp_path: Path
) -> None:
    script = "sleep 30 & echo $! > child; sleep 30"
    slow = allow(settings, tmp_path, argv=["sh", "-c", script], timeout_s=0.5)
    began = time.monotonic()
    found = look(db, slow, "commands.run", command="it")
    assert (found.verdict, time.monotonic() - began < 5) == (FAILED, True), found
    child = int((tmp_path / "child").read_text())
    time.sleep(0.1)
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"
    given_up = look(db, allow(settings, tmp_path, argv=["sleep", "30"]), "commands.run", command="it", timeout_s=0.5)
    assert given_up.verdict in (FAILED, UNABLE)


@pytest.mark.parametrize(
    ("cases", "verdict", "says"),
    [
        ("<testcase/><testcase/>", PASSED, "2 tests passed"),
        ("<testcase/><testcase><failure/></testcase>", FAILED, "1 test failed"),
        ("<testcase><skipped/></testcase>", FAILED, "Only 0 tests ran"),
        ("", FAILED, "Only 0 tests ran"),
        (None, UNABLE, "cannot be read"),
    ],
)
def test_tests_count_only_with_a_report_of_this_run(
    db: Database, settings: Settings, tmp_path: Path, cases: str | None, verdict: object, says: str
) -> None:
    script = "true" if cases is None else f"echo '<testsuite>{cases}</testsuite>' > report.xml"
    tests = allow(settings, tmp_path, argv=["sh", "-c", script], junit="report.xml")
    found = look(db, tests, "commands.run", command="it", tests=1)
    assert (found.verdict, says in found.summary) == (verdict, True), found
    old = tmp_path / "report.xml"
    old.write_text("<testsuite><testcase/></testsuite>")
    os.utime(old, (1, 1))
    stale = allow(settings, tmp_path, argv=["true"], junit="report.xml")
    assert look(db, stale, "commands.run", command="it", tests=1).verdict is UNABLE


def test_a_build_left_its_artifact(db: Database, settings: Settings, tmp_path: Path) -> None:
    build = allow(settings, tmp_path, argv=["true"], artifact="dist/*.js")
    assert look(db, build, "commands.artifact", command="it").verdict is FAILED
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "main.js").write_text("x")
    found = look(db, build, "commands.artifact", command="it")
    assert found.output["sha256"] == {"dist/main.js": hashlib.sha256(b"x").hexdigest()}
    os.utime(tmp_path / "dist" / "main.js", (1, 1))
    assert look(db, build, "commands.artifact", command="it").verdict is FAILED


def test_a_backup_is_fresh_whole_and_has_its_checksum(db: Database, settings: Settings) -> None:
    folder = settings.home / "backups"
    folder.mkdir(parents=True)
    assert look(db, settings, "backup.latest").verdict is FAILED
    dump = folder / "nexafx.dump"
    dump.write_bytes(b"x" * 2048)
    assert look(db, settings, "backup.latest").verdict is UNABLE, "nobody wrote its checksum"
    beside = folder / "nexafx.dump.sha256"
    beside.write_text(f"{hashlib.sha256(b'x' * 2048).hexdigest()}  nexafx.dump\n")
    assert look(db, settings, "backup.latest").verdict is PASSED
    dump.write_bytes(b"y" * 2048)
    assert look(db, settings, "backup.latest").verdict is FAILED, "it was damaged"
    dump.write_bytes(b"x" * 2048)
    os.utime(dump, (time.time() - 90_000,) * 2)
    assert look(db, settings, "backup.latest").verdict is FAILED, "it is older than a day"
    assert look(db, settings, "backup.latest", within="2d").verdict is PASSED
    dump.write_bytes(b"")
    assert look(db, settings, "backup.latest").verdict is FAILED


def test_an_archive_belongs_to_this_run(db: Database, settings: Settings) -> None:
    folder = settings.home / "archives"
    folder.mkdir(parents=True)
    bundle = folder / "incident-7.tar"
    bundle.write_bytes(b"logs")
    (folder / "incident-7.tar.sha256").write_text(hashlib.sha256(b"logs").hexdigest())
    assert look(db, settings, "backup.archive", pattern="incident-*").verdict is PASSED
    os.utime(bundle, (time.time() - 10_000,) * 2)
    assert look(db, settings, "backup.archive", pattern="incident-*").verdict is FAILED


def test_the_host_is_measured(db: Database, settings: Settings) -> None:
    assert look(db, settings, "resources.disk", least_percent=0.01, least_gib=0).verdict is PASSED
    assert look(db, settings, "resources.disk", least_percent=99.9).verdict is FAILED
    assert look(db, settings, "resources.memory", most_percent=0.01).verdict is FAILED
    assert look(db, settings, "resources.cpu", most_percent=100, seconds=0.5).verdict is PASSED
    assert look(db, settings, "resources.disk_io", most_mib_per_s=1e6, seconds=0.5).verdict in (PASSED, UNABLE)
    assert look(db, settings, "resources.disk", paths=["/no/such/folder"]).verdict is UNABLE
