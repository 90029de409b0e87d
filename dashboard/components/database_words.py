"""PostgreSQL's figures and lists in words: tiles, and a table a list with what to do about what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.components.layout import empty, section, table
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.numbers import figure
from dashboard.components.states import chip
from dashboard.components.times import age, lasted
from jobs.probes.latest import Figures, Listed
from jobs.probes.units import size

EVERY_S = 30.0
"""How often probe-database looks."""

Entry = Mapping[str, Any]
_MOST = 10


@dataclass(frozen=True, slots=True)
class _List:
    """One list of the probe: its heading, what to do, what to say when nothing stands in it, and its columns."""

    kind: str
    title: str
    mend: str
    none: str
    columns: tuple[str, ...]
    row: Callable[[Entry], tuple[object, ...]]
    numeric: tuple[int, ...] = ()


def tiles_of(figures: Figures, *, stale: bool) -> list[Html]:
    """The figures at a glance, each with its age; grey where they are old."""
    values, probed = figures.values, age(figures.at, interval_s=EVERY_S)

    def tile(label: str, metric: str, write: Callable[[float], str], note: object = "") -> Html:
        value = values.get(f"database.{metric}")
        known = chip("stale") if stale else "–" if value is None else write(value)
        return figure(known, label=label, note=join(note, " ", probed) if note else probed)

    limit = values.get("database.connections", 0) / (values.get("database.connections_ratio") or 1)
    return [
        tile("Connecting takes", "connect_ms", lambda value: f"{value:,.1f} ms"),
        tile("Size", "size_bytes", size),
        tile("Growth a day", "growth_bytes_per_day", size),
        tile("Full in", "full_days", lambda value: f"{value:,.0f} days"),
        tile("Connections", "connections", lambda value: f"{value:,.0f}", f"of {limit:,.0f},"),
        tile("Waiting for a lock", "locks_waiting", lambda value: f"{value:,.0f}"),
        tile("Oldest transaction", "oldest_transaction_s", lasted),
        tile("Blocks from memory", "cache_hit_ratio", lambda value: f"{value:.1%}"),
        tile("Dead rows", "dead_rows", lambda value: f"{value:,.0f}"),
        tile("Slowest replica behind", "replication_lag_s", lasted),
    ]


def lists_of(lists: Mapping[str, Listed]) -> None:
    """Every list with its age and what to do."""
    for shown in _LISTS:
        found = lists.get(shown.kind)
        entries = found.entries if found else ()
        note = age(found.at, interval_s=EVERY_S) if found else "not looked for yet"
        section(shown.title, note)
        if not entries:
            empty(shown.none if found else "What the probe finds will stand here.")
            continue
        table(shown.columns, [shown.row(entry) for entry in entries[:_MOST]], numeric=shown.numeric, label=shown.title)
        show(tag("p", shown.mend, class_="nx-note"))


def _code(value: object) -> Html:
    return tag("code", value or "–")


def _at(value: object) -> Html:
    """A time as the list holds it: text of JSON."""
    return age(datetime.fromisoformat(value) if isinstance(value, str) else None)


def _bytes(value: object) -> str:
    return size(float(value)) if isinstance(value, int | float) else "–"


def _count(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else "–"


def _ms(value: object) -> str:
    return f"{value:,.1f} ms" if isinstance(value, int | float) and value < 1000 else _seconds(value, 1000)


def _seconds(value: object, per: float = 1) -> str:
    return lasted(value / per) if isinstance(value, int | float) else "–"


def _query(entry: Entry) -> tuple[object, ...]:
    if entry.get("source") == "pg_stat_statements":
        how = f"{_count(entry.get('calls'))} times, {_ms(entry.get('mean_ms'))} each"
        return _code(entry["query"]), how, _ms(entry.get("total_ms"))
    how = f"runs now, process {entry.get('pid')}, {entry.get('application') or 'no name'}"
    return _code(entry["query"]), how, _ms(entry.get("running_ms"))


def _blockers(value: object) -> str:
    pids: Sequence[object] = value if isinstance(value, list) else ()
    return ", ".join(f"process {pid}" for pid in pids) or "–"


def _missing(entry: Entry) -> tuple[object, ...]:
    columns = ", ".join(entry["columns"])
    why = entry.get("used_for") or f"deleting what {entry.get('foreign_key')} refers to reads the whole table"
    return entry["table"], columns, why, _code(f"CREATE INDEX CONCURRENTLY ON {entry['table']} ({columns});")


_LISTS: Sequence[_List] = (
    _List(
        "waiting", "Who waits for whom",
        "End what blocks for long with pg_terminate_backend(process), once you know whose it is.",
        "Nobody waits for a lock.",
        ("Who waits", "For", "Statement", "Since"),
        lambda one: (f"{one.get('application') or 'no name'}, process {one['pid']}", _blockers(one.get("blocked_by")),
                     _code(one.get("query")), _seconds(one.get("waits_s"))),
        (3,),
    ),
    _List(
        "queries", "Slowest queries",
        "Look at the dearest one with EXPLAIN (ANALYZE, BUFFERS). Without pg_stat_statements only what runs for more than a "
        "second at the moment of the look is seen: add it to shared_preload_libraries, and CREATE EXTENSION it here.",
        "Nothing ran for longer than a second when the probe looked. With pg_stat_statements loaded, all queries stand here.",
        ("Statement", "How often, how long", "In all"), _query, (2,),
    ),
    _List(
        "vacuum", "Tables by dead rows",
        "Autovacuum does this by itself. Where dead rows pile up, run the job maintain-database and look for old transactions.",
        "No table has rows yet.",
        ("Table", "Dead rows", "Live rows", "Last vacuum", "Last analyze"),
        lambda one: (one["table"], _count(one.get("dead_rows")), _count(one.get("live_rows")),
                     _at(one.get("last_vacuum")), _at(one.get("last_analyze"))),
        (1, 2),
    ),
    _List(
        "missing_indexes", "Missing indexes",
        "The job create-indexes creates those that the jobs live on; the statements here stop nobody who writes.",
        "Every index that the jobs live on is there, and so is one for every foreign key.",
        ("Table", "Columns", "What for", "Statement"), _missing,
    ),
    _List(
        "unused_indexes", "Indexes that nobody uses",
        "Drop one only if it was not used on any replica either, over weeks, and proves nothing unique.",
        "Every index of more than a megabyte was used.",
        ("Index", "Table", "Size", "Counted since"),
        lambda one: (one["index"], one["table"], _bytes(one.get("bytes")), _at(one.get("since"))),
        (2,),
    ),
    _List(
        "replicas", "Replicas",
        "One that falls behind for long keeps the log from being recycled: look at its load and the network to it.",
        "No replica follows this server.",
        ("Replica", "State", "Behind", "Bytes behind"),
        lambda one: (one.get("name") or one.get("client") or "–", one.get("state") or "–", _seconds(one.get("lag_s")),
                     _bytes(one.get("lag_bytes"))),
        (2, 3),
    ),
)  # fmt: skip
