"""`nexaops audit` as somebody at a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from jobs.core.audit_cli import app
from jobs.core.db import Database
from jobs.core.errors import NexaError
from tests.db.test_audit_chain import superuser, written


@pytest.fixture(autouse=True)
def _shell(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell on this database."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
        "NEXAOPS_HOME": str(tmp_path / "home"),
    }.items():
        monkeypatch.setenv(name, value)
    written(db, *"abc")


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_verify_ends_with_the_head_and_writes_it_down(tmp_path: Path) -> None:
    first = audit("verify")
    assert first.exit_code == 0, first.output
    assert "links are in order, up to link" in first.output
    assert "No head written down outside" in first.output
    anchor = json.loads((tmp_path / "home" / "audit-anchor.jsonl").read_text())
    second = json.loads(audit("verify", "--json").output)
    assert (second["ok"], second["anchors_met"], second["broken"], second["unsealed"]) == (True, 1, None, 0)
    assert second["head"] == {"seq": anchor["seq"], "hash": anchor["hash"]}


def test_a_broken_row_is_named_with_exit_code_one(db: Database) -> None:
    assert audit("verify").exit_code == 0
    with superuser(db) as conn:
        row = conn.execute(text("UPDATE ops.audit SET actor = 'eve' WHERE entity_id = 'b' RETURNING id")).scalar_one()
    done = audit("verify")
    assert done.exit_code == 1
    assert isinstance(done.exception, NexaError)
    assert f"(row {row} of the audit trail): its row was changed after it was sealed" in str(done.exception)
    done = audit("verify", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output)["broken"]["fault"] == "changed"


def test_an_export_verifies_offline_against_an_anchor_from_elsewhere(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, anchor = tmp_path / "audit.jsonl", tmp_path / "home" / "audit-anchor.jsonl"
    assert audit("verify").exit_code == 0
    done = audit("export", "--format", "json", "-o", str(file))
    assert done.exit_code == 0, done.output
    for name in ("DB_HOST", "STELLAR_HORIZON_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NEXAOPS_HOME", "/proc/nowhere")
    done = audit("verify", "--file", str(file), "--anchor", str(anchor))
    assert done.exit_code == 0, done.output
    assert "1 head was met as written down outside of the database" in done.output
    anchor.write_text(anchor.read_text().replace('"hash":"', '"hash":"00')[:-1].replace('00"', '"') + "\n")
    assert audit("verify", "--file", str(file), "--anchor", str(anchor)).exit_code == 1


def test_an_export_is_narrowed_and_wrong_words_are_told(tmp_path: Path) -> None:
    file = tmp_path / "audit.csv"
    done = audit("export", "--format", "csv", "-o", str(file), "--entity", "flag:b", "--since", "2026-01-01")
    assert done.exit_code == 0, done.output
    lines = file.read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("seq,sealed_at,id,at,actor,action")
    assert len(lines) == 2
    assert "1 row written" in done.output
    assert "is no time" in str(audit("export", "--format", "csv", "-o", str(file), "--since", "soon").exception)
    missing = audit("export", "--format", "csv", "-o", str(tmp_path / "none" / "audit.csv"))
    assert "cannot be written" in str(missing.exception)
