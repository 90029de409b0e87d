"""A rule is deleted while an evaluation goes on: either its alert comes first, or there is no alert of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import Connection, text

from jobs.alerts.editing import delete_rule, save_rule
from jobs.alerts.keeping import apply
from jobs.alerts.model import Alert, Rule, Step
from jobs.alerts.rules import Change
from jobs.alerts.store import list_rules, open_alerts
from jobs.core.db import Database
from jobs.core.errors import Conflict
from tests.db.alerting import clock
from tests.db.waiting import wait_for_a_lock

ADA = "ada@example.org"


@pytest.fixture
def now(db: Database) -> datetime:
    """A rule of one's own is there; the database's clock."""
    rule = Rule("my-disk", "My disk", "host.disk_used_ratio", ">=", 0.5, "warn", (Step(0, "team"),))
    with db.begin() as conn:
        save_rule(conn, rule, 0, ADA, channels=(), reason="a test", origin="test")
    return clock(db)


def fire(conn: Connection, now: datetime) -> list[Change]:
    """What an evaluation writes that has read the rule and found its condition true."""
    alert = Alert(
        id=0, rule="my-disk", signal="host.disk_used_ratio", subject="here", state="firing", severity="warn", value=0.9,
        sentence="The disk is 90 % full", link="/hosts", began_at=now, fired_at=now, seen_at=now,
    )  # fmt: skip
    return apply(conn, [Change(None, alert)], actor="run:1")


def delete(conn: Connection) -> None:
    delete_rule(conn, "my-disk", ADA, reason="done", origin="test")


def names(db: Database) -> list[str]:
    with db.read() as conn:
        return [rule.name for rule in list_rules(conn) if not rule.shipped]


def test_an_alert_that_begins_while_its_rule_is_being_deleted_keeps_the_rule(db: Database, now: datetime) -> None:
    def deletes() -> None:
        with db.begin() as conn:
            delete(conn)

    with ThreadPoolExecutor(1) as pool:
        with db.begin() as evaluation:
            assert len(fire(evaluation, now)) == 1
            deletion = pool.submit(deletes)
            wait_for_a_lock(db)
        with pytest.raises(Conflict, match="has an alert that is open"):
            deletion.result(timeout=10)
    assert names(db) == ["my-disk"]


def test_no_alert_begins_of_a_rule_that_was_deleted_after_it_was_judged(db: Database, now: datetime) -> None:
    def fires() -> list[Change]:
        with db.begin() as conn:
            return fire(conn, now)

    with ThreadPoolExecutor(1) as pool:
        with db.begin() as deletion:
            delete(deletion)
            evaluation = pool.submit(fires)
            wait_for_a_lock(db)
        assert evaluation.result(timeout=10) == []
    assert names(db) == []
    with db.read() as conn:
        assert open_alerts(conn) == []
        assert conn.execute(text("SELECT count(*) FROM ops.audit WHERE entity = 'alert'")).scalar_one() == 0
