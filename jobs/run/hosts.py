"""A worker's sign of life, and what it says of the host that it lives on.

A beat is one row that is renewed. What stands in it is measured by whoever beats: only a host can compare its clock
with the database's, and only it sees its memory and load.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from uuid import UUID

import psutil
from sqlalchemy import Connection, text

from jobs.core.db import Database
from jobs.run.skew import Reading, skew_ms

_READINGS = 3


def beat(db: Database, worker_id: UUID, *, concurrency: int, silent_s: float) -> None:
    """Says that this worker is alive, in one transaction; `silent_s`: seconds since its scheduler was heard of."""
    memory = family_bytes(psutil.Process())  # takes a while: not in the transaction
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, scheduler_at, skew_ms, memory_bytes,"
                " load_1m, cores) VALUES (:id, :host, :pid, :version, :concurrency, now() - make_interval(secs => :silent_s),"
                " :skew_ms, :memory_bytes, :load_1m, :cores)"
                " ON CONFLICT (id) DO UPDATE SET beat_at = now(), scheduler_at = excluded.scheduler_at,"
                " skew_ms = excluded.skew_ms, memory_bytes = excluded.memory_bytes, load_1m = excluded.load_1m,"
                " cores = excluded.cores"
            ),
            {
                "id": worker_id,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "version": version("nexaops"),
                "concurrency": concurrency,
                "silent_s": silent_s,
                "skew_ms": skew_ms([_read_clocks(conn) for _ in range(_READINGS)]),
                "memory_bytes": memory,
                "load_1m": psutil.getloadavg()[0],
                "cores": psutil.cpu_count(),
            },
        )


def _read_clocks(conn: Connection) -> Reading:
    asked = datetime.now(UTC)
    database: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    return Reading(asked, database, datetime.now(UTC))


def family_bytes(process: psutil.Process) -> int:
    """Of the process and everything that it has started: of a page that several share, each has its part.

    Where the system tells no parts, or nothing to us, what is shared is left out or counts in each.
    """
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):  # a child that has just ended, or that hides: no reason not to beat
            try:
                full = one.memory_full_info()
                total += getattr(full, "pss", full.uss)
            except psutil.AccessDenied:
                total += one.memory_info().rss
    return total
