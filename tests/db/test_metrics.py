"""/metrics as Prometheus takes it, and the files that are read with it: what they name exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from starlette.applications import Starlette
from typer.testing import CliRunner

from dashboard import health, queries
from dashboard.desk import open_desk
from dashboard.metrics.runs import RunCounter
from dashboard.observability.cli import FILES, app
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.probes.host import HostProbe
from jobs.probes.series import write_samples
from jobs.run import hosts
from tests.db.books import run_job
from tests.db.conftest import serving
from tests.ui import seed

pytestmark = pytest.mark.xdist_group("site-health")
PROMTOOL = shutil.which("promtool")


@pytest.fixture
def client(db: Database, settings: Settings) -> Iterator[httpx.Client]:
    settings = settings.model_copy(update={"horizon_urls": seed.SERVERS, "rate_limit_per_hour": 3600})
    open_desk(settings, db)
    with serving(Starlette(routes=health.routes(settings, db))) as base, httpx.Client(base_url=base) as found:
        yield found


@pytest.fixture
def lively(db: Database, settings: Settings) -> None:
    """A desk where there is something to say of everything."""
    seed.living(db, trouble=True)
    HostProbe(db, settings).step()
    run_job(db, settings, "probe-database")
    with db.begin() as conn:
        write_samples(conn, "h.example:443", {"certificate.days_left": 20.0})
        write_samples(conn, "NEXAOPS_FORGE_TOKEN", {"secret.age_days": 100.0})
        write_samples(conn, "https://status.stellar.org", {"status_page.indicator": 1.0})
        write_samples(conn, "https://before.example", {"status_page.indicator": 2.0})
        conn.execute(
            text(
                "INSERT INTO ops.alert_rules (name, title, signal, comparison, threshold, severity, steps, changed_by)"
                " VALUES ('late', 'Late', 'job.overdue_s', '>', 0, 'critical', '[]', 'x') ON CONFLICT DO NOTHING"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.alerts (rule, signal, subject, state, severity, sentence, link, began_at, fired_at, seen_at,"
                " acknowledged_at, acknowledged_by) SELECT 'late', 'job.overdue_s', n::text, 'firing', 'critical', 's', '/',"
                " now(), now(), now(), CASE n WHEN 1 THEN now() END, CASE n WHEN 1 THEN 'ada' END FROM generate_series(1, 3) n"
            )
        )
        conn.execute(text("INSERT INTO ops.alert_watches VALUES (now() - interval '1 minute', now())"))
        conn.execute(
            text(
                "INSERT INTO ops.incidents (title, severity, began_at, opened_by, lead) VALUES ('x', 'warn', now(), 'a', 'a')"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.backups (file, made_at, bytes, sha256, encrypted, made_by)"
                " VALUES ('b', to_timestamp(1000), 4096, 'x', false, 'run:1')"
            )
        )
        conn.execute(
            text("INSERT INTO ops.runs (job, trigger, triggered_by, state) VALUES ('x', 'manual', 'x', 'queued')")
        )
    hosts.beat(db, seed.UUID(int=7), concurrency=4, silent_s=1.0)


def figures(page: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.mark.usefixtures("lively")
def test_everything_that_is_watched_stands_there_in_base_units(client: httpx.Client) -> None:
    found = figures(client.get("/metrics").text)
    assert found["nexaops_alerts_firing late critical"] == 2
    assert found["nexaops_alerts_acknowledged late critical"] == 1
    assert (found["nexaops_incidents_open warn"], found["nexaops_incidents_open critical"]) == (1, 0)
    assert found["nexaops_backup_made_timestamp_seconds"] == 1000
    assert found["nexaops_queue_depth"] == 1
    assert 0 <= found["nexaops_queue_oldest_seconds"] < 60
    assert found["nexaops_pending_amount USDC"] == 12.5 * (1 + 3 + 5 + 7 + 9)
    assert found["nexaops_horizon_verdict https://horizon.stellar.org warn"] == 1
    assert found["nexaops_horizon_fee_stroops fee_p95 https://horizon.stellar.org"] == 2000
    assert found["nexaops_database_size_bytes"] > 1e6
    assert 0 < found["nexaops_database_connect_seconds"] < 5
    assert found["nexaops_certificate_expiry_timestamp_seconds h.example:443"] - (
        found["nexaops_probe_timestamp_seconds certificate h.example:443"]
    ) - 1 < 20 * 86_400  # fmt: skip
    since = found["nexaops_probe_timestamp_seconds secret NEXAOPS_FORGE_TOKEN"]
    assert since - found["nexaops_secret_since_timestamp_seconds NEXAOPS_FORGE_TOKEN"] == pytest.approx(100 * 86_400)
    assert found["nexaops_status_page_indicator https://status.stellar.org"] == 1
    assert [name for name in found if "before.example" in name] == [], "which is asked no more"
    assert all(value == 1 for name, value in found.items() if name.startswith("nexaops_collector_success"))
    assert any(name.startswith("nexaops_worker_memory_bytes") and value > 0 for name, value in found.items())


@pytest.mark.usefixtures("lively")
def test_what_is_stale_is_left_out_and_when_it_was_seen_stays(client: httpx.Client, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.samples SET at = at - interval '95 seconds'"))
        conn.execute(text("UPDATE ops.horizon_samples SET at = at - interval '1 hour'"))
    found = figures(client.get("/metrics").text)
    assert "nexaops_database_size_bytes" not in found
    assert found["nexaops_probe_timestamp_seconds database database"] > 0
    assert "nexaops_horizon_ledger_age_seconds https://horizon.stellar.org" not in found
    assert found["nexaops_horizon_probe_timestamp_seconds https://horizon.stellar.org"] > 0


@pytest.mark.usefixtures("lively")
@pytest.mark.parametrize(
    ("table", "collector", "lost"),
    [
        ("ops.alert_watches", "alerts", "nexaops_silences"),
        ("ops.samples", "probes", "nexaops_database_size_bytes"),
        ("ops.app_versions", "facts", "nexaops_cases_open"),
    ],
)
def test_a_table_that_cannot_be_read_takes_nothing_else_along(
    client: httpx.Client, db: Database, table: str, collector: str, lost: str
) -> None:
    with db.begin() as conn:
        conn.execute(text(f"ALTER TABLE {table} RENAME TO elsewhere"))
    found = figures(client.get("/metrics").text)
    assert found[f"nexaops_collector_success {collector}"] == 0
    assert lost not in found
    assert (found["nexaops_database_up"], found["nexaops_queue_depth"]) == (1, 1)


@pytest.mark.usefixtures("lively")
def test_however_many_currencies_there_are_the_page_has_an_end(client: httpx.Client, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO transactions (user_id, type, amount, currency)"
                " SELECT id, 'DEPOSIT', 1, 'C' || n FROM generate_series(1, 150) n, (SELECT id FROM users LIMIT 1) u"
            )
        )
    queries.forget()
    found = figures(client.get("/metrics").text)
    assert len([name for name in found if name.startswith("nexaops_pending_transactions")]) == 101
    assert found["nexaops_pending_transactions other"] == 52
    assert len([name for name in found if name.startswith("nexaops_pending_oldest_seconds")]) == 100


@pytest.mark.usefixtures("lively")
def test_a_worker_that_came_after_another_of_its_number_is_the_one(client: httpx.Client, db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, beat_at) SELECT gen_random_uuid(), 'ops-1', 42,"
                " '0.1.0', 99, now() - n * interval '10 minutes' FROM generate_series(1, 2) AS n"
            )
        )
    page = client.get("/metrics").text
    assert re.findall(r"^nexaops_worker_concurrency\{.*ops-1.* (\S+)$", page, re.MULTILINE) == ["4.0"]
    names = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names)), "Prometheus refuses a series that comes twice"


ENDED = (
    "INSERT INTO ops.runs (job, trigger, triggered_by, state, finished_at) VALUES ('counted', 'manual', 'x', {}, {})"
)


def counted(counter: RunCounter, db: Database) -> int:
    """What the next scrape counts in all."""
    with db.read() as conn:
        list(counter.collect(conn))
    return counter.ended["counted", "succeeded"]


def test_runs_are_counted_from_the_first_scrape_on_however_many_end_at_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.metrics.runs._MOST_NEW", 2)
    counter = RunCounter()
    with db.begin() as conn:
        for _ in range(3):
            conn.execute(text(ENDED.format("'succeeded'", "now()")))
        conn.execute(text(ENDED.format("'running'", "NULL")))
    assert counted(counter, db) == 0
    with db.begin() as conn:
        for _ in range(4):
            conn.execute(text(ENDED.format("'succeeded'", "now()")))
        conn.execute(text("UPDATE ops.runs SET state = 'succeeded', finished_at = now() WHERE state = 'running'"))
    assert [counted(counter, db) for _ in range(4)] == [2, 4, 5, 5]


def test_a_run_that_is_committed_after_later_ones_is_counted_once(db: Database) -> None:
    counter = RunCounter()
    assert counted(counter, db) == 0
    with db.engine.connect() as slow:
        slow.execute(text(ENDED.format("'succeeded'", "now() - interval '50 min'")))
        with db.begin() as conn:
            conn.execute(text(ENDED.format("'succeeded'", "now()")))
        assert counted(counter, db) == 1
        slow.commit()
    assert [counted(counter, db) for _ in range(2)] == [2, 2]


@pytest.mark.usefixtures("lively")
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say(client: httpx.Client, tmp_path: Path) -> None:
    page = client.get("/metrics").content
    checked = subprocess.run([str(PROMTOOL), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
    assert CliRunner().invoke(app, ["export", str(tmp_path)]).exit_code == 0
    board = orjson.loads((tmp_path / "grafana.json").read_bytes())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    queries = [
        {"record": f"panel{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(asked)
    ]
    # JSON is YAML.
    (tmp_path / "panels.yaml").write_bytes(orjson.dumps({"groups": [{"name": "panels", "rules": queries}]}))
    for file in ("prometheus.rules.yaml", "panels.yaml"):
        rules = subprocess.run([str(PROMTOOL), "check", "rules", file], cwd=tmp_path, capture_output=True, check=False)
        assert rules.returncode == 0, rules.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    ("series", "alert"),
    [
        ([], "NexaopsGone"),
        ([("nexaops_workers", "1 1 0x9")], "NexaopsNoWorkers"),
        ([("nexaops_alerts_evaluated_timestamp_seconds", "0x9")], "NexaopsAlertsNotEvaluated"),
        ([('nexaops_horizon_ledger_age_seconds{server="a"}', "90x9"), ('nexaops_horizon_ledger_age_seconds{server="b"}', "80x9")], "NexaopsLedgerOld"),
        ([('nexaops_alerts_firing{rule="late",severity="critical"}', "1x60")], "NexaopsCriticalUnacknowledged"),
    ],
)  # fmt: skip
def test_what_the_desk_cannot_say_of_itself_prometheus_does(
    tmp_path: Path, series: list[tuple[str, str]], alert: str
) -> None:
    CliRunner().invoke(app, ["export", str(tmp_path)])
    alive = [] if alert == "NexaopsGone" else [("nexaops_build_info", "1x60")]
    given = [{"series": name, "values": values} for name, values in [*series, *alive]]
    # Of a rule that fires, promtool shows the alert in full where another was expected.
    expected = {"eval_time": "45m" if "Unacknowledged" in alert else "8m", "alertname": alert, "exp_alerts": []}
    case = {"interval": "1m", "input_series": given, "alert_rule_test": [expected]}
    (tmp_path / "case.yaml").write_bytes(orjson.dumps({"rule_files": ["prometheus.rules.yaml"], "tests": [case]}))
    asked = subprocess.run(
        [str(PROMTOOL), "test", "rules", "case.yaml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert asked.returncode != 0
    assert f'alertname="{alert}"'.encode() in asked.stdout + asked.stderr


@pytest.mark.parametrize("file", FILES)
def test_what_the_files_name_is_on_the_page(client: httpx.Client, file: str, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["export", str(tmp_path / "new")]).exit_code == 0
    written = (tmp_path / "new" / file).read_text(encoding="utf-8")
    page = client.get("/metrics").text
    names = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    names |= {f"{name}_{end}" for name in names for end in ("bucket", "sum", "count")}
    used = set(re.findall(r"\bnexaops_[a-z0-9_]+\b", written))
    assert len(used) > 15
    assert used - names == set()


def test_a_grafana_panel_has_a_source_that_is_chosen_and_a_place_of_its_own(tmp_path: Path) -> None:
    CliRunner().invoke(app, ["export", str(tmp_path)])
    board = orjson.loads((tmp_path / "grafana.json").read_bytes())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == ["Money", "Jobs", "Horizon", "Database", "Hosts", "Alerts"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        squares = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not squares & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= squares


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["export", str(tmp_path / "file")])
    assert result.exit_code != 0
    assert "cannot be written" in str(result.exception)
