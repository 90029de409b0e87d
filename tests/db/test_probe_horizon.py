from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, text

from jobs.core.db import Database
from jobs.core.jobs import Every, load_jobs
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.servers import label_of
from jobs.probes.horizon import ProbeParams, probe_horizon


@dataclass
class ProbeRun:
    """A run as the worker gives it, without the worker."""

    db: Database
    settings: Settings
    dry_run: bool = False
    id: int = 1
    job: str = "probe-horizon"
    token: UUID = field(default_factory=uuid4)
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, n: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + n

    def progress(self, done: int, total: int | None) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...
    def should_stop(self) -> bool:
        return False


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def sandbox(server: SandboxServer) -> SandboxServer:
    server.faults.clear()
    for _ in range(15):
        server.ledger.close_ledger()
    return server


@pytest.fixture
def at(settings: Settings, sandbox: SandboxServer) -> Settings:
    return settings.model_copy(update={"horizon_urls": (sandbox.url,), "horizon_timeout_s": 0.5})


def probe(db: Database, settings: Settings) -> dict[str, int]:
    run = ProbeRun(db, settings)
    probe_horizon(run, ProbeParams())
    return run.counters


def samples(db: Database) -> list[Row[Any]]:
    with db.read() as conn:
        return list(conn.execute(text("SELECT * FROM ops.horizon_samples ORDER BY at")).all())


def reasons(db: Database) -> list[tuple[str, str]]:
    return [(reason["signal"], reason["verdict"]) for reason in samples(db)[-1].reasons]


def test_the_probe_is_a_job_every_fifteen_seconds() -> None:
    job = load_jobs()["probe-horizon"]
    assert (job.schedule, job.timeout_s) == (Every(15), 12)


