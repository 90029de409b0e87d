"""Two runs side by side."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.ui.desk import run_page, seen
from tests.ui.runs import a_run, log_lines


def look(db: Database, settings: Settings, viewer: UUID, **query: str) -> str:
    page = run_page(db, settings, "compare", viewer, **query)
    assert not page.exception
    assert not page.error
    return seen(page)


def test_what_differs_is_marked_and_the_logs_part_where_they_do(db: Database, settings: Settings, viewer: UUID) -> None:
    good = a_run(db, params={"limit": 5, "older_than_min": 0}, counters={"seen": 1200, "settled": 3}, host="ops-1")
    bad = a_run(
        db, "failed", params={"limit": 9, "older_than_min": 0}, counters={"seen": 1100}, error="Horizon answers 503"
    )
    log_lines(db, good, ("info", "read 5 rows"), ("info", "asked Horizon"), ("info", "settled 3"))
    log_lines(db, bad, ("info", "read 9 rows"), ("error", "<b>no answer</b>"))
    said = look(db, settings, viewer, id=str(bad), **{"with": str(good)})
    assert f"<h1>Run {bad} failed after 20 s, run {good} succeeded after 20 s</h1>" in said
    assert 'limit<span class="nx-warn"> differs</span>' in said
    assert "older than min<" in said
    assert "+100" in said
    assert "They part after 1 line that says the same." in said
    assert "&lt;b&gt;no answer&lt;/b&gt;" in said
    assert "Horizon answers 503" in said
    assert f'href="/compare?id={good}&amp;with={bad}"' in said


def test_logs_that_say_the_same_say_so(db: Database, settings: Settings, viewer: UUID) -> None:
    one, other = a_run(db), a_run(db)
    assert "Neither has logged anything." in look(db, settings, viewer, id=str(one), **{"with": str(other)})
    for run_id in (one, other):
        log_lines(db, run_id, ("info", f"row {run_id}"), ("info", "done"))
    said = look(db, settings, viewer, id=str(one), **{"with": str(other)})
    assert "All 2 lines say the same." in said


@pytest.mark.parametrize("query", [{}, {"id": "1"}, {"id": "1", "with": "x"}, {"id": "1", "with": "999999"}])
def test_an_address_without_two_runs_gets_a_sentence(
    db: Database, settings: Settings, viewer: UUID, query: dict[str, str]
) -> None:
    a_run(db)
    assert "There are no two runs to compare" in look(db, settings, viewer, **query)
