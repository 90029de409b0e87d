"""The Horizon page's reads."""

from __future__ import annotations

from datetime import timedelta

from dashboard.queries import cached
from jobs.probes import figures

newest_samples = cached(ttl=5)(figures.newest_samples)
course = cached(ttl=10)(figures.course)
requests = cached(ttl=10)(figures.requests)

RANGES: dict[str, timedelta] = {
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
}
