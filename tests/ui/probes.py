"""What the probes of PostgreSQL and the hosts leave behind, for the tests of their pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from jobs.core.db import Database, jsonb
from jobs.probes.series import write_samples

WELL = {
    "database.connect_ms": 4.2, "database.size_bytes": 41.0 * 2**30, "database.connections": 12.0,
    "database.connections_ratio": 0.125, "database.cache_hit_ratio": 0.993, "database.dead_rows": 1204.0,
    "database.dead_ratio": 0.01, "database.growth_bytes_per_day": 120.0 * 2**20, "database.room_bytes": 80.0 * 2**30,
    "database.full_days": 682.0, "database.locks_waiting": 0.0,
}  # fmt: skip
HOST = {
    "host.cpu_ratio": 0.31, "host.load_per_cpu": 0.4, "host.memory_used_ratio": 0.62, "host.disk_free_bytes": 40.0 * 2**30,
    "host.disk_used_ratio": 0.5, "host.disk_read_bytes_per_s": 2.0 * 2**20, "host.disk_write_bytes_per_s": 1.0 * 2**20,
    "host.network_received_bytes_per_s": 512.0 * 2**10, "host.network_sent_bytes_per_s": 256.0 * 2**10,
}  # fmt: skip


def look(
    db: Database, subject: str, values: Mapping[str, float], *, ago: timedelta = timedelta(0), times: int = 3
) -> None:
    """The newest look at a subject so long ago, and some before it, 30 s apart."""
    for _ in range(times):
        with db.begin() as conn:
            # An older one makes room for the next.
            conn.execute(
                text("UPDATE ops.samples x SET at = at - interval '30 s' FROM ops.series s"
                     " WHERE s.id = x.series AND s.subject = :subject"),
                {"subject": subject},
            )  # fmt: skip
            write_samples(conn, subject, values)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE ops.samples x SET at = at - CAST(:ago AS interval) FROM ops.series s"
                 " WHERE s.id = x.series AND s.subject = :subject"),
            {"subject": subject, "ago": ago},
        )  # fmt: skip


def keep_list(db: Database, kind: str, *entries: Mapping[str, Any]) -> None:
    """What the probe of PostgreSQL found last of a kind."""
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.database_lists VALUES (:kind, now(), :entries)"
                 " ON CONFLICT (kind) DO UPDATE SET at = now(), entries = excluded.entries"),
            {"kind": kind, "entries": jsonb(list(entries))},
        )  # fmt: skip
