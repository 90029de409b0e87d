"""Checks of jobs, figures, logs and notifications: what the desk has done, as it stands in its database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.flags import Flag
from jobs.core.settings import Settings
from tests.db.books import add_row, add_user, switch
from tests.db.looking import FAILED, GATHERED, PASSED, UNABLE, look

SEED = "SAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"[:56]


def ran(
    db: Database, job: str = "reconcile-pending", state: str = "succeeded", *, ago: str = "1 minute", took: str = "2 s"
) -> int:
    """A run that ended so long ago."""
    with db.begin() as conn:
        return int(
            conn.execute(
                text(
                    "INSERT INTO ops.runs (job, trigger, triggered_by, state, queued_at, started_at, finished_at, error)"
                    " VALUES (:job, 'manual', 'test', :state, now() - CAST(:ago AS interval) - CAST(:took AS interval),"
                    " now() - CAST(:ago AS interval) - CAST(:took AS interval), now() - CAST(:ago AS interval),"
                    " CASE WHEN :state <> 'succeeded' THEN 'Horizon is down' END) RETURNING id"
                ),
                {"job": job, "state": state, "ago": ago, "took": took},
            ).scalar_one()
        )


def logged(db: Database, run: int, level: str, event: str, ago: str = "1 minute", **fields: str) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.run_logs (run_id, at, level, event, fields)"
                " VALUES (:run, now() - CAST(:ago AS interval), :level, :event, CAST(:fields AS jsonb))"
            ),
            {"run": run, "ago": ago, "level": level, "event": event, "fields": orjson.dumps(fields).decode()},
        )


def execute(db: Database, *statements: str) -> None:
    with db.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


ALIVE = "INSERT INTO ops.workers (id, host, pid, version, concurrency) VALUES (gen_random_uuid(), 'a', 1, '1', 4)"
OLD_SCHEDULES = "UPDATE ops.schedules SET updated_at = now() - interval '2 days'"


def test_jobs_beat_when_a_worker_lives_and_none_is_late(db: Database, settings: Settings) -> None:
    one = {"jobs": ["reconcile-pending"]}
    assert look(db, settings, "jobs.heartbeat", **one).summary == "No worker is alive."
    execute(db, ALIVE)
    new = look(db, settings, "jobs.heartbeat", **one)
    assert (new.verdict, "none is late" in new.summary) == (UNABLE, True), "nothing was due yet"
    execute(db, OLD_SCHEDULES)
    ran(db, ago="10 minutes")
    late = look(db, settings, "jobs.heartbeat", **one)
    assert (late.verdict, late.output["late"]) == (FAILED, ["reconcile-pending"])
    ran(db)
    assert look(db, settings, "jobs.heartbeat", **one).verdict is PASSED
    execute(db, "UPDATE ops.schedules SET paused_at = now(), paused_by = 'ada', paused_reason = 'a move'")
    assert look(db, settings, "jobs.heartbeat", **one).verdict is FAILED, "a paused job does not beat"
    assert look(db, settings, "jobs.heartbeat").verdict is UNABLE
    assert look(db, settings, "jobs.heartbeat", jobs=["nothing"]).verdict is UNABLE


def test_jobs_have_succeeded_only_when_a_run_of_this_time_did(db: Database, settings: Settings) -> None:
    ran(db, ago="3 hours")
    assert look(db, settings, "jobs.succeeded").verdict is UNABLE, "the run was before the checklist began"
    ran(db, state="failed", ago="90 minutes")
    ran(db)
    found = look(db, settings, "jobs.succeeded")
    assert (found.verdict, found.summary.startswith("1 run of 1 job succeeded")) == (PASSED, True), found
    ran(db, "retry-failed", "timed_out")
    assert look(db, settings, "jobs.succeeded").summary == "The last run did not succeed: retry-failed."
    assert look(db, settings, "jobs.succeeded", jobs=["verify-ledger"]).verdict is UNABLE


def test_slow_jobs_are_named_and_advice_is_given(db: Database, settings: Settings) -> None:
    ran(db, took="3 s")
    assert look(db, settings, "jobs.durations").verdict is PASSED
    ran(db, took="109 s")
    ran(db, took="109 s")
    assert look(db, settings, "jobs.durations").summary == "Too near their time limit: reconcile-pending."
    advice = look(db, settings, "jobs.interval_advice")
    assert (advice.verdict, "reconcile-pending" in advice.summary) == (GATHERED, True)


def test_a_job_is_idle_when_its_flag_is_off_and_nothing_began_since(db: Database, settings: Settings) -> None:
    one: dict[str, object] = {"jobs": ["reconcile-pending"], "flag": "enableReconciliation"}
    assert look(db, settings, "jobs.idle", **one).verdict is FAILED
    switch(db, Flag.RECONCILIATION, False)
    assert look(db, settings, "jobs.idle", **one).verdict is PASSED
    execute(
        db,
        "INSERT INTO ops.runs (job, trigger, triggered_by, state, started_at)"
        " VALUES ('reconcile-pending', 'manual', 'test', 'running', now() - interval '1 hour')",
    )
    assert "run 1 of reconcile-pending (running)" in look(db, settings, "jobs.idle", **one).summary


def test_error_rates_and_spikes_need_runs_to_judge(db: Database, settings: Settings) -> None:
    ran(db)
    assert look(db, settings, "metrics.error_rate").verdict is PASSED
    assert look(db, settings, "metrics.spike").verdict is UNABLE, "there is no before"
    for _ in range(20):
        ran(db, ago="5 hours")
    assert look(db, settings, "metrics.spike").verdict is PASSED
    for _ in range(3):
        ran(db, state="failed")
    assert look(db, settings, "metrics.spike").verdict is FAILED
    assert look(db, settings, "metrics.error_rate").verdict is FAILED


def test_quiet_is_a_whole_time_after_the_beginning_in_which_something_ran(db: Database, settings: Settings) -> None:
    assert look(db, settings, "metrics.quiet").verdict is UNABLE, "nothing ran"
    ran(db)
    execute(db, "INSERT INTO ops.horizon_samples (server, verdict) VALUES ('http://h', 'ok')")
    assert look(db, settings, "metrics.quiet").verdict is PASSED
    early = look(db, settings, "metrics.quiet", started=timedelta(minutes=10))
    assert (early.verdict, "too short a time" in early.summary) == (UNABLE, True)
    ran(db, state="lost")
    assert look(db, settings, "metrics.quiet").summary == "Within 60 min: 1 failed runs."


def test_dashboards_need_fresh_figures(db: Database, settings: Settings) -> None:
    ran(db)
    execute(db, ALIVE, "INSERT INTO ops.horizon_samples (server, verdict) VALUES ('http://h', 'ok')")
    assert look(db, settings, "metrics.series").summary == "No figures within 5 min: horizon_requests."
    execute(
        db,
        "INSERT INTO ops.horizon_requests VALUES (date_trunc('minute', now()), 'http://h', 'root', 'x', 'ok', 1, 5,"
        " array_fill(0, ARRAY[15]))",
    )
    assert look(db, settings, "metrics.series").verdict is PASSED
    assert look(db, settings, "metrics.digest").verdict is GATHERED


def test_errors_in_the_logs_of_runs_are_found_and_silence_is_no_proof(db: Database, settings: Settings) -> None:
    assert look(db, settings, "logs.errors").verdict is UNABLE
    run = ran(db)
    logged(db, run, "info", "settled")
    clean = look(db, settings, "logs.errors")
    assert (clean.verdict, "NEXAOPS_APP_LOG is not set" in clean.summary) == (PASSED, True), "it says what it saw"
    logged(db, run, "error", "Horizon broke off")
    found = look(db, settings, "logs.errors")
    assert (found.verdict, found.output["errors"]) == (FAILED, ["1 × Horizon broke off"])
    assert look(db, settings, "logs.errors", most=1).verdict is PASSED
    assert look(db, settings, "logs.digest").verdict is GATHERED
    assert look(db, settings, "logs.format").verdict is GATHERED
    assert look(db, settings, "logs.canary").output["canary"]


def test_the_applications_log_counts_and_a_stale_or_strange_one_cannot_pass(
    db: Database, settings: Settings, tmp_path: Path
) -> None:
    logged(db, ran(db), "info", "settled")
    file = tmp_path / "app.log"
    with_file = settings.model_copy(update={"app_log": file})

    def write(*lines: str) -> None:
        file.write_text("\n".join(lines) + "\n")

    with db.read() as conn:
        now = conn.execute(text("SELECT now()")).scalar_one().isoformat()
    assert look(db, with_file, "logs.errors").verdict is UNABLE, "there is no file"
    write('{"level": "info", "time": "2026-01-01T00:00:00Z", "msg": "started"}')
    assert "says nothing about this time" in look(db, with_file, "logs.errors").summary
    write(f'{{"level": 30, "time": "{now}", "msg": "started"}}')
    assert look(db, with_file, "logs.errors").verdict is PASSED
    write(
        f'{{"level": 30, "time": "{now}", "msg": "x"}}', f'{{"level": 50, "time": "{now}", "msg": "token=abcdefgh123"}}'
    )
    found = look(db, with_file, "logs.errors")
    assert (found.verdict, "abcdefgh123" in str(found)) == (FAILED, False)
    write(*["[Nest] 1 - LOG started"] * 20, f'{{"level": 30, "time": "{now}", "msg": "x"}}')
    assert "not JSON" in look(db, with_file, "logs.errors").summary


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"paid with {SEED}", "a Stellar secret key"),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz", "a bearer token"),
        ("postgres://me:hunter22@db/nexafx", "credentials in an address"),
        ('{"password": "hunter22"}', "a password"),
        ("notified ada@example.org", "an e-mail address"),
        ("settled GAAA… with [secret key] and password=[secret]", None),
    ],
)
def test_sensitive_data_in_a_log_is_found_and_not_repeated(
    db: Database, settings: Settings, tmp_path: Path, line: str, what: str | None
) -> None:
    logged(db, ran(db), "info", "settled")
    file = tmp_path / "app.log"
    file.write_text(f"{line}\n")
    assert look(db, settings, "logs.sensitive").verdict is UNABLE, "the application's log is not known"
    found = look(db, settings.model_copy(update={"app_log": file}), "logs.sensitive")
    assert found.verdict is (FAILED if what else PASSED)
    assert (what or "Nothing sensitive") in found.summary
    assert SEED not in str(found)
    assert "hunter22" not in str(found)


def test_notifications_flow_when_each_settlement_has_one(db: Database, settings: Settings) -> None:
    user = add_user(db)
    row = add_row(db, user, status="SUCCESS")
    assert look(db, settings, "notifications.flow").verdict is UNABLE
    execute(
        db, f"INSERT INTO ops.outbox (kind, transaction_id, payload) VALUES ('transaction.succeeded', '{row}', '{{}}')"
    )
    assert look(db, settings, "notifications.flow").summary == "1 settled transaction has no notification."
    execute(
        db,
        "INSERT INTO notifications (user_id, type, title, message, related_id)"
        f" VALUES ('{user}', 'TRANSACTION', 'Done', 'It is done', '{row}')",
    )
    assert look(db, settings, "notifications.flow").verdict is PASSED
    switch(db, Flag.NOTIFICATIONS, False)
    assert look(db, settings, "notifications.flow").verdict is FAILED


def test_retention_holds_when_the_clean_up_ran_and_left_nothing_old(db: Database, settings: Settings) -> None:
    assert look(db, settings, "notifications.retention").verdict is UNABLE
    ran(db, "cleanup-notifications")
    assert look(db, settings, "notifications.retention").verdict is PASSED
    user = add_user(db)
    execute(
        db,
        "INSERT INTO notifications (user_id, type, title, message, created_at)"
        f" VALUES ('{user}', 'OTP', 'Old', 'Old', now() - interval '100 days')",
    )
    assert look(db, settings, "notifications.retention").verdict is FAILED
    switch(db, Flag.CLEANUP, False)
    assert look(db, settings, "notifications.retention").verdict is UNABLE


def test_a_drill_counts_for_a_quarter_and_maintenance_has_to_be_planned(db: Database, settings: Settings) -> None:
    drill: dict[str, object] = {"template": "disaster-recovery"}
    execute(
        db,
        "INSERT INTO ops.checklist_runs (template_id, template_version, title, kind, definition, state, started_by,"
        " closed_at, closed_by) VALUES ('disaster-recovery', 'x', 'x', 'recovery', '{}', 'done', 'ana',"
        " now() - interval '89 days', 'ana')",
    )
    assert look(db, settings, "runs.completed", **drill).verdict is PASSED
    execute(db, "UPDATE ops.checklist_runs SET closed_at = now() - interval '91 days'")
    assert look(db, settings, "runs.completed", **drill).verdict is FAILED
    assert look(db, settings, "runs.planned").verdict is UNABLE, "nothing has opened any lately"
    ran(db, "open-maintenance")
    assert look(db, settings, "runs.planned").verdict is PASSED
    assert look(db, settings, "runs.planned", templates=["rollback-critical"]).verdict is FAILED
    execute(db, "UPDATE ops.schedules SET paused_at = now(), paused_by = 'ada', paused_reason = 'a move'")
    assert look(db, settings, "runs.planned").verdict is FAILED


def test_what_happened_has_to_be_written_on_the_item(db: Database, settings: Settings) -> None:
    assert look(db, settings, "evidence.written", given=["It broke."]).verdict is UNABLE
    assert look(db, settings, "evidence.written", given=["word " * 20]).verdict is GATHERED
