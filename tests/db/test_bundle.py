"""The incident bundle: everything of a time, whole, bounded, and without a secret or a person's data in it."""

from __future__ import annotations

import hashlib
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from checklists.checks.model import CheckContext, Verdict
from checklists.checks.registry import run_check
from jobs.alerts import bundle as room
from jobs.alerts.bundle import INCIDENT_BUNDLE, MANIFEST
from jobs.alerts.incidents import add_note
from jobs.alerts.parts import PARTS, Part
from jobs.cli import app
from jobs.core.audit import AuditRow, record
from jobs.core.db import Database, jsonb
from jobs.core.errors import UsageError
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.probes.series import write_samples
from jobs.run.store import RunRow
from tests.db.books import add_row, add_user, run_job
from tests.ui import seed
from tests.ui.alerts import a_rule, an_alert, an_incident, someone

CANARIES = {
    "password": "canary-password-1",
    "webhook": "whsec_Y2FuYXJ5LXdlYmhvb2stc2VjcmV0LTEyMzQ=",
    "forge": "ghp_canaryforge12345",
    "channel": "canarychannel98765",
    "horizon": "canaryhorizon4711",
    "command": "canary-command-1",
    "quoted": 'canary "quoted" \\ 1',
}
SEED = "SCZANGBA5YHTNYVVV4C3U252E2B6P6F5T3U6MM63WBSBZATAQI3EBTQ4"


@pytest.fixture
def secretive(settings: Settings) -> Settings:
    """Settings in which a secret stands wherever one can."""
    return Settings.model_validate(
        {
            "STELLAR_HORIZON_URL": (f"https://h.example/{CANARIES['horizon']}",),
            "STELLAR_NETWORK": "TESTNET",
            "DB_PASSWORD": CANARIES["password"],
            "NEXAOPS_HOME": settings.home,
            "NEXAOPS_WEBHOOK_URL": f"https://hooks.example/x?token={CANARIES['channel']}",
            "NEXAOPS_WEBHOOK_SECRET": CANARIES["webhook"],
            "NEXAOPS_FORGE_TOKEN": CANARIES["forge"],
            "NEXAOPS_NOTICE_URLS": f"slack://{CANARIES['channel']}/b/c",
            "NEXAOPS_COMMANDS": orjson.dumps({"lint": {"argv": ["x", CANARIES["command"]]}}).decode(),
        }
    )


def opened(settings: Settings) -> tuple[zipfile.ZipFile, Path]:
    (file,) = (settings.home / "bundles").glob("*.zip")
    return zipfile.ZipFile(file), file


def rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in archive.read(name).splitlines()]


def made(db: Database, settings: Settings, **params: object) -> RunRow:
    run = run_job(db, settings, INCIDENT_BUNDLE, **params)
    assert run.state == "succeeded", run.error
    return run


def test_a_bundle_is_whole_private_and_proves_itself(db: Database, settings: Settings) -> None:
    seed.living(db, trouble=True)
    run = made(db, settings)
    archive, file = opened(settings)
    assert archive.testzip() is None
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    manifest = orjson.loads(archive.read(MANIFEST))
    assert {one["name"] for one in manifest["members"]} | {MANIFEST} == set(archive.namelist())
    for one in manifest["members"]:
        content = archive.read(one["name"])
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (one["sha256"], one["bytes"]), one["name"]
        assert not one["cut"]
    assert manifest["run"] == run.id
    assert run.counters["members"] == len(PARTS) + 2
    failed = [row for row in rows(archive, "runs.jsonl") if row["state"] == "failed"]
    assert failed
    assert "Horizon answers 503" in failed[0]["error"]
    for name in ("horizon_samples.jsonl", "flags.jsonl", "schedules.jsonl", "workers.jsonl", "audit.jsonl"):
        assert rows(archive, name), name
    assert "postgresql" in orjson.loads(archive.read("versions.json"))
    with db.read() as conn:
        said = conn.execute(text("SELECT fields FROM ops.run_logs WHERE event = 'the bundle is made'")).scalar_one()
        kept = conn.execute(text("SELECT new FROM ops.audit WHERE action = 'bundle.made'")).scalar_one()
    assert said["file"] == str(file)
    assert (kept["file"], kept["sha256"]) == (file.name, hashlib.sha256(file.read_bytes()).hexdigest())


