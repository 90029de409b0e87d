"""Deletes what is old from whole tables, in batches.

A table is walked once, a range of its pages at a time: so every batch is short whatever it finds, needs no index, and
between two of them the run can stop. What was deleted until then stays deleted, and a row that moves while the walk goes
on is found the next night.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text

from jobs.core.jobs import Run

BATCH_PAGES = 128  # 1 MiB: about 5,000 notifications


@dataclass(frozen=True, slots=True)
class Old:
    """Which rows of a table have served their time: a condition on `t`, and an expression for the counter of each."""

    table: str
    condition: str
    counter: str


def clean(run: Run, olds: Sequence[Old], ages: Mapping[str, int | datetime]) -> None:
    """Deletes what is old, and counts it; a dry run only counts. `ages` are the parameters of the conditions."""
    with run.db.read() as conn:
        sizes = [
            conn.execute(
                text("SELECT pg_relation_size(CAST(:table AS regclass)) / CAST(current_setting('block_size') AS int)"),
                {"table": old.table},
            ).scalar_one()
            for old in olds
        ]
    total = sum(sizes)
    done = 0
    for old, pages in zip(olds, sizes, strict=True):
        statement = text((_COUNT if run.dry_run else _DELETE).format(**asdict(old)))
        for first in range(0, pages, BATCH_PAGES):
            if run.should_stop():
                run.warning("stopped before the end", table=old.table, page=first, pages=pages)
                return
            span = {"first": f"({first},0)", "beyond": f"({first + BATCH_PAGES},0)"}
            with run.db.read() if run.dry_run else run.db.begin() as conn:
                for counter, count in conn.execute(statement, {**ages, **span}):
                    run.count(counter, count)
            run.progress(done + min(first + BATCH_PAGES, pages), total)
        done += pages
    run.info("cleaned up", pages=total)


# Of an `Old`, which is a constant of this room: nothing from outside ever stands in a statement.
_OLD = "FROM {table} AS t WHERE t.ctid >= CAST(:first AS tid) AND t.ctid < CAST(:beyond AS tid) AND ({condition})"
_COUNT = f"SELECT {{counter}} AS counter, count(*) {_OLD} GROUP BY 1"
_DELETE = f"WITH gone AS (DELETE {_OLD} RETURNING {{counter}} AS counter) SELECT counter, count(*) FROM gone GROUP BY 1"  # noqa: S608
