"""Spans as a collector of OpenTelemetry gets them: real OTLP over HTTP, out of this process and out of a run's own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from jobs.core import traces
from jobs.core.db import Database
from jobs.core.errors import SettingsError
from jobs.core.permissions import Scope
from jobs.core.settings import Settings
from jobs.horizon.client import Horizon
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet
from jobs.horizon.transport import HorizonError
from tests.db.api import served
from tests.db.books import add_row, run_job
from tests.db.receiving import Received, receiving


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    monkeypatch.setattr(traces, "_provider", None)
    with receiving() as received:
        yield received
        if traces._provider is not None:
            traces._provider.shutdown()


def spans(received: Received) -> list[Span]:
    found = []
    for path, body in received.posted:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            assert any(
                one.key == "service.name" and one.value.string_value == "nexaops"
                for one in resource.resource.attributes
            )
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def about(span: Span) -> dict[str, object]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


def settling(db: Database, sandbox: SandboxServer, user: UUID) -> None:
    paid = Wallet.named("payer").payment(Wallet.named("user").address, "10.5")
    add_row(db, user, tx_hash=paid.hash_hex())
    sandbox.ledger.include([paid])


def assert_one_trace_of_a_settling_run(received: Received, run_id: int) -> None:
    received.wait(lambda: {"run", "horizon.request", "settle.batch"} <= {span.name for span in spans(received)})
    found = spans(received)
    (run,) = [span for span in found if span.name == "run"]
    assert about(run) == {
        "nexaops.run_id": run_id, "nexaops.job": "reconcile-pending", "nexaops.attempt": 1, "nexaops.dry_run": False,
        "nexaops.state": "succeeded",
    }  # fmt: skip
    assert {span.trace_id for span in found} == {run.trace_id}
    assert {span.parent_span_id for span in found if span.name in ("horizon.request", "settle.batch")} == {run.span_id}
    requests = [about(span) for span in found if span.name == "horizon.request"]
    assert {one["nexaops.outcome"] for one in requests} <= {"ok", "absent"}
    assert {"root", "transactions"} & {str(one["nexaops.endpoint"]) for one in requests}
    assert 1 in [about(span)["nexaops.settled"] for span in found if span.name == "settle.batch"]


@pytest.mark.parametrize("child", [False, True], ids=["here", "a process of its own"])
def test_a_run_its_requests_and_its_settlement_are_one_trace(
    db: Database,
    horizon: Settings,
    sandbox: SandboxServer,
    user: UUID,
    collector: Received,
    child: bool,
    request: pytest.FixtureRequest,
) -> None:
    if child:
        request.getfixturevalue("child_processes")
    settling(db, sandbox, user)
    settings = horizon.model_copy(update={"otlp_endpoint": collector.url})
    traces.start_traces(settings, component="test")
    run = run_job(db, settings)
    traces.flush()
    assert_one_trace_of_a_settling_run(collector, run.id)


def test_a_request_tells_the_server_which_trace_it_belongs_to(
    db: Database, horizon: Settings, collector: Received
) -> None:
    settings = horizon.model_copy(update={"otlp_endpoint": collector.url, "horizon_urls": (collector.url,)})
    traces.start_traces(settings, component="test")

    async def ask() -> None:
        async with Horizon(settings, db, job="test") as server:
            with suppress(HorizonError):
                await server.root()

    asyncio.run(ask())
    traces.flush()
    (span,) = spans(collector)
    assert collector.asked[0]["traceparent"].startswith(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-")
    assert about(span)["nexaops.outcome"] == "unavailable"
    assert (span.status.code, span.status.message) == (2, "HorizonError")


def test_a_request_to_the_api_goes_on_with_the_trace_of_whoever_asks(
    db: Database, settings: Settings, collector: Received
) -> None:
    settings = settings.model_copy(update={"otlp_endpoint": collector.url})
    traces.start_traces(settings, component="test")
    with served(db, settings) as site:
        client = site.client(Scope.READ)
        answer = client.get("/runs/17", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        assert answer.status_code == 404
    traces.flush()
    (span,) = spans(collector)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("a" * 32, "b" * 16)
    assert about(span) == {
        "http.request.method": "GET", "http.route": "/api/v1/runs/{run}", "http.response.status_code": 404,
    }  # fmt: skip


def test_a_collector_that_is_not_there_fails_no_run(
    db: Database, horizon: Settings, collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "PATIENCE_S", 0.2)
    settings = horizon.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"})
    traces.start_traces(settings, component="test")
    assert run_job(db, settings).state == "succeeded"


def test_a_collector_that_hangs_holds_nobody_up_for_longer_than_one_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Event()

    class Hangs:
        def force_flush(self) -> None:
            hanging.wait(30)

    monkeypatch.setattr(traces, "_provider", Hangs())
    monkeypatch.setattr(traces, "PATIENCE_S", 0.1)
    flushing = Thread(target=traces.flush, daemon=True)
    flushing.start()
    flushing.join(10)
    assert not flushing.is_alive()
    hanging.set()


def test_what_opentelemetry_refuses_is_one_sentence_without_what_was_given(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "_provider", None)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "987654")
    with pytest.raises(SettingsError, match="OTEL_… variables") as refused:
        traces.start_traces(settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"}), component="test")
    assert "987654" not in str(refused.value)
    assert not traces.is_tracing()


def test_without_the_packages_one_sentence_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"pip install 'nexaops\[otel\]'"):
        traces.start_traces(settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"}), component="test")
    traces.start_traces(settings, component="test")
    assert not traces.is_tracing()