def test_no_secret_of_the_settings_and_nothing_that_looks_like_one_is_in_it(db: Database, secretive: Settings) -> None:
    secretive = secretive.model_copy(update={"forge_token": SecretStr(CANARIES["quoted"])})
    said = " ".join([*CANARIES.values(), SEED])
    with db.begin() as conn:
        run_id = conn.execute(
            text(
                "INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt, queued_at, started_at, finished_at, params,"
                " error, trace, reason) VALUES ('x', 'manual', 'ada', 'failed', 1, now(), now(), now(), :params, :said, :said,"
                " :said) RETURNING id"
            ),
            {"params": jsonb({"password": "canary-by-key", "deep": [{"said": said}]}), "said": said},
        ).scalar_one()
        conn.execute(
            text("INSERT INTO ops.run_logs (run_id, level, event, fields) VALUES (:id, 'error', :said, :fields)"),
            {"id": run_id, "said": said, "fields": jsonb({"token": "canary-by-key", "url": f"https://a:{said}@b/"})},
        )
        record(conn, AuditRow("ada", "x.y", "x", "1", "test", {"said": said}, {"seed": "canary-by-key"}, said))
    made(db, secretive)
    archive, _ = opened(secretive)
    assert any(row["error"] for row in rows(archive, "runs.jsonl")), "the lines are there"
    shown = "\n".join(archive.read(name).decode() for name in archive.namelist())
    for canary in (CANARIES["password"], CANARIES["webhook"], CANARIES["channel"], CANARIES["horizon"], SEED,
                   "canary-by-key", 'canary \\"quoted\\"'):  # fmt: skip
        assert canary not in shown, canary
    about = orjson.loads(archive.read("settings.json"))
    assert (about["DB_PASSWORD"], about["NEXAOPS_NOTICE_URLS"], about["NEXAOPS_COMMANDS"]) == ("set", ["set"], ["lint"])
    assert about["STELLAR_HORIZON_URL"] == ["https://h.example"]


def test_of_people_and_their_money_it_holds_ids_alone(db: Database, settings: Settings) -> None:
    transaction = add_row(db, add_user(db))
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.reconciliation_cases (transaction_id, reason, details) VALUES (:id, 'NO_HASH', :details)"
            ),
            {"id": transaction, "details": jsonb({"memo": "canary-memo"})},
        )
        record(conn, AuditRow("ada", "contact.saved", "contact", "On-Call", "test", None, {"phone": "canary-phone"}))
    made(db, settings)
    archive, _ = opened(settings)
    (case,) = rows(archive, "open_cases.jsonl")
    assert (case["transaction_id"], set(case)) == (str(transaction), {"id", "transaction_id", "reason", "opened_at"})
    shown = "\n".join(archive.read(name).decode() for name in archive.namelist())
    assert "canary" not in shown
    assert "contact.saved" in shown


