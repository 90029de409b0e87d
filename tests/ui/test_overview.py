"""The overview answers: is all well, and if not, what and since when."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from jobs.alerts.acting import silence
from jobs.core.audit import AuditRow, record_many
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.alerts import a_rule, an_alert, an_incident
from tests.ui.desk import run_page, seen


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"horizon_urls": seed.SERVERS})


def test_a_quiet_day_is_one_sentence(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    assert "<h1>All is well</h1>" in said
    assert "nx-problems" not in said


def test_the_worst_comes_first_and_leads_to_its_run(db: Database, settings: Settings) -> None:
    seed.living(db, trouble=True)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    head = said[said.index("<h1>") : said.index("</h1>")]
    assert "reconcile-pending has failed 3 times since" in head
    assert "Horizon answers 503" in head
    assert 'href="/run?id=' in head
    assert "enableRetry is off" in said
    assert "cleanup-notifications is paused until it is resumed by ada@nexafx.com" in said


def test_pending_money_is_told_by_currency_with_its_oldest(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    assert "312.50" in said
    assert "5 waiting" in said
    assert "250.00" in said


def test_the_strip_has_a_bar_for_each_of_the_last_fifty_runs(db: Database, settings: Settings) -> None:
    seed.living(db)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.VIEWER)))
    assert said.count('tabindex="-1"') == 50 * len(seed.JOBS)
    assert "failed, " in said


def test_what_runs_did_is_one_row_and_ticks_are_lines_of_their_checklist(db: Database, settings: Settings) -> None:
    seed.living(db)
    rows = [
        AuditRow(actor=actor, action=action, entity=entity, entity_id=id_, origin="test")
        for actor, action, entity, id_ in (
            ("run:901", "transaction.settled", "transaction", "a"),
            ("run:902", "transaction.settled", "transaction", "b"),
            ("mei@nexafx.com", "item.ticked", "checklist_run", "3"),
            ("mei@nexafx.com", "item.ticked", "checklist_run", "3"),
            ("mei@nexafx.com", "item.ticked", "checklist_run", "4"),
        )
    ]
    with db.begin() as conn:
        record_many(conn, rows)
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.ADMINISTRATOR)))
    assert re.search(r"\d runs</td>", said)
    assert said.count("transactions settled") == 1
    assert '2 lines ticked in <a href="/checklist?id=3" class="nx-link">checklist run 3</a>' in said
    assert "1 line ticked in" in said


def test_what_changed_is_shown_to_those_who_may_read_the_audit(db: Database, settings: Settings) -> None:
    seed.living(db)
    auditor, viewer = seed.person(db, Role.PROJECT_MANAGER), seed.person(db, Role.VIEWER)
    said = seen(run_page(db, settings, "overview", auditor))
    assert "What changed in the last hour" in said
    assert "14 transactions settled" in said
    assert "the notification table is being moved" in said
    assert "What changed" not in seen(run_page(db, settings, "overview", viewer))


def test_an_empty_desk_says_what_will_stand_where(db: Database, settings: Settings) -> None:
    said = seen(run_page(db, settings, "overview", seed.person(db, Role.ADMINISTRATOR)))
    assert "No worker runs" in said
    assert "will stand here" in said


@pytest.fixture
def ada(db: Database) -> UUID:
    """Somebody on call, in the middle of trouble."""
    seed.living(db, trouble=True)
    return seed.person(db, Role.ON_CALL, name="Ada")


def head(page: AppTest) -> str:
    said = seen(page)
    return said[said.index("<h1>") : said.index("</h1>")]


def ack(page: AppTest) -> list[str]:
    return [button.key for button in page.button if (button.key or "").startswith("nx-ack-")]


def test_what_nobody_has_is_acknowledged_right_there(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db, a_rule(db, runbook="rollback-application"))
    page = run_page(db, settings, "overview", ada)
    assert "nobody has it" in seen(page)
    assert f'href="/alert?id={number}"' in seen(page)
    assert 'href="/checklists?template=rollback-application"' in seen(page)
    assert ack(page) == [f"nx-ack-{number}"]
    page.button(f"nx-ack-{number}").click().run()
    page.text_area[0].set_value("I look at Horizon")
    page.button(f"ack-{number}-confirm").click().run()
    page = run_page(db, settings, "overview", ada)
    assert re.search(r"Ada(<[^>]*>)? has it since \d\d:\d\d UTC: I look at Horizon", seen(page))
    assert ack(page) == []
    with db.read() as conn:
        assert conn.execute(text("SELECT reason FROM ops.audit WHERE action = 'alert.acknowledged'")).all() == [
            ("I look at Horizon",)
        ]


def test_whoever_may_not_act_sees_no_button(db: Database, settings: Settings, ada: UUID) -> None:
    an_alert(db, a_rule(db))
    page = run_page(db, settings, "overview", seed.person(db, Role.VIEWER))
    assert "nobody has it" in seen(page)
    assert ack(page) == []


def test_what_is_silenced_stands_apart_and_the_next_is_the_worst(db: Database, settings: Settings, ada: UUID) -> None:
    an_alert(db, a_rule(db))
    with db.begin() as conn:
        until = datetime.now(UTC) + timedelta(hours=1)
        silence(conn, "jobs-fail", "*", until, "the sandbox is being moved", "ada@nexafx.test", origin="test")
    page = run_page(db, settings, "overview", ada)
    assert "reconcile-pending" not in head(page)
    assert "silenced until" in seen(page)
    assert "the sandbox is being moved" in seen(page)
    assert ack(page) == []


def test_what_follows_stands_under_its_cause_and_a_rule_of_ones_own_is_a_problem_too(
    db: Database, settings: Settings, ada: UUID
) -> None:
    cause = an_alert(db, a_rule(db))
    an_alert(db, a_rule(db, "slow", signal="job.slow"), "retry-failed", signal="job.slow", severity="warn",
             folded_into=cause, sentence="retry-failed takes four times as long as usual")  # fmt: skip
    an_alert(db, a_rule(db, "own", signal="cases.opened"), "", signal="cases.opened", severity="warn",
             sentence="7 cases were opened within an hour")  # fmt: skip
    said = seen(run_page(db, settings, "overview", ada))
    follows = said[said.index("nx-follows") :]
    assert "retry-failed takes four times" in follows[: follows.index("</ul>")]
    assert said.count("retry-failed takes four times") == 1
    assert "7 cases were opened within an hour." in said


def test_incidents_stand_there_with_who_leads_them(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_incident(db, ada, alerts=(an_alert(db, a_rule(db)),))
    said = seen(run_page(db, settings, "overview", ada))
    assert "Open incidents" in said
    assert f'href="/incident?id={number}"' in said
    assert f"Incident {number}</a>, led by Ada" in said


def test_what_runs_is_there_with_how_far_it_is(db: Database, settings: Settings, ada: UUID) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt, queued_at, started_at, progress_done,"
                " progress_total) VALUES ('audit-history', 'manual', 'ada@nexafx.test', 'running', 1, now(),"
                " now() - interval '1 minute', 30, 120), ('probe-horizon', 'manual', 'system', 'running', 1, now(), now(),"
                " NULL, NULL)"
            )
        )
    said = seen(run_page(db, settings, "overview", ada))
    assert "30 of 120" in said
    running = said[said.index("Running now") :]
    assert "probe-horizon" not in running[: running.index("</table>")], "what is over in a moment would only flicker"


def test_who_is_called_is_named_with_how_to_reach_them(db: Database, settings: Settings, ada: UUID) -> None:
    assert "nobody on call" in seen(run_page(db, settings, "app", ada))
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.rotas (name, place, zone, starts_on, handover, turn_days, people, changed_by)"
                " VALUES ('primary', 1, 'UTC', '2026-01-05', '09:00', 7, '{ada@nexafx.test}', 'system')"
            )
        )
    said = seen(run_page(db, settings, "app", ada))
    assert 'class="nx-oncall"' in said
    assert "until" in said[said.index("nx-oncall") :][:300]
    overview = seen(run_page(db, settings, "overview", ada))
    assert 'href="mailto:ada@nexafx.test"' in overview


def test_a_server_that_is_frozen_is_no_green_and_a_silent_worker_is_no_worker(
    db: Database, settings: Settings, ada: UUID
) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_servers (server, frozen_at, frozen_reason) VALUES (:server, now(), 'it went back')"
                " ON CONFLICT (server) DO UPDATE SET frozen_at = now(), frozen_reason = excluded.frozen_reason"
            ),
            {"server": seed.SERVERS[0]},
        )
        conn.execute(text("UPDATE ops.workers SET beat_at = now() - interval '5 minutes'"))
    said = seen(run_page(db, settings, "overview", ada))
    tile = said[said.index("Horizon 127.0.0.1:8000") :][:600]
    assert "nx-critical" in tile
    assert "nx-chip nx-ok" not in tile
    assert "none runs" in said
    assert f"{seed.SERVERS[0].partition('://')[2]}: nothing is settled on it since" in seen(
        run_page(db, settings, "horizon", ada)
    )


def test_two_workers_of_one_host_that_fall_silent_are_two_lines(db: Database, settings: Settings, ada: UUID) -> None:
    an_alert(db, a_rule(db, "lost", signal="workers.lost"), "ops-9", signal="workers.lost", severity="warn")
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, beat_at) SELECT gen_random_uuid(), 'ops-9', n,"
                " '0.1.0', 4, now() - interval '5 minutes' FROM generate_series(1, 2) AS n"
            )
        )
    page = run_page(db, settings, "overview", ada)
    assert not page.exception
    assert not page.error
    assert seen(page).count("The worker on ops-9 has been silent") == 2
    assert ack(page) == ["nx-ack-1"]
