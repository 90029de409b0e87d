"""The dashboard's benchmark opens every page of a real server, and its JSON says what the README promises."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Connection, text

from dashboard.bench.fill import Desk
from dashboard.bench.measure import places_of
from dashboard.bench.results import TARGETS, percentile, times
from dashboard.navigation import PAGES
from jobs.core.db import Database
from tests.db.test_cli import nexaops


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_opens_every_page_and_says_how_long_it_took(tmp_path: Path) -> None:
    sizes = ("--runs", "3000", "--transactions", "3000", "--days", "1", "--people", "2", "--visits", "1")
    # Without a browser: what it sees is seen by the browser's own tests.
    done = nexaops("bench", "dashboard", *sizes, "--json", cwd=tmp_path, timeout=280, PATH="/nowhere")
    assert done.returncode == 0, done.stdout + done.stderr
    printed = orjson.loads(done.stdout)
    assert {page["page"] for page in printed["pages"]} == {page.name for page in PAGES}
    for page in printed["pages"]:
        assert set(page) == {"page", "p50_ms", "p95_ms", "bytes"}
        assert 0 < page["p50_ms"] <= page["p95_ms"]
        assert 1_000 < page["bytes"] < TARGETS["page_bytes"]
    assert {path["page"] for path in printed["paths"]} == {"/health/scheduled-jobs", "/metrics", "/api/v1/runs"}
    assert (printed["errors"], printed["crowd"]["errors"]) == ([], [])
    assert (printed["crowd"]["people"], printed["crowd"]["visits"]) == (2, 2)
    assert printed["filled"]["rows"]["transactions"] == 3000
    assert abs(printed["filled"]["rows"]["runs"] - 3000) < 100
    assert printed["first_paint"] == []


def test_a_page_about_one_thing_is_measured_with_one() -> None:
    desk = Desk(
        ("cookie",), transaction=UUID(int=1), failed_run=1, good_run=2, checklist=3, alert=4, rule="late", incident=5
    )
    asked = {place.page: place.query for place in places_of(desk)}
    assert all(asked[page.name] for page in PAGES if page.hidden)


def test_percentiles_are_those_of_all_visits() -> None:
    found = times("runs", [10.0, 20.0, 30.0, 40.0, 50.0], [7, 9, 8, 7, 7])
    assert (found.p50_ms, found.p95_ms, found.bytes) == (30.0, 48.0, 9)
    assert percentile([12.34], 95) == 12.3


NEWEST = """
SELECT r.id FROM unnest(ARRAY['monthly']) AS j (name)
 CROSS JOIN LATERAL (SELECT id FROM ops.runs WHERE job = j.name ORDER BY id DESC LIMIT 200) AS r
"""


def test_the_newest_runs_of_a_rare_job_are_found_by_their_index(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.runs (job, trigger, triggered_by, state, finished_at)"
                " SELECT CASE WHEN n % 10000 = 0 THEN 'monthly' ELSE 'job-' || n % 5 END, 'manual', 'system', 'succeeded', now()"
                "   FROM generate_series(1, 40000) AS n"
            )
        )
        conn.execute(text("ANALYZE ops.runs"))
        assert "runs_job" in _plan(conn, NEWEST)
        # A statement that is prepared for whichever job comes.
        conn.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        conn.execute(text("PREPARE newest AS SELECT id FROM ops.runs WHERE job = $1 ORDER BY id DESC LIMIT 50"))
        assert "runs_job" in _plan(conn, "EXECUTE newest ('monthly')")
        conn.execute(text("DEALLOCATE newest"))


def _plan(conn: Connection, statement: str) -> str:
    return "\n".join(conn.execute(text(f"EXPLAIN {statement}")).scalars())
