"""probe-host: CPU, memory, disk, disk I/O and network of the host that a worker runs on, and the worker's own share.

Not a job: whichever worker took its run would measure itself and no other. Every worker has it as a loop; two on one
host sample it twice, which changes no mean.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.probes.disk import usage
from jobs.probes.series import read_hours, write_samples
from jobs.probes.trend import days_until_empty
from jobs.run.hosts import family_bytes

EVERY_S = 30.0


class HostProbe:
    """One host as one of its workers sees it; remembers the counters of the look before."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._home = settings.home
        self._host = socket.gethostname()
        self._process = psutil.Process()
        # The first answer of both is about no time at all.
        psutil.cpu_percent()
        self._process.cpu_percent()
        self._counted = _counters()

    def step(self) -> None:
        """One look, kept."""
        values = self._look()
        with self._db.begin() as conn:
            # Of the hours before, so that a file that comes and goes says nothing about next week.
            left = read_hours(conn, self._host, "host.disk_free_bytes")
            write_samples(conn, self._host, {**values, "host.disk_full_days": days_until_empty(left)})

    def _look(self) -> dict[str, float | None]:
        memory, disk = psutil.virtual_memory(), usage(self._home)
        cpus = psutil.cpu_count() or 1
        before, self._counted = self._counted, _counters()
        seconds = max(self._counted.at - before.at, 0.001)
        rates = {
            f"host.{name}_bytes_per_s": _rate(before.bytes.get(name), self._counted.bytes.get(name), seconds)
            for name in ("disk_read", "disk_write", "network_received", "network_sent")
        }
        return {
            "host.cpu_ratio": psutil.cpu_percent() / 100,
            "host.load_per_cpu": psutil.getloadavg()[0] / cpus,
            "host.memory_used_ratio": memory.percent / 100,
            "host.memory_available_bytes": float(memory.available),
            "host.swap_used_bytes": float(psutil.swap_memory().used),
            "host.disk_free_bytes": float(disk.free),
            "host.disk_used_ratio": disk.percent / 100,
            **rates,
            "worker.memory_bytes": float(family_bytes(self._process)),
            "worker.cpu_ratio": self._process.cpu_percent() / 100,
        }


@dataclass(frozen=True, slots=True)
class _Counted:
    at: float
    bytes: Mapping[str, int]


def _counters() -> _Counted:
    """What has gone through the host's disks and network; nothing where it shows none, as in some containers."""
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    return _Counted(
        time.monotonic(),
        ({"disk_read": disk.read_bytes, "disk_write": disk.write_bytes} if disk else {})
        | ({"network_received": network.bytes_recv, "network_sent": network.bytes_sent} if network else {}),
    )


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    """None where there is no counter, or it began anew."""
    return None if before is None or now is None or now < before else (now - before) / seconds
