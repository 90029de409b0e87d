"""procrastinate as we use it: one task, its tables in a schema of their own, finished places deleted at once.

What a run is and how it ended stands in ops.runs; the queue only says which worker is to take it next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from procrastinate import App, PsycopgConnector
from procrastinate.schema import SchemaManager
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text

from jobs.core.db import Database
from jobs.run.queue import QUEUE, TASK

# A new run is announced by NOTIFY. But the queue's worker forgets an announcement that arrives while it looks: between
# its question and the answer. So it looks again after this, which keeps "a manual run starts within a second" true.
POLL_S = 0.5


def apply_schema(conn: Connection) -> None:
    """Creates the queue's tables in the schema `procrastinate` if they are missing, in the caller's transaction.

    Every function gets its search path: so the queue can be used from any connection, whatever path that has.
    """
    if conn.execute(text("SELECT to_regclass('procrastinate.procrastinate_jobs')")).scalar() is not None:
        return
    before = conn.execute(text("SELECT current_setting('search_path')")).scalar()
    conn.execute(text("CREATE SCHEMA IF NOT EXISTS procrastinate"))
    conn.execute(text("SELECT set_config('search_path', 'procrastinate', true)"))
    cursor = conn.connection.cursor()
    # Without parameters: many statements at once, in which a % is itself.
    cursor.execute(SchemaManager.get_schema())
    cursor.close()
    functions = conn.execute(
        text(
            "SELECT CAST(p.oid AS regprocedure) AS signature FROM pg_proc p"
            " JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'procrastinate'"
        )
    ).scalars()
    for signature in functions.all():
        conn.execute(text(f"ALTER FUNCTION {signature} SET search_path = procrastinate, pg_temp"))
    conn.execute(text("SELECT set_config('search_path', :before, true)"), {"before": before})


def queue_app(db: Database, perform: Callable[[int], Awaitable[None]]) -> App:
    """The queue of this database, not yet opened; `perform` gets the id of each run that this process fetches."""
    app = App(
        connector=PsycopgConnector(
            conninfo=make_conninfo(db.conninfo, options="-c timezone=UTC -c search_path=procrastinate"),
            min_size=1,
            max_size=4,
            timeout=5.0,
        )
    )

    @app.task(name=TASK, queue=QUEUE)
    async def run(run_id: int) -> None:
        await perform(run_id)

    return app


async def fetch_runs(app: App, concurrency: int) -> None:
    """Fetches runs until cancelled; returns or raises when the database goes away.

    The runs themselves outlive this: a run is not lost because the connection that fetched it was.
    """
    await app.run_worker_async(
        queues=[QUEUE],
        concurrency=concurrency,
        fetch_job_polling_interval=POLL_S,
        shutdown_graceful_timeout=0.05,
        delete_jobs="always",
        install_signal_handlers=False,
    )
