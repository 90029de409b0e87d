"""What fires is told, to the right people, once, whatever happens in between; over real HTTP."""

from __future__ import annotations

import os
import re
import signal
import threading
from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from jobs.alerts.evaluate import EVALUATE_ALERTS
from jobs.alerts.notices import SEND_NOTICE, list_notices
from jobs.alerts.rota_store import save_rota
from jobs.alerts.send import send_due
from jobs.alerts.telling import put_due
from jobs.core.db import Database
from jobs.core.flags import Flag, set_flag
from jobs.core.people import disable_person
from jobs.core.permissions import Role
from jobs.core.quiet_hours import read_quiet_hours
from jobs.core.settings import Settings
from jobs.run.store import list_runs
from tests.db.alerting import add_rule, change, clock, fire, resolve
from tests.db.books import count, run_job
from tests.db.team import Team, with_channels
from tests.ui import seed

MINUTE = timedelta(minutes=1)
ADA = "ada@nexafx.test"


@pytest.fixture
def desk(settings: Settings, team: Team) -> Settings:
    """One channel of the team, and a way to tell one person."""
    return with_channels(settings, team.url("ops")).model_copy(
        update={"person_url": SecretStr(team.url("people") + "/{email}"), "dashboard_url": "https://ops.example.org/"}
    )


@pytest.fixture
def ada(db: Database) -> str:
    """She is on call."""
    seed.person(db, Role.ON_CALL, name="Ada")
    with db.begin() as conn:
        save_rota(conn, "primary", 0, zone="UTC", starts_on=date(2026, 1, 5), handover=time(9), turn_days=7, people=[ADA],
                  actor="test", origin="test")  # fmt: skip
    return ADA


def tell(db: Database, settings: Settings, later: timedelta = timedelta()) -> list[str]:
    """Puts in what is due so much later, and sends it."""
    with db.begin() as conn:
        keys = put_due(conn, settings, clock(db) + later)
    list(send_due(db, settings, actor="test", origin="test"))
    return keys


def test_an_alert_climbs_from_the_team_to_whoever_is_on_call_and_both_hear_when_it_is_over(
    db: Database, desk: Settings, team: Team, ada: str
) -> None:
    add_rule(db)
    number = fire(db)
    assert tell(db, desk) == [f"alert-{number}-step-1"]
    assert tell(db, desk) == tell(db, desk, 14 * MINUTE) == []
    assert tell(db, desk, 15 * MINUTE) == [f"alert-{number}-step-2"]
    assert tell(db, desk, 80 * MINUTE) == [f"alert-{number}-reminder-1"]
    resolve(db, number)
    assert tell(db, desk, 90 * MINUTE) == [f"alert-{number}-resolved"]
    assert tell(db, desk, 900 * MINUTE) == []
    said = "reconcile-pending has failed 3 times"
    assert team.told("ops")[:2] == [f"Critical: {said}", f"Critical: still {said}"]
    assert re.fullmatch("Over after .*: A job fails again and again, reconcile-pending", str(team.told("ops")[2]))
    assert [str(title).partition(" ")[0] for title in team.told("people")] == ["Critical:", "Critical:", "Over"]
    assert "nobody has taken it in 15 min" in str(team.told("people")[0])
    assert team.got[1][0].endswith(f"/{ada}")
    body = str(team.got[0][1]["message"])
    assert f"https://ops.example.org/alert?id={number}" in body
    assert "it reads 3; the limit is >= 3." in body
    assert "Nobody has it." in body
    assert set(told_of(db, number)) == {"json://127.0.0.1", f"person {ada}"}
    assert count(db, "ops.audit WHERE action = 'alert.told'") == 4


