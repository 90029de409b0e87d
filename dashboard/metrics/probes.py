"""What the probes sample: PostgreSQL, hosts, the status page, certificates and secrets.

A probe's newest look is shown while it is fresh, which is three of its intervals; when it looked is always shown, so
that whoever reads sees why a figure is missing. What only moves with the clock is written as the moment that it counts
from, which no missed look makes wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.core import Metric
from sqlalchemy import Connection, text

from dashboard.metrics.families import gauge, stamp
from jobs.probes.latest import INDICATOR

_DAY_S = 86_400.0
_STALE_LOOKS = 3
_NEWEST = text("""
SELECT s.subject, s.metric, x.at, x.value, now() AS now
FROM ops.series s CROSS JOIN LATERAL (
    SELECT at, value FROM ops.samples WHERE series = s.id ORDER BY at DESC LIMIT 1) AS x
WHERE split_part(s.metric, '.', 1) = ANY (CAST(:probes AS text[])) ORDER BY s.subject
""")


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a probe and how it is written: its samples times `factor`."""

    metric: str
    name: str
    what: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe's samples begin with its name; `label` is what their subject is, None: there is only one."""

    name: str
    label: str | None
    every: timedelta
    figures: Sequence[Figure] = ()


_DATABASE = Probe("database", None, timedelta(seconds=30), (
    Figure("connect_ms", "connect_seconds", "How long somebody new waits for a first answer.", 1e-3),
    Figure("size_bytes", "size_bytes", "Size of the database."),
    Figure("growth_bytes_per_day", "growth_bytes_per_day", "By how much it grows, by the hours of the last week."),
    Figure("room_bytes", "room_bytes", "What is left for it to grow into."),
    Figure("full_days", "full_seconds", "Until that is gone, at the pace of the last week.", _DAY_S),
    Figure("connections", "connections", "Connections of clients."),
    Figure("connections_ratio", "connections_ratio", "The same as a share of what the server allows."),
    Figure("locks_waiting", "locks_waiting", "Locks that somebody waits for."),
    Figure("oldest_transaction_s", "oldest_transaction_seconds", "Age of the oldest transaction that is open."),
    Figure("cache_hit_ratio", "cache_hit_ratio", "Blocks that were found in memory, since the look before."),
    Figure("dead_rows", "dead_rows", "Rows that wait to be vacuumed."),
    Figure("dead_ratio", "dead_ratio", "The same as a share of all rows."),
    Figure("replication_lag_s", "replication_lag_seconds", "How far the slowest replica is behind."),
    Figure("deadlocks", "deadlocks", "Deadlocks since the server's statistics began."),
))  # fmt: skip
_HOST = Probe("host", "host", timedelta(seconds=30), (
    Figure("cpu_ratio", "cpu_ratio", "Share of its cores that is busy."),
    Figure("load_per_cpu", "load_per_cpu", "Load average of one minute, by core."),
    Figure("memory_used_ratio", "memory_used_ratio", "Share of its memory that is used."),
    Figure("memory_available_bytes", "memory_available_bytes", "Memory that is left."),
    Figure("swap_used_bytes", "swap_used_bytes", "Swap that is used."),
    Figure("disk_used_ratio", "disk_used_ratio", "Share of NEXAOPS_HOME's disk that is used."),
    Figure("disk_free_bytes", "disk_free_bytes", "What is left of NEXAOPS_HOME's disk."),
    Figure("disk_full_days", "disk_full_seconds", "Until it is full, at the pace of the last week.", _DAY_S),
    Figure("disk_read_bytes_per_s", "disk_read_bytes_per_second", "What its disks read."),
    Figure("disk_write_bytes_per_s", "disk_write_bytes_per_second", "What its disks write."),
    Figure("network_received_bytes_per_s", "network_received_bytes_per_second", "What comes in over its network."),
    Figure("network_sent_bytes_per_s", "network_sent_bytes_per_second", "What goes out over it."),
))  # fmt: skip
_STATUS = Probe("status_page", "page", timedelta(seconds=60), (
    Figure("indicator", "indicator", "What the status page says: 0 none, 1 minor, 2 major, 3 critical. Advisory."),
))  # fmt: skip
_CERTIFICATE = Probe("certificate", "address", timedelta(hours=1))
_SECRET = Probe("secret", "setting", timedelta(hours=1), (
    Figure("values", "values", "How many different values of a secret of the settings hosts hold."),
))  # fmt: skip
PROBES = (_DATABASE, _HOST, _STATUS, _CERTIFICATE, _SECRET)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest sample of one series, read at `now`."""

    subject: str
    metric: str
    at: datetime
    value: float
    now: datetime


def read_newest(conn: Connection) -> tuple[Newest, ...]:
    """The newest samples of every series of these probes."""
    return tuple(
        Newest(**row) for row in conn.execute(_NEWEST, {"probes": [probe.name for probe in PROBES]}).mappings()
    )


def probes(newest: Sequence[Newest], page: str | None) -> Iterator[Metric]:
    """Each probe's figures, and when it last looked at each of its subjects; of status pages `page` alone."""
    found = [one for one in newest if one.metric != INDICATOR or one.subject == page]
    for probe in PROBES:
        labels = [probe.label] if probe.label else []
        for figure in probe.figures:
            rows = [
                ((one.subject,) if probe.label else (), one.value * figure.factor)
                for one in found
                if one.metric == f"{probe.name}.{figure.metric}" and one.now - one.at <= _STALE_LOOKS * probe.every
            ]
            yield gauge(f"{probe.name}_{figure.name}", figure.what, labels, rows)
    days = {(one.metric, one.subject): (one.at.timestamp(), one.value * _DAY_S) for one in found}
    yield gauge("certificate_expiry_timestamp_seconds", "When the certificate at an address of the settings expires.",
                ["address"], [((who,), at + s) for (what, who), (at, s) in days.items()
                              if what == "certificate.days_left"])  # fmt: skip
    yield gauge("secret_since_timestamp_seconds", "Since when a secret of the settings has had its value.", ["setting"],
                [((who,), at - s) for (what, who), (at, s) in days.items() if what == "secret.age_days"])  # fmt: skip
    looks: dict[tuple[str, str], datetime] = {}
    for one in found:
        which = (one.metric.partition(".")[0], one.subject)
        looks[which] = max(one.at, looks.get(which, one.at))
    yield gauge("probe_timestamp_seconds", "When a probe last looked at what it samples.", ["probe", "subject"],
                [(which, stamp(at)) for which, at in looks.items()])  # fmt: skip
