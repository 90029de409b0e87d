"""The audit trail as a hash chain: sealed whatever the order of commits, and every tampering named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from jobs.core import audit_anchor, audit_seal
from jobs.core.audit import AuditRow, record_many
from jobs.core.audit_anchor import AnchorFile
from jobs.core.audit_chain import Fault, Verdict
from jobs.core.audit_export import csv_rows, export, json_lines, verify_file
from jobs.core.audit_read import Filters, read_links
from jobs.core.audit_seal import Sealer, read_unsealed, seal
from jobs.core.audit_verify import last_verification, verify_trail
from jobs.core.db import Database
from jobs.core.errors import NexaError, UsageError
from jobs.core.settings import Settings
from tests.db.books import run_job

TABLES = ("ops.audit", "ops.audit_chain", "ops.audit_verifications")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "ä", '"', "b c"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


def write(conn: Connection, *names: str, reason: str = "why") -> None:
    """Audit rows, one for each name, as any command writes them."""
    record_many(
        conn,
        [
            AuditRow("ada@nexafx.com", "flag.set", "flag", name, "cli", {"value": 1}, {"value": 2}, reason)
            for name in names
        ],
    )


def written(db: Database, *names: str, reason: str = "why") -> None:
    with db.begin() as conn:
        write(conn, *names, reason=reason)


def verdict(db: Database, anchors: AnchorFile | None = None) -> Verdict:
    return verify_trail(db, anchors.read() if anchors else [], by="test")


def fault(db: Database, anchors: AnchorFile | None = None) -> tuple[Fault, str]:
    """What is broken, and which flag's row it is about."""
    found = verdict(db, anchors).broken
    assert found is not None
    with db.read() as conn:
        name = conn.execute(text("SELECT entity_id FROM ops.audit WHERE id = :id"), {"id": found.audit_id}).scalar()
    return found.fault, name or ""


@contextmanager
def superuser(db: Database) -> Iterator[Connection]:
    """Whoever can switch the triggers off."""
    with db.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        yield conn


@pytest.fixture
def sealed(db: Database) -> Database:
    """Five rows with their links, after those of the migration."""
    written(db, *"abcde")
    seal(db)
    return db


@pytest.fixture
def anchors(tmp_path: Path) -> AnchorFile:
    return AnchorFile(tmp_path / "audit-anchor.jsonl", "embedded/nexafx")


@pytest.mark.parametrize("table", TABLES)
def test_the_database_refuses_to_change_what_proves(sealed: Database, table: str) -> None:
    verdict(sealed)
    with sealed.read() as conn:
        owner, user = conn.execute(
            text("SELECT relowner::regrole::text, current_user::text FROM pg_class WHERE oid = CAST(:t AS regclass)"),
            {"t": table},
        ).one()
    assert owner == user
    column = "actor" if table == "ops.audit" else "hash" if table == "ops.audit_chain" else "broken"
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(DBAPIError, match="append-only"), sealed.begin() as conn:
            conn.execute(text(statement))


def test_every_committed_row_gets_one_link_in_order(sealed: Database) -> None:
    written(sealed, "f")
    assert seal(sealed) == 1
    assert seal(sealed) == 0
    links = list(read_links(sealed))
    assert [link.seq for link in links] == list(range(1, len(links) + 1))
    assert [link.record.entity_id for link in links if link.record][-6:] == list("abcdef")
    assert verdict(sealed).whole


def test_a_row_that_commits_late_is_linked_after_those_with_higher_ids(sealed: Database) -> None:
    with sealed.engine.connect() as slow:
        slow.begin()
        write(slow, "late")
        written(sealed, "early")
        assert seal(sealed) == 1
        slow.commit()
    with sealed.engine.connect() as never:
        never.begin()
        write(never, "rolled back")
        never.rollback()
    written(sealed, "last")
    assert seal(sealed) == 2
    links = list(read_links(sealed))
    assert [link.record.entity_id for link in links if link.record][-3:] == ["early", "late", "last"]
    assert links[-2].audit_id < links[-3].audit_id
    assert verdict(sealed).whole


def test_ids_that_were_rolled_back_are_remembered_up_to_a_bound(
    sealed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_seal, "MOST_HOLES", 3)
    for number in range(5):
        with sealed.engine.connect() as never:
            write(never, "rolled back")
            never.rollback()
        written(sealed, str(number))
        assert seal(sealed) == 1
    with sealed.read() as conn:
        ids = conn.execute(text("SELECT ids FROM ops.audit_unsealed")).scalar_one()
    assert len(ids) == 3
    assert verdict(sealed).whole