def test_a_well_server_gives_a_sample_with_every_figure(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    assert probe(db, at) == {"servers": 1}
    (sample,) = samples(db)
    assert (sample.verdict, sample.reasons, sample.error) == ("ok", [], None)
    assert sample.server == label_of(sandbox.url)
    assert sample.latest_ledger == sandbox.ledger.latest.sequence
    assert sample.passphrase == at.passphrase
    assert (sample.database_connected, sample.core_up, sample.core_synced) == (True, True, True)
    assert sample.latency_ms > 0
    assert 0 <= sample.age_s < 20
    assert None not in tuple(sample)[:-1]


@pytest.mark.parametrize(
    ("fault", "value", "expected"),
    [
        ("wrong-network", None, ("network", "critical")),
        ("protocol-ahead", None, ("protocol", "critical")),
        ("core-down", None, ("health", "critical")),
        ("lag", 3, ("lag", "warn")),
        ("lag", 10, ("lag", "critical")),
        ("html", None, ("latency", "critical")),
        ("plain-503", None, ("latency", "critical")),
        ("reset", None, ("latency", "critical")),
        ("hang", None, ("latency", "critical")),
    ],
)
def test_each_trouble_gives_its_verdict_and_the_probe_itself_succeeds(
    at: Settings, db: Database, sandbox: SandboxServer, fault: str, value: int | None, expected: tuple[str, str]
) -> None:
    sandbox.faults.set(fault, value)
    assert probe(db, at) == {"servers": 1, expected[1]: 1}
    assert expected in reasons(db)
    assert samples(db)[-1].verdict == expected[1]


def test_the_stand_in_is_looked_at_once_a_minute_and_judged_as_a_server_is(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    at = at.model_copy(update={"rpc_url": f"{sandbox.url}/rpc?key=hunter2"})
    assert probe(db, at) == {"servers": 2}
    assert probe(db, at) == {"servers": 1}, "it was asked a moment ago"
    found = {sample.server: sample for sample in samples(db)}
    stand_in = found[f"{label_of(sandbox.url)} (RPC)"]
    assert (stand_in.verdict, stand_in.passphrase, stand_in.error) == ("ok", at.passphrase, None)
    assert stand_in.latest_ledger == sandbox.ledger.latest.sequence
    sandbox.faults.set("wrong-network")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.horizon_samples SET at = at - interval '1 minute'"))
    assert probe(db, at) == {"servers": 2, "critical": 2}
    assert "hunter2" not in str([tuple(sample) for sample in samples(db)])


def test_a_dead_server_is_one_critical_sample_that_says_why(settings: Settings, db: Database) -> None:
    dead = settings.model_copy(update={"horizon_urls": ("http://127.0.0.1:9/?key=hunter2",)})
    assert probe(db, dead) == {"servers": 1, "critical": 1}
    (sample,) = samples(db)
    assert sample.error == "http://127.0.0.1:9 cannot be reached: the connection was refused."
    assert sample.reasons == [{"signal": "latency", "verdict": "critical", "sentence": sample.error}]
    with db.read() as conn:
        assert conn.execute(text("SELECT server FROM ops.horizon_servers")).scalars().all() == ["http://127.0.0.1:9"]


def test_a_regress_is_critical_and_freezes_the_server(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    probe(db, at)
    sandbox.faults.set("regress", 5)
    assert probe(db, at)["critical"] == 1
    assert ("regress", "critical") in reasons(db)
    with db.read() as conn:
        assert conn.execute(text("SELECT frozen_at IS NOT NULL FROM ops.horizon_servers")).scalar()


def test_servers_are_probed_beside_one_another_and_a_hanging_one_holds_none_up(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    with SandboxServer() as hanging:
        hanging.faults.set("hang")
        both = at.model_copy(update={"horizon_urls": (hanging.url, sandbox.url, "http://127.0.0.1:9")})
        started = time.monotonic()
        assert probe(db, both) == {"servers": 3, "critical": 2}
        assert time.monotonic() - started < 5
    verdicts = {sample.server: sample.verdict for sample in samples(db)}
    assert verdicts == {hanging.url: "critical", sandbox.url: "ok", "http://127.0.0.1:9": "critical"}


def test_fees_are_asked_for_at_most_once_a_minute(at: Settings, db: Database) -> None:
    for _ in range(3):
        probe(db, at)
    assert [sample.fee_p50 is None for sample in samples(db)] == [False, True, True]
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.horizon_samples SET at = at - interval '1 minute'"))
    probe(db, at)
    assert samples(db)[-1].fee_p50 is not None


@pytest.mark.parametrize(("age", "expected"), [(20, None), (40, "warn"), (150, "critical")])
def test_ingestion_lag_counts_from_the_sample_in_which_it_began(
    at: Settings, db: Database, sandbox: SandboxServer, age: int, expected: str | None
) -> None:
    probe(db, at)
    sandbox.faults.set("ingest-lag", 2)
    probe(db, at)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.horizon_samples SET at = at - make_interval(secs => CAST(:age AS integer))"), {"age": age}
        )
    probe(db, at)
    assert dict(reasons(db)).get("ingestion") == expected


def test_the_budget_is_the_hours_and_says_who_spent_it(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_requests VALUES "
                "(now() - interval '30 minutes', :server, 'transaction', 'reconcile-pending', 'ok', 3300, 1, '{}'),"
                "(now() - interval '90 minutes', :server, 'transaction', 'retry-failed', 'ok', 3600, 1, '{}')"
            ),
            {"server": label_of(sandbox.url)},
        )
    probe(db, at.model_copy(update={"rate_limit_per_hour": 3600}))
    (reason,) = samples(db)[-1].reasons
    assert (reason["signal"], reason["verdict"]) == ("budget", "warn")
    assert reason["sentence"] == (
        "8% of the hour's requests are left (warn below 20%): spent by reconcile-pending 3,300."
    )


def test_a_spent_budget_is_a_warning_and_no_dead_server(at: Settings, db: Database, sandbox: SandboxServer) -> None:
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.horizon_servers (server, blocked_until) VALUES (:s, now() + interval '1 hour')"),
            {"s": label_of(sandbox.url)},
        )
    assert probe(db, at.model_copy(update={"rate_limit_per_hour": 3600})) == {"servers": 1, "warn": 1}
    assert reasons(db) == [("budget", "warn")]


def test_errors_of_all_jobs_in_the_last_minutes_are_counted_by_kind(
    at: Settings, db: Database, sandbox: SandboxServer
) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.horizon_requests VALUES "
                "(now(), :server, 'transaction', 'a', 'ok', 60, 1, '{}'),"
                "(now(), :server, 'transaction', 'a', 'timeout', 30, 1, '{}'),"
                "(now(), :server, 'transaction', 'b', 'rate_limited', 10, 1, '{}')"
            ),
            {"server": label_of(sandbox.url)},
        )
    probe(db, at)
    (reason,) = samples(db)[-1].reasons
    assert reason["sentence"] == "40% of requests fail (critical above 25%): 429 10, time-outs 30."


def test_the_flag_for_dry_runs_does_not_blind_the_probe(at: Settings, db: Database) -> None:
    probe_horizon(ProbeRun(db, at, dry_run=True), ProbeParams())
    assert len(samples(db)) == 1


def test_without_a_server_the_probe_says_so_and_succeeds(settings: Settings, db: Database) -> None:
    assert probe(db, settings.model_copy(update={"horizon_urls": ()})) == {}
