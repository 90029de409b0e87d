"""The Horizon page's reads."""

from __future__ import annotations

from dashboard.queries import cached
from jobs.probes import figures

newest_samples = cached(ttl=5)(figures.newest_samples)
requests = cached(ttl=10)(figures.requests)
