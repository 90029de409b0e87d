"""The page Audit answers: who did what, when and why, and can the trail be trusted?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from dashboard import queries_audit
from dashboard.components.audit_words import Changed, changes
from dashboard.desk import open_desk
from jobs.core.audit import AuditRow, record_many
from jobs.core.audit_export import csv_rows, export
from jobs.core.audit_read import Filters
from jobs.core.audit_seal import seal
from jobs.core.audit_verify import verify_trail
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.db.test_audit_chain import superuser
from tests.ui import money, seed
from tests.ui.desk import run_page, seen

ROW = uuid4()


@pytest.fixture
def auditor(db: Database) -> UUID:
    """Somebody who may read the trail, in which a few things stand."""
    person = seed.person(db, Role.PROJECT_MANAGER)
    with db.begin() as conn:
        record_many(
            conn,
            [
                AuditRow("run:12", "transaction.settled", "transaction", str(ROW), "job",
                         {"status": "PENDING"}, {"status": "SUCCESS", "posting": "DEPOSIT_CREDIT"}, "Included"),
                AuditRow("ada@nexafx.com", "flag.set", "flag", "dryRun", "dashboard",
                         {"value": False}, {"value": True}, "migration tonight"),
                AuditRow("cli:root", "person.added", "person", str(uuid4()), "cli", new={"email": money.SCRIPT}),
            ],
        )  # fmt: skip
    return person


def test_who_may_not_read_the_trail_sees_nothing_of_it(db: Database, settings: Settings, auditor: UUID) -> None:
    page = run_page(db, settings, "audit", seed.person(db, Role.VIEWER))
    assert "You may not read the audit trail" in page.error[0].value
    assert seen(page).count("migration tonight") == 0


def test_a_row_shows_who_what_old_and_new_why_and_from_where(db: Database, settings: Settings, auditor: UUID) -> None:
    seal(db)
    said = seen(run_page(db, settings, "audit", auditor))
    assert "ada@nexafx.com" in said
    assert "from dashboard" in said
    assert "migration tonight" in said
    assert "status </span>PENDING" in said
    assert f'href="/transaction?id={ROW}"' in said
    assert 'href="/run?id=12"' in said
    assert "root at a shell" in said
    assert "<script" not in said


def test_before_the_first_verification_nothing_is_green(db: Database, settings: Settings, auditor: UUID) -> None:
    said = seen(run_page(db, settings, "audit", auditor))
    assert "Nobody has verified the audit trail yet" in said
    assert "nx-chip nx-ok" not in said
    assert ">waits</a>" in said


def test_a_whole_chain_says_until_when_it_was_verified(db: Database, settings: Settings, auditor: UUID) -> None:
    verify_trail(db, [], by="run:7")
    said = seen(run_page(db, settings, "audit", auditor))
    assert "<h1>The audit trail is whole</h1>" in said
    assert "nx-chip nx-ok" in said
    assert 'href="/run?id=7"' in said
    with superuser(db) as conn:
        conn.execute(text("UPDATE ops.audit_verifications SET verified_at = now() - interval '37 hours'"))
    said = seen(run_page(db, settings, "audit", auditor))
    assert "Nobody has verified the audit trail since" in said
    assert "nx-chip nx-ok" not in said


def test_a_broken_chain_comes_first_with_the_row(db: Database, settings: Settings, auditor: UUID) -> None:
    seal(db)
    with superuser(db) as conn:
        conn.execute(text("UPDATE ops.audit SET reason = 'x' WHERE action = 'flag.set'"))
    verify_trail(db, [], by="run:7")
    said = seen(run_page(db, settings, "audit", auditor))
    assert "The audit trail is broken, found at" in said
    assert "its row was changed after it was sealed" in said


def test_rows_that_nobody_seals_are_told(db: Database, settings: Settings, auditor: UUID) -> None:
    verify_trail(db, [], by="run:7")
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.audit (at, actor, action, entity, entity_id)"
                " VALUES (now() - interval '5 minutes', 'ada@nexafx.com', 'flag.set', 'flag', 'dryRun')"
            )
        )
    said = seen(run_page(db, settings, "audit", auditor))
    assert "no worker seals" in said
    assert "whole, rows wait" in said


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"actor": "ada@nexafx.com"}, {"flag.set"}),
        ({"actor": "run:12"}, {"transaction.settled"}),
        ({"action": "person.added"}, {"person.added"}),
        ({"entity": "transaction", "entity_id": str(ROW)}, {"transaction.settled"}),
        ({"reason": "TONIGHT"}, {"flag.set"}),
        ({"since": f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}", "entity": "flag"}, {"flag.set"}),
        ({"until": f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"}, set()),
        ({"actor": "nobody\x00"}, set()),
    ],
)
def test_the_trail_is_narrowed_by_what_stands_in_the_address(
    db: Database, settings: Settings, auditor: UUID, query: dict[str, str], shown: set[str]
) -> None:
    said = seen(run_page(db, settings, "audit", auditor, **query))
    for action in ("flag.set", "transaction.settled", "person.added"):
        assert (f'title="{action}"' in said) == (action in shown), action
    assert ("Nothing fits these filters" in said) == (not shown)


def test_long_trails_are_walked_by_key(
    db: Database, settings: Settings, auditor: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_audit, "PAGE", 2)
    said = seen(run_page(db, settings, "audit", auditor))
    assert 'title="transaction.settled"' not in said
    older = int(said.partition("before=")[2].partition('"')[0])
    said = seen(run_page(db, settings, "audit", auditor, before=str(older)))
    assert 'title="transaction.settled"' in said
    assert 'title="flag.set"' not in said


def test_one_row_shows_its_hashes_and_everything_about_the_same_thing(
    db: Database, settings: Settings, auditor: UUID
) -> None:
    seal(db)
    with db.read() as conn:
        row = conn.execute(
            text("SELECT a.id, encode(c.hash, 'hex') AS hash FROM ops.audit a JOIN ops.audit_chain c ON c.audit_id = a.id"
                 " WHERE action = 'flag.set'")
        ).one()  # fmt: skip
    said = seen(run_page(db, settings, "audit", auditor, row=str(row.id)))
    assert row.hash in said
    assert "after its own time" in said
    assert "There is no such row" in seen(run_page(db, settings, "audit", auditor, row="<b>"))


def test_a_download_holds_the_newest_that_fit(
    db: Database, settings: Settings, auditor: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_desk(settings, db)
    seal(db)
    monkeypatch.setattr(queries_audit, "EXPORTED", 2)
    with db.read() as conn:
        after = queries_audit.export_after(conn, Filters())
    table = b"".join(export(db, csv_rows, Filters(), after=after)).decode("utf-8-sig").splitlines()
    assert len(table) == 3
    assert "flag.set" in table[1]
    assert "person.added" in table[2]


def test_changes_are_named_once_without_what_stayed_and_without_secrets() -> None:
    found = changes({"a": 1, "same": 2, "gone": None}, {"a": "x", "same": 2, "password": "hunter2", "list": [1, "ä"]})
    assert found == (
        Changed("a", "1", "x"),
        Changed("gone", "none", None),
        Changed("password", None, "[redacted]"),
        Changed("list", None, '[1, "ä"]'),
    )


def test_what_a_person_did_is_offered_however_much_came_since(
    db: Database, settings: Settings, auditor: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rare actions stand behind many rows of their own kind, and ids say nothing of age."""
    monkeypatch.setattr(queries_audit, "RECENT", 3)
    monkeypatch.setattr(queries_audit, "OF_EACH", 2)
    rows = [AuditRow("eve@nexafx.com", "flag.cleared", "flag", "a", "dashboard")]
    rows += [AuditRow(f"run:{n}", "flag.set", "flag", f"z{n}", "job") for n in range(5)]
    with db.begin() as conn:
        record_many(conn, rows)
    box = run_page(db, settings, "audit", auditor).selectbox(key="action")
    assert {"flag.cleared", "flag.set", "person.added", "transaction.settled"} <= set(box.options)
    assert "newest 3 rows" in box.help
