"""The jobs that checklists bring along: what an item's action runs."""

from __future__ import annotations

from sqlalchemy import text

from checklists.indexes import ESSENTIAL, Lack, create_statement, drop_statement, lacking, read_indexes
from jobs.core import audit
from jobs.core.errors import NexaError
from jobs.core.jobs import Params, Run, job

_LOCK_S = 30
"""How long a statement waits for a lock: a long transaction of somebody else must not hold the others behind it."""


@job(
    name="create-indexes",
    title="Create missing indexes",
    does="Creates the essential indexes that are missing, by their columns, and builds invalid ones again, without "
    "stopping anybody who writes. A dry run lists the statements.",
    schedule=None,
    timeout_s=7_200,
    params=Params,
)
def create_indexes(run: Run, _params: Params) -> None:
    """Counts missing, dropped and created; what is being built by somebody else is left alone.

    CREATE INDEX CONCURRENTLY knows no transaction: what a run that is cut short leaves is invalid, and the next run
    drops it and begins anew.
    """
    with run.db.read() as conn:
        found = read_indexes(conn, [wanted.table for wanted in ESSENTIAL])
    lacks = lacking(ESSENTIAL, found)
    run.count("missing", len(lacks))
    for name in ("dropped", "created"):
        run.count(name, 0)
    taken = {index.name for index in found}
    for number, lack in enumerate(lacks):
        if run.should_stop():
            run.warning("stopped before the end", left=len(lacks) - number)
            return
        if lack.building:
            run.warning("it is being built right now: left alone", index=lack.wanted.name)
            continue
        _build(run, lack, taken - set(lack.broken))
        run.progress(number + 1, len(lacks))


def _build(run: Run, lack: Lack, taken: set[str]) -> None:
    with run.db.read() as conn:
        drop = [drop_statement(conn, name) for name in lack.broken]
        create = create_statement(conn, lack.wanted, taken)
    for statement in (*drop, create):
        run.info("would run" if run.dry_run else "running", statement=statement)
    if run.dry_run:
        return
    with run.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"SET lock_timeout = '{_LOCK_S}s'"))
        for statement in (*drop, create):
            conn.exec_driver_sql(statement)
        conn.execute(text("RESET lock_timeout"))
    with run.db.begin() as conn:
        still = lacking([lack.wanted], read_indexes(conn, [lack.wanted.table]))
        if still:
            raise NexaError(f"{create} left no valid index: see PostgreSQL's log, then run the job again.")
        audit.record(
            conn,
            audit.AuditRow(
                f"run:{run.id}", "index.created", "index", lack.wanted.name, "job",
                old={"dropped": list(lack.broken)}, new={"statement": create},
            ),
        )  # fmt: skip
    run.count("dropped", len(lack.broken))
    run.count("created")
