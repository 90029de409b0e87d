"""What people do about alerts and rules: whoever is second learns it, nothing is saved by halves, all of it is on record."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from checklists.checks.model import CheckContext, Verdict
from checklists.checks.registry import run_check
from jobs.alerts import previewing
from jobs.alerts.acting import acknowledge, end_silence, plan_maintenance, silence, unacknowledge
from jobs.alerts.editing import delete_rule, is_edited, reset_rule, save_rule, switch_rule
from jobs.alerts.keeping import keep_readings, last_readings
from jobs.alerts.model import Rule, Step
from jobs.alerts.previewing import preview
from jobs.alerts.store import get_alert, get_rule, history, list_silences
from jobs.cli import app
from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError, NotFound, UsageError
from jobs.core.settings import Settings
from tests.db.books import count, run_job

ADA, BEN = "ada@example.org", "ben@example.org"
HOUR = timedelta(hours=1)
MINE = Rule("my-disk", "My disk", "host.disk_used_ratio", ">=", 0.5, "warn", (Step(0, "team"),), for_s=60)


def save(conn: Connection, rule: Rule, seen: int = 0) -> Rule:
    return save_rule(conn, rule, seen, ADA, channels=("slack://",), reason="a test", origin="test")


def fire(db: Database, rule: str = "disk-full", subject: str = "here") -> int:
    with db.begin() as conn:
        return int(
            conn.execute(
                text(
                    "INSERT INTO ops.alerts (rule, signal, subject, state, severity, value, sentence, link, began_at,"
                    " fired_at, seen_at) VALUES (:rule, 'host.disk_used_ratio', :subject, 'firing', 'critical', 0.97,"
                    " 'The disk is 97 % full', '/hosts', now(), now(), now()) RETURNING id"
                ),
                {"rule": rule, "subject": subject},
            ).scalar_one()
        )


def test_of_two_who_acknowledge_one_has_it_and_the_other_learns_who(db: Database) -> None:
    alert = fire(db)
    said: list[str] = []

    def take(who: str) -> None:
        try:
            with db.begin() as conn:
                acknowledge(conn, alert, who, "looking", origin="test")
        except Conflict as error:
            said.append(str(error))

    threads = [threading.Thread(target=take, args=(who,)) for who in (ADA, BEN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.begin() as conn:
        has_it = get_alert(conn, alert).acknowledged_by
        assert len(said) == 1
        assert said[0].startswith(f"{has_it} has it already, since ")
        unacknowledge(conn, alert, ADA, "off to bed", origin="test")
        actions = [(entry.action, entry.reason) for entry in history(conn, "alert", str(alert))]
    assert actions == [("alert.acknowledged", "looking"), ("alert.unacknowledged", "off to bed")]


Act = Callable[[Connection, int], Any]
REFUSED: list[tuple[Act, type[NexaError], str]] = [
    (lambda conn, alert: acknowledge(conn, alert, ADA, "  "), UsageError, "Say in a word"),
    (lambda conn, alert: acknowledge(conn, alert + 1, ADA, "looking"), NotFound, "no alert"),
    (lambda conn, alert: unacknowledge(conn, alert, ADA, "why"), Conflict, "nothing to take back"),
    (lambda conn, _: silence(conn, "*", "*", datetime.now(UTC) - HOUR, "why", ADA), UsageError, "later time"),
    (lambda conn, _: silence(conn, "*", "*", datetime.now(UTC) + 31 * 24 * HOUR, "y", ADA), UsageError, "30 days"),
    (lambda conn, _: silence(conn, "*", "*", datetime.now(UTC) + HOUR, "", ADA), UsageError, "reason"),
    (lambda conn, _: silence(conn, "disk_full", "*", datetime.now(UTC) + HOUR, "y", ADA), UsageError, "No rule fits"),
    (lambda conn, _: end_silence(conn, 7, ADA), NotFound, "no silence 7"),
]


def test_what_is_refused_says_why_and_changes_nothing(db: Database) -> None:
    alert = fire(db)
    for act, error, says in REFUSED:
        with pytest.raises(error, match=says), db.begin() as conn:
            act(conn, alert)
    assert count(db, "ops.silences") == 0
    with db.read() as conn:
        assert history(conn, "alert", str(alert)) == []


def test_a_silence_covers_what_it_names_until_it_is_taken_back(db: Database) -> None:
    with db.begin() as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
        number = silence(conn, "job-*", "prune, backup", now + HOUR, "a migration", ADA, origin="test")
        plan_maintenance(conn, "New disk", "*", "db-1", now + HOUR, now + 2 * HOUR, "it is swapped", ADA, origin="test")
        quiet, planned = list_silences(conn)
    assert [quiet.covers("job-failing", name, now) for name in ("backup", "verify-ledger")] == [True, False]
    assert not planned.covers("disk-full", "db-1", now)
    assert planned.covers("disk-full", "db-1", now + HOUR)
    with db.begin() as conn:
        end_silence(conn, number, BEN, origin="test")
        with pytest.raises(Conflict, match=f"{BEN} ended it"):
            end_silence(conn, number, ADA, origin="test")
        assert [one.title for one in list_silences(conn)] == ["New disk"]


def test_two_rules_cannot_explain_each_other(db: Database) -> None:
    with db.begin() as conn:
        save(conn, replace(MINE, folds_into=("disk-full",)))
        full = get_rule(conn, "disk-full")
        with pytest.raises(UsageError, match="cannot both explain"):
            save(conn, replace(full, folds_into=("my-disk",)), full.version)


def test_a_rule_is_saved_as_it_was_seen_and_its_history_tells_old_and_new(db: Database) -> None:
    with db.begin() as conn:
        mine = save(conn, MINE)
        save(conn, replace(mine, threshold=0.6), mine.version)
        with pytest.raises(Conflict, match=f"changed meanwhile, by {ADA}"):
            save(conn, replace(mine, threshold=0.7), mine.version)
        with pytest.raises(Conflict, match="choose another name"):
            save(conn, MINE)
        edit = history(conn, "alert_rule", "my-disk")[-1]
    assert (edit.action, edit.old, edit.new) == ("rule.edited", {"threshold": 0.5}, {"threshold": 0.6})


def test_a_shipped_rule_is_switched_and_reset_and_ones_own_is_deleted_once_nothing_of_it_is_open_or_untold(
    db: Database,
) -> None:
    with db.begin() as conn:
        switch_rule(conn, "disk-full", False, ADA, reason="noise", origin="test")
        with pytest.raises(Conflict, match="switch it off instead"):
            delete_rule(conn, "disk-full", ADA, reason="noise")
        assert is_edited(get_rule(conn, "disk-full"))
        reset_rule(conn, "disk-full", get_rule(conn, "disk-full").version, ADA, reason="it was not noise")
        assert not is_edited(get_rule(conn, "disk-full"))
        save(conn, MINE)
    alert = fire(db, "my-disk")
    with db.begin() as conn:
        with pytest.raises(Conflict, match="open, or whose end is still to be told"):
            delete_rule(conn, "my-disk", ADA, reason="done")
        conn.execute(text("UPDATE ops.alerts SET state = 'resolved', resolved_at = now(), told_at = now()"))
        with pytest.raises(Conflict, match="whose end is still to be told"):
            delete_rule(conn, "my-disk", ADA, reason="done")
        conn.execute(text("UPDATE ops.alerts SET told_resolved = true"))
        delete_rule(conn, "my-disk", ADA, reason="done")
        assert get_alert(conn, alert).rule == "my-disk", "what it fired in the past stays"


def read(db: Database, *course: tuple[float, float | None]) -> None:
    """What the disk read so many hours ago, watched for the last ten days but for an hour."""
    with db.begin() as conn:
        for hours, value in course:
            conn.execute(
                text(
                    "INSERT INTO ops.alert_readings VALUES ('host.disk_used_ratio', 'here',"
                    " now() - make_interval(secs => :s), :value)"
                ),
                {"s": hours * 3600, "value": value},
            )
        conn.execute(
            text(
                "INSERT INTO ops.alert_watches VALUES (now() - interval '10 days', now() - interval '20 hours'),"
                " (now() - interval '19 hours', now())"
            )
        )


def test_a_preview_reads_what_was_kept(db: Database) -> None:
    read(db, (200, 0.4), (100, 0.6), (99, 0.61), (98, 0.4), (30, 0.9), (10, 0.1), (5, None), (4, 0.2))
    with db.read() as conn:
        found = preview(conn, MINE)
        higher = preview(conn, replace(MINE, threshold=0.8))
    assert [round((one.until - one.since) / HOUR) for one in found.episodes] == [2, 20]
    assert found.sentence == (
        "Would have fired 2 times within the last 7 days, for 21 h in all; a gap of 60 min in all, of which nothing is known."
    )
    assert len(higher.episodes) == 1
    for odd in (replace(MINE, threshold=float("nan")), replace(MINE, for_s=10**12), replace(MINE, comparison="; --")):
        with pytest.raises(UsageError), db.read() as conn:
            preview(conn, odd)


def test_a_preview_that_would_be_cut_short_says_so(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previewing, "MOST_POINTS", 4)
    read(db, (30, 0.4), (20, 0.6), (10, 0.4), (5, 0.6))
    with pytest.raises(UsageError, match="more than 4 times"), db.read() as conn:
        preview(conn, MINE)


def test_what_is_measured_no_more_fires_no_longer_and_is_kept_once(db: Database, settings: Settings) -> None:
    read(db, (300, 0.6), (250, 0.9), (100, 0.9), (40, 0.1), (30, 0.9))
    key = ("host.disk_used_ratio", "here")
    with db.begin() as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
        assert keep_readings(conn, [], last_readings(conn), now - 10 * HOUR) == 1
        assert keep_readings(conn, [], last_readings(conn), now) == 0
        assert key not in last_readings(conn)
        found = preview(conn, MINE).episodes
    assert [(one.goes_on, round((one.until - one.since) / HOUR)) for one in found] == [(False, 128), (False, 20)]
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.alert_readings SET at = at - interval '9 days'"))
    run = run_job(db, settings, "prune")
    assert run.counters["readings"] == 5, "its end goes last, so that the reading before it never stands until now"
    run_job(db, settings, "prune")
    assert count(db, "ops.alert_readings") == 0


def test_old_readings_go_and_what_stood_at_the_limit_stays(db: Database, settings: Settings) -> None:
    read(db, (300, 0.3), (250, 0.4), (200, 0.5), (100, 0.6))
    before = preview_of(db)
    run = run_job(db, settings, "prune")
    assert run.counters["readings"] == 2
    assert (count(db, "ops.alert_readings"), preview_of(db)) == (2, before)


def preview_of(db: Database) -> int:
    with db.read() as conn:
        return len(preview(conn, MINE).episodes)


def test_the_checks_prove_that_a_rule_watches_is_evaluated_and_tells_somebody(db: Database, settings: Settings) -> None:
    now = datetime.now(UTC)
    told = settings.model_copy(update={"notice_urls": (SecretStr("json://127.0.0.1:9/a"),)})

    def look(name: str, **params: object) -> tuple[Verdict, str]:
        with db.read() as conn:
            moment = conn.execute(text("SELECT now()")).scalar_one()
        found = run_check(name, params, CheckContext(db, told, {}, now - HOUR, moment, ()))
        return found.verdict, found.summary

    assert look("alerts.rule", rule="stellar") == (Verdict.FAILED, "The rules were never evaluated.")
    read(db)
    verdict, summary = look("alerts.rule", rule="stellar")
    assert (verdict, summary.partition(",")[0]) == (Verdict.PASSED, "3 rules on stellar: horizon-critical")
    assert look("alerts.changes")[0] is Verdict.UNABLE
    with db.begin() as conn:
        for name in ("job-slow", "job-near-limit"):
            switch_rule(conn, name, False, ADA, reason="noise", origin="test")
    assert look("alerts.rule", rule="slow_job") == (Verdict.FAILED, "No rule that is on watches slow job.")
    assert look("alerts.changes") == (
        Verdict.GATHERED, f"2 rules changed: job-near-limit (edited by {ADA}), job-slow (edited by {ADA})."
    )  # fmt: skip


def test_the_commands(db: Database, monkeypatch: pytest.MonkeyPatch, server_socket: Path, tmp_path: Path) -> None:
    for name, given in {
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9", "STELLAR_NETWORK": "TESTNET", "DB_HOST": str(server_socket),
        "DB_NAME": str(db.url.database), "NEXAOPS_HOME": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, given)

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, ["alerts", *words])
        assert result.exit_code == 0, result.output
        return result.output

    assert said("list") == "Nothing fires.\n"
    alert = str(fire(db))
    assert "The disk is 97 % full" in said("list")
    assert orjson.loads(said("list", "--json"))[0]["subject"] == "here"
    said("acknowledge", alert, "--reason", "looking")
    assert re.search(r"has it since.*\n.*:\d\d UTC  alert.acknowledged", said("show", alert))
    assert "lasts until" in said("silence", "disk-*", "--for", "2h", "--reason", "it is swapped")
    assert "it is swapped" in said("silences")
    said("unsilence", "1")
    assert said("silences") == "Nothing is kept quiet.\n"
    assert "Disk at least 95 % for 2 min" in said("rules", "list")
    read(db, (30, 0.9), (10, 0.1))
    assert "Would have fired once" in said("rules", "preview", "disk-full", "--threshold", "0.8")
