"""Runs: what ran, who asked for it, how it ended; narrowed and paged by the address."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from dashboard import queries
from dashboard import queries_jobs as reads
from dashboard import queries_runs as over_time
from dashboard.queries_jobs import Filters
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.desk import run_page, seen
from tests.ui.runs import a_run


def shown(said: str) -> list[int]:
    """The ids of the listed runs, from the top."""
    return [int(found) for found in re.findall(r"<b>(\d+)</b>", said)]


def test_the_newest_run_comes_first_with_what_it_did(db: Database, settings: Settings) -> None:
    first = a_run(db, counters={"seen": 1200, "settled": 30, "failed": 0}, reason="the morning's deposits")
    second = a_run(db, "failed", error="Horizon answers 503: over capacity\nand more", dry_run=True)
    said = seen(run_page(db, settings, "runs", seed.person(db, Role.VIEWER)))
    assert shown(said) == [second, first]
    assert "seen 1,200, settled 30" in said
    assert "ada@nexafx.com by hand" in said
    assert "the morning&#x27;s deposits" in said
    assert "Horizon answers 503: over capacity" in said
    assert "and more" not in said
    assert "dry run" in said
    assert 'nx-critical" aria-hidden="true"></i><span>failed' in said
    assert "20 s" in said


def test_a_scheduled_run_and_another_attempt_say_what_asked_for_them(db: Database, settings: Settings) -> None:
    lost = a_run(db, "lost")
    a_run(db, "queued", trigger="retry", triggered_by=f"run:{lost}", retry_of=lost)
    said = seen(run_page(db, settings, "runs", seed.person(db, Role.VIEWER)))
    assert "another attempt of" in said
    assert f"run {lost}" in said
    assert "not started" in said


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"job": "retry-failed"}, {"retry"}),
        ({"state": "timed out"}, {"slow"}),
        ({"trigger": "checklist"}, {"list"}),
        ({"kind": "dry runs"}, {"dry"}),
        ({"kind": "real runs", "trigger": "manual", "job": "reconcile-pending", "state": "timed out"}, {"slow"}),
        ({"job": "no-such-job"}, {"retry", "slow", "list", "dry"}),
    ],
)
def test_the_address_narrows_the_list(
    db: Database, settings: Settings, query: dict[str, str], wanted: set[str]
) -> None:
    ids = {
        "retry": a_run(db, job="retry-failed"),
        "slow": a_run(db, "timed_out"),
        "list": a_run(db, trigger="checklist"),
        "dry": a_run(db, dry_run=True),
    }
    page = run_page(db, settings, "runs", seed.person(db, Role.VIEWER), **query)
    assert not page.exception
    assert set(shown(seen(page))) == {ids[name] for name in wanted}


def test_older_runs_are_reached_by_the_last_key_and_keep_the_filters(db: Database, settings: Settings) -> None:
    ids = [a_run(db) for _ in range(reads.PAGE + 3)]
    person = seed.person(db, Role.VIEWER)
    said = seen(run_page(db, settings, "runs", person, job="reconcile-pending"))
    assert shown(said) == ids[:2:-1]
    assert f'href="/runs?job=reconcile-pending&amp;before={ids[3]}"' in said
    older = seen(run_page(db, settings, "runs", person, job="reconcile-pending", before=str(ids[3])))
    assert shown(older) == ids[2::-1]
    assert ">Older<" not in older
    assert 'href="/runs?job=reconcile-pending"' in older


@pytest.mark.parametrize("before", ["x", "-1", "1" * 40])
def test_a_key_that_is_none_shows_the_first_page(db: Database, settings: Settings, before: str) -> None:
    run_id = a_run(db)
    page = run_page(db, settings, "runs", seed.person(db, Role.VIEWER), before=before)
    assert not page.exception
    assert shown(seen(page)) == [run_id]


def test_an_empty_list_says_what_will_stand_here(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.VIEWER)
    assert "will stand here" in seen(run_page(db, settings, "runs", person))
    a_run(db)
    assert "No run matches." in seen(run_page(db, settings, "runs", person, state="lost"))


def test_missed_slots_are_a_list_of_their_own(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.VIEWER)
    a_run(db)
    assert "No slot was missed." in seen(run_page(db, settings, "runs", person, view="missed"))
    missed = a_run(db, "missed", error="3 slots were missed.")
    a_run(db, "missed", job="retry-failed")
    page = run_page(db, settings, "runs", person, view="missed", job="reconcile-pending")
    assert shown(seen(page)) == [missed]
    assert "3 slots were missed." in seen(page)


def failed(db: Database, row: int, **values: object) -> int:
    return a_run(db, "failed", error=f"Row {row} is odd.", error_class="ValueError", params={"limit": row}, **values)


def test_failures_stand_by_kind_with_how_often_since_when_and_where(db: Database, settings: Settings) -> None:
    ids = [failed(db, 1), failed(db, 22), failed(db, 333, job="retry-failed")]
    other = a_run(db, "lost", error="<b>gone</b>")
    a_run(db)
    person = seed.person(db, Role.VIEWER)
    page = run_page(db, settings, "runs", person, view="failures")
    said = seen(page)
    assert "4 failed in 2 kinds" in said
    assert said.index("&lt;b&gt;gone&lt;/b&gt;") < said.index("Row # is odd.")
    assert "3 times" in said
    assert "Row 333 is odd." in said
    assert f'href="/run?id={ids[-1]}"' in said
    assert f'href="/run?id={other}"' in said
    assert 'href="/runs?job=retry-failed"' in said
    assert "ValueError" in said
    assert not page.button
    narrowed = seen(run_page(db, settings, "runs", person, view="failures", job="retry-failed"))
    assert "1 failed in 1 kind" in narrowed
    assert "Row 22" not in narrowed
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.runs SET finished_at = now() - interval '2 hours'"))
    assert "Nothing failed" in seen(run_page(db, settings, "runs", person, view="failures", range="1h"))


def test_a_group_is_run_again_after_its_consequence_was_read_and_a_reason_given(
    db: Database, settings: Settings
) -> None:
    ids = [failed(db, 1), failed(db, 22)]
    page = run_page(db, settings, "runs", seed.person(db, Role.DEVELOPER), view="failures")
    (button,) = page.button
    assert button.label == "Retry all (2)"
    group = str(button.key).removeprefix("repeat-")
    button.click().run()
    assert not page.exception
    said = seen(page)
    assert "Queues 2 runs now:" in said
    assert "reconcile-pending, 2 times on PENDING transactions; money may move" in said
    page.button(key=f"repeat-form-{group}-confirm").click().run()
    assert "Say why" in page.session_state[f"repeat-form-{group}-problem"]
    page.button(key=f"repeat-{group}").click().run()
    failed(db, 4444)  # what the dialog has not named is not repeated
    page.text_area(key=f"repeat-form-{group}-why").set_value("the rows are mended")
    page.button(key=f"repeat-form-{group}-confirm").click().run()
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT retry_of, triggered_by, reason FROM ops.runs WHERE state = 'queued' ORDER BY id")
        )
        assert [tuple(row) for row in rows] == [(id_, "developer@nexafx.test", "the rows are mended") for id_ in ids]
    again = run_page(db, settings, "runs", seed.person(db, Role.ADMINISTRATOR), view="failures")
    assert [button.label for button in again.button] == ["Retry all (1)"]


def test_who_lost_the_right_meanwhile_repeats_nothing(db: Database, settings: Settings) -> None:
    failed(db, 1)
    page = run_page(db, settings, "runs", seed.person(db, Role.DEVELOPER), view="failures")
    group = str(page.button[0].key).removeprefix("repeat-")
    page.button[0].click().run()
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.text_area(key=f"repeat-form-{group}-why").set_value("the rows are mended")
    page.button(key=f"repeat-form-{group}-confirm").click().run()
    assert "You may not run jobs" in page.session_state[f"repeat-form-{group}-problem"]
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.runs WHERE state = 'queued'")).scalar_one() == 0


def test_the_timeline_has_a_lane_a_job_and_says_in_words_what_it_shows(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.VIEWER)
    assert "No run ended in this time." in seen(run_page(db, settings, "runs", person, view="timeline"))
    for _ in range(3):
        a_run(db)
    bad = a_run(db, "failed")
    a_run(db, "running", job="retry-failed")
    a_run(db, "queued", job="verify-ledger")
    page = run_page(db, settings, "runs", person, view="timeline", range="1h")
    assert not page.exception
    (chart,) = page.get("plotly_chart")
    assert "5 runs of 2 jobs in the last 1 h, 1 of them failed" in str(chart.proto)
    assert f'href="/run?id={bad}"' in seen(page)


def test_runs_close_together_are_one_bar_of_the_worst_state(db: Database, settings: Settings) -> None:
    run_page(db, settings, "runs", seed.person(db, Role.VIEWER))
    for _ in range(3):
        a_run(db)
    first, _good = a_run(db, "failed"), a_run(db)
    newest = a_run(db, "timed_out")
    running = a_run(db, "running", job="retry-failed")
    found = over_time.lanes(("reconcile-pending", "retry-failed", "backup"), timedelta(days=7))
    assert [(bar.job, bar.state, bar.run_id, bar.runs, bar.failed) for bar in found.bars] == [
        ("reconcile-pending", "failed", newest, 6, 2),
        ("retry-failed", "running", running, 1, 0),
    ]
    assert first < newest
    assert found.until - found.since == timedelta(days=7)


def test_newer_runs_are_counted_within_the_filters(db: Database, settings: Settings) -> None:
    first = a_run(db)
    run_page(db, settings, "runs", seed.person(db, Role.VIEWER))
    a_run(db)
    a_run(db, job="retry-failed")
    queries.forget()
    assert reads.newer_runs(Filters(), first) == 2
    assert reads.newer_runs(Filters(job="retry-failed"), first) == 1


def test_the_number_of_statements_does_not_grow_with_the_runs(db: Database, settings: Settings) -> None:
    person = seed.person(db, Role.VIEWER)
    a_run(db)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    run_page(db, settings, "runs", person)
    few = len(asked)
    for _ in range(40):
        a_run(db)
    asked.clear()
    run_page(db, settings, "runs", person)
    assert len(asked) == few
