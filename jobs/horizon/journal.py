"""What the requests cost: counts and latency per minute, endpoint, job and outcome, for every page and rule that asks.

Counted in memory and added to `ops.horizon_requests` in one statement every few seconds and at the end, so that a
request costs no statement of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from jobs.core.db import Database
from jobs.core.logs import get_logger
from jobs.horizon.latency import SIZE, bucket_of, merge

log = get_logger(__name__)
FLUSH_EVERY_S = 5.0

_ADD = text("""
INSERT INTO ops.horizon_requests AS r (minute, server, endpoint, job, outcome, count, total_ms, buckets)
SELECT date_trunc('minute', clock_timestamp()), :server, endpoint, :job, outcome, count, total_ms,
       CAST(buckets AS integer[])
FROM unnest(CAST(:endpoints AS text[]), CAST(:outcomes AS text[]), CAST(:counts AS integer[]),
            CAST(:totals AS double precision[]), CAST(:buckets AS text[]))
     AS new (endpoint, outcome, count, total_ms, buckets)
ON CONFLICT (minute, server, endpoint, job, outcome) DO UPDATE
SET count = r.count + EXCLUDED.count, total_ms = r.total_ms + EXCLUDED.total_ms,
    buckets = (SELECT array_agg(a + b ORDER BY i)
               FROM unnest(r.buckets, EXCLUDED.buckets) WITH ORDINALITY AS both_of (a, b, i))
""")


@dataclass(slots=True)
class _Tally:
    count: int = 0
    total_ms: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * SIZE)


class Journal:
    """The requests of one job to one server since the last flush; not for several threads at once."""

    def __init__(self, db: Database, server: str, job: str) -> None:
        self._db = db
        self._server = server
        self._job = job
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._flushed_at = time.monotonic()
        self.requests = 0
        """All requests so far, repeated ones included."""

    def add(self, endpoint: str, outcome: str, latency_ms: float) -> None:
        """Counts one request that was sent."""
        tally = self._tallies.setdefault((endpoint, outcome), _Tally())
        tally.count += 1
        tally.total_ms += latency_ms
        tally.buckets[bucket_of(latency_ms)] += 1
        self.requests += 1

    def is_due(self) -> bool:
        """Whether it is time to flush; says so once per interval."""
        now = time.monotonic()
        if not self._tallies or now - self._flushed_at < FLUSH_EVERY_S:
            return False
        self._flushed_at = now
        return True

    def take(self) -> Mapping[tuple[str, str], _Tally]:
        """What was counted since, which is then forgotten here; hand it to `write`."""
        taken, self._tallies = self._tallies, {}
        return taken

    def write(self, tallies: Mapping[tuple[str, str], _Tally]) -> None:
        """Adds what was taken to the table; figures are not worth a failed batch, so an error is only logged."""
        if not tallies:
            return
        # Sorted: two workers that add the same rows must lock them in the same order.
        rows = sorted(tallies.items())
        try:
            with self._db.begin() as conn:
                conn.execute(
                    _ADD,
                    {
                        "server": self._server,
                        "job": self._job,
                        "endpoints": [endpoint for (endpoint, _), _ in rows],
                        "outcomes": [outcome for (_, outcome), _ in rows],
                        "counts": [tally.count for _, tally in rows],
                        "totals": [tally.total_ms for _, tally in rows],
                        "buckets": [f"{{{','.join(map(str, tally.buckets))}}}" for _, tally in rows],
                    },
                )
        except SQLAlchemyError as error:
            log.warning("the figures of some requests are lost", server=self._server, error=type(error).__name__)


def read_buckets(rows: list[list[int]]) -> list[int]:
    """One histogram of stored ones; those of another version's bounds are left out."""
    return merge(row for row in rows if len(row) == SIZE)
