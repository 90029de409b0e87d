"""The page /metrics: each collector reads for itself, so that one that cannot read takes none of the others along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from importlib.metadata import version
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from dashboard import queries
from dashboard.metrics import alerts, engine, horizon, money, probes
from dashboard.metrics.families import PREFIX, figure, gauge
from dashboard.metrics.runs import RunCounter
from jobs.core.db import Database, first_line
from jobs.core.logs import get_logger
from jobs.core.settings import Settings
from jobs.probes import figures
from jobs.probes.latest import asked_page
from jobs.probes.model import Facts
from jobs.probes.spans import Window

log = get_logger(__name__)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Collect = Callable[[], Iterable[Metric]]
T = TypeVar("T")

_requests = queries.cached(ttl=10)(figures.requests)
_samples = queries.cached(ttl=10)(figures.newest_samples)
_newest = queries.cached(ttl=10)(probes.read_newest)


class Figures:
    """Everything on /metrics."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self._settings, self._db = settings, db
        self._runs = RunCounter()

    def text(self) -> bytes:
        """The whole page; raises SQLAlchemyError if the database does not answer at all."""
        with self._db.read() as conn:
            conn.execute(text("SELECT 1"))
        return _written(list(self._collect()))

    def without_database(self) -> bytes:
        """What can be said when the database does not answer: that."""
        return _written([*_build(), _up(0.0)])

    def _collect(self) -> Iterator[Metric]:
        yield from _build()
        yield _up(1.0)
        success = []
        for name, collect in self._collectors():
            found = _tried(name, lambda: list(collect()))  # noqa: B023 - called at once
            success.append(((name,), float(found is not None)))
            yield from found or ()
        yield gauge("collector_success", "Whether this part of the page could be read.", ["collector"], success)

    def _collectors(self) -> Iterator[tuple[str, Collect]]:
        yield "runs", self._reading(self._runs.collect)
        yield "fleet", self._reading(engine.fleet)
        yield "alerts", self._reading(alerts.alerts)
        yield "upkeep", self._reading(money.upkeep)
        yield "probes", lambda: probes.probes(_newest(), asked_page(self._settings))
        yield (
            "requests",
            lambda: horizon.requests(_requests(Window(timedelta(hours=1))), self._settings.rate_limit_per_hour),
        )
        yield "facts", lambda: _of(queries.standing().facts)
        yield "fees", lambda: _fees(queries.standing().facts)

    def _reading(self, collect: Callable[[Connection], Iterable[Metric]]) -> Collect:
        def read() -> list[Metric]:
            with self._db.read() as conn:
                return list(collect(conn))

        return read


def _of(facts: Facts) -> Iterator[Metric]:
    for tell in (engine.jobs, engine.life, engine.switches, money.money, money.told, money.books, horizon.servers):
        yield from tell(facts)


def _fees(facts: Facts) -> Iterable[Metric]:
    return horizon.fees(_samples(tuple(server.server for server in facts.servers)), facts)


def _tried(name: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except SQLAlchemyError as error:
        log.error("some metrics cannot be read", collector=name, reason=first_line(error))
        return None


def _build() -> Iterator[Metric]:
    yield InfoMetricFamily(f"{PREFIX}build", "The version that runs here.", value={"version": version("nexaops")})


def _up(value: float) -> Metric:
    return figure("database_up", "Whether the database answers.", value)


class _Collected(Collector):
    """Figures that were read already: an error while reading must not leave half a page."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        return iter(self._found)


def _written(found: list[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Collected(found))
    return generate_latest(registry)
