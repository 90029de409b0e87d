"""Feature flags: switched with a reason, on record, and only once."""

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import UsageError
from jobs.core.flags import Flag, list_flags, read_flags, set_flag


def test_on_a_quiet_day_everything_is_on_but_the_dry_run(db: Database) -> None:
    with db.read() as conn:
        assert {flag for flag, value in read_flags(conn).items() if not value} == {Flag.DRY_RUN}
        assert len(read_flags(conn)) == len(Flag)


def test_a_switch_says_who_and_why_and_is_on_record(db: Database) -> None:
    with db.begin() as conn:
        assert set_flag(conn, Flag.RECONCILIATION, False, actor="ada", reason="INC-7", origin="cli")
        assert not set_flag(conn, Flag.RECONCILIATION, False, actor="bob", reason="again", origin="cli")
    with db.read() as conn:
        state = next(item for item in list_flags(conn) if item.flag is Flag.RECONCILIATION)
        assert (state.value, state.changed_by, state.reason, state.unusual) == (False, "ada", "INC-7", True)
        rows = conn.execute(text("SELECT actor, old, new, reason FROM ops.audit WHERE action = 'flag.set'")).all()
    assert [tuple(row) for row in rows] == [("ada", {"value": True}, {"value": False}, "INC-7")]


def test_a_switch_without_a_reason_is_refused(db: Database) -> None:
    with pytest.raises(UsageError, match="a reason is needed"), db.begin() as conn:
        set_flag(conn, Flag.RETRY, False, actor="ada", reason=" ", origin="cli")
