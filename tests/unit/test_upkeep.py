"""Backups and maintenance, what is decided: which program, what differs, what is old, which index is rebuilt."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from jobs.core.kept_files import draft_of, past_time
from jobs.core.settings import Settings
from jobs.probes.rollup import kept_from
from jobs.upkeep import files
from jobs.upkeep.bloat import LEAST_BYTES, Index, worth_rebuilding
from jobs.upkeep.manifest import Manifest, Table, changed, differences, in_one_sentence
from jobs.upkeep.programs import nearest

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY = "AGE-SECRET-KEY-1" + "Q" * 58


@pytest.mark.parametrize(
    ("majors", "server", "chosen"),
    [
        ([15, 18], 15, 15),
        ([15, 18], 16, 18),
        ([18, 17, 16], 16, 16),
        ([15], 16, None),
        ([], 18, None),
        ([0, 18], 18, 18),
    ],
)
def test_the_nearest_program_that_is_not_older_is_taken(majors: list[int], server: int, chosen: int | None) -> None:
    found = nearest([(major, Path(str(major))) for major in majors], server)
    assert found == (None if chosen is None else Path(str(chosen)))


def manifest(
    objects: dict[str, int] | None = None, revision: str | None = "0019", **tables: tuple[int, str]
) -> Manifest:
    return Manifest(
        database="nexafx", made_at=NOON, revision=revision, server=18, objects=objects or {"tables": 2},
        tables={name: Table(rows=rows, checksum=checksum) for name, (rows, checksum) in tables.items()},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (manifest(a=(1, "7"), b=(2, "8")), []),
        (manifest(a=(1, "7")), ["b is missing"]),
        (manifest(a=(1, "7"), b=(2, "8"), c=(0, "0")), ["c was not there"]),
        (manifest(a=(1, "7"), b=(1, "8")), ["b has 1 rows instead of 2"]),
        (manifest(a=(1, "7"), b=(2, "9")), ["b has other values in its 2 rows"]),
        (manifest({"tables": 1}, a=(1, "7"), b=(2, "8")), ["1 tables instead of 2"]),
        (manifest(revision=None, a=(1, "7"), b=(2, "8")), ["revision None instead of 0019"]),
    ],
)
def test_whatever_differs_is_named(found: Manifest, told: list[str]) -> None:
    assert differences(manifest(a=(1, "7"), b=(2, "8")), found) == told


rows = st.dictionaries(
    st.sampled_from("abcdefghij"), st.tuples(st.integers(0, 3), st.sampled_from(["1", "2"])), max_size=10
)


@given(rows, rows)
def test_nothing_differs_exactly_where_nothing_changed(
    before: dict[str, tuple[int, str]], now: dict[str, tuple[int, str]]
) -> None:
    told = differences(manifest(**before), manifest(**now))
    assert (told == []) is (before == now)
    assert set(changed(manifest(**before), manifest(**now))) <= {line.split()[0] for line in told}
    assert in_one_sentence(told).count(";") <= 4


def test_a_manifest_is_read_as_it_was_written() -> None:
    one = manifest(a=(1, "-7"))
    assert Manifest.model_validate_json(one.model_dump_json()) == one


def test_a_lonely_backup_is_never_old_and_nor_is_the_newest(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        file = tmp_path / f"nexafx-2026110{day}T010000Z.dump{'.age' if day == 2 else ''}"
        file.write_text("x")
        os.utime(file, (0, 0))
    for stranger in ("nexafx-by-hand.dump", "x-nexafx-20261101T010000Z.dump", "nexafx-20261101T010000Z.dump.json"):
        (tmp_path / stranger).write_text("x")
    found = files.backups_of(tmp_path, "nexafx")
    assert [file.name[7:15] for file in found] == ["20261101", "20261102", "20261103"]
    assert past_time(found, NOON, 14) == found[:-1]
    assert past_time(found[-1:], NOON, 14) == []
    assert past_time(found, datetime.fromtimestamp(13 * 86_400, UTC), 14) == []


MIB = 1 << 20
indexes = st.builds(Index, st.just("i"), st.integers(0, 100 * MIB), st.integers(0, 200 * MIB), st.booleans())


@given(st.lists(indexes), st.integers(0, 5))
def test_only_large_and_bloated_indexes_are_rebuilt_the_most_rewarding_first(some: list[Index], most: int) -> None:
    chosen = worth_rebuilding(some, most)
    assert len(chosen) <= most
    assert all(one.bytes >= LEAST_BYTES and 0 <= one.waste <= 1 and one.waste >= 0.4 for one in chosen)
    gains = [one.bytes - one.needed for one in chosen]
    assert gains == sorted(gains, reverse=True)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - aware by timezones
def test_no_limit_cuts_a_bucket_of_the_next_coarser_kind(now: datetime) -> None:
    kept = kept_from(now)
    assert kept["samples"].replace(minute=0, second=0, microsecond=0) == kept["samples"]
    for span in ("minute", "hour", "day"):
        assert kept[span].replace(hour=0, minute=0, second=0, microsecond=0) == kept[span]
    assert timedelta(hours=48) <= now - kept["samples"] < timedelta(hours=49)
    assert kept["day"] == kept["hour"] < kept["minute"] < kept["samples"]


def test_a_backup_key_is_taken_from_the_file_that_age_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(f"# created: 2026-11-28T12:00:00Z\n# public key: age1xyz\n{KEY}\n")
    monkeypatch.setenv("NEXAOPS_BACKUP_KEY_FILE", str(tmp_path / "key"))
    assert Settings().backup_key == SecretStr(KEY)
    with pytest.raises(ValidationError, match="age-keygen"):
        Settings(NEXAOPS_BACKUP_KEY="hunter2")


def test_no_backup_takes_the_name_of_another_of_the_same_second(tmp_path: Path) -> None:
    names = []
    for encrypted in (False, True, False):
        file = files.new_name(tmp_path, "nexafx", NOON, encrypted=encrypted)
        (draft_of(file) if len(names) == 1 else file).write_text("x")
        names.append(file.name)
    assert names == ["nexafx-20261128T120000Z.dump", "nexafx-20261128T120001Z.dump.age", "nexafx-20261128T120002Z.dump"]
