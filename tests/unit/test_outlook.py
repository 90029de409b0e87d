"""What will not hold for a month, by the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jobs.horizon.health import Verdict
from jobs.probes.outlook import of_database, of_host, room_in_words, worst

WARN, CRITICAL = Verdict.WARN, Verdict.CRITICAL


@pytest.mark.parametrize(
    ("values", "lists", "verdict", "says"),
    [
        ({}, {}, Verdict.OK, None),
        ({"full_days": 30.0, "connections_ratio": 0.8}, {}, Verdict.OK, None),
        ({"full_days": 29.0}, {}, WARN, "The database is full in 29 days"),
        ({"full_days": 1.5}, {}, CRITICAL, "The database is full in 1 day"),
        ({"full_days": 0.2}, {}, CRITICAL, "The database is full in less than a day"),
        ({"connections_ratio": 0.81}, {}, WARN, "81% of the connections are taken"),
        ({"replication_lag_s": 301.0}, {}, CRITICAL, "301 s behind is the slowest replica"),
        ({"cache_hit_ratio": 0.5}, {}, WARN, "Only 50% of blocks come from memory"),
        ({"dead_rows": 9_000.0, "dead_ratio": 0.9}, {}, Verdict.OK, None),
        ({"dead_rows": 90_000.0, "dead_ratio": 0.3}, {}, WARN, "90,000 dead rows wait for vacuum, 30% of all"),
        ({}, {"waiting": [{"waits_s": 4}]}, Verdict.OK, None),
        ({}, {"waiting": [{"waits_s": 6}, {"waits_s": 61}]}, CRITICAL, "Somebody has waited 61 s for a lock"),
        ({}, {"missing_indexes": [{"table": "t", "foreign_key": "k"}]}, Verdict.OK, None),
        (
            {},
            {"missing_indexes": [{"used_for": "a"}, {"used_for": "b"}]},
            WARN,
            "2 indexes that the jobs live on are missing",
        ),
    ],
)
def test_what_is_wrong_with_the_database(
    values: Mapping[str, float], lists: Mapping[str, list[dict[str, Any]]], verdict: Verdict, says: str | None
) -> None:
    found = of_database({f"database.{name}": value for name, value in values.items()}, lists)
    assert worst(found) is verdict
    assert [one.sentence for one in found] == ([] if says is None else [says])
    assert all(one.mend for one in found)


def test_the_worst_comes_first() -> None:
    found = of_host("ops-1", {"host.disk_full_days": 20.0, "host.memory_used_ratio": 0.99, "host.load_per_cpu": 1.0})
    assert [(one.verdict, one.sentence) for one in found] == [
        (CRITICAL, "ops-1: 99% of the memory are taken"),
        (WARN, "ops-1: the disk is full in 20 days"),
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "how much room it has left is not known; how fast it grows is known after six hours"),
        ({"room_bytes": 2.0**30, "growth_bytes_per_day": -5.0}, "1.0 GiB left, does not grow"),
        ({"room_bytes": 2.0**30, "growth_bytes_per_day": 2.0**20, "full_days": 1024.0},
         "1.0 GiB left, grows 1.0 MiB a day, full in 1,024 days"),
    ],
)  # fmt: skip
def test_room_is_told_as_far_as_it_is_known(values: Mapping[str, float], said: str) -> None:
    assert room_in_words({f"database.{name}": value for name, value in values.items()}) == said
