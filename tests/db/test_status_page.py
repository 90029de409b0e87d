"""probe-status-page against the sandbox's page: what it says is kept, and a page that is silent stops nothing."""

from __future__ import annotations

from sqlalchemy import text

from dashboard.metrics.probes import probes, read_newest
from jobs.alerts.evaluate import look
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.faults import Faults
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.servers import label_of
from jobs.probes.latest import StatusPage, asked_page, status_page
from tests.db.books import run_job


def kept(db: Database, url: str) -> StatusPage:
    with db.read() as conn:
        found = status_page(conn, label_of(url))
    assert found is not None
    return found


def test_its_indicator_is_a_sample_and_what_it_lists_is_kept(db: Database, settings: Settings) -> None:
    faults = Faults("hang", "status-page=major")
    with SandboxServer(SandboxLedger(), faults) as server:
        url = f"{server.url}/sandbox/status"
        settings = settings.model_copy(update={"status_page_url": url})
        run = run_job(db, settings, "probe-status-page")
        assert (run.state, run.counters["incidents"]) == ("succeeded", 1), "a Horizon that hangs is no page that hangs"
        found = kept(db, url)
        assert (found.indicator, found.error) == ("major", None)
        assert [one["name"] for one in found.components] == ["Horizon"]
        assert found.incidents[0]["status"] == "investigating"
        faults.clear("status-page")
        run_job(db, settings, "probe-status-page")
        assert (kept(db, url).indicator, kept(db, url).incidents) == ("none", ())
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT s.subject, x.value FROM ops.samples x JOIN ops.series s ON s.id = x.series"
                 " WHERE s.metric = 'status_page.indicator' ORDER BY x.at")
        ).all()  # fmt: skip
    assert [tuple(row) for row in rows] == [(label_of(url), 2), (label_of(url), 0)]
    run = run_job(db, settings, "probe-status-page")
    assert (run.state, run.counters["silent"]) == ("succeeded", 1)
    silent = kept(db, url)
    assert silent.error is not None
    assert "cannot be reached" in silent.error
    assert silent.indicator == "none", "what it said last, with when that was"
    assert silent.answered_at is not None
    assert silent.answered_at < silent.asked_at


def test_a_page_that_says_something_else_is_named_without_its_key(db: Database, settings: Settings) -> None:
    with SandboxServer(SandboxLedger(), Faults("status-page=splendid")) as server:
        url = f"{server.url}/sandbox/status"
        settings = settings.model_copy(update={"status_page_url": url.replace("://", "://me:hunter22@")})
        run = run_job(db, settings, "probe-status-page")
    assert run.state == "succeeded"
    found = kept(db, url)
    assert found.error == f"{label_of(url)} answered 200 with something that is not Statuspage's summary."
    assert (found.answered_at, found.indicator) == (None, None)


def test_of_a_page_that_is_asked_no_more_alerts_and_metrics_say_nothing(db: Database, settings: Settings) -> None:
    with SandboxServer(SandboxLedger(), Faults("status-page=critical")) as server:
        asked = settings.model_copy(update={"status_page_url": f"{server.url}/sandbox/status"})
        run_job(db, asked, "probe-status-page")
    for used, said in ((asked, True), (settings.model_copy(update={"status_page_url": None}), False)):
        with db.read() as conn:
            readings = look(conn, used).readings
            figures = list(probes(read_newest(conn), asked_page(used)))
        assert any(reading.signal == "status_page.indicator" for reading in readings) is said
        samples = [sample.labels for family in figures for sample in family.samples]
        assert any(server.url in labels.values() for labels in samples) is said
