"""Events out over real HTTP: at least once, in order, signed, and visible where they stay."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.jobs import load_jobs
from jobs.core.settings import Settings
from jobs.reconcile import deliver
from jobs.reconcile.picture import Verdict
from jobs.run.store import RunRow
from jobs.schedule.store import find_schedule, follow_settings
from tests.db.books import add_row, add_run, attempt_of, count, proof, run_job, settle_now, value
from tests.unit.test_outbox import readme_receiver

JOB = "deliver-events"
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two random bytes").decode()


class _Receiver(BaseHTTPRequestHandler):
    answers: ClassVar[list[int]]
    """The statuses to come; the last one stays."""
    headers_out: ClassVar[dict[str, str]]
    got: ClassVar[list[tuple[dict[str, str], bytes]]]
    hold: ClassVar[threading.Event]
    port: ClassVar[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append(({name.lower(): text for name, text in self.headers.items()} | {"path": self.path}, body))
        self.hold.wait(20)
        self.send_response(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        for name, said in {"Content-Length": "0", **self.headers_out}.items():
            self.send_header(name, said)
        self.end_headers()

    def do_GET(self) -> None:
        self.got.append(({"path": self.path}, b""))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


class Receiver:
    """What the tests see of a receiver: its address, what it got, and what it is to answer."""

    def __init__(self, kind: type[_Receiver]) -> None:
        self.kind = kind
        self.url = f"http://desk:basic-word1@127.0.0.1:{kind.port}/hooks/abc123def?token=in-the-query"

    def answer(self, *statuses: int, **headers: str) -> None:
        self.kind.answers = list(statuses)
        self.kind.headers_out = {name.replace("_", "-"): text for name, text in headers.items()}

    @property
    def got(self) -> list[tuple[dict[str, str], bytes]]:
        return self.kind.got

    @property
    def kinds(self) -> list[str]:
        return [str(orjson.loads(body)["type"]) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Fresh(_Receiver):
        answers: ClassVar[list[int]] = [204]
        headers_out: ClassVar[dict[str, str]] = {}
        got: ClassVar[list[tuple[dict[str, str], bytes]]] = []
        hold: ClassVar[threading.Event] = threading.Event()

    Fresh.hold.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    Fresh.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Receiver(Fresh)
    Fresh.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def at(settings: Settings, receiver: Receiver) -> Settings:
    return settings.model_copy(update={"webhook_url": receiver.url, "webhook_secret": SecretStr(SECRET)})


def settle_rows(db: Database, user: UUID, number: int = 1) -> list[UUID]:
    rows = [add_row(db, user) for _ in range(number)]
    first = count(db, "ops.claims")
    settle_now(
        db, attempt_of(db, add_run(db)), {row: proof(Verdict.SUCCESS, first + place) for place, row in enumerate(rows)}
    )
    return rows


def failed_and_rescued(db: Database, user: UUID) -> UUID:
    row = add_row(db, user)
    settle_now(db, attempt_of(db, add_run(db)), {row: proof(Verdict.FAILED)})
    settle_now(db, attempt_of(db, add_run(db)), {row: proof(Verdict.SUCCESS, 77)}, status="FAILED")
    return row


def let_time_pass(db: Database, length: str) -> None:
    """What the outbox remembers of the past lies so much further back."""
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE ops.outbox SET first_at = first_at - CAST(:length AS interval),"
                " next_at = next_at - CAST(:length AS interval),"
                " claimed_until = claimed_until - CAST(:length AS interval)"
            ),
            {"length": length},
        )


def log_of(db: Database, run: RunRow) -> str:
    return str(
        value(db, "SELECT string_agg(event || fields::text, ' ') FROM ops.run_logs WHERE run_id = :id", id=run.id)
    )


def test_an_event_arrives_once_signed_and_with_what_was_settled(
    db: Database, at: Settings, receiver: Receiver, user: UUID
) -> None:
    (row,) = settle_rows(db, user)
    assert run_job(db, at, JOB).counters == {"delivered": 1, "waiting": 0, "dead": 0}
    assert run_job(db, at, JOB).counters["delivered"] == 0
    ((headers, body),) = receiver.got
    assert readme_receiver()(headers, body, SECRET)
    sent = orjson.loads(body)
    assert sent["type"] == "transaction.succeeded"
    assert (sent["data"]["transaction_id"], sent["data"]["amount"]) == (str(row), "10.5")
    assert value(db, "SELECT attempts FROM ops.outbox WHERE sent_at IS NOT NULL") == 1


def test_without_an_address_nothing_is_sent_and_nothing_is_lost(
    db: Database, settings: Settings, at: Settings, receiver: Receiver, user: UUID
) -> None:
    settle_rows(db, user, 3)
    run = run_job(db, settings, JOB)
    assert (run.state, receiver.got) == ("succeeded", [])
    assert "NEXAOPS_WEBHOOK_URL is not set" in log_of(db, run)
    assert run_job(db, at, JOB).counters["delivered"] == 3


def test_a_dry_run_sends_nothing(db: Database, at: Settings, receiver: Receiver, user: UUID) -> None:
    settle_rows(db, user, 3)
    assert run_job(db, at, JOB, dry_run=True).counters == {"would_send": 3}
    assert receiver.got == []


def test_the_schedule_is_on_only_where_an_address_is_set(db: Database, settings: Settings, at: Settings) -> None:
    for wanted, known in ((False, settings), (True, at), (True, at), (False, settings)):
        with db.begin() as conn:
            follow_settings(conn, load_jobs(), known)
            assert find_schedule(conn, JOB).enabled is wanted
            assert find_schedule(conn, "reconcile-pending").enabled
    assert value(db, "SELECT count(*) FROM ops.audit WHERE entity_id = :job AND actor = 'system'", job=JOB) == 3


def test_an_event_that_is_not_taken_is_tried_again_under_the_same_id(
    db: Database, at: Settings, receiver: Receiver, user: UUID
) -> None:
    settle_rows(db, user)
    receiver.answer(500, 204)
    assert run_job(db, at, JOB).counters == {"delivered": 0, "waiting": 1, "dead": 0}
    assert value(db, "SELECT error FROM ops.outbox") == "The receiver answers 500."
    assert run_job(db, at, JOB).counters["delivered"] == 0  # not yet
    let_time_pass(db, "13 seconds")
    assert run_job(db, at, JOB).counters["delivered"] == 1
    (first, body), (second, again) = receiver.got
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again
    assert value(db, "SELECT attempts FROM ops.outbox") == 2


def test_of_one_transaction_no_event_overtakes_an_earlier_one(
    db: Database, at: Settings, receiver: Receiver, user: UUID
) -> None:
    failed_and_rescued(db, user)
    settle_rows(db, user)
    receiver.answer(400)
    assert run_job(db, at, JOB).counters["waiting"] == 2
    assert sorted(receiver.kinds) == ["transaction.failed", "transaction.succeeded"]
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.outbox SET dead_at = now() WHERE kind = 'transaction.failed'"))
    receiver.answer(204)
    let_time_pass(db, "1 day")
    assert run_job(db, at, JOB).counters["delivered"] == 1
    assert "transaction.rescued" not in receiver.kinds  # also behind one that was given up
    assert run_job(db, at, JOB, again=True).counters["delivered"] == 2
    assert receiver.kinds[-2:] == ["transaction.failed", "transaction.rescued"]


def test_after_three_days_an_event_is_given_up_until_a_person_sends_it_again(
    db: Database, at: Settings, receiver: Receiver, user: UUID
) -> None:
    one, other = settle_rows(db, user, 2)
    receiver.answer(500)
    run_job(db, at, JOB)
    let_time_pass(db, "73 hours")
    assert run_job(db, at, JOB).counters["dead"] == 2
    let_time_pass(db, "10 days")
    receiver.answer(204)
    assert run_job(db, at, JOB).counters["delivered"] == 0
    run = run_job(db, at, JOB, again=True, transaction_id=str(one))
    assert (run.counters["revived"], run.counters["delivered"]) == (1, 1)
    assert value(db, "SELECT entity_id FROM ops.audit WHERE action = 'event.revived'") == str(one)
    assert value(db, "SELECT transaction_id FROM ops.outbox WHERE dead_at IS NOT NULL") == other


def test_a_410_stops_everything_until_a_person_resumes(
    db: Database, at: Settings, receiver: Receiver, user: UUID
) -> None:
    settle_rows(db, user, 25)
    receiver.answer(410)
    run = run_job(db, at, JOB)
    assert run.state == "failed"
    assert "answers 410: it wants no more events" in str(run.error)
    assert len(receiver.got) == deliver.AT_ONCE
    with db.read() as conn:
        schedule = find_schedule(conn, JOB)
    assert schedule.paused_by == f"run:{run.id}"
    assert count(db, "ops.outbox") == value(db, "SELECT count(*) FROM ops.outbox WHERE dead_at IS NULL")
    assert run_job(db, at, JOB).state == "failed"  # a person's run says it again


def test_a_redirect_is_not_followed(db: Database, at: Settings, receiver: Receiver, user: UUID) -> None:
    settle_rows(db, user)
    receiver.answer(307, Location="/elsewhere")
    assert run_job(db, at, JOB).counters["waiting"] == 1
    assert [headers["path"] for headers, _ in receiver.got] == ["/hooks/abc123def?token=in-the-query"]
    assert "redirects are not followed" in str(value(db, "SELECT error FROM ops.outbox"))


def test_a_receiver_that_is_down_gets_one_handful_a_run(
    db: Database, at: Settings, receiver: Receiver, user: UUID
) -> None:
    settle_rows(db, user, 30)
    receiver.answer(503, Retry_After="600")
    assert run_job(db, at, JOB).counters["waiting"] == deliver.AT_ONCE
    assert len(receiver.got) == deliver.AT_ONCE
    soonest = value(db, "SELECT extract(epoch FROM min(next_at) - now()) > 590 FROM ops.outbox WHERE attempts > 0")
    assert soonest is True


def test_whatever_goes_wrong_nothing_says_the_secret_or_the_address(
    db: Database, at: Settings, receiver: Receiver, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "ANSWER_S", 0.3)
    settle_rows(db, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = at.model_copy(
            update={"webhook_url": receiver.url.replace(str(receiver.kind.port), str(probe.getsockname()[1]))}
        )
    receiver.answer(500)
    runs = [run_job(db, dead, JOB)]
    receiver.kind.hold.clear()
    let_time_pass(db, "1 hour")
    runs.append(run_job(db, at, JOB))
    assert "took longer than 0.3 s" in str(value(db, "SELECT error FROM ops.outbox"))
    receiver.kind.hold.set()
    for status in (500, 302, 410):
        receiver.answer(status)
        let_time_pass(db, "1 day")
        runs.append(run_job(db, at, JOB))
    said = " ".join(
        [log_of(db, run) + str(run.error) for run in runs]
        + [str(value(db, "SELECT string_agg(t::text, ' ') FROM ops.outbox AS t"))]
        + [str(value(db, "SELECT string_agg(t::text, ' ') FROM ops.audit AS t"))]
    )
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "in-the-query", "basic-word1", "abc123def"):
        assert secret not in said


def test_two_senders_at_once_send_each_event_once(db: Database, at: Settings, receiver: Receiver, user: UUID) -> None:
    settle_rows(db, user, 60)
    runs: list[RunRow] = []
    threads = [threading.Thread(target=lambda: runs.append(run_job(db, at, JOB))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(run.counters["delivered"] for run in runs) == 60
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 60


_CHILD = """
import sys
from pathlib import Path
from pydantic import SecretStr
from sqlalchemy import make_url
from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.db.books import run_job
url, webhook, secret, home = sys.argv[1:]
settings = Settings.model_validate({"NEXAOPS_WEBHOOK_URL": webhook, "NEXAOPS_WEBHOOK_SECRET": secret,
                                    "NEXAOPS_HOME": Path(home)})
run_job(Database(make_url(url)), settings, "deliver-events")
"""


def test_a_sender_that_is_killed_holds_its_events_up_for_a_claim_and_no_longer(
    db: Database, at: Settings, receiver: Receiver, user: UUID, tmp_path: Path
) -> None:
    failed_and_rescued(db, user)
    receiver.kind.hold.clear()
    command = [
        sys.executable,
        "-c",
        _CHILD,
        db.url.render_as_string(hide_password=False),
        receiver.url,
        SECRET,
        str(tmp_path),
    ]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while not receiver.got and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    receiver.kind.hold.set()
    assert run_job(db, at, JOB).counters["delivered"] == 0  # it may still be on its way
    let_time_pass(db, "31 seconds")
    assert run_job(db, at, JOB).counters["delivered"] == 2
    assert receiver.kinds == ["transaction.failed", "transaction.failed", "transaction.rescued"]
    ids: list[Any] = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids[0] == ids[1] != ids[2]
