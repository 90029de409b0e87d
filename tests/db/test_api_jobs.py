"""Jobs, runs and flags over the API: what a pipeline relies on, also when it asks twice or asks for nonsense."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.permissions import Scope
from jobs.core.settings import Settings
from jobs.run.execute import execute
from jobs.run.store import add_logs
from tests.db.api import Site, served


class NoteParams(Params):
    """A text, as a company's own job may take one."""

    note: str


@job(name="take-a-note", title="", does="", schedule=Every(seconds=3600), timeout_s=60, params=NoteParams)
def take_a_note(_run: Run, _params: NoteParams) -> None:
    """Does nothing."""


RUN = "/jobs/cleanup-notifications/runs"


@pytest.fixture
def site(db: Database, settings: Settings) -> Iterator[Site]:
    with served(db, settings) as found:
        yield found


@pytest.fixture
def ci(site: Site) -> httpx.Client:
    """A program that may do everything that a token can."""
    return site.client()


def runs(db: Database) -> int:
    with db.read() as conn:
        return int(conn.execute(text("SELECT count(*) FROM ops.runs")).scalar_one())


def test_a_run_is_asked_for_followed_and_found_in_the_lists(ci: httpx.Client, db: Database, settings: Settings) -> None:
    asked = ci.post(RUN, json={"dry_run": True, "reason": "release 1.4"})
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    run_id = asked.json()["id"]
    assert asked.headers["location"] == f"/api/v1/runs/{run_id}"
    assert asked.json() | {"trigger": "api", "triggered_by": "token:ci", "reason": "release 1.4"} == asked.json()
    assert asked.json()["queued_at"].endswith("Z")
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM procrastinate.procrastinate_jobs")).scalar_one() == 1
    execute(db, settings, run_id, worker_id=None)
    with db.begin() as conn:
        add_logs(conn, run_id, [{"level": "info", "event": f"line {n}", "fields": {"n": n}} for n in range(3)])
    ended = ci.get(f"/runs/{run_id}?log_lines=2").json()
    assert (ended["state"], ended["dry_run"]) == ("succeeded", True)
    assert [line["event"] for line in ended["log"]] == ["line 1", "line 2"]
    jobs = {job["name"]: job for job in ci.get("/jobs").json()["jobs"]}
    assert jobs["cleanup-notifications"]["last_run"]["id"] == run_id
    assert jobs["reconcile-pending"] | {"schedule": "every 2 minutes", "last_run": None} == jobs["reconcile-pending"]
    assert "sample" in ci.get("/jobs/audit-history").json()["params_schema"]["properties"]


def test_a_list_is_read_page_by_page(ci: httpx.Client) -> None:
    made = [ci.post(RUN, json={}).json()["id"] for _ in range(5)]
    seen: list[int] = []
    page: str | None = "/runs?limit=2&job=cleanup-notifications&state=queued"
    while page is not None:
        answer = ci.get(page).json()
        seen += [run["id"] for run in answer["runs"]]
        page = f"/runs?limit=2&before={answer['next']}" if answer["next"] else None
    assert seen == made[::-1]
    assert ci.get("/runs?state=failed").json() == {"runs": [], "next": None}


def test_a_request_that_is_sent_again_starts_no_second_run(ci: httpx.Client, db: Database) -> None:
    key = {"idempotency-key": "pipeline-17"}
    first = ci.post(RUN, json={"dry_run": True}, headers=key)
    again = ci.post(RUN, json={"dry_run": True}, headers=key)
    assert (again.status_code, again.json(), again.headers["location"]) == (
        202,
        first.json(),
        first.headers["location"],
    )
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert runs(db) == 1


def test_requests_that_are_sent_twice_at_once_start_one_run(ci: httpx.Client, db: Database) -> None:
    def ask(_: int) -> httpx.Response:
        return ci.post(RUN, json={}, headers={"idempotency-key": "k"})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert runs(db) == 1


def test_a_key_belongs_to_one_request_of_one_token_for_a_day(site: Site, ci: httpx.Client, db: Database) -> None:
    key = {"idempotency-key": "k"}
    assert ci.post(RUN, json={}, headers=key).status_code == 202
    other_body = ci.post(RUN, json={"dry_run": True}, headers=key)
    assert (other_body.status_code, other_body.json()["type"]) == (422, "urn:nexaops:problem:key-reused")
    assert ci.post("/jobs/probe-horizon/runs", json={}, headers=key).status_code == 422
    assert runs(db) == 1
    site.client(name="other").post(RUN, json={}, headers=key)
    assert runs(db) == 2
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.api_outcomes SET at = now() - interval '25 hours'"))
    ci.post(RUN, json={"dry_run": True}, headers=key)
    assert runs(db) == 3


def test_what_was_refused_may_be_tried_again_with_its_key(ci: httpx.Client, db: Database) -> None:
    key = {"idempotency-key": "k"}
    assert ci.post("/jobs/nowhere/runs", json={}, headers=key).status_code == 404
    assert ci.post(RUN, json={}, headers=key).status_code == 202
    assert runs(db) == 1


def test_a_key_that_is_none_is_refused(ci: httpx.Client, db: Database) -> None:
    for key in ("", "x" * 201, "with space"):
        assert ci.post(RUN, json={}, headers={"idempotency-key": key}).status_code == 422
    assert runs(db) == 0


