"""Cases, and the locks of a run: opened once, taken over only from the dead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.reconcile.cases import open_cases
from jobs.reconcile.picture import CaseReason, Decision, Verdict
from jobs.reconcile.settle import Attempt
from jobs.reconcile.store import Wanted, alive, hold_batch, release
from tests.db.books import add_row, add_run, add_user, attempt_of, count, open_reasons, value

WANTED = Wanted("PENDING")


@pytest.fixture
def attempt(db: Database) -> Iterator[Attempt]:
    found = attempt_of(db, add_run(db))
    with alive(db, found.owner):
        yield found


def raise_case(db: Database, attempt: Attempt, reason: CaseReason = CaseReason.NO_HASH) -> set[UUID]:
    """A case for every row that the attempt can hold."""
    with db.begin() as conn:
        held = hold_batch(conn, WANTED, owner=attempt.owner, after=None, limit=100)
        decision = Decision(Verdict.CASE, reason, "No hash was saved.", {"expected": {}})
        opened = open_cases(conn, attempt, [(item.row, decision) for item in held])
        release(conn, attempt.owner, [item.row.id for item in held])
    return opened


def test_a_reason_is_open_once_and_another_reason_is_another_case(db: Database, attempt: Attempt) -> None:
    row = add_row(db, add_user(db))
    assert raise_case(db, attempt) == {row}
    assert raise_case(db, attempt) == set()
    assert raise_case(db, attempt, CaseReason.INVALID_HASH) == {row}
    assert open_reasons(db, row) == ["INVALID_HASH", "NO_HASH"]
    assert value(db, "SELECT count(*) FROM ops.audit WHERE action = 'case.opened'") == 2
    assert value(db, "SELECT count(*) FROM ops.decisions WHERE verdict = 'case'") == 2


def test_a_batch_is_held_oldest_first_and_by_one_run_only(db: Database, attempt: Attempt) -> None:
    user = add_user(db)
    rows = [add_row(db, user, age=timedelta(hours=hours)) for hours in (1, 3, 2)]
    add_row(db, user, type="SWAP")
    other = attempt_of(db, add_run(db))
    with alive(db, other.owner), db.begin() as conn, db.begin() as rival:
        mine = hold_batch(conn, WANTED, owner=attempt.owner, after=None, limit=2)
        theirs = hold_batch(rival, WANTED, owner=other.owner, after=None, limit=2)
    assert [held.row.id for held in mine] == [rows[1], rows[2]]
    assert [held.row.id for held in theirs] == [rows[0]]
    with alive(db, other.owner), db.begin() as conn:
        assert hold_batch(conn, WANTED, owner=other.owner, after=None, limit=9) == []
        release(conn, other.owner, rows)
    assert value(db, "SELECT count(*) FROM transactions WHERE processing_locked_by = :owner", owner=attempt.owner) == 2


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ("UPDATE ops.runs SET beat_at = now()", False),
        ("UPDATE ops.runs SET beat_at = now() - interval '31 seconds'", True),
        ("UPDATE ops.runs SET state = 'lost'", True),
        ("UPDATE ops.runs SET attempt_token = gen_random_uuid()", True),
        ("UPDATE transactions SET processing_locked_at = now() - interval '6 minutes'", True),
        ("UPDATE transactions SET processing_locked_by = 'host-1'", False),
        ("UPDATE transactions SET processing_locked_by = 'run:99999999999999999999:x'", False),
    ],
)
def test_a_lock_is_taken_over_only_from_an_attempt_that_is_over(
    db: Database, attempt: Attempt, change: str, taken: bool
) -> None:
    add_row(db, add_user(db))
    with db.begin() as conn:
        hold_batch(conn, WANTED, owner=attempt.owner, after=None, limit=1)
    with db.begin() as conn:
        conn.execute(text(change))
    with db.begin() as conn:
        assert bool(hold_batch(conn, WANTED, owner="run:0:another", after=None, limit=1)) is taken
    assert count(db, "transactions") == 1


def test_the_rows_of_a_process_that_is_gone_are_free_at_once(db: Database) -> None:
    add_row(db, add_user(db))
    gone, heir = attempt_of(db, add_run(db)), attempt_of(db, add_run(db))
    with alive(db, gone.owner):
        with db.begin() as conn:
            assert len(hold_batch(conn, WANTED, owner=gone.owner, after=None, limit=1)) == 1
        with db.begin() as conn:
            assert hold_batch(conn, WANTED, owner=heir.owner, after=None, limit=1) == []
        with db.begin() as conn:
            # What a kill does: the server sees the connection end.
            conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
                )
            )
        with db.begin() as conn:
            assert len(hold_batch(conn, WANTED, owner=heir.owner, after=None, limit=1)) == 1
