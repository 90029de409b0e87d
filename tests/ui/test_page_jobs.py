"""Jobs: how each one stands, in words; and what a person can do, if they may."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, text

from dashboard import queries
from dashboard import queries_runs as figured
from dashboard.desk import open_desk
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen
from tests.ui.runs import a_run

RECONCILE = "run-reconcile-pending"
FORM = "run-form-reconcile-pending"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"horizon_urls": seed.SERVERS})


def runs_of(db: Database) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(text("SELECT * FROM ops.runs ORDER BY id")).mappings())


def schedule(db: Database, name: str) -> Any:
    with db.read() as conn:
        return conn.execute(text("SELECT * FROM ops.schedules WHERE name = :name"), {"name": name}).mappings().one()


def test_each_job_says_what_it_does_when_and_how_it_went(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "jobs", seed.person(db, Role.VIEWER)))
    assert f"All {len(load_jobs())} jobs run as they should" in said
    assert "it needs NEXAOPS_WEBHOOK_URL" in said
    assert "Asks Horizon about every pending transaction" in said
    assert "every 2 minutes" in said
    assert "daily at 02:00 UTC" in said
    assert "whenever somebody runs it" in said
    assert said.count("next <time") == sum(
        job.schedule is not None and job.needs is None for job in load_jobs().values()
    )
    assert "p95 " in said
    assert said.count('tabindex="-1"') == 4 * 30


def test_how_fast_and_how_well_a_job_runs_is_told_against_the_week_before(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("DELETE FROM ops.runs WHERE job = 'retry-failed'"))
        # A hundred this week, of 1 to 100 s, two of them today and one of these failed; the week before up to 25 s.
        conn.execute(
            text(
                "INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt, queued_at, started_at, finished_at)"
                " SELECT 'retry-failed', 'manual', 'system',"
                " CASE WHEN n = 1 AND week = 0 THEN 'failed' ELSE 'succeeded' END, 1, at, at, at + make_interval(secs => CASE week WHEN 0 THEN n ELSE n / 4.0 END)"
                " FROM generate_series(0, 1) week, generate_series(1, 100) n, LATERAL (SELECT now() - interval '70 minutes'"
                " - make_interval(days => 7 * week, hours => CASE WHEN n <= 2 THEN 0 ELSE 48 END) AS at) AS placed"
            )
        )
    queries.forget()
    run_page(db, settings, "jobs", seed.person(db, Role.VIEWER))
    found = figured.figures(("retry-failed", "backup")).jobs
    assert found["retry-failed"] == figured.JobFigures(
        job="retry-failed", well_day=1, ill_day=1, well_week=99, ill_week=1, missed_day=0,
        p50=51.0, p95=96.0, p99=100.0, timed=99, before=23.75, timed_before=100,
    )  # fmt: skip
    assert found["backup"].p50 is None
    said = seen(run_page(db, settings, "jobs", seed.person(db, Role.ADMINISTRATOR)))
    assert "24 h <b>50%</b>" in said
    assert "7 d <b>99%</b>" in said
    assert "p95 <b>96 s</b>" in said
    assert '<span class="nx-warn">p95 4.0 times the week before</span>' in said


def test_days_that_are_over_are_counted_anew_in_a_database_that_was_restored(
    db: Database, settings: Settings, admin: Database, template: str
) -> None:
    name = str(db.url.database)
    for runs in (5, 2):
        with db.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt, queued_at, started_at, finished_at)"
                    " SELECT 'backup', 'manual', 'system', 'succeeded', 1, at, at, at"
                    " FROM generate_series(1, :runs), LATERAL (SELECT now() - interval '3 days' AS at) AS placed"
                ),
                {"runs": runs},
            )
        open_desk(settings, db)
        queries.forget()
        assert figured.figures(("backup",)).jobs["backup"].well_week == runs
        # Another one takes its place, under its name, as `nexaops restore` does it.
        db.close()
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
            conn.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY WAL_LOG"))


def test_slots_that_were_missed_today_lead_to_them(db: Database, settings: Settings) -> None:
    seed.living(db)
    a_run(db, "missed")
    said = seen(run_page(db, settings, "jobs", seed.person(db, Role.VIEWER)))
    assert 'href="/runs?view=missed&amp;job=reconcile-pending" class="nx-link">1 missed</a> in 24 h' in said


def test_what_is_wrong_with_a_job_is_said_in_words_and_leads_to_its_run(db: Database, settings: Settings) -> None:
    seed.living(db, trouble=True)
    said = seen(run_page(db, settings, "jobs", seed.person(db, Role.VIEWER)))
    assert f"3 of {len(load_jobs())} jobs need a look" in said
    wrong = ["reconcile-pending", "retry-failed", "cleanup-notifications"]
    assert ", ".join(wrong) in said, "what failed, what is off, what somebody paused"
    assert re.findall(r'title="All runs of ([a-z-]+)"', said)[:4] == [*wrong, "audit-history"], (
        "and in this order first"
    )
    assert "no next run until it is resumed" in said
    assert "failed 3 times" in said
    assert "Horizon answers 503" in said
    assert "paused" in said
    assert "ada@nexafx.com: the notification table is being moved" in said
    assert "switched off by enableRetry" in said
    assert "refunds are checked by hand today" in said


def test_what_runs_now_is_said_and_leads_there(db: Database, settings: Settings) -> None:
    seed.living(db)
    run_id = a_run(db, "running")
    said = seen(run_page(db, settings, "jobs", seed.person(db, Role.VIEWER)))
    # A minute ago when it was made; the page takes a moment.
    assert re.search(r"running for ([67]\d) s", said)
    assert f'href="/run?id={run_id}"' in said


def test_a_job_without_a_schedule_is_there_and_can_be_run(db: Database, settings: Settings) -> None:
    with db.begin() as conn:
        conn.execute(text("DELETE FROM ops.schedules"))
    page = run_page(db, settings, "jobs", seed.person(db, Role.DEVELOPER))
    assert "not scheduled yet" in seen(page)
    assert page.button(key=RECONCILE).label == "Run now"


def test_a_schedule_without_its_job_says_so(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.schedules (name, kind, expression, timeout_s)"
                          " VALUES ('gone-job', 'interval', '60', 10)"))  # fmt: skip
    page = run_page(db, settings, "jobs", seed.person(db, Role.ADMINISTRATOR))
    assert "gone-job is unknown to this version" in seen(page)
    assert "run-gone-job" not in [button.key for button in page.button]


@pytest.mark.parametrize(
    ("role", "labels"),
    [
        (Role.VIEWER, set()), (Role.QA_LEAD, set()), (Role.PROJECT_MANAGER, set()), (Role.RELEASE_MANAGER, set()),
        (Role.DEVELOPER, {"Run now"}), (Role.ON_CALL, {"Run now", "Pause", "Resume"}),
        (Role.DEVOPS, {"Run now", "Pause", "Resume"}), (Role.ADMINISTRATOR, {"Run now", "Pause", "Resume"}),
    ],
)  # fmt: skip
def test_only_what_a_person_may_do_is_shown(db: Database, settings: Settings, role: Role, labels: set[str]) -> None:
    seed.living(db, trouble=True)
    page = run_page(db, settings, "jobs", seed.person(db, role))
    assert not page.exception
    assert {button.label for button in page.button} == labels


def test_the_dialog_shows_the_parameters_and_names_the_consequence(db: Database, settings: Settings) -> None:
    seed.living(db)
    page = run_page(db, settings, "jobs", seed.person(db, Role.DEVELOPER))
    page.button(key=RECONCILE).click().run()
    assert not page.exception
    assert "Runs reconcile-pending now on PENDING transactions; money may move." in seen(page)
    assert page.number_input(key=f"{FORM}-limit").label.endswith(
        "at most so many transactions; empty: all that are due"
    )
    assert page.number_input(key=f"{FORM}-older_than_min").value == 0
    assert page.button(key=f"{FORM}-confirm").label == "Run reconcile-pending"


def test_the_dialog_says_what_the_flags_make_of_the_run(db: Database, settings: Settings) -> None:
    seed.living(db)
    with db.begin() as conn:
        set_flag(conn, Flag.RECONCILIATION, False, actor="ada@nexafx.com", reason="a test", origin="test")
    page = run_page(db, settings, "jobs", seed.person(db, Role.DEVELOPER))
    page.button(key=RECONCILE).click().run()
    assert "enableReconciliation is off" in seen(page)
    assert "the run will be skipped" in seen(page)


def test_confirming_queues_one_run_with_who_and_why(db: Database, settings: Settings) -> None:
    page = run_page(db, settings, "jobs", seed.person(db, Role.DEVELOPER))
    page.button(key=RECONCILE).click().run()
    page.number_input(key=f"{FORM}-limit").set_value(5)
    page.checkbox(key=f"{FORM}-dry").check()
    page.text_area(key=f"{FORM}-why").set_value("a deposit hangs")
    page.button(key=f"{FORM}-confirm").click().run()
    (run,) = runs_of(db)
    assert (run["job"], run["state"], run["trigger"], run["dry_run"]) == ("reconcile-pending", "queued", "manual", True)
    assert (run["triggered_by"], run["reason"], run["params"]["limit"]) == (
        "developer@nexafx.test",
        "a deposit hangs",
        5,
    )
    assert page.session_state[f"{FORM}-started"] == run["id"]


def test_a_value_that_is_not_accepted_is_a_sentence_and_starts_nothing(db: Database, settings: Settings) -> None:
    page = run_page(db, settings, "jobs", seed.person(db, Role.DEVELOPER))
    page.button(key=RECONCILE).click().run()
    page.text_input(key=f"{FORM}-transaction_id").set_value("mine")
    page.button(key=f"{FORM}-confirm").click().run()
    assert "transaction_id: input should be a valid UUID" in page.session_state[f"{FORM}-problem"]
    assert runs_of(db) == []


def test_who_lost_the_right_meanwhile_is_refused_by_the_server(db: Database, settings: Settings) -> None:
    page = run_page(db, settings, "jobs", seed.person(db, Role.DEVELOPER))
    page.button(key=RECONCILE).click().run()
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.button(key=f"{FORM}-confirm").click().run()
    assert "You may not run jobs" in page.session_state[f"{FORM}-problem"]
    assert runs_of(db) == []


def test_a_pause_takes_a_reason_and_may_have_an_end(db: Database, settings: Settings) -> None:
    seed.living(db)
    page = run_page(db, settings, "jobs", seed.person(db, Role.ON_CALL))
    page.button(key="pause-retry-failed").click().run()
    page.button(key="pause-form-retry-failed-confirm").click().run()
    assert "Say why" in page.session_state["pause-form-retry-failed-problem"]
    page.button(key="pause-retry-failed").click().run()
    page.selectbox(key="pause-form-retry-failed-length").select("4 hours")
    page.text_area(key="pause-form-retry-failed-why").set_value("refunds by hand")
    page.button(key="pause-form-retry-failed-confirm").click().run()
    row = schedule(db, "retry-failed")
    assert (row["paused_by"], row["paused_reason"]) == ("on-call@nexafx.test", "refunds by hand")
    assert 3.9 * 3600 < (row["paused_until"] - row["paused_at"]).total_seconds() < 4.1 * 3600


def test_resuming_lets_it_run_again(db: Database, settings: Settings) -> None:
    seed.living(db, trouble=True)
    page = run_page(db, settings, "jobs", seed.person(db, Role.ON_CALL))
    page.button(key="resume-cleanup-notifications").click().run()
    page.text_area(key="resume-form-cleanup-notifications-why").set_value("the table has moved")
    page.button(key="resume-form-cleanup-notifications-confirm").click().run()
    assert schedule(db, "cleanup-notifications")["paused_at"] is None


def test_the_number_of_statements_does_not_grow_with_the_jobs(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.ADMINISTRATOR)
    seed.living(db)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    run_page(db, settings, "jobs", person)
    few = len(asked)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.schedules (name, kind, expression, timeout_s)"
                          " SELECT 'job-' || i, 'interval', '60', 10 FROM generate_series(1, 20) i"))  # fmt: skip
    asked.clear()
    run_page(db, settings, "jobs", person)
    assert len(asked) == few
