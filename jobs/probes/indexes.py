"""Which indexes tables have, by what they begin with: the doctor's and the probe's one way to look."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

_INDEXES = text("""
    SELECT t.relname AS table_name,
           array_agg(replace(pg_get_indexdef(i.indexrelid, k, true), '::text', '') ORDER BY k) AS columns
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid CROSS JOIN LATERAL generate_series(1, i.indnkeyatts) AS k
    WHERE i.indisvalid AND i.indpred IS NULL
      AND i.indrelid IN (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name)
    GROUP BY i.indexrelid, t.relname
""")


def read_indexes(conn: Connection, tables: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Each table with the columns of each of its valid, whole indexes; an expression stands as PostgreSQL writes it."""
    rows = conn.execute(_INDEXES, {"tables": sorted(set(tables))})
    return [(row.table_name, tuple(row.columns)) for row in rows]
