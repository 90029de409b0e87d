"""Indexes that the jobs live on, compared by what they index: a name proves nothing.

An index serves if it is valid, of the whole table and begins with the wanted columns in their order; an invalid one is
what a build that was cut short leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Wanted:
    """An index that has to be there: `name` is what it gets when it is created."""

    table: str
    columns: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """An index that is there; `columns` up to the first expression, `building` while somebody creates it."""

    table: str
    columns: tuple[str, ...]
    name: str
    valid: bool
    building: bool
    whole: bool
    """Not partial, and a B-tree: what answers every question about its columns."""


ESSENTIAL = (
    Wanted("transactions", ("status", "created_at"), "idx_transactions_status_created"),
    Wanted("transactions", ("user_id", "status"), "idx_transactions_user_status"),
    Wanted("notifications", ("user_id", "status"), "idx_notifications_user_status"),
)


@dataclass(frozen=True, slots=True)
class Lack:
    """A wanted index that does not serve: `broken` are the invalid ones in its place, `building` one under way."""

    wanted: Wanted
    broken: tuple[str, ...]
    building: bool


def lacking(wanted: Iterable[Wanted], found: Sequence[Found]) -> list[Lack]:
    """Which of the wanted indexes nothing serves."""
    lacks = []
    for want in wanted:
        same = [
            index
            for index in found
            if index.whole and index.table == want.table and index.columns[: len(want.columns)] == want.columns
        ]
        if not any(index.valid for index in same):
            broken = tuple(index.name for index in same if not index.building)
            lacks.append(Lack(want, broken, any(index.building for index in same)))
    return lacks


def read_indexes(conn: Connection, tables: Iterable[str]) -> list[Found]:
    """The indexes of the application's tables, by name."""
    rows = conn.execute(_INDEXES, {"tables": sorted(set(tables))})
    return [Found(row.table_name, _plain(row.columns), row.name, row.valid, row.building, row.whole) for row in rows]


def create_statement(conn: Connection, wanted: Wanted, taken: Iterable[str] = ()) -> str:
    """The statement that creates it without stopping writers, under a name that is free."""
    quote = conn.dialect.identifier_preparer.quote
    name, number = wanted.name, 2
    while name in set(taken):
        name, number = f"{wanted.name}_{number}", number + 1
    columns = ", ".join(quote(column) for column in wanted.columns)
    return f"CREATE INDEX CONCURRENTLY {quote(name)} ON {quote(wanted.table)} ({columns})"


def drop_statement(conn: Connection, name: str) -> str:
    """The statement that drops a broken index without stopping writers."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {conn.dialect.identifier_preparer.quote(name)}"


def _plain(columns: Sequence[str | None]) -> tuple[str, ...]:
    plain: list[str] = []
    for column in columns:
        if column is None:
            break
        plain.append(column)
    return tuple(plain)


_INDEXES = text("""
SELECT t.relname AS table_name, i.relname AS name, x.indisvalid AND x.indisready AND x.indislive AS valid,
       EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid) AS building,
       x.indpred IS NULL AND m.amname = 'btree' AS whole,
       ARRAY(SELECT a.attname::text
               FROM unnest(x.indkey::smallint[]) WITH ORDINALITY AS k (attnum, position)
               LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND k.attnum > 0
              WHERE k.position <= x.indnkeyatts ORDER BY k.position) AS columns
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
  JOIN pg_class t ON t.oid = x.indrelid
 WHERE t.relnamespace = 'public'::regnamespace AND t.relname = ANY (CAST(:tables AS text[]))
 ORDER BY i.relname
""")
