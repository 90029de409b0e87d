"""What the doctor makes of what it found, without a machine."""

from __future__ import annotations

import pytest

from jobs.probes.diagnosis import (
    INDEXES,
    Finding,
    judge_disk,
    judge_indexes,
    judge_migrations,
    judge_servers,
    judge_telling,
)


@pytest.mark.parametrize(
    ("found", "finding", "says"),
    [
        ("0011", Finding.OK, "at 0011"),
        (None, Finding.FAIL, "no tables of nexaops yet"),
        ("0010", Finding.FAIL, "needs 0011"),
        ("0012", Finding.FAIL, "of which this version knows nothing"),
    ],
)
def test_a_database_must_have_exactly_the_shape_of_this_version(found: str | None, finding: Finding, says: str) -> None:
    line = judge_migrations(found, "0011", {"0009", "0010", "0011"})
    assert (line.finding, says in line.says) == (finding, True)


def test_an_index_serves_when_it_begins_with_the_columns_in_their_order() -> None:
    there = {(index.table, (*index.columns, "more")) for index in INDEXES}
    assert [line.finding for line in judge_indexes(there)] == [Finding.OK]
    turned = {(index.table, index.columns[::-1]) for index in INDEXES}
    assert len(judge_indexes(turned)) == sum(len(index.columns) > 1 for index in INDEXES)


@pytest.mark.parametrize(
    ("free", "finding"),
    [(2 * 1024**3, Finding.OK), (2 * 1024**3 - 1, Finding.WARN), (256 * 1024**2 - 1, Finding.FAIL)],
)
def test_a_disk_warns_before_it_is_full(free: int, finding: Finding) -> None:
    assert judge_disk("/var/nexaops", free).finding is finding


def test_no_server_at_all_is_worth_a_warning() -> None:
    assert [line.finding for line in judge_servers([])] == [Finding.WARN]


def test_a_desk_that_could_tell_nobody_or_stop_unnoticed_is_worth_a_warning() -> None:
    how = {"people": False, "demo": False}
    assert judge_telling(0, ping=True, **how).mend == "Set NEXAOPS_NOTICE_URLS, then `nexaops notices test`."
    assert judge_telling(1, ping=False, **how).mend == "Set NEXAOPS_PING_URL."
    assert judge_telling(1, ping=True, **how).finding is Finding.OK
    assert judge_telling(0, ping=False, people=False, demo=True).finding is Finding.OK