def test_several_sealers_and_writers_at_once_leave_one_chain(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_seal, "BATCH", 7)

    def work(number: int) -> None:
        for step in range(12):
            if number % 2:
                seal(db)
            else:
                written(db, *(f"{number}-{step}-{i}" for i in range(5)))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    seal(db)
    found = verdict(db)
    with db.read() as conn:
        rows = conn.execute(text("SELECT count(*) FROM ops.audit")).scalar_one()
        assert read_unsealed(conn).count == 0
    assert (found.broken, found.links) == (None, rows)


def test_writers_do_not_wait_for_a_sealer(sealed: Database) -> None:
    written(sealed, "f")
    with sealed.begin() as sealing:
        audit_seal._seal_batch(sealing)
        with sealed.begin() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '200ms'"))
            write(conn, "g")
    assert seal(sealed) == 1


def test_the_rows_of_before_are_linked_in_batches_at_the_first_start(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_seal, "BATCH", 100)
    with superuser(db) as conn:
        conn.execute(text("DELETE FROM ops.audit"))  # the migration's own, of this moment
        conn.execute(
            text(
                "INSERT INTO ops.audit (at, actor, action, entity, entity_id, origin) SELECT now() - interval '2 years'"
                " + make_interval(hours => i), 'run:1', 'transaction.settled', 'transaction', i::text, 'job'"
                " FROM generate_series(1, 1000) AS i"
            )
        )
    assert seal(db) == 1000
    found = verdict(db)
    assert (found.broken, found.links, found.late) == (None, 1000, 0)


@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(WORDS, VALUES, max_size=3), WORDS, st.datetimes() | st.sampled_from(["infinity", "0044-03-15 BC"])
)
def test_the_database_and_this_side_hash_any_row_alike(db: Database, new: object, words: str, at: object) -> None:
    with db.begin() as conn:
        record_many(conn, [AuditRow(words, words, "'\"\\", words, words, None, new, words)])  # type: ignore[arg-type]
        conn.execute(
            text(
                "INSERT INTO ops.audit (at, actor, action, entity, entity_id, new) VALUES"
                " (CAST(:at AS text)::timestamptz, 'a', 'b', 'c', 'd', '{\"n\": [1e400, 1.00, -0.0, {\"x\": null}]}')"
            ),
            {"at": str(at)},
        )
    assert seal(db) >= 2
    assert verdict(db).whole


def test_a_row_that_was_changed_is_named(sealed: Database) -> None:
    with superuser(sealed) as conn:
        conn.execute(text("UPDATE ops.audit SET reason = 'nothing to see' WHERE entity_id = 'c'"))
    assert fault(sealed) == (Fault.CHANGED, "c")
    with sealed.read() as conn:
        kept = last_verification(conn)
    assert kept is not None
    assert kept.broken is not None
    assert "was changed after it was sealed" in kept.broken


def test_a_row_that_was_deleted_is_named_with_and_without_its_link(sealed: Database) -> None:
    with superuser(sealed) as conn:
        gone = conn.execute(text("DELETE FROM ops.audit WHERE entity_id = 'c' RETURNING id")).scalar_one()
    found = verdict(sealed).broken
    assert found is not None
    assert (found.fault, found.audit_id) == (Fault.GONE, gone)
    with superuser(sealed) as conn:
        conn.execute(text("DELETE FROM ops.audit_chain WHERE audit_id = :id"), {"id": gone})
    assert fault(sealed)[0] is Fault.MISSING


def test_a_row_that_was_put_in_where_the_chain_had_passed_is_named(sealed: Database) -> None:
    with superuser(sealed) as conn:
        conn.execute(text("DELETE FROM ops.audit WHERE entity_id = 'e'"))
        conn.execute(text("DELETE FROM ops.audit_chain WHERE seq = (SELECT max(seq) FROM ops.audit_chain)"))
        conn.execute(
            text(
                "INSERT INTO ops.audit (id, actor, action, entity, entity_id) OVERRIDING SYSTEM VALUE"
                " SELECT max(id) + 1, 'eve@nexafx.com', 'flag.set', 'flag', 'x' FROM ops.audit"
            )
        )
    assert fault(sealed) == (Fault.UNSEALED, "x")


