"""The newest figures of PostgreSQL, the hosts and the status page, each with when it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from jobs.core.settings import Settings
from jobs.horizon.servers import label_of

MOST_HOSTS = 50
INDICATOR = "status_page.indicator"
_ONE_LOOK = timedelta(seconds=90)
"""Figures of one look lie no further apart, also where two workers of one host sample it in turn."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the last look at a subject measured; what it no longer measures is left out."""

    at: datetime
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Listed:
    """What the probe of PostgreSQL found last of one kind, the worst first."""

    at: datetime
    entries: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the last two days, and how many workers beat on it."""

    name: str
    figures: Figures
    workers: int


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What a status page said when it last answered; `error`: why it did not when it was last asked."""

    page: str
    asked_at: datetime
    error: str | None
    answered_at: datetime | None
    indicator: str | None
    description: str | None
    components: tuple[Mapping[str, str], ...]
    incidents: tuple[Mapping[str, str], ...]
    maintenances: tuple[Mapping[str, str], ...]


_NEWEST = """
SELECT s.subject, s.metric, x.at, x.value
FROM ops.series s CROSS JOIN LATERAL (
    SELECT at, value FROM ops.samples WHERE series = s.id ORDER BY at DESC LIMIT 1) AS x
"""
_DATABASE = text(f"{_NEWEST} WHERE s.subject = 'database'")
_LISTS = text("SELECT kind, at, entries FROM ops.database_lists")
# Names of hosts come and go for years where each is a container: only those with samples are looked at any further.
_HOSTS = text(f"""
WITH seen AS MATERIALIZED (
    SELECT subject FROM ({_NEWEST} WHERE s.metric = 'host.cpu_ratio') AS newest ORDER BY at DESC, subject LIMIT :most
)
SELECT newest.*, (SELECT count(*) FROM ops.workers w WHERE w.host = subject AND w.stopped_at IS NULL
                   AND w.beat_at > now() - interval '30 s') AS workers
FROM ({_NEWEST} WHERE s.metric LIKE 'host.%' AND s.subject IN (SELECT subject FROM seen)) AS newest ORDER BY subject
""")  # noqa: S608 - constants
_PAGES = text("""
SELECT page, asked_at, error, answered_at, indicator, description, components, incidents, maintenances
FROM ops.status_pages WHERE page = :page
""")


def database_figures(conn: Connection) -> Figures | None:
    """None: it was never probed, or not for two days."""
    return _of_one_look([(row.metric, row.at, row.value) for row in conn.execute(_DATABASE)])


def database_lists(conn: Connection) -> Mapping[str, Listed]:
    """By kind: queries, waiting, vacuum, unused_indexes, missing_indexes, replicas."""
    return {row.kind: Listed(row.at, tuple(row.entries)) for row in conn.execute(_LISTS)}


def hosts(conn: Connection) -> tuple[Host, ...]:
    """By name; those that were seen last, if there are more than `MOST_HOSTS`."""
    found: dict[str, list[tuple[str, datetime, float]]] = {}
    workers: dict[str, int] = {}
    for row in conn.execute(_HOSTS, {"most": MOST_HOSTS}):
        found.setdefault(row.subject, []).append((row.metric, row.at, row.value))
        workers[row.subject] = row.workers
    figures = {name: _of_one_look(rows) for name, rows in found.items()}
    return tuple(Host(name, it, workers[name]) for name, it in figures.items() if it is not None)


def asked_page(settings: Settings) -> str | None:
    """How the status page that is asked is called; None: none is, and what one said before counts no more."""
    return None if settings.status_page_url is None else label_of(settings.status_page_url)


def status_page(conn: Connection, page: str) -> StatusPage | None:
    """None: it was never asked."""
    row = conn.execute(_PAGES, {"page": page}).one_or_none()
    if row is None:
        return None
    lists = {name: tuple(getattr(row, name)) for name in ("components", "incidents", "maintenances")}
    return StatusPage(**{**row._mapping, **lists})


def _of_one_look(rows: list[tuple[str, datetime, float]]) -> Figures | None:
    if not rows:
        return None
    newest = max(at for _, at, _ in rows)
    return Figures(newest, {metric: value for metric, at, value in rows if newest - at <= _ONE_LOOK})
