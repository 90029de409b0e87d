"""Whether PostgreSQL and the hosts will hold for a month: from their newest figures, in sentences with what to do. Pure.

What is not measured is not judged. Limits are those at which there is still time to act by day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from jobs.horizon.health import Verdict
from jobs.probes.units import size

Values = Mapping[str, float]
"""Newest figures by metric, without those that are no longer measured."""
MONTH_D = 30.0
WEEK_D = 7.0
_LEAST_DEAD = 10_000


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that will not hold: how bad, what it is, and what to do about it."""

    verdict: Verdict
    sentence: str
    mend: str


@dataclass(frozen=True, slots=True)
class _Limit:
    """`unit` says how the figure is written: a share, a multiple, or seconds, or milliseconds."""

    metric: str
    warn: float
    critical: float
    unit: Literal["share", "times", "s", "ms"]
    what: str
    mend: str


_DATABASE = (
    _Limit("database.connections_ratio", 0.8, 0.95, "share", "of the connections are taken",
           "Look for who keeps them open, lower NEXAOPS_CONCURRENCY, or raise max_connections."),
    _Limit("database.replication_lag_s", 30, 300, "s", "behind is the slowest replica",
           "Look at its load and at the network to it; until it has caught up, a failover loses that much."),
    _Limit("database.oldest_transaction_s", 600, 3600, "s", "old is the oldest open transaction, and vacuum waits for it",
           "Find it in pg_stat_activity by xact_start, and end it if nobody needs it."),
    _Limit("database.connect_ms", 500, 2000, "ms", "go by until a new connection answers",
           "Look at the server's CPU and disk, and at the network between."),
)  # fmt: skip
_HOST = (
    _Limit("host.disk_used_ratio", 0.85, 0.95, "share", "of the disk are taken",
           "Make room, or move NEXAOPS_HOME to a larger disk."),
    _Limit("host.memory_used_ratio", 0.9, 0.97, "share", "of the memory are taken",
           "Lower NEXAOPS_CONCURRENCY or NEXAOPS_RUN_MEMORY_MB, or give it more."),
    # Never critical: a minute later it may be over.
    _Limit("host.load_per_cpu", 2, inf, "times", "the work that its CPUs can do is waiting for them",
           "Find what runs on it, or add a worker on another host."),
)  # fmt: skip


def of_database(values: Values, lists: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Concern]:
    """What will not hold of PostgreSQL, the worst first; `lists` as the probe keeps them."""
    found = [*_full(values.get("database.full_days"), "The database"), *_limits(values, _DATABASE)]
    waits = max((entry.get("waits_s") or 0 for entry in lists.get("waiting", ())), default=0)
    if waits > 5:
        verdict = Verdict.CRITICAL if waits > 60 else Verdict.WARN
        found.append(
            Concern(verdict, f"Somebody has waited {waits:,.0f} s for a lock", "See who holds it below, and end that.")
        )
    hits = values.get("database.cache_hit_ratio")
    if hits is not None and hits < 0.9:
        found.append(
            Concern(Verdict.WARN, f"Only {hits:.0%} of blocks come from memory",
                    "Raise shared_buffers, or look for a query that reads a whole table.")
        )  # fmt: skip
    dead = values.get("database.dead_rows", 0)
    if dead > _LEAST_DEAD and values.get("database.dead_ratio", 0) > 0.2:
        found.append(
            Concern(Verdict.WARN, f"{dead:,.0f} dead rows wait for vacuum, {values['database.dead_ratio']:.0%} of all",
                    "Run the job maintain-database, and look for an old transaction that stops autovacuum.")
        )  # fmt: skip
    needed = [entry for entry in lists.get("missing_indexes", ()) if entry.get("used_for")]
    if needed:
        names = (
            "1 index that the jobs live on is"
            if len(needed) == 1
            else f"{len(needed)} indexes that the jobs live on are"
        )
        found.append(Concern(Verdict.WARN, f"{names} missing", "Run the job create-indexes, or the statements below."))
    return _worst_first(found)


def of_host(host: str, values: Values) -> list[Concern]:
    """What will not hold of a host, the worst first."""
    return _worst_first(
        [
            *_full(values.get("host.disk_full_days"), f"{host}: the disk"),
            *(
                Concern(one.verdict, f"{host}: {one.sentence}", one.mend)
                for one in _limits(values, _HOST)
            ),
        ]
    )  # fmt: skip


def room_in_words(values: Values) -> str:
    """What the database has left and how fast that goes: "41.0 GiB left, grows 120.0 MiB a day, full in 340 days"."""
    room, growth, days = (
        values.get(f"database.{name}") for name in ("room_bytes", "growth_bytes_per_day", "full_days")
    )
    left = "how much room it has left is not known" if room is None else f"{size(room)} left"
    if growth is None:
        return f"{left}; how fast it grows is known after six hours"
    grows = f"grows {size(growth)} a day" if growth > 0 else "does not grow"
    full = f", full in {days:,.0f} days" if days is not None else ""
    return f"{left}, {grows}{full}"


def worst(concerns: Iterable[Concern]) -> Verdict:
    """The verdict that stands for all."""
    order = list(Verdict)
    return max((one.verdict for one in concerns), key=order.index, default=Verdict.OK)


def _full(days: float | None, what: str) -> list[Concern]:
    if days is None or days >= MONTH_D:
        return []
    when = "less than a day" if days < 1 else "1 day" if days < 2 else f"{days:.0f} days"
    verdict = Verdict.CRITICAL if days < WEEK_D else Verdict.WARN
    mend = "Make room or give it a larger disk before then; shorten how long backups, logs and events are kept."
    return [Concern(verdict, f"{what} is full in {when}", mend)]


def _limits(values: Values, limits: Sequence[_Limit]) -> list[Concern]:
    found = []
    for limit in limits:
        value = values.get(limit.metric)
        if value is not None and value > limit.warn:
            verdict = Verdict.CRITICAL if value > limit.critical else Verdict.WARN
            written = f"{value:.0%}" if limit.unit == "share" else f"{value:,.0f} {limit.unit}"
            found.append(Concern(verdict, f"{written} {limit.what}", limit.mend))
    return found


def _worst_first(found: list[Concern]) -> list[Concern]:
    order = list(Verdict)
    return sorted(found, key=lambda one: -order.index(one.verdict))