def test_what_fires_together_is_one_notice_on_each_channel_the_worst_first(
    db: Database, desk: Settings, team: Team, ada: str
) -> None:
    add_rule(db)
    add_rule(db, "slow", title="Slow", severity="warn", steps=((0, "team"), (0, "person:ada@nexafx.test")))
    slow = fire(db, "probe", rule="slow", ago=2 * MINUTE)
    first, second = fire(db, "backup"), fire(db, "prune")
    tell(db, desk)
    assert team.told("ops") == ["3 alerts, 2 critical: backup has failed 3 times"]
    assert team.told("people") == ["Attention: probe has failed 3 times"]
    body = str(team.got[0][1]["message"])
    places = [body.index(subject) for subject in ("backup has", "prune has", "probe has")]
    assert places == sorted(places)
    assert [len(told_of(db, number)) for number in (slow, first, second)] == [2, 1, 1]


def told_of(db: Database, alert: int) -> list[str]:
    """The channel of each notice that names the alert."""
    with db.read() as conn:
        named = text("SELECT channel FROM ops.notices WHERE alerts @> ARRAY[CAST(:alert AS bigint)]")
        return list(conn.execute(named, {"alert": alert}).scalars())


def test_nothing_is_told_while_it_is_to_be_quiet_and_at_once_when_that_ends(
    db: Database, desk: Settings, team: Team
) -> None:
    add_rule(db)
    number = fire(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.silences (kind, title, rule, subject, starts_at, ends_at, reason, created_by)"
                " VALUES ('silence', 'x', 'job-*', 'reconcile-*', now() - interval '1 hour', now() + interval '1 hour', 'x', 'x')"
            )
        )
    assert tell(db, desk) == []
    assert tell(db, desk, 61 * MINUTE) == [f"alert-{number}-step-1"]
    change(db, number, "acknowledged_at = now(), acknowledged_by = 'ada'")
    assert tell(db, desk, 500 * MINUTE) == []
    change(db, number, "acknowledged_at = NULL, acknowledged_by = NULL")
    assert tell(db, desk, 500 * MINUTE) == [f"alert-{number}-step-2"]


def test_quiet_hours_let_what_is_critical_through(db: Database, desk: Settings, team: Team) -> None:
    add_rule(db)
    add_rule(db, "slow", title="Slow", severity="warn")
    fire(db, "backup"), fire(db, "probe", rule="slow")
    quiet = desk.model_copy(
        update={"quiet_hours": read_quiet_hours("warn=22:00-07:00"), "oncall_zone": "Europe/Berlin"}
    )
    for hour in (22, 7):
        with db.begin() as conn:
            put_due(conn, quiet, datetime(2099, 1, 5, hour, tzinfo=UTC))
        list(send_due(db, quiet, actor="test", origin="test"))
    assert team.told("ops")[:2] == [
        "Critical: backup has failed 3 times",
        "Attention: probe has failed 3 times",
    ]


@pytest.mark.parametrize("missing", ["rota", "account", "way"])
def test_what_cannot_reach_whom_it_is_meant_for_goes_to_the_team_and_says_so(
    db: Database, desk: Settings, team: Team, missing: str, request: pytest.FixtureRequest
) -> None:
    expected = {
        "rota": "This is for whoever is on call, and nobody is.",
        "account": "This is for whoever is on call, but Ada's account is closed, and they cannot be on call.",
        "way": "This is for Ada, who is on call.",
    }[missing]
    if missing != "rota":
        request.getfixturevalue("ada")
    if missing == "account":
        seed.person(db, Role.ADMINISTRATOR)
        with db.begin() as conn:
            disable_person(conn, ADA, actor="test", origin="test")
    if missing == "way":
        desk = desk.model_copy(update={"person_url": SecretStr("")})
    add_rule(db, steps=((0, "on-call"),))
    fire(db)
    tell(db, desk)
    assert expected in str(team.got[0][1]["message"])
    assert team.told("ops")
    assert not team.told("people")


def test_without_a_channel_nothing_counts_as_told(db: Database, settings: Settings, desk: Settings, team: Team) -> None:
    add_rule(db)
    fire(db)
    assert tell(db, settings) == []
    assert len(tell(db, desk)) == 1


