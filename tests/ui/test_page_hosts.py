"""The Hosts page answers: will the hosts hold for a month."""

from __future__ import annotations

from datetime import timedelta
from socket import gethostname
from uuid import UUID, uuid4

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.run import hosts
from tests.ui.desk import run_page, seen
from tests.ui.probes import HOST, look


def test_a_row_a_host_and_the_one_that_fills_up_is_named(db: Database, settings: Settings, viewer: UUID) -> None:
    look(db, "ops-1", HOST)
    look(db, "ops-2", HOST | {"host.disk_full_days": 4.6})
    page = run_page(db, settings, "hosts", viewer)
    said = seen(page)
    assert "one or more will not hold" in said
    assert "ops-2: the disk is full in 5 days." in said
    assert "ops-1: " not in said
    assert "512.0 KiB/s" in said
    assert len(page.get("plotly_chart")) == 6


def test_a_silent_host_is_grey_with_since_when(db: Database, settings: Settings, viewer: UUID) -> None:
    look(db, "ops-1", HOST)
    look(db, "ops-2", HOST | {"host.disk_full_days": 1.0}, ago=timedelta(hours=3))
    said = seen(run_page(db, settings, "hosts", viewer))
    assert "The host will hold for a month" in said
    assert "1 of 2 is silent" in said
    assert "no data since" in said
    assert said.count("nx-chip nx-ok") == 1
    assert "full in 1 day" not in said, "what an old sample says is no alarm"


def test_workers_that_beat_are_counted_by_host(db: Database, settings: Settings, viewer: UUID) -> None:
    hosts.beat(db, uuid4(), concurrency=4, silent_s=1)
    hosts.beat(db, uuid4(), concurrency=4, silent_s=1)
    look(db, gethostname(), HOST)
    assert '<a href="/workers" class="nx-link">2</a>' in seen(run_page(db, settings, "hosts", viewer))


def test_without_a_worker_it_says_how_figures_come(db: Database, settings: Settings, viewer: UUID) -> None:
    assert "nexaops worker" in seen(run_page(db, settings, "hosts", viewer))
