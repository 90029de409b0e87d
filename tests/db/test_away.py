"""Who tells when nothing here can: the ping that stops coming, and a worker that has lost the database."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from jobs.alerts.away import PATIENCE_S, DatabaseWatch, Outage
from jobs.alerts.ping import LEASE, ping
from jobs.core.db import Database
from jobs.core.embedded import embedded_server
from jobs.core.settings import Settings
from tests.conftest import database_url
from tests.db.team import Team, with_channels

SECRET = "5e1f-hunter2"


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str], list[int]]]:
    """A service that counts pings: its address, the paths it was called at, and the status that it answers."""
    called: list[str] = []
    status = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{SECRET}", called, status
    server.shutdown()
    server.server_close()
    thread.join()


def run_of(db: Database, settings: Settings, address: str, *, dry_run: bool = False) -> Any:
    """As much of a run as a ping needs, with what it warned of."""
    warned: list[str] = []
    return SimpleNamespace(
        db=db, settings=settings.model_copy(update={"ping_url": SecretStr(address)}), dry_run=dry_run, warned=warned,
        warning=lambda event, **fields: warned.append(f"{event}: {fields}"),
    )  # fmt: skip


def test_the_ping_goes_out_once_a_minute_by_all_together(
    db: Database, settings: Settings, outside: tuple[str, list[str], list[int]]
) -> None:
    address, called, _ = outside
    threads = [threading.Thread(target=ping, args=(run_of(db, settings, address),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert called == [f"/{SECRET}"]
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.leases SET expires_at = now() WHERE name = :name"), {"name": LEASE})
    ping(run_of(db, settings, address, dry_run=True))
    ping(run_of(db, settings, ""))
    assert len(called) == 1
    ping(run_of(db, settings, address))
    assert len(called) == 2


@pytest.mark.parametrize("how", ["503", "nobody"])
def test_a_ping_that_is_not_taken_is_a_warning_without_the_address(
    db: Database, settings: Settings, outside: tuple[str, list[str], list[int]], how: str
) -> None:
    address, _, status = outside
    status[0] = 503
    run = run_of(db, settings, address if how == "503" else f"http://127.0.0.1:9/{SECRET}")
    ping(run)
    assert len(run.warned) == 1
    assert ("it answers 503" if how == "503" else "it gives no answer") in run.warned[0]
    assert SECRET not in run.warned[0]


@pytest.fixture
def home() -> Iterator[Path]:
    """Where a PostgreSQL of this test's own lies: its user cannot always enter the folders of pytest."""
    with tempfile.TemporaryDirectory(prefix="nexaops-test-") as folder:
        yield Path(folder)


def test_a_worker_tells_once_that_the_database_is_away_and_once_that_it_is_back(
    settings: Settings, team: Team, home: Path
) -> None:
    now = [0.0]
    with embedded_server(home) as socket:
        conninfo = Database(database_url(socket, "postgres")).conninfo
        watch = DatabaseWatch(with_channels(settings, team.url("ops"), team.url("desk")), conninfo, lambda: now[0])
        watch.step()
    for seconds in (1, 60):  # stopped
        now[0] = seconds
        watch.step()
    assert team.got == []
    team.status["desk"] = 503
    for seconds in (61, 71, 300):
        now[0] = seconds
        watch.step()
    team.status["desk"] = 200
    watch.step()
    assert (len(team.told("ops")), len(team.told("desk"))) == (1, 4), "a channel that was down is tried again"
    assert "cannot reach the database" in str(team.told("ops")[0])
    with embedded_server(home):
        now[0] = 421
        watch.step()
        watch.step()
    assert [("reaches the database again" in str(title)) for title in team.told("ops")] == [False, True]
    assert "It was away for 7 min." in str(team.got[-1][1]["message"])


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 90)), max_size=40))
def test_every_outage_that_is_told_is_told_as_over_once(looks: list[tuple[bool, float]]) -> None:
    outage, now, said = Outage(), 0.0, []
    for answers, later in looks:
        now += later
        what = outage.see(answers=answers, now=now)
        if what is not None:
            said.append(what)
            assert (what == "back") is answers
            assert what == "back" or now - cast("float", outage.since) >= PATIENCE_S
    assert said == ["away", "back"] * (len(said) // 2) + ["away"] * (len(said) % 2)