def test_a_tail_that_was_cut_off_shows_at_the_anchor(sealed: Database, anchors: AnchorFile) -> None:
    Sealer(sealed, anchors).step()
    assert verdict(sealed, anchors).whole
    with superuser(sealed) as conn:
        conn.execute(text("DELETE FROM ops.audit WHERE entity_id IN ('d', 'e')"))
        conn.execute(text("DELETE FROM ops.audit_chain WHERE seq > (SELECT max(seq) - 2 FROM ops.audit_chain)"))
    assert verdict(sealed).whole
    assert fault(sealed, anchors)[0] is Fault.CUT
    written(sealed, "f", "g", "h")
    assert fault(sealed, anchors)[0] is Fault.ANCHOR
    with pytest.raises(NexaError, match="cut off or rewritten"):
        Sealer(sealed, anchors).step()
    assert len(anchors.read()) == 1


def test_anchors_are_written_once_a_minute_when_the_chain_has_grown_and_for_their_database_only(
    sealed: Database, anchors: AnchorFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = Sealer(sealed, anchors)
    sealer.step()
    written(sealed, "f")
    sealer.step()
    assert len(anchors.read()) == 1
    assert anchors.path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(audit_anchor, "EVERY", audit_anchor.EVERY * 0)
    sealer.step()
    sealer.step()
    assert len(anchors.read()) == 2
    assert AnchorFile(anchors.path, "db.example:5432/nexafx").read() == []
    with anchors.path.open("ab") as file:
        file.write(b'{"seq": 99')  # the power went
    assert len(anchors.read()) == 2
    with anchors.path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(NexaError, match="is no anchor"):
        anchors.read()


def exported(db: Database, path: Path, filters: Filters | None = None) -> list[dict[str, object]]:
    path.write_bytes(b"".join(export(db, json_lines, filters or Filters())))
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def rewritten(path: Path, lines: Sequence[object]) -> None:
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def test_an_export_verifies_without_the_database_and_shows_any_change(sealed: Database, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    header, *lines = exported(sealed, path)
    assert verify_file(path).whole
    rewritten(path, [header, *lines[:-2], lines[-2] | {"actor": "eve@nexafx.com"}, lines[-1]])
    assert verify_file(path).broken is not None
    rewritten(path, [header, *lines[:-1]])
    found = verify_file(path).broken
    assert found is not None
    assert found.fault is Fault.CUT
    rewritten(path, [header, *lines[:3], *lines[4:]])
    assert not verify_file(path).whole
    rewritten(path, [header, *lines, {"seq": 1}])
    with pytest.raises(UsageError, match=f"Line {len(lines) + 2} of"):
        verify_file(path)
    path.write_text("seq,actor\n")
    with pytest.raises(UsageError, match="is no export of the audit trail"):
        verify_file(path)


def test_an_export_of_a_part_holds_what_fits_and_each_row_proves_itself(sealed: Database, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    header, *lines = exported(sealed, path, Filters(actor="ada@nexafx.com", entity="flag", reason="WHY"))
    assert [line["entity_id"] for line in lines] == list("abcde")
    assert verify_file(path).whole
    rewritten(path, [header, lines[0], lines[2] | {"new": '{"value": 3}'}])
    assert not verify_file(path).whole


def test_exports_hold_no_secret_and_no_formula(sealed: Database, tmp_path: Path) -> None:
    written(sealed, "f", reason='=cmd("x")\x1b[2J see https://h.example/?api_key=abcdefgh1234')
    path = tmp_path / "audit.jsonl"
    line = exported(sealed, path)[-1]
    assert "abcdefgh1234" not in path.read_text()
    assert line["redacted"] == ["reason"]
    assert (verify_file(path).whole, verify_file(path).redacted) == (True, 1)
    table = b"".join(export(sealed, csv_rows, Filters())).decode("utf-8-sig")
    assert "abcdefgh1234" not in table
    assert "'=cmd" in table
    assert "\x1b" not in table


def test_the_nightly_job_verifies_and_fails_by_naming_the_row(sealed: Database, settings: Settings) -> None:
    run = run_job(sealed, settings, "verify-audit")
    assert (run.state, run.counters["links"]) == ("succeeded", run.counters["links"])
    with superuser(sealed) as conn:
        conn.execute(text("UPDATE ops.audit SET actor = 'eve@nexafx.com' WHERE entity_id = 'c'"))
    run = run_job(sealed, settings, "verify-audit")
    assert run.state == "failed"
    assert "was changed after it was sealed" in (run.error or "")
