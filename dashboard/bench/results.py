"""What the benchmark of the dashboard finds: values, their percentiles, and how the JSON says them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles

TARGETS = {"page_p95_ms": 100.0, "page_bytes": 300_000, "crowd_p95_ms": 2000.0, "first_paint_ms": 2500.0}
"""At most: of a page for one person, of a page after the first load, for everybody at once, of a page in a new browser."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was filled: rows of the largest tables, the database's size in bytes, and how long it took."""

    rows: dict[str, int]
    bytes: int
    seconds: float
    """0: it had been kept from before."""

    def document(self) -> dict[str, object]:
        return {**asdict(self), "seconds": round(self.seconds, 1)}


@dataclass(frozen=True, slots=True)
class Times:
    """How long one page, or one path, took on the server for one person, and how much it sent."""

    page: str
    p50_ms: float
    p95_ms: float
    bytes: int

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Work:
    """What one visit of a page costs in CPU milliseconds, on the average: the same on a busy machine."""

    page: str
    dashboard_ms: float
    postgres_ms: float


@dataclass(frozen=True, slots=True)
class Pages:
    """Every page, what other programs ask for, and what went wrong while they were measured."""

    pages: tuple[Times, ...]
    paths: tuple[Times, ...]
    work: tuple[Work, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody clicking at the same instant, again and again: from the click to a page that stands."""

    people: int
    visits: int
    p50_ms: float
    p95_ms: float
    most_ms: float
    errors: tuple[str, ...]

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Paint:
    """A page in a new browser: when something was seen first, and when all of it stood."""

    page: str
    paint_ms: float
    drawn_ms: float


@dataclass(frozen=True, slots=True)
class Painted:
    """Every page in a browser; none of them where there is no Chromium."""

    pages: tuple[Paint, ...]

    def document(self) -> list[dict[str, object]]:
        return [asdict(page) for page in self.pages]


def times(page: str, ms: Sequence[float], sizes: Sequence[int]) -> Times:
    """Of the same page again and again; the size is the largest."""
    return Times(page, percentile(ms, 50), percentile(ms, 95), max(sizes))


def percentile(values: Sequence[float], hundredth: int) -> float:
    """In milliseconds, to a tenth; of a single value, that value."""
    found = values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[hundredth - 1]
    return round(found, 1)