def test_an_evaluation_tells_by_a_run_of_its_own_and_pings_also_where_a_channel_is_down(
    db: Database, desk: Settings, team: Team
) -> None:
    team.status["ops"] = 503
    pinged = desk.model_copy(update={"ping_url": SecretStr(f"http://127.0.0.1:{team.port}/ping")})
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.alert_rules SET for_s = 0 WHERE name = 'flag-switched'"))
        conn.execute(text("UPDATE ops.alert_rules SET enabled = false WHERE name <> 'flag-switched'"))
        set_flag(conn, Flag.CLEANUP, False, actor="test", reason="a test", origin="test")
    run = run_job(db, pinged, EVALUATE_ALERTS)
    assert run.state == "succeeded", run.error
    assert run.counters["fired"] == 1
    assert team.pings == 1
    with db.read() as conn:
        asked = list_runs(conn, job=SEND_NOTICE)
        assert [(one.state, one.triggered_by) for one in asked] == [("queued", "system")]
        waiting = [one.title for one in list_notices(conn)]
    assert len(waiting) == 1
    assert "enableCleanup is off" in waiting[0]
    assert team.told("ops") == []


def test_what_keeps_people_from_being_told_keeps_nothing_from_firing_and_is_told_once_it_is_mended(
    db: Database, desk: Settings, team: Team
) -> None:
    pinged = desk.model_copy(update={"ping_url": SecretStr(f"http://127.0.0.1:{team.port}/ping")})
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.alert_rules SET for_s = 0 WHERE name = 'flag-switched'"))
        conn.execute(text("UPDATE ops.alert_rules SET enabled = false WHERE name <> 'flag-switched'"))
        set_flag(conn, Flag.CLEANUP, False, actor="test", reason="a test", origin="test")
        conn.execute(text("ALTER TABLE ops.rotas RENAME TO away"))
    run = run_job(db, pinged, EVALUATE_ALERTS)
    assert (run.state, run.counters["fired"], team.pings) == ("failed", 1, 0), "and somebody outside learns of it"
    assert count(db, "ops.alerts WHERE state = 'firing' AND step = 0") == 1
    with db.begin() as conn:
        conn.execute(text("ALTER TABLE ops.away RENAME TO rotas"))
    assert run_job(db, pinged, EVALUATE_ALERTS).state == "succeeded"
    assert (count(db, "ops.notices"), team.pings) == (1, 1)


def test_two_that_decide_at_once_put_it_in_once(db: Database, desk: Settings, team: Team) -> None:
    add_rule(db)
    for subject in "abcdef":
        fire(db, subject)
    now, ready, keys = clock(db), threading.Barrier(4), []

    def decide() -> None:
        with db.begin() as conn:
            ready.wait()
            keys.extend(put_due(conn, desk, now))

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1
    assert count(db, "ops.notices") == 1
    assert count(db, "ops.alerts WHERE step = 1") == 6


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_before_or_after_the_commit_loses_nothing_and_repeats_nothing(
    db: Database, desk: Settings, team: Team, when: str
) -> None:
    add_rule(db)
    fire(db)
    child = os.fork()
    if child == 0:
        with Database(db.url).begin() as conn:
            put_due(conn, desk, conn.execute(text("SELECT now()")).scalar_one())
            if when == "after":
                conn.commit()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert team.told("ops") == []
    tell(db, desk)
    assert team.told("ops") == ["Critical: reconcile-pending has failed 3 times"]
    with db.read() as conn:
        assert [one.state for one in list_notices(conn)] == ["delivered"]


def test_no_part_of_a_persons_address_is_kept(db: Database, desk: Settings, team: Team, ada: str) -> None:
    add_rule(db, steps=((0, f"person:{ada}"),))
    fire(db)
    team.status["people"] = 500
    tell(db, desk)
    with db.read() as conn:
        kept = " ".join(conn.execute(text("SELECT n::text FROM ops.notices n")).scalars())
    assert "it answers 500" in kept
    assert "hunter2" not in kept
