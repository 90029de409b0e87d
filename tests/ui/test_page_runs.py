"""Runs: what ran, who asked for it, how it ended; narrowed and paged by the address."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event

from dashboard import queries
from dashboard import queries_jobs as reads
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