def test_it_holds_the_time_that_was_asked_for(db: Database, settings: Settings) -> None:
    seed.living(db)
    now = datetime.now(UTC)
    since, until = now - timedelta(hours=1), now - timedelta(minutes=30)
    made(db, settings, since=since.isoformat(), until=until.replace(tzinfo=None).isoformat())
    archive, _ = opened(settings)
    found = [datetime.fromisoformat(row["finished_at"]) for row in rows(archive, "runs.jsonl") if row["finished_at"]]
    assert found
    assert min(found) >= since - timedelta(seconds=1)
    starts = [datetime.fromisoformat(row["queued_at"]) for row in rows(archive, "runs.jsonl")]
    assert max(starts) < until


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"since": "2026-11-02T00:00Z", "until": "2026-11-01T00:00Z"}, "the beginning is not before the end"),
        ({"since": "2020-01-01T00:00Z"}, "longer than 31 days"),
        ({"since": "yesterday"}, "since: "),
    ],
)
def test_a_time_that_makes_no_sense_is_told_in_a_sentence(
    db: Database, settings: Settings, params: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run_job(db, settings, INCIDENT_BUNDLE, **params)


def test_what_would_be_too_much_is_cut_and_the_manifest_says_so(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed.living(db)
    runs, flags = (next(part for part in PARTS if part.name == name) for name in ("runs.jsonl", "flags.jsonl"))
    monkeypatch.setattr(room, "PARTS", (Part(runs.name, runs.statement, 3), flags))
    made(db, settings)
    archive, file = opened(settings)
    members = {one["name"]: one for one in orjson.loads(archive.read(MANIFEST))["members"]}
    assert (members["runs.jsonl"]["cut"], members["runs.jsonl"]["rows"]) == (True, 3)
    assert not members["flags.jsonl"]["cut"]
    file.unlink()
    monkeypatch.setattr(room, "MOST_BYTES", 30_000)
    monkeypatch.setattr(room, "PARTS", (runs,))
    made(db, settings)
    archive, _ = opened(settings)
    assert sum(info.file_size for info in archive.infolist() if info.filename != MANIFEST) <= 30_000


def test_old_bundles_go_and_a_folder_that_takes_nothing_is_said(db: Database, settings: Settings) -> None:
    folder = settings.home / "bundles"
    folder.mkdir(parents=True)
    old = folder / "incident-20260101T000000Z-run1.zip"
    for file in (old, old.with_name(f"{old.name}.sha256"), folder / "notes.zip"):
        file.write_bytes(b"x")
        os.utime(file, (0, 0))
    assert made(db, settings).counters["deleted"] == 1
    assert sorted(file.suffix for file in folder.iterdir()) == [".sha256", ".zip", ".zip"]
    wrong = settings.model_copy(update={"home": settings.home / "a-file"})
    wrong.home.write_text("")
    run = run_job(db, wrong, INCIDENT_BUNDLE)
    assert (run.state, run.error_class) == ("failed", "NexaError")
    assert "cannot be written" in (run.error or "")


def test_a_dry_run_writes_nothing(db: Database, settings: Settings) -> None:
    assert run_job(db, settings, INCIDENT_BUNDLE, dry_run=True).state == "succeeded"
    assert not (settings.home / "bundles").exists()


def test_the_bundle_proves_that_the_data_were_preserved(db: Database, settings: Settings) -> None:
    now = datetime.now(UTC)
    context = CheckContext(db, settings, {}, now - timedelta(minutes=5), now + timedelta(minutes=1), ())
    wanted = {"pattern": "incident-*.zip", "folder": "bundles"}
    before = run_check("backup.archive", wanted, context)
    assert (before.verdict, before.mend) == (Verdict.FAILED, "Run the job incident-bundle.")
    made(db, settings)
    assert run_check("backup.archive", wanted, context).verdict is Verdict.PASSED


def test_the_command_names_the_file_it_made(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_socket: Path
) -> None:
    for name, given in {
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9", "STELLAR_NETWORK": "TESTNET", "DB_HOST": str(server_socket),
        "DB_NAME": str(db.url.database), "NEXAOPS_HOME": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, given)
    shown = CliRunner().invoke(app, ["bundle", "--since", (datetime.now(UTC) - timedelta(hours=1)).isoformat()])
    assert shown.exit_code == 0, shown.output
    (file,) = (tmp_path / "bundles").glob("*.zip")
    assert shown.stdout.splitlines()[-1].strip() == str(file)
    wrong = CliRunner().invoke(app, ["bundle", "--since", "yesterday"])
    assert isinstance(wrong.exception, UsageError)
    assert "since: " in str(wrong.exception)


def test_the_samples_of_the_time_are_in_it_and_what_a_killed_run_left_goes(db: Database, settings: Settings) -> None:
    folder = settings.home / "bundles"
    folder.mkdir(parents=True)
    for name, days in (("incident-left.zip.part", 2), ("incident-under-way.zip.part", 0)):
        (folder / name).write_bytes(b"half")
        then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(folder / name, (then, then))
    with db.begin() as conn:
        write_samples(conn, "host-1", {"host.cpu_ratio": 0.97})
        conn.execute(text("INSERT INTO ops.samples SELECT series, at - interval '7 hours', 0.1 FROM ops.samples"))
    made(db, settings)
    archive, _ = opened(settings)
    assert [(row["subject"], row["metric"], row["value"]) for row in rows(archive, "samples.jsonl")] == [
        ("host-1", "host.cpu_ratio", 0.97)
    ]
    assert [file.name for file in folder.glob("*.part")] == ["incident-under-way.zip.part"]


def test_the_alerts_and_incidents_of_the_time_are_in_it_with_what_was_read_and_written(
    db: Database, settings: Settings
) -> None:
    ada = seed.person(db, Role.ON_CALL, name="Ada")
    a_rule(db)
    alert = an_alert(db)
    number = an_incident(db, ada, alerts=(alert,))
    with db.begin() as conn:
        add_note(conn, number, "it answers 503", someone(db, ada), origin="test")
        conn.execute(
            text(
                "INSERT INTO ops.alert_readings (signal, subject, at, value)"
                " SELECT 'job.failures', 'x', now() - h * interval '1 hour 1 second', h FROM generate_series(1, 9) h"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.silences (kind, title, starts_at, ends_at, reason, created_by) VALUES"
                " ('silence', 'now', now(), now() + interval '1 hour', 'they know', 'ada'),"
                " ('silence', 'long ago', now() - interval '9 days', now() - interval '8 days', 'they knew', 'ada')"
            )
        )
    made(db, settings)
    archive, _ = opened(settings)
    assert [row["id"] for row in rows(archive, "alerts.jsonl")] == [alert]
    assert [row["title"] for row in rows(archive, "silences.jsonl")] == ["now"]
    (incident,) = rows(archive, "incidents.jsonl")
    assert (incident["alerts"], incident["entries"][0]["body"]) == ([alert], "it answers 503")
    # Five within six hours, and the one before that stood when they began.
    assert [row["value"] for row in rows(archive, "alert_readings.jsonl")] == [1, 2, 3, 4, 5, 6]
