"""Alerts against the real database: they fire once, end once, wait for no people and lose nothing people did."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from jobs.alerts.editing import save_rule, switch_rule
from jobs.alerts.evaluate import EVALUATE_ALERTS, LEASE, look, settle
from jobs.alerts.model import Alert
from jobs.alerts.shipped import SHIPPED, seed_rules
from jobs.alerts.store import get_rule, list_alerts, open_alerts
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.jobs import load_jobs
from jobs.core.settings import Settings
from jobs.run.store import RunRow
from jobs.schedule.store import seed_schedules
from tests.db.books import count, run_job, value

ADA = "ada@example.org"


@pytest.fixture(autouse=True)
def _a_worker_runs(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, scheduler_at)"
                " VALUES (gen_random_uuid(), 'here', 1, '1', 1, now())"
            )
        )


@pytest.fixture
def at_once(db: Database) -> None:
    """A rule that fires at once, on something a test can switch: a flag."""
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.alert_rules SET for_s = 0 WHERE name = 'flag-switched'"))


def evaluate(db: Database, settings: Settings, *, dry_run: bool = False) -> RunRow:
    run = run_job(db, settings, EVALUATE_ALERTS, dry_run=dry_run)
    assert run.state == "succeeded", run.error
    return run


def switch(db: Database, on: bool) -> None:
    with db.begin() as conn:
        set_flag(conn, Flag.CLEANUP, on, actor=ADA, reason="a test", origin="test")


def about_flags(db: Database) -> list[Alert]:
    with db.read() as conn:
        return [alert for alert in list_alerts(conn) if alert.rule == "flag-switched"]


def actions(db: Database) -> list[str]:
    with db.read() as conn:
        rows = conn.execute(text("SELECT action FROM ops.audit WHERE entity = 'alert' ORDER BY id"))
        return list(rows.scalars())


@pytest.mark.usefixtures("at_once")
def test_an_alert_fires_once_and_ends_once_and_both_stand_in_the_trail(db: Database, settings: Settings) -> None:
    switch(db, False)
    run = evaluate(db, settings)
    assert run.counters["fired"] == 1
    evaluate(db, settings)
    (alert,) = about_flags(db)
    assert (alert.state, alert.subject, alert.link) == ("firing", "enableCleanup", "/flags")
    assert "enableCleanup is off since" in alert.sentence
    switch(db, True)
    evaluate(db, settings)
    (alert,) = about_flags(db)
    assert (alert.state, alert.resolution) == ("resolved", "recovered")
    assert actions(db) == ["alert.fired", "alert.resolved"]


@pytest.mark.usefixtures("at_once")
def test_a_dry_run_changes_nothing_and_says_what_would_fire(db: Database, settings: Settings) -> None:
    switch(db, False)
    run = evaluate(db, settings, dry_run=True)
    assert run.counters["fired"] == 1
    for table in ("ops.alerts", "ops.alert_readings", "ops.alert_watches"):
        assert count(db, table) == 0
    assert actions(db) == []


@pytest.mark.usefixtures("at_once")
def test_while_every_job_only_says_what_it_would_do_alerts_still_fire(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        set_flag(conn, Flag.DRY_RUN, True, actor=ADA, reason="a test", origin="test")
    evaluate(db, settings)
    assert [(alert.subject, alert.state) for alert in about_flags(db)] == [("dryRun", "firing")]


@pytest.mark.usefixtures("at_once")
def test_two_at_once_and_one_that_is_killed_leave_one_alert(db: Database, settings: Settings) -> None:
    switch(db, False)
    with db.engine.connect() as killed:
        settle(killed, look(killed, settings), actor="run:0")
        killed.invalidate()  # its session ends as with kill -9: nothing of it stays
    threads = [threading.Thread(target=evaluate, args=(db, settings)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(about_flags(db)) == 1
    assert actions(db) == ["alert.fired"]
    assert value(db, "SELECT count(*) FROM ops.leases WHERE name = :name AND expires_at > now()", name=LEASE) == 0


def test_a_schedule_that_a_stranger_broke_does_not_keep_the_rest_from_being_evaluated(
    db: Database, settings: Settings
) -> None:
    with db.begin() as conn:
        seed_schedules(conn, load_jobs())
        conn.execute(text("UPDATE ops.schedules SET expression = 'often' WHERE name IN ('probe-horizon', 'backup')"))
    assert evaluate(db, settings).counters["signals"] > 30


@pytest.mark.usefixtures("at_once")
def test_readings_are_kept_where_they_changed_and_the_watch_goes_on_until_there_is_a_gap(
    db: Database, settings: Settings
) -> None:
    evaluate(db, settings)
    kept = count(db, "ops.alert_readings")
    assert kept > 30
    evaluate(db, settings)
    assert count(db, "ops.alert_readings") < kept + 15, "what stands still leaves no row"
    assert count(db, "ops.alert_watches") == 1
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.alert_watches SET began_at = began_at - interval '1 hour', until = until - interval '1 hour'"
            )
        )
    evaluate(db, settings)
    assert count(db, "ops.alert_watches") == 2


@pytest.mark.usefixtures("at_once")
def test_what_follows_from_something_is_folded_in_the_same_evaluation_and_a_rule_that_is_switched_off_ends_it(
    db: Database, settings: Settings
) -> None:
    with db.begin() as conn:
        seen = get_rule(conn, "flag-switched")
        cause = replace(seen, name="cleanup-is-off", subject="enableCleanup", folds_into=())
        save_rule(conn, cause, 0, ADA, channels=(), reason="a test", origin="test")
        follows = replace(seen, folds_into=("cleanup-is-off",))
        save_rule(conn, follows, seen.version, ADA, channels=(), reason="a test", origin="test")
        for flag in (Flag.CLEANUP, Flag.RETRY):
            set_flag(conn, flag, False, actor=ADA, reason="a test", origin="test")
    assert evaluate(db, settings).counters["folded"] == 1
    with db.read() as conn:
        alerts = {(alert.rule, alert.subject): alert for alert in open_alerts(conn) if alert.state == "firing"}
    assert {key: alert.folded_into for key, alert in alerts.items()} == {
        ("cleanup-is-off", "enableCleanup"): None,
        ("flag-switched", "enableCleanup"): alerts["cleanup-is-off", "enableCleanup"].id,
        ("flag-switched", "enableRetry"): None,
    }
    assert "alert.folded" in actions(db)
    with db.begin() as conn:
        switch_rule(conn, "cleanup-is-off", False, ADA, reason="a test", origin="test")
    evaluate(db, settings)
    with db.read() as conn:
        assert [alert.resolution for alert in list_alerts(conn, rule="cleanup-is-off")] == ["the rule was switched off"]


def test_the_shipped_rules_are_there_and_follow_the_version_until_somebody_edits_them(db: Database) -> None:
    with db.begin() as conn:
        assert seed_rules(conn) == []
        assert replace(get_rule(conn, "disk-full"), changed_at=None) == SHIPPED["disk-full"]
        conn.execute(text("UPDATE ops.alert_rules SET threshold = 0.5 WHERE name IN ('disk-full', 'disk-filling')"))
        conn.execute(text("UPDATE ops.alert_rules SET version = 2 WHERE name = 'disk-filling'"))
        seed_rules(conn)
        assert get_rule(conn, "disk-full").threshold == 0.95
        assert get_rule(conn, "disk-filling").threshold == 0.5


def test_a_fresh_desk_fires_nothing(db: Database, settings: Settings) -> None:
    evaluate(db, settings)
    with db.read() as conn:
        assert [alert.rule for alert in open_alerts(conn) if alert.state == "firing"] == []


def test_every_reading_is_of_a_signal_that_is_documented(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        seen = look(conn, settings)
    assert {reading.signal for reading in seen.readings} > {"job.failures", "pending.late", "audit.unsealed_s"}


def test_of_many_overdue_checklists_none_is_silent(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.checklist_runs (template_id, template_version, title, kind, definition, started_by, due_at,"
                " urgent_reason, review_due_at) SELECT 'weekly', '1', 'Week ' || n, 'maintenance', '{}', 'ada',"
                " now() - make_interval(hours => 30 - n), CASE n WHEN 1 THEN 'a fire' END,"
                " CASE n WHEN 1 THEN now() - interval '9 hours' END FROM generate_series(1, 23) AS n"
            )
        )
    evaluate(db, settings)
    with db.read() as conn:
        fired = {alert.subject: alert.sentence for alert in list_alerts(conn, rule="checklist-overdue")}
        oldest = conn.execute(text("SELECT id::text FROM ops.checklist_runs ORDER BY due_at LIMIT 20")).scalars()
        assert set(fired) == {*oldest, "others"}
    assert fired["others"].startswith("3 more checklists are overdue, the oldest since ")
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.checklist_runs SET due_at = now() + interval '1 day' WHERE title IN ('Week 21', 'Week 22', 'Week 23')"
            )
        )
    evaluate(db, settings)
    with db.read() as conn:
        states = {alert.subject: alert.state for alert in list_alerts(conn, rule="checklist-overdue")}
    assert [states.pop("others"), *set(states.values())] == ["resolved", "firing"]
