"""The audit trail as a hash chain: sealed whatever the order of commits, and every tampering named."""

from __future__ import annotations

from sqlalchemy import Connection, text

from jobs.core.audit import AuditRow, record_many
from jobs.core.audit_seal import seal
from jobs.core.audit_verify import verify_trail
from jobs.core.db import Database


def write(conn: Connection, *names: str) -> None:
    record_many(
        conn, [AuditRow("ada@nexafx.com", "flag.set", "flag", name, "cli", None, {"a": 1.50}) for name in names]
    )


def test_x(db: Database) -> None:
    seal(db)
    with db.begin() as conn:
        write(conn, *"abc")
    assert seal(db) == 3
    print(verify_trail(db, [], by="x"))
    assert verify_trail(db, [], by="x").whole
    with db.begin() as conn:
        write(conn, *"abc")
    assert seal(db) == 3
    assert verify_trail(db, [], by="x").whole
    with db.read() as conn:
        print(conn.execute(text("select * from ops.audit_unsealed")).all())
