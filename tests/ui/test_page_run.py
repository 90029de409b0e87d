"""A run: what it did, why it failed, and what can be done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from dashboard import queries_jobs as reads
from dashboard.components import run_log, run_parts
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.run.store import LogLine
from tests.ui import seed
from tests.ui.desk import run_page, seen
from tests.ui.runs import a_run, decide, log_lines


@pytest.mark.parametrize("id_", ["", "999999", "abc", "-4", "1; DROP TABLE ops.runs", "9" * 30, "٣"])
def test_an_address_without_a_run_gets_a_sentence(db: Database, settings: Settings, id_: str) -> None:
    page = run_page(db, settings, "run", seed.person(db, Role.VIEWER), **({"id": id_} if id_ else {}))
    assert not page.exception
    assert "There is no such run" in seen(page)
    assert 'href="/runs"' in seen(page)


@pytest.mark.parametrize("state", reads.STATES)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER, Role.ADMINISTRATOR])
def test_every_state_opens_for_every_kind_of_role(db: Database, settings: Settings, state: str, role: Role) -> None:
    page = run_page(db, settings, "run", seed.person(db, role), id=str(a_run(db, state, error="It had to.")))
    assert not page.exception
    assert not page.error
    assert "reconcile-pending" in seen(page)


def test_a_success_says_what_it_did_when_and_for_whom(db: Database, settings: Settings) -> None:
    run_id = a_run(
        db, counters={"seen": 1200, "requests_estimated": 7, "failed": 0}, reason="the deposits hang", host="ops-1",
        params={"limit": 5, "transaction_id": None}, dry_run=True,
    )  # fmt: skip
    said = seen(run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(run_id)))
    assert "<h1>reconcile-pending succeeded as a dry run in 20 s</h1>" in said
    assert "1,200" in said
    assert "requests estimated" in said
    assert "None: failed" in said
    assert "1.0 s after it was queued" in said
    assert "the deposits hang" in said
    assert "ada@nexafx.com by hand" in said
    assert "limit: " in said
    assert "transaction id: " not in said
    assert "ops-1" in said


def test_a_failure_says_why_and_shows_the_trace_to_those_who_work_with_jobs(db: Database, settings: Settings) -> None:
    run_id = str(a_run(db, "failed", error="Horizon answers 503.", error_class="TransientError", trace="Traceback: x"))
    developer = run_page(db, settings, "run", seed.person(db, Role.DEVELOPER), id=run_id)
    assert "reconcile-pending failed after 20 s: Horizon answers 503</h1>" in seen(developer)
    assert 'href="/runs?job=reconcile-pending&amp;state=failed"' in seen(developer)
    assert [code.value for code in developer.code] == ["Traceback: x"]
    viewer = run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=run_id)
    assert "Horizon answers 503." in seen(viewer)
    assert not viewer.code


def test_a_run_under_way_says_how_far_it_is(db: Database, settings: Settings) -> None:
    run_id = a_run(db, "running", progress_done=250, progress_total=1000)
    page = run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(run_id))
    assert "reconcile-pending is running" in seen(page)
    assert page.get("progress")[0].proto.text.startswith("250 of 1,000, about 3 min left")


def test_who_stopped_a_run_is_said_once(db: Database, settings: Settings) -> None:
    run_id = a_run(db, "stopped", stop_by="ada@nexafx.com", error="Stopped by ada@nexafx.com.")
    said = seen(run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(run_id)))
    assert "<h1>reconcile-pending was stopped by ada@nexafx.com, after 20 s</h1>" in said


@pytest.mark.parametrize(
    ("role", "state", "labels"),
    [
        (Role.VIEWER, "running", set()),
        (Role.DEVELOPER, "running", {"Run again"}),
        (Role.ON_CALL, "running", {"Stop", "Run again"}),
        (Role.ON_CALL, "queued", {"Stop", "Run again"}),
        (Role.ON_CALL, "failed", {"Run again"}),
    ],
)
def test_only_what_can_and_may_be_done_is_shown(
    db: Database, settings: Settings, role: Role, state: str, labels: set[str]
) -> None:
    page = run_page(db, settings, "run", seed.person(db, role), id=str(a_run(db, state)))
    assert {button.label for button in page.button} == labels


def test_stopping_names_the_consequence_and_takes_a_reason(db: Database, settings: Settings) -> None:
    run_id = a_run(db, "running")
    page = run_page(db, settings, "run", seed.person(db, Role.ON_CALL), id=str(run_id))
    page.button(key="stop").click().run()
    assert "stop at its next batch: what it has done stays done" in seen(page)
    page.button(key=f"stop-{run_id}-confirm").click().run()
    page.button(key="stop").click().run()
    page.text_area(key=f"stop-{run_id}-why").set_value("wrong batch")
    page.button(key=f"stop-{run_id}-confirm").click().run()
    with db.read() as conn:
        stopped = conn.execute(text("SELECT stop_by FROM ops.runs")).scalar_one()
        why = conn.execute(text("SELECT reason FROM ops.audit WHERE action = 'run.stop'")).scalars().all()
    assert stopped == "on-call@nexafx.test"
    assert why == ["wrong batch"]


def test_run_again_starts_from_the_same_parameters(db: Database, settings: Settings) -> None:
    run_id = a_run(db, "failed", params={"limit": 5, "older_than_min": 3, "transaction_id": None}, dry_run=True)
    page = run_page(db, settings, "run", seed.person(db, Role.DEVELOPER), id=str(run_id))
    page.button(key="again").click().run()
    assert page.number_input(key=f"again-{run_id}-limit").value == 5
    assert page.checkbox(key=f"again-{run_id}-dry").value is True
    page.button(key=f"again-{run_id}-confirm").click().run()
    with db.read() as conn:
        row = conn.execute(text("SELECT params, dry_run FROM ops.runs ORDER BY id DESC LIMIT 1")).one()
    assert (row.params["limit"], row.params["older_than_min"], row.dry_run) == (5, 3, True)


def test_attempts_lead_to_each_other(db: Database, settings: Settings) -> None:
    lost = a_run(db, "lost", error="Its worker is gone.")
    again = a_run(db, "succeeded", trigger="retry", triggered_by=f"run:{lost}", retry_of=lost)
    person = seed.person(db, Role.VIEWER)
    first = seen(run_page(db, settings, "run", person, id=str(lost)))
    assert "Repeated by" in first
    assert f'href="/run?id={again}"' in first
    second = seen(run_page(db, settings, "run", person, id=str(again)))
    assert "Repeats" in second
    assert f'href="/run?id={lost}"' in second


def test_a_run_leads_to_the_runs_that_it_can_be_compared_with(db: Database, settings: Settings) -> None:
    good, bad = a_run(db), a_run(db, "failed")
    a_run(db, job="retry-failed")
    here = a_run(db, "failed")
    said = seen(run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(here)))
    assert f'href="/compare?id={here}&amp;with={good}"' in said
    assert f'href="/compare?id={here}&amp;with={bad}"' in said


def test_the_log_is_narrowed_by_level_and_by_words(db: Database, settings: Settings) -> None:
    run_id = a_run(db)
    log_lines(db, run_id, ("info", "settled 100%"), ("warning", "answered LATE"), ("error", "a row is <b>odd</b>"))
    log_lines(db, a_run(db), ("error", "of another run"))
    person = seed.person(db, Role.VIEWER)

    def lines(**query: str) -> str:
        return seen(run_page(db, settings, "run", person, id=str(run_id), **query))

    every = lines()
    assert all(event in every for event in ("settled 100%", "answered LATE", "a row is &lt;b&gt;odd&lt;/b&gt;"))
    assert "of another run" not in every
    assert "settled" not in lines(level="warnings")
    assert "LATE" not in lines(level="errors")
    assert "odd" in lines(level="errors")
    assert "odd" not in lines(find="late")
    assert "LATE" in lines(find="late")
    assert "No line matches." in lines(find="0_")
    assert "settled 100%" in lines(find="100%")


def test_a_long_log_shows_its_newest_lines_and_leads_to_the_earlier_ones(db: Database, settings: Settings) -> None:
    run_id = a_run(db)
    log_lines(db, run_id, *[("info", f"line {i}.") for i in range(700)])
    page = run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(run_id))
    assert "line 699." in seen(page)
    assert "line 199." not in seen(page)
    page.button(key="earlier").click().run()
    assert "line 0." in seen(page)
    assert "line 699." not in seen(page)
    assert "earlier" not in [button.key for button in page.button]
    page.button(key="newest").click().run()
    assert "line 699." in seen(page)


def test_a_run_without_lines_says_so(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.VIEWER)
    assert "It has not logged anything." in seen(run_page(db, settings, "run", person, id=str(a_run(db))))
    assert "as they come" in seen(run_page(db, settings, "run", person, id=str(a_run(db, "running"))))


def test_decisions_lead_to_their_transactions_and_are_paged(db: Database, settings: Settings) -> None:
    run_id = a_run(db)
    ids = decide(db, run_id, reads.PAGE + 1)
    person = seed.person(db, Role.VIEWER)
    said = seen(run_page(db, settings, "run", person, id=str(run_id)))
    assert sum(f'href="/transaction?id={id_}"' in said for id_ in ids) == reads.PAGE
    assert "Included, and all of it matches" in said
    key = said.rsplit("before=", 1)[1].partition('"')[0]
    older = seen(run_page(db, settings, "run", person, id=str(run_id), before=key))
    assert sum(f'href="/transaction?id={id_}"' in older for id_ in ids) == 1


def test_of_an_ended_run_one_part_fails_alone(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_run: object) -> None:
        raise ValueError("no such figure")

    monkeypatch.setattr(run_parts, "counters", broken)
    run_id = a_run(db, "failed", error="Horizon answers 503.")
    log_lines(db, run_id, ("info", "asked once"))
    page = run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(run_id))
    assert not page.exception
    assert "This part of the page failed" in page.error[0].value
    assert all(words in seen(page) for words in ("nx-why", "asked once", "About this run"))


@pytest.mark.parametrize("state", ["running", "succeeded"])
def test_a_log_that_is_followed_is_read_once_a_look(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    read: list[str] = []
    really = reads.log_tail

    def tail(run_id: int, level: str, *rest: Any) -> reads.LogTail:
        read.append(level)
        return really(run_id, level, *rest)

    monkeypatch.setattr(reads, "log_tail", tail)
    run_id = a_run(db, state)
    log_lines(db, run_id, ("info", "settled"), ("error", "odd"))
    page = run_page(db, settings, "run", seed.person(db, Role.VIEWER), id=str(run_id), level="errors")
    assert "settled" not in seen(page)
    assert read == (["errors"] if state == "running" else ["everything", "errors"])


def test_a_short_line_is_remembered_and_a_long_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may log whatever it likes: what is remembered for all runs has a bound in bytes."""
    monkeypatch.setattr(run_log, "local_zone", lambda: ZoneInfo("UTC"))
    run_log._remembered.cache_clear()
    line = LogLine(1, 1, datetime.now(UTC), "info", "settled", {"n": 1})
    said = run_log.lines(
        [line, replace(line, id=2, event="e" * 600), replace(line, id=3, fields={"all": ["row"] * 200})]
    )
    assert run_log._remembered.cache_info().currsize == 1
    assert "settled" in said
    assert "e" * 600 in said
    assert "row, row" in said
