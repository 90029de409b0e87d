"""Checks of the database, and the actions of items, against the real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from checklists.actions import perform
from checklists.grammar import Action
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, NexaError
from jobs.core.flags import Flag
from jobs.core.people import Person
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.db.books import add_row, add_user, run_job, switch, value
from tests.db.looking import FAILED, GATHERED, PASSED, UNABLE, look


def change(db: Database, *statements: str) -> None:
    with db.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


@pytest.mark.parametrize(
    ("statements", "name", "verdict", "says"),
    [
        ((), "database.connection", PASSED, "answers"),
        ((), "database.migrations", PASSED, "is at revision"),
        (("UPDATE ops.alembic_version SET version_num = '0002'",), "database.migrations", FAILED, "this version needs"),
        ((), "database.schema", PASSED, "columns are there"),
        (("ALTER TABLE transactions RENAME memo TO note",), "database.schema", FAILED, "transactions.memo is missing"),
        (
            ("ALTER TABLE balances ALTER amount TYPE double precision",),
            "database.schema",
            FAILED,
            "balances.amount is double precision, not numeric",
        ),
        ((), "database.privileges", PASSED, "may do all"),
        ((), "database.sessions", PASSED, "No session"),
        ((), "database.slow_queries", UNABLE, "not recorded"),
        ((), "database.size", PASSED, "largest table"),
        ((), "database.growth", PASSED, "an hour"),
        (("DROP TRIGGER audit_append_only ON ops.audit",), "audit.kept", FAILED, "ops.audit can be changed"),
        (
            ("ALTER TABLE ops.audit DISABLE TRIGGER audit_no_truncate",),
            "audit.kept",
            FAILED,
            "ops.audit can be changed",
        ),
        ((), "audit.kept", UNABLE, "was not verified"),
        ((), "database.restored", PASSED, "after this checklist began"),
    ],
)
def test_what_a_database_is_like(
    db: Database, settings: Settings, statements: tuple[str, ...], name: str, verdict: object, says: str
) -> None:
    change(db, *statements)
    found = look(db, settings, name)
    assert (found.verdict, says in found.summary) == (verdict, True), found


def test_the_audit_trail_is_kept_while_its_last_walk_found_it_whole(db: Database, settings: Settings) -> None:
    run_job(db, settings, "verify-audit")
    assert look(db, settings, "audit.kept").verdict is PASSED
    change(
        db,
        "ALTER TABLE ops.audit DISABLE TRIGGER USER",
        "UPDATE ops.audit SET actor = 'nobody' WHERE id = (SELECT min(id) FROM ops.audit)",
        "ALTER TABLE ops.audit ENABLE TRIGGER USER",
    )
    run_job(db, settings, "verify-audit")
    found = look(db, settings, "audit.kept")
    assert (found.verdict, "broken at link 1" in found.summary) == (FAILED, True), found


def test_a_user_of_few_rights_is_told_which_are_missing(db: Database, settings: Settings) -> None:
    change(
        db, "DROP ROLE IF EXISTS clerk", "CREATE ROLE clerk LOGIN", "GRANT USAGE ON SCHEMA ops TO clerk",
        "GRANT SELECT, UPDATE, INSERT ON ALL TABLES IN SCHEMA public TO clerk",
    )  # fmt: skip
    clerk = Database(db.url.set(username="clerk"))
    try:
        found = look(clerk, settings, "database.privileges")
        assert (found.verdict, found.summary == "clerk may not do DELETE on notifications.") == (FAILED, True), found
        change(db, "GRANT DELETE ON notifications TO clerk")
        assert look(clerk, settings, "database.privileges").verdict is PASSED
        strict = look(clerk, settings, "database.privileges", exact="true")
        assert (strict.verdict, "INSERT on users" in strict.summary) == (FAILED, True)
        assert look(clerk, settings, "database.restored").verdict is UNABLE, "it may not see the files"
    finally:
        clerk.close()
        change(db, "DROP OWNED BY clerk", "DROP ROLE clerk")


def test_a_session_of_the_application_counts_and_ours_do_not(db: Database, settings: Settings) -> None:
    other = Database(db.url.update_query_dict({"application_name": "nexafx-api"}))
    try:
        with other.engine.connect() as conn:
            conn.exec_driver_sql("SET application_name = 'nexafx-api'")
            found = look(db, settings, "database.sessions")
            assert (found.verdict, "nexafx-api (postgres): 1" in found.summary) == (FAILED, True), found
    finally:
        other.close()


def test_missing_and_broken_indexes_are_named_by_columns_and_the_job_builds_them(
    db: Database, settings: Settings
) -> None:
    change(
        db,
        "DROP INDEX idx_transactions_status_created",
        "ALTER INDEX idx_transactions_user_status RENAME TO whatever",
        "DROP INDEX idx_notifications_user_status",
        "CREATE INDEX idx_notifications_user_status ON notifications (status)",
        "CREATE INDEX half_built ON transactions (status, created_at)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half_built'::regclass",
    )
    found = look(db, settings, "database.indexes")
    assert found.verdict is FAILED
    assert found.summary == (
        "2 of 3 indexes are missing or not valid: transactions (status, created_at), notifications (user_id, status)."
    )
    statements = found.output["statements"]
    assert "CREATE INDEX CONCURRENTLY idx_notifications_user_status_2 ON notifications (user_id, status)" in statements  # type: ignore[operator]
    listed = run_job(db, settings, "create-indexes", dry_run=True)
    assert (listed.counters["missing"], listed.counters["created"]) == (2, 0)
    assert look(db, settings, "database.indexes").verdict is FAILED, "a dry run only lists"
    done = run_job(db, settings, "create-indexes")
    assert (done.state, done.counters["dropped"], done.counters["created"]) == ("succeeded", 1, 2)
    assert look(db, settings, "database.indexes").verdict is PASSED
    assert value(db, "SELECT count(*) FROM ops.audit WHERE action = 'index.created'") == 2
    assert run_job(db, settings, "create-indexes").counters["missing"] == 0


def test_more_indexes_can_be_asked_for(db: Database, settings: Settings) -> None:
    found = look(db, settings, "database.indexes", wanted={"ledger_entries": [["transaction_id"], ["user_id"]]})
    assert (found.verdict, "1 of 5" in found.summary) == (FAILED, True), "the unique index serves the first"


def test_tables_that_were_never_vacuumed_are_named(db: Database, settings: Settings) -> None:
    user = add_user(db)
    add_row(db, user)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        late = look(db, settings, "database.vacuum")
        conn.exec_driver_sql("VACUUM (ANALYZE)")
    assert (late.verdict, "public.transactions" in late.summary) == (FAILED, True), late
    assert look(db, settings, "database.vacuum").verdict is PASSED


def test_books_that_do_not_balance_fail_and_a_dry_desk_proves_nothing(db: Database, settings: Settings) -> None:
    user = add_user(db)
    add_row(db, user, status="FAILED", type="DEPOSIT")
    assert look(db, settings, "books.invariants").verdict is PASSED
    change(db, f"INSERT INTO balances (user_id, currency, amount) VALUES ('{user}', 'XLM', 5)")
    broken = look(db, settings, "books.invariants")
    assert (broken.verdict, "balances 1" in broken.summary) == (FAILED, True), broken
    assert look(db, settings, "books.history").verdict is GATHERED
    switch(db, Flag.DRY_RUN, True)
    change(db, "UPDATE ops.integrity_checks SET as_of = now() - interval '2 hours'")
    assert look(db, settings, "books.invariants").verdict is UNABLE


def somebody(*roles: Role) -> Person:
    return Person(UUID(int=1), "ana@nexafx.com", "Ana", frozenset(roles))


def act(db: Database, who: Person, **action: object) -> tuple[str, int | None]:
    with db.begin() as conn:
        done = perform(
            conn,
            Action.model_validate(action),
            who,
            "the balances moved twice",
            fields={},
            place="x",
            origin="dashboard",
        )
    return done.sentence, done.run_id


def test_actions_take_the_right_of_what_they_do_and_leave_its_audit_row(db: Database, settings: Settings) -> None:
    devops, qa = somebody(Role.DEVOPS), somebody(Role.QA_LEAD)
    _, run_id = act(db, devops, job="create-indexes")
    assert value(db, "SELECT trigger || ' ' || reason FROM ops.runs WHERE id = :id", id=run_id) == (
        "checklist the balances moved twice"
    )
    assert act(db, devops, flag="enableReconciliation", to="false")[0] == "enableReconciliation is off."
    assert look(db, settings, "flags.equals", flag="enableReconciliation", value="false").verdict is PASSED
    assert look(db, settings, "flags.equals", flag="enableReconciliation", value="true").verdict is FAILED
    assert act(db, devops, pause="retry-failed")[0] == "Paused: retry-failed."
    with pytest.raises(Conflict):
        act(db, devops, pause="retry-failed")
    assert "retry-failed" not in act(db, devops, pause="all")[0]
    assert value(db, "SELECT count(*) FROM ops.schedules WHERE paused_at IS NULL") == 0
    switches = look(db, settings, "flags.switches")
    assert (switches.verdict, "enableReconciliation" in switches.summary) == (GATHERED, True)
    assert "retry-failed" in act(db, devops, resume="all")[0]
    assert value(db, "SELECT count(*) FROM ops.schedules WHERE paused_at IS NOT NULL") == 0
    assert value(db, "SELECT count(*) FROM ops.audit WHERE actor = 'ana@nexafx.com' AND reason IS NOT NULL") == (
        2 + 2 * int(str(value(db, "SELECT count(*) FROM ops.schedules")))
    )
    for action in ({"job": "create-indexes"}, {"flag": "dryRun", "to": "true"}, {"pause": "all"}):
        with pytest.raises(Forbidden):
            act(db, qa, **action)
    with pytest.raises(NexaError, match="There is no job nothing"):
        act(db, devops, job="nothing")
    assert look(db, settings, "jobs.idle", flag="enableReconciliation", started=timedelta(hours=1)).verdict is PASSED
