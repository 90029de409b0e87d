"""Notices over real HTTP: at least once on every channel, each channel by itself, loud when given up, and no address shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from checklists.actions import describe, perform
from checklists.checks.model import CheckContext, Verdict
from checklists.checks.registry import run_check
from checklists.grammar import Action
from jobs.alerts import notices
from jobs.alerts.channels import channels_of
from jobs.alerts.notices import RETRIES, SEND_NOTICE, claim, conclude, list_notices, put
from jobs.cli import app
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.probes.attention import Severity, find_problems
from jobs.probes.facts import read_facts
from jobs.run.store import RunRow, list_logs
from jobs.schedule.store import find_schedule, follow_settings
from tests.db.books import count, run_job, value
from tests.db.team import KEY, PASSWORD, Team, with_channels
from tests.ui import seed
from tests.ui.checklist_runs import who


@pytest.fixture
def both(settings: Settings, team: Team) -> Settings:
    return with_channels(settings, team.url("ops"), team.url("desk"))


def tell(db: Database, settings: Settings, title: str = "Deployment of 2.4.0", **params: object) -> RunRow:
    return run_job(db, settings, SEND_NOTICE, title=title, body="At 14:00 UTC.", **params)


def due(db: Database) -> None:
    """Lets everything that waits be tried now."""
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.notices SET next_at = now() WHERE state = 'waiting'"))


def everything_said(db: Database) -> str:
    """All that is kept of notices: in runs, their logs, the outbox and the audit trail."""
    with db.read() as conn:
        rows = [
            *conn.execute(text("SELECT to_jsonb(n)::text FROM ops.notices n")).scalars(),
            *conn.execute(text("SELECT to_jsonb(r)::text FROM ops.runs r")).scalars(),
            *conn.execute(text("SELECT to_jsonb(l)::text FROM ops.run_logs l")).scalars(),
            *conn.execute(text("SELECT to_jsonb(a)::text FROM ops.audit a")).scalars(),
        ]
    return "\n".join(rows)


def test_a_notice_reaches_every_channel_once_however_often_it_is_asked_for(
    db: Database, both: Settings, team: Team
) -> None:
    for _ in range(2):
        assert tell(db, both, key="release-2.4.0").state == "succeeded"
    assert (team.told("ops"), team.told("desk")) == (["Deployment of 2.4.0"], ["Deployment of 2.4.0"])
    with db.read() as conn:
        assert {(one.channel, one.state, one.attempts) for one in list_notices(conn)} == {
            ("json://127.0.0.1", "delivered", 1),
            ("json://127.0.0.1 (2)", "delivered", 1),
        }
    assert count(db, "ops.audit WHERE action = 'notice.delivered'") == 2


def test_one_channel_that_is_down_is_tried_again_and_the_other_is_left_alone(
    db: Database, both: Settings, team: Team
) -> None:
    team.status["desk"] = 503
    run = tell(db, both)
    assert run.state == "failed", "whoever asked is told at once"
    assert "“Deployment of 2.4.0” waits: json://127.0.0.1 (2): it answers 503" in (run.error or "")
    team.status["desk"] = 200
    due(db)
    assert run_job(db, both, SEND_NOTICE).counters["delivered"] == 1
    assert (len(team.told("ops")), len(team.told("desk"))) == (1, 2)


def test_a_notice_waits_for_its_next_try(db: Database, both: Settings, team: Team) -> None:
    team.status["desk"] = 500
    tell(db, both)
    assert run_job(db, both, SEND_NOTICE).counters == {"delivered": 0, "waiting": 0, "dead": 0}
    assert len(team.told("desk")) == 1


def test_what_is_given_up_fails_its_run_and_stands_on_the_overview_until_it_is_sent(
    db: Database, settings: Settings, team: Team
) -> None:
    one = with_channels(settings, team.url("ops"))
    team.status["ops"] = 404
    tell(db, one, key="k")
    for _ in range(RETRIES):
        due(db)
        run = run_job(db, one, SEND_NOTICE)
    assert run.state == "failed"
    assert "Given up after an hour and a quarter: “Deployment of 2.4.0” on json://127.0.0.1: it answers 404" in str(
        run.error
    )
    assert len(team.told("ops")) == RETRIES + 1
    with db.read() as conn:
        problem = next(each for each in find_problems(read_facts(conn, one)) if "not told" in each.sentence)
    assert problem.severity is Severity.CRITICAL
    assert "“Deployment of 2.4.0” was given up on json://127.0.0.1" in problem.sentence
    assert count(db, "ops.audit WHERE action = 'notice.given_up'") == 1
    team.status["ops"] = 200
    assert tell(db, one, key="k").state == "succeeded", "asked for again, it is tried anew"
    with db.read() as conn:
        assert not [each for each in find_problems(read_facts(conn, one)) if "not told" in each.sentence]


def test_a_sender_that_was_killed_leaves_the_notice_to_the_next_and_writes_nothing_late(db: Database) -> None:
    first, second = uuid4(), uuid4()
    with db.begin() as conn:
        put(conn, "k", "T", "B", ["slack://"], actor="test", origin="test")
        taken = claim(conn, first, key=None)
        assert taken is not None
        assert claim(conn, second, key=None) is None, "it is being sent"
        conn.execute(text("UPDATE ops.notices SET claimed_until = now() - interval '1 second'"))
        again = claim(conn, second, key=None)
        assert again is not None
        assert again.attempts == 2
        how = {"retries": 3, "actor": "test", "origin": "test"}
        assert conclude(conn, first, taken, None, **how) == "lost"  # type: ignore[arg-type]
        assert conclude(conn, second, again, None, **how) == "delivered"  # type: ignore[arg-type]


def test_what_is_new_comes_before_what_waits_for_a_channel_that_hangs(db: Database) -> None:
    with db.begin() as conn:
        put(conn, "old", "T", "B", ["slack://"], actor="test", origin="test")
        conn.execute(text("UPDATE ops.notices SET attempts = 1, next_at = now() - interval '1 minute'"))
        put(conn, "new", "T", "B", ["json://h"], actor="test", origin="test")
        taken = [claim(conn, uuid4(), key=None) for _ in range(2)]
    assert [one.key for one in taken if one is not None] == ["new", "old"]


def test_no_part_of_an_address_is_ever_kept_or_said(db: Database, settings: Settings, team: Team) -> None:
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
    team.status = {"ops": 403}
    run = tell(db, with_channels(settings, team.url("ops"), "nope://token123456/x", "json://127.0.0.1:9/in1the2path"))
    said = f"{everything_said(db)}\n{run.error}\n{channels_of(with_channels(settings, slack, team.url('ops')))!r}"
    for secret in (PASSWORD, KEY, "token123456", "in1the2path", "T1JJ3T3L2", "A1BRTD4JD"):
        assert secret not in said
    assert "nope://: Apprise knows no such address: correct it in NEXAOPS_NOTICE_URLS" in str(run.error)
    assert "json://127.0.0.1 (2): it gives no answer" in str(run.error)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("json://user:pass@hooks.example:8443/path?token=x", "json://hooks.example"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "slack://"),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack://"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "tgram://"),
        ("mailto://user:secret@gmail.com", "mailto://gmail.com"),
        ("ntfy://topic", "ntfy://"),
        ("gotify://push.example/tok1234567890", "gotify://push.example"),
        ("nobody-knows://key/x", "nobody-knows://"),
        ("json://user:p[ss@hooks.example/x", "json://"),
        ("nobody-knows://a]b[c/x", "nobody-knows://"),
    ],
)
def test_a_channel_is_called_by_its_scheme_and_where_it_is_a_server_by_its_host(
    settings: Settings, address: str, name: str
) -> None:
    assert [channel.name for channel in channels_of(with_channels(settings, address))] == [name]


def test_addresses_are_separated_by_commas_and_may_hold_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXAOPS_NOTICE_URLS", "mailto://u:p@x.org?to=a@x.org,b@x.org, json://h.example")
    urls = [url.get_secret_value() for url in Settings().notice_urls]
    assert urls == ["mailto://u:p@x.org?to=a@x.org,b@x.org", "json://h.example"]
    assert "u:p" not in repr(Settings())


def test_without_a_channel_nothing_is_lost_in_silence(db: Database, settings: Settings) -> None:
    run = tell(db, settings)
    assert (run.state, run.error_class) == ("failed", "SettingsError")
    assert "set NEXAOPS_NOTICE_URLS" in (run.error or "")
    with db.begin() as conn:
        follow_settings(conn, load_jobs(), settings)
        assert not find_schedule(conn, SEND_NOTICE).enabled
        follow_settings(conn, load_jobs(), with_channels(settings, "json://h.example"))
        assert find_schedule(conn, SEND_NOTICE).enabled


def test_people_are_told_also_while_every_job_only_says_what_it_would_do(
    db: Database, both: Settings, team: Team
) -> None:
    with db.begin() as conn:
        set_flag(conn, Flag.DRY_RUN, True, actor="ada", reason="a test", origin="test")
    tell(db, both)
    assert len(team.got) == 2


def test_a_dry_run_says_what_it_would_send(db: Database, both: Settings, team: Team) -> None:
    run = run_job(db, both, SEND_NOTICE, dry_run=True, title="Deployment")
    with db.read() as conn:
        line = list_logs(conn, run.id)[0]
    assert (line.event, line.fields["channels"]) == ("would send", ["json://127.0.0.1", "json://127.0.0.1 (2)"])
    assert not team.got


TELL = Action.model_validate({"notice": {"title": "NexaFX {version} comes", "body": "On {date}, says {nobody}."}})


def test_the_button_of_an_item_tells_the_team_once_in_the_words_of_the_run(
    db: Database, both: Settings, team: Team
) -> None:
    fields = {"version": "2.4.0", "date": "2026-11-30"}
    words = describe(TELL, load_jobs(), fields)
    assert words.consequence == "Sends to all channels of the team: “NexaFX 2.4.0 comes” On 2026-11-30, says –."
    manager = who(db, seed.person(db, Role.PROJECT_MANAGER))
    with db.begin() as conn:
        asked = [
            perform(
                conn, TELL, manager, "The window opens.", fields=fields, place="checklist-1-a", origin="test"
            ).run_id
            for _ in range(2)
        ]
    with db.read() as conn:
        params = conn.execute(text("SELECT params FROM ops.runs WHERE id = ANY(:ids)"), {"ids": asked}).scalars().all()
    assert params[0] == params[1], "pressed twice it is the same notice"
    run_job(db, both, SEND_NOTICE, **params[0])
    assert team.got[0][1]["message"] == "On 2026-11-30, says –.\n\nProject Manager Person"


def context_of(db: Database, settings: Settings) -> CheckContext:
    now = datetime.now(UTC)
    return CheckContext(db, settings, {}, now - timedelta(hours=1), now + timedelta(seconds=1), ())


def test_the_checks_prove_what_was_delivered_and_say_what_to_set(
    db: Database, settings: Settings, both: Settings, team: Team
) -> None:
    for name in ("alerts.notice", "alerts.delivery"):
        found = run_check(name, {}, context_of(db, settings))
        assert (found.verdict, "NEXAOPS_NOTICE_URLS" in (found.mend or "")) == (Verdict.UNABLE, True)
    assert run_check("alerts.notice", {}, context_of(db, both)).verdict is Verdict.UNABLE
    tell(db, both, title="Critical: No worker runs", key="alert-1-step-1")
    assert run_check("alerts.notice", {}, context_of(db, both)).verdict is Verdict.UNABLE, "an alert says nothing of it"
    with db.begin() as conn:
        conn.execute(text("DELETE FROM ops.notices"))
    assert run_check("alerts.delivery", {}, context_of(db, both)).verdict is Verdict.FAILED
    team.status["desk"] = 503
    tell(db, both)
    found = run_check("alerts.notice", {}, context_of(db, both))
    assert (found.verdict, "json://127.0.0.1 (2) (waiting: it answers 503)" in found.summary) == (Verdict.FAILED, True)
    team.status["desk"] = 200
    due(db)
    run_job(db, both, SEND_NOTICE)
    for name in ("alerts.notice", "alerts.delivery"):
        found = run_check(name, {}, context_of(db, both))
        assert found.verdict is Verdict.PASSED, found.summary
        assert KEY not in found.summary


def test_the_checks_see_every_channel_however_much_was_told_on_one_since(
    db: Database, both: Settings, team: Team
) -> None:
    tell(db, both)
    busy, quiet = (channel.name for channel in channels_of(both))
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.notices (key, channel, title, body, created_by, state, ended_at)"
                " SELECT 'alert-' || n || '-step-1', :busy, 'x', 'x', 'system', 'delivered', now()"
                " FROM generate_series(1, 600) AS n"
            ),
            {"busy": busy},
        )
        conn.execute(
            text(
                "INSERT INTO ops.notices (key, channel, title, body, created_by, created_at, state, ended_at)"
                " VALUES ('alert-601-step-1', :quiet, 'x', 'x', 'system', now() - interval '10 min', 'dead', now()),"
                " ('test-1', :quiet, 'x', 'x', 'system', now() - interval '10 min', 'dead', now())"
            ),
            {"quiet": quiet},
        )
    assert run_check("alerts.notice", {}, context_of(db, both)).verdict is Verdict.PASSED
    found = run_check("alerts.delivery", {}, context_of(db, both))
    assert found.verdict is Verdict.PASSED
    assert found.summary == f"2 channels delivered within 7 days, though given up before: 1 notice on {quiet}."


def test_the_command_shows_the_result_of_each_channel(
    db: Database, team: Team, monkeypatch: pytest.MonkeyPatch, server_socket: Path
) -> None:
    for name, given in {
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9", "STELLAR_NETWORK": "TESTNET", "DB_HOST": str(server_socket),
        "DB_NAME": str(db.url.database), "NEXAOPS_NOTICE_URLS": f"{team.url('ops')},{team.url('desk')}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, given)
    team.status["desk"] = 401
    shown = CliRunner().invoke(app, ["notices", "test"])
    assert shown.exit_code == 1
    assert shown.stdout.splitlines() == ["ok      json://127.0.0.1", "failed  json://127.0.0.1 (2): it answers 401"]
    listed = CliRunner().invoke(app, ["notices", "list"]).stdout
    assert "A test of NexaFX Ops" in listed
    assert KEY not in shown.stdout + listed
    assert value(db, "SELECT count(*) FROM ops.notices WHERE state = 'waiting'") == 0, "a test is not tried again"
    with db.read() as conn:
        settings = Settings.model_validate(
            {"STELLAR_HORIZON_URL": ("http://127.0.0.1:9",), "STELLAR_NETWORK": "TESTNET"}
        )
        assert not [each for each in find_problems(read_facts(conn, settings)) if "not told" in each.sentence]
    assert notices.TEST in everything_said(db)
