"""What was in a database: rows and a checksum of every table, and how many objects of each kind.

A backup takes it in the snapshot that it dumps, so a restored copy of it must give the same. Pure: the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from jobs.core.errors import NexaError

_MOST = 5


class BadBackup(NexaError):
    """A backup is not whole, cannot be read or does not restore; nothing else is wrong."""


class Table(BaseModel):
    """The rows of one table, and a sum over all of them that does not depend on their order."""

    model_config = ConfigDict(frozen=True)

    rows: int
    checksum: str


class Manifest(BaseModel):
    """A database at one moment."""

    model_config = ConfigDict(frozen=True)

    database: str
    made_at: datetime
    """Of the snapshot, by the database's clock."""
    revision: str | None
    """Of our migrations; None: it had none."""
    server: int
    """Its major version."""
    objects: Mapping[str, int]
    tables: Mapping[str, Table]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def differences(expected: Manifest, found: Manifest) -> list[str]:
    """What is not the same, a sentence each, tables first; empty: nothing."""
    told = []
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        before, now = expected.tables.get(name), found.tables.get(name)
        if now is None:
            told.append(f"{name} is missing")
        elif before is None:
            told.append(f"{name} was not there")
        elif before.rows != now.rows:
            told.append(f"{name} has {now.rows:,} rows instead of {before.rows:,}")
        elif before.checksum != now.checksum:
            told.append(f"{name} has other values in its {now.rows:,} rows")
    for kind in sorted(expected.objects.keys() | found.objects.keys()):
        wanted, there = expected.objects.get(kind, 0), found.objects.get(kind, 0)
        if wanted != there:
            told.append(f"{there:,} {kind} instead of {wanted:,}")
    if expected.revision != found.revision:
        told.append(f"revision {found.revision} instead of {expected.revision}")
    return told


def in_one_sentence(told: list[str]) -> str:
    """Some of the differences, and how many more there are."""
    more = f", and {len(told) - _MOST} more" if len(told) > _MOST else ""
    return "; ".join(told[:_MOST]) + more


def changed(before: Manifest, now: Manifest) -> dict[str, tuple[int, int]]:
    """The tables that are not the same any more, with their rows then and now."""
    none = Table(rows=0, checksum="0")
    names = sorted(before.tables.keys() | now.tables.keys())
    pairs = {name: (before.tables.get(name, none), now.tables.get(name, none)) for name in names}
    return {name: (old.rows, new.rows) for name, (old, new) in pairs.items() if old != new}
