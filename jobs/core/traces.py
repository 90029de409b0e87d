"""Traces for whoever looks with OpenTelemetry: spans of runs, requests and settlements, sent over OTLP/HTTP.

Off, and not even imported, until `OTEL_EXPORTER_OTLP_ENDPOINT` is set; then the packages of `nexaops[otel]` have to be
there. What else OpenTelemetry reads from the environment (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`,
`OTEL_TRACES_SAMPLER` …) holds as its documentation says. A span carries what we give it and the class of an error,
never its message: that may hold anything.
"""

# ruff: noqa: PLC0415 - who has not configured it does not pay for it
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING, Literal

from jobs.core.errors import SettingsError
from jobs.core.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as Recorded

Attributes = Mapping[str, str | int | float | bool | None]
Kind = Literal["internal", "client", "server"]
TRACEPARENT = "traceparent"
PATIENCE_S = 2.0
"""A collector that hangs may hold up one sending, and the end of a run, for so long."""

_provider: TracerProvider | None = None


class Span:
    """What is under way, as the trace will show it; one without a trace takes everything and keeps nothing."""

    def __init__(self, recorded: Recorded | None = None) -> None:
        self._recorded = recorded

    def set(self, attributes: Attributes) -> None:
        """Adds what has turned out meanwhile; None is left out."""
        if self._recorded is not None:
            self._recorded.set_attributes(_known(attributes))

    def fail(self, why: str) -> None:
        """Marks it as failed; `why` is a word such as a state or an error's class."""
        if self._recorded is not None:
            from opentelemetry.trace import Status, StatusCode

            self._recorded.set_status(Status(StatusCode.ERROR, why))


def start_traces(settings: Settings, *, component: str) -> None:
    """Has this process send its spans, if the settings say where; it starts a thread, so call it after a fork.

    Raises SettingsError if the packages for it are not installed, or refuse what the environment says.
    """
    global _provider  # noqa: PLW0603 - of the process, like the collector that it sends to
    if settings.otlp_endpoint is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but what sends traces is not installed: run"
            " `pip install 'nexaops[otel]'`, or leave the setting out."
        ) from error
    said = Resource.create({"service.version": version("nexaops"), "nexaops.component": component})
    if "OTEL_SERVICE_NAME" not in os.environ and str(said.attributes["service.name"]).startswith("unknown_service"):
        said = said.merge(Resource({"service.name": "nexaops"}))
    try:
        exporter = OTLPSpanExporter(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=PATIENCE_S)
        provider = TracerProvider(resource=said)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except ValueError as error:
        # Not in its words: they may repeat what was given.
        raise SettingsError(
            "OpenTelemetry refuses what one of the OTEL_… variables says: its documentation has what is accepted."
        ) from error
    _provider = provider


def is_tracing() -> bool:
    """Whether spans of this process go anywhere."""
    return _provider is not None


@contextmanager
def span(name: str, attributes: Attributes, *, kind: Kind = "internal") -> Iterator[Span]:
    """A span for the time of the block, below the one that is current; an error that leaves the block marks it."""
    if _provider is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind

    with _provider.get_tracer("nexaops", version("nexaops")).start_as_current_span(
        name,
        kind=SpanKind[kind.upper()],
        attributes=_known(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as recorded:
        found = Span(recorded)
        try:
            yield found
        except BaseException as error:
            found.fail(type(error).__name__)
            raise


@contextmanager
def under(traceparent: str | None) -> Iterator[None]:
    """Lets the spans of the block belong to one of another process, as W3C's header of that name tells it."""
    if _provider is None or traceparent is None:
        yield
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def headers() -> dict[str, str]:
    """The header that tells another process which span is current here; none without a trace."""
    found: dict[str, str] = {}
    if _provider is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(found)
    return found


def trace_id() -> str | None:
    """The current trace, as 32 hex digits; None without one."""
    if _provider is None:
        return None
    from opentelemetry.trace import get_current_span

    found = get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None


def flush() -> None:
    """Sends what has not been sent, as far as PATIENCE_S allows; for a process that may be ended at any moment."""
    if _provider is not None:
        # OpenTelemetry's own limit is not kept: it sends all that waits, and waits for each sending.
        sending = Thread(target=_provider.force_flush, name="flush", daemon=True)
        sending.start()
        sending.join(PATIENCE_S)


def _known(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}
