"""How a figure is written: families with help, a type and labels, of which there are never too many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

MOST_LABELS = 100
"""Values of one label that come from data, such as currencies; the rest is one called `other`."""
PREFIX = "nexaops_"


def gauge(
    name: str, what: str, labels: Sequence[str] = (), rows: Iterable[tuple[tuple[str, ...], float | None]] = ()
) -> GaugeMetricFamily:
    """A family of gauges: one row for each tuple of labels. None is not known: it has no row."""
    family = GaugeMetricFamily(f"{PREFIX}{name}", what, labels=labels)
    for values, value in rows:
        if value is not None:
            family.add_metric(values, value)
    return family


def figure(name: str, what: str, value: float | None) -> GaugeMetricFamily:
    """A gauge without labels; None is not known: it has a name and no value."""
    return gauge(name, what, rows=[((), value)])


def stamp(at: datetime | None) -> float | None:
    """A time as Prometheus writes it: seconds since the epoch."""
    return None if at is None else at.timestamp()


def age(at: datetime | None, now: datetime) -> float:
    """Seconds since then; 0 if there was none: what does not wait does not wait for long."""
    return 0.0 if at is None else (now - at).total_seconds()


def bounded(sums: Mapping[str, float]) -> list[tuple[tuple[str], float]]:
    """The largest of these sums by their labels, and what the others come to."""
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    named = [((label,), value) for label, value in ordered[:MOST_LABELS]]
    rest = [value for _, value in ordered[MOST_LABELS:]]
    return [*named, (("other",), sum(rest))] if rest else named
