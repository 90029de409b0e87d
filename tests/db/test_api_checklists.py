"""A pipeline works on a checklist: it ticks its own lines with the version it saw, loses races politely, signs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest
from sqlalchemy import text

from dashboard.api.app import ENDPOINTS
from jobs.core.db import Database
from jobs.core.permissions import Role, Scope
from jobs.core.settings import Settings
from tests.db.api import Site, served
from tests.ui import seed
from tests.ui.checklist_runs import started

BACKUP = "items/first/backup"


@pytest.fixture
def site(db: Database, settings: Settings) -> Iterator[Site]:
    with served(db, settings) as found:
        yield found


@pytest.fixture
def devops(site: Site) -> httpx.Client:
    """A program whose lines are those of devops."""
    return site.client(roles=(Role.DEVOPS,))


@pytest.fixture
def run(db: Database, devops: httpx.Client) -> str:
    """The address of a run of the small list."""
    del devops  # made first, so that its name is free
    return f"/checklist-runs/{started(db)}"


def test_a_run_is_started_read_and_listed(site: Site, db: Database) -> None:
    seed.person(db, Role.DEVOPS)
    ci = site.client()
    fields = {"date": "2026-11-30", "version": "2.4.0", "deployed_by": "devops@nexafx.test"}
    begun = ci.post("/checklist-runs", json={"template": "deployment", "fields": fields})
    assert (begun.status_code, begun.json()["started_by"]) == (201, "token:ci")
    where = begun.headers["location"].removeprefix("/api/v1")
    shown = ci.get(where).json()
    assert shown == begun.json()
    assert shown["fields"] == fields
    item = shown["phases"][0]["items"][0]
    assert item | {"kind": "item", "state": "open", "version": 1, "changed_by": None} == item
    listed = ci.get("/checklist-runs?template=deployment&state=open&limit=1").json()
    assert [one["id"] for one in listed["checklist_runs"]] == [shown["id"]]
    assert listed["checklist_runs"][0]["starter"] == "token:ci"
    assert {one["id"] for one in ci.get("/checklists").json()["checklists"]} >= {"deployment", "rollback-critical"}


def test_a_run_that_cannot_start_says_every_reason_and_leaves_nothing(site: Site, db: Database) -> None:
    refused = site.client().post("/checklist-runs", json={"template": "deployment", "fields": {"versoin": "1"}})
    assert refused.status_code == 422
    assert "did you mean version?" in refused.json()["detail"]
    assert "date is missing" in refused.json()["detail"]
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.checklist_runs")).scalar_one() == 0


def test_a_line_goes_through_its_states_with_history_under_the_tokens_name(
    devops: httpx.Client, run: str, db: Database
) -> None:
    ticked = devops.post(f"{run}/{BACKUP}/tick", json={"version": 1, "note": "build 512"}).json()
    assert (ticked["state"], ticked["version"], ticked["changed_by"]) == ("done", 2, "token:ci")
    assert devops.post(f"{run}/{BACKUP}/untick", json={"version": 2}).json()["state"] == "open"
    assert devops.post(f"{run}/{BACKUP}/na", json={"version": 3, "reason": " "}).status_code == 422
    skipped = devops.post(f"{run}/items/first%2Fbackup/na", json={"version": 3, "reason": "no data"}).json()
    assert (skipped["state"], skipped["reason"]) == ("na", "no data")
    assert devops.post(f"{run}/{BACKUP}/comment", json={"text": "see #4"}).json()["comments"] == 1
    with db.read() as conn:
        events = conn.execute(text("SELECT kind FROM ops.checklist_events WHERE actor = 'token:ci' ORDER BY id"))
        assert list(events.scalars()) == ["ticked", "unticked", "na", "comment"]
        actors = conn.execute(text("SELECT DISTINCT actor, origin FROM ops.audit WHERE action LIKE 'item.%'")).all()
    assert [tuple(row) for row in actors] == [("token:ci", "api 127.0.0.1")]


def test_of_two_ticks_with_one_version_one_holds_and_the_other_is_told_by_whom(site: Site, run: str) -> None:
    clients = [site.client(name=name, roles=(Role.DEVOPS,)) for name in ("a", "b")]
    together = Barrier(2)

    def tick(client: httpx.Client) -> httpx.Response:
        together.wait()
        return client.post(f"{run}/{BACKUP}/tick", json={"version": 1})

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(tick, clients), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 409]
    winner, problem = answers[0].json(), answers[1].json()
    assert problem["type"] == "urn:nexaops:problem:conflict"
    assert problem["detail"].startswith(f"{winner['changed_by']} ticked")
    assert problem["item"] == winner


def test_a_tick_that_is_sent_again_with_its_key_is_answered_as_the_first(devops: httpx.Client, run: str) -> None:
    first, again = (
        devops.post(f"{run}/{BACKUP}/tick", json={"version": 1}, headers={"idempotency-key": "k"}) for _ in range(2)
    )
    assert (again.status_code, again.json()) == (200, first.json())
    assert devops.post(f"{run}/{BACKUP}/tick", json={"version": 1}).status_code == 409


def test_the_lists_own_rules_hold_for_programs_too(site: Site, devops: httpx.Client, run: str) -> None:
    qa = site.client(Scope.TICK, name="qa", roles=(Role.QA_LEAD,))
    assert "takes the role devops" in qa.post(f"{run}/{BACKUP}/tick", json={"version": 1}).json()["detail"]
    early = devops.post(f"{run}/items/second/deploy/tick", json={"version": 1})
    assert (early.status_code, early.json()["type"]) == (409, "urn:nexaops:problem:refused")
    assert early.json()["item"]["state"] == "open"
    assert devops.post(f"{run}/items/first/nowhere/tick", json={"version": 1}).status_code == 404
    assert devops.post("/checklist-runs/999/items/first/backup/tick", json={"version": 1}).status_code == 404
    assert devops.post(f"{run}/{BACKUP}/tick", json={"version": "1"}).status_code == 422


def test_no_address_signs() -> None:
    assert not [endpoint.path for endpoint in ENDPOINTS if "sign" in endpoint.path]
