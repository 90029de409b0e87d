"""A pipeline works on a checklist: it ticks its own lines with the version it saw, loses races politely, signs nothing."""

from __future__ import annotations

import hashlib
import re
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
    seed.signers(db)
    ci = site.client()
    fields = {"date": "2026-11-30", "version": "2.4.0", "deployed_by": "oda@nexafx.test"}
    begun = ci.post("/checklist-runs", json={"template": "deployment", "fields": fields})
    assert (begun.status_code, begun.json().get("started_by")) == (201, "token:ci"), begun.text
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


def test_evidence_is_left_as_text_link_or_file_and_listed(devops: httpx.Client, run: str) -> None:
    for given in ({"text": "0 rows differ"}, {"link": "https://ci.example/512", "label": "build"}):
        assert devops.post(f"{run}/{BACKUP}/evidence", json=given).status_code == 201
    report = {"file": ("../../report.json", b'{"ok": true}')}
    left = devops.post(f"{run}/{BACKUP}/evidence", data={"label": "report"}, files=report).json()
    assert (left["name"], left["media_type"], left["size"]) == ("report.json", "application/json", 12)
    assert left["sha256"] == hashlib.sha256(b'{"ok": true}').hexdigest()
    listed = devops.get(f"{run}/evidence").json()["evidence"]
    assert [(one["kind"], one["label"], one["added_by"]) for one in listed] == [
        ("text", "note", "token:ci"),
        ("link", "build", "token:ci"),
        ("file", "report", "token:ci"),
    ]


def test_a_file_that_is_sent_again_with_its_key_is_kept_once(devops: httpx.Client, run: str) -> None:
    def send(content: bytes) -> httpx.Response:  # each time with another boundary
        files = {"file": ("report.txt", content)}
        return devops.post(f"{run}/{BACKUP}/evidence", files=files, headers={"idempotency-key": "k"})

    first, again = send(b"all well"), send(b"all well")
    assert first.headers["content-length"] == again.headers["content-length"]
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    assert send(b"all is well").json()["type"] == "urn:nexaops:problem:key-reused"
    assert len(devops.get(f"{run}/evidence").json()["evidence"]) == 1


def test_evidence_that_cannot_be_kept_is_refused_in_one_sentence(site: Site, devops: httpx.Client, run: str) -> None:
    where = f"{run}/{BACKUP}/evidence"
    form = {"content-type": "multipart/form-data"}
    for answer, status, says in (
        (devops.post(where, json={"label": "x"}), 422, "send one of text and link"),
        (devops.post(where, json={"text": "x", "link": "y"}), 422, "send one of text and link"),
        (devops.post(where, json={"link": "javascript:alert(1)"}), 422, "A link begins with https://"),
        (devops.post(where, files={"file": ("x.png", b"GIF8")}), 422, "is not what its ending says"),
        (devops.post(where, files={"file": ("x.exe", b"MZ")}), 422, "is of no kind that is kept"),
        (devops.post(where, files={"other": ("x.txt", b"x")}), 422, "file: field required"),
        (devops.post(where, data={"file": "x"}, files={"label": ("x.txt", b"x")}), 422, "file: input should be an instance of file"),
        (devops.post(where, files=[("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]), 400, "cannot be read"),
        (devops.post(where, content=b"--x", headers=form), 400, "cannot be read"),
        (devops.post(where, files={"file": ("x.txt", b"x" * 11_000_000)}), 413, "too long"),
        (devops.post(f"{run}/items/first/nowhere/evidence", json={"text": "x"}), 404, "no item"),
        (site.client(Scope.TICK, name="ticks").post(where, json={"text": "x"}), 403, "checklists:evidence"),
    ):  # fmt: skip
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    evident = site.client(Scope.EVIDENCE, name="evident")
    assert evident.post(where, json={"text": "x"}).status_code == 201
    assert evident.post(f"{run}/{BACKUP}/tick", json={"version": 1}).status_code == 403


def test_no_address_signs_or_stands_in_for_a_second_person() -> None:
    assert not [one.path for one in ENDPOINTS if re.search("sign|verif", one.path)]