WRONG = [
    (b"{", "application/json", 400, "not JSON"),
    (b'{"params": {"sample": NaN}}', "application/json", 400, "not JSON"),
    (b"[" * 100_000, "application/json", 413, "at most 64 KiB"),
    (b"[" * 5_000, "application/json", 400, "not JSON"),
    (b'{"reason": "' + b"x" * 70_000 + b'"}', "application/json", 413, "at most 64 KiB"),
    (b"[]", "application/json", 422, "should be an object"),
    (b"dry_run=1", "application/x-www-form-urlencoded", 415, "Content-Type: application/json"),
    (b'{"dry_run": "yes"}', "application/json", 422, "dry_run: input should be a valid boolean"),
    (b'{"dry_run": 1}', "application/json", 422, "dry_run: "),
    (b'{"dryrun": true}', "application/json", 422, "dryrun: extra inputs are not permitted"),
    (b'{"params": {"sample": "many"}}', "application/json", 422, "does not accept these parameters: sample"),
    (b'{"params": {"nothing": 1}}', "application/json", 422, "does not accept these parameters: nothing"),
    (b'{"reason": "a\\u0000b"}', "application/json", 422, "reason: it holds the character U+0000"),
    (b'{"reason": "\\u202ename"}', "application/json", 422, "reason: it holds the character U+202E"),
    (b'{"reason": "\\ud800"}', "application/json", 400, "not JSON"),
]


def test_a_body_that_is_wrong_starts_nothing_and_is_told_in_one_sentence(ci: httpx.Client, db: Database) -> None:
    for content, kind, status, says in WRONG:
        answer = ci.post("/jobs/audit-history/runs", content=content, headers={"content-type": kind})
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), (content[:60], answer.text)
    assert runs(db) == 0


def test_a_value_that_the_database_cannot_keep_is_the_senders_fault_and_no_sql_comes_back(ci: httpx.Client) -> None:
    answer = ci.post("/jobs/take-a-note/runs", json={"params": {"note": "a\x00b"}})
    assert (answer.status_code, "INSERT" in answer.text) == (422, False), answer.text


def test_a_run_is_stopped_once(ci: httpx.Client) -> None:
    run_id = ci.post(RUN, json={}).json()["id"]
    assert ci.post(f"/runs/{run_id}/stop", json={}).status_code == 422
    stopped = ci.post(f"/runs/{run_id}/stop", json={"reason": "wrong release"})
    assert (stopped.status_code, stopped.json()["state"], stopped.json()["stop_by"]) == (202, "stopped", "token:ci")
    again = ci.post(f"/runs/{run_id}/stop", json={"reason": "wrong release"})
    assert (again.status_code, again.json()["detail"]) == (409, f"Run {run_id} has ended already: stopped.")


def test_a_schedule_is_paused_until_a_time_and_resumed(ci: httpx.Client) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    paused = ci.post("/jobs/retry-failed/pause", json={"reason": "deploy", "until": until.isoformat()}).json()
    assert paused | {"paused": True, "paused_by": "token:ci", "paused_reason": "deploy"} == paused
    assert paused["paused_until"] == f"{until:%Y-%m-%dT%H:%M:%S}Z"
    assert ci.post("/jobs/retry-failed/pause", json={"reason": "again"}).status_code == 409
    assert ci.post("/jobs/retry-failed/resume").json()["paused"] is False
    naive = ci.post("/jobs/retry-failed/pause", json={"reason": "x", "until": "2030-01-01T00:00:00"})
    assert (naive.status_code, "until: " in naive.json()["detail"]) == (422, True)
    past = ci.post("/jobs/retry-failed/pause", json={"reason": "x", "until": "2020-01-01T00:00:00Z"})
    assert (past.status_code, "is past" in past.json()["detail"]) == (422, True)


def test_a_flag_is_switched_with_a_reason_and_stays_switched(ci: httpx.Client, db: Database) -> None:
    for _ in range(2):
        done = ci.put("/flags/enableRetry", json={"value": False, "reason": "INC-7"})
        assert (done.status_code, done.json()["value"], done.json()["changed_by"]) == (200, False, "token:ci")
    assert {flag["name"]: flag["value"] for flag in ci.get("/flags").json()["flags"]}["enableRetry"] is False
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.audit WHERE action = 'flag.set'")).scalar_one() == 1
    assert ci.put("/flags/enableRetry", json={"value": False, "reason": " "}).status_code == 422
    assert "the flags are enableReconciliation" in ci.put("/flags/x", json={"value": True, "reason": "y"}).text


def test_a_token_that_is_revoked_while_a_body_is_on_its_way_does_nothing(site: Site, db: Database) -> None:
    ci = site.client(Scope.RUN_JOBS)

    def used() -> bool:
        with db.read() as conn:
            return bool(conn.execute(text("SELECT last_used_at IS NOT NULL FROM ops.tokens")).scalar_one())

    def slowly() -> Iterator[bytes]:
        yield b'{"dry_run":'
        while not used():  # it was let in
            time.sleep(0.02)
        with db.begin() as conn:
            conn.execute(text("UPDATE ops.tokens SET revoked_at = now()"))
        yield b" true}"

    answer = ci.post(RUN, content=slowly(), headers={"content-type": "application/json"})
    assert (answer.status_code, runs(db)) == (401, 0)


def test_without_the_database_it_says_so(site: Site, ci: httpx.Client, admin: Database) -> None:
    name = site.db.url.database
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        conn.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
    site.db.engine.dispose()
    try:
        answer = ci.get("/flags")
    finally:
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["detail"] == "The database does not answer: try again in a moment."
