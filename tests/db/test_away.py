"""Who tells when nothing here can: the ping that stops coming, and a worker that has lost the database."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from jobs.alerts.away import PATIENCE_S, DatabaseWatch, Outage
from jobs.alerts.notices import RETRIES
from jobs.alerts.ping import LEASE, ping
from jobs.core.db import Database
from jobs.core.embedded import embedded_server
from jobs.core.settings import Settings
from tests.conftest import database_url
from tests.db.team import Team, with_channels

SECRET = "5e1f-hunter2"


def run_of(db: Database, settings: Settings, address: str) -> Any:
    """As much of a run as a ping needs, with what it warned of."""
    warned: list[str] = []
    return SimpleNamespace(
        db=db, settings=settings.model_copy(update={"ping_url": SecretStr(address)}), warned=warned,
        warning=lambda event, **fields: warned.append(f"{event}: {fields}"),
    )  # fmt: skip


def test_the_ping_goes_out_once_a_minute_by_all_together(db: Database, settings: Settings, team: Team) -> None:
    address = f"http://127.0.0.1:{team.port}/{SECRET}"
    threads = [threading.Thread(target=ping, args=(run_of(db, settings, address),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert team.pings == 1
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.leases SET expires_at = now() WHERE name = :name"), {"name": LEASE})
    ping(run_of(db, settings, ""))
    assert team.pings == 1
    ping(run_of(db, settings, address))
    assert team.pings == 2


@pytest.mark.parametrize("how", ["it answers 503", "it gives no answer"])
def test_a_ping_that_is_not_taken_is_a_warning_without_the_address(
    db: Database, settings: Settings, team: Team, how: str
) -> None:
    team.status["ping"] = 503
    run = run_of(db, settings, f"http://127.0.0.1:{team.port if '503' in how else 9}/{SECRET}")
    ping(run)
    assert len(run.warned) == 1
    assert how in run.warned[0]
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
    for seconds in (61, 71, 300):  # too early for another try the second time
        now[0] = seconds
        watch.step()
    team.status["desk"] = 200
    now[0] = 330
    watch.step()
    assert (len(team.told("ops")), len(team.told("desk"))) == (1, 3), "a channel that was down is tried again"
    assert "cannot reach the database" in str(team.told("ops")[0])
    with embedded_server(home):
        now[0] = 421
        watch.step()
        watch.step()
    assert [("reaches the database again" in str(title)) for title in team.told("ops")] == [False, True]
    assert "It was away for 7 min." in str(team.got[-1][1]["message"])


def test_a_channel_that_never_takes_it_is_left_alone_in_the_end(settings: Settings, team: Team) -> None:
    now, nowhere = [0.0], "host=127.0.0.1 port=9 connect_timeout=1"
    watch = DatabaseWatch(with_channels(settings, team.url("ops")), nowhere, lambda: now[0])
    team.status["ops"] = 403
    for minute in range(240):
        now[0] = minute * 60.0
        watch.step()
    assert len(team.told("ops")) == RETRIES + 1


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
