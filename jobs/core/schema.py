"""Brings a database to the shape that this version needs, safely when several processes start at once.

One transaction holds an advisory lock from its first statement, runs what is missing and ends; whoever waited for the
lock finds nothing left to do. The lock belongs to the transaction, so no pooler can lose it.

Workers of the version before go on meanwhile. So a migration takes nothing away that they read or write: it adds tables,
and columns that may be null or have a default; what nobody needs any more goes one version later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from jobs.core.db import Database

_MIGRATIONS = Path(str(files("jobs.core"))) / "migrations"
_LOCK = 0x6E657861  # "nexa"


def migrate(db: Database, *, also: Sequence[Callable[[Connection], None]] = ()) -> str:
    """Applies every missing migration, then `also` (what other rooms keep in the database), in one transaction.

    Returns the revision that the database has now. Each of `also` must do nothing where it has been done.
    """
    with db.begin() as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        conn.execute(text("CREATE SCHEMA IF NOT EXISTS ops"))
        config = _config()
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        for step in also:
            step(conn)
        return revision(conn) or ""


def revision(conn: Connection) -> str | None:
    """The revision that the database has; None before the first migration."""
    return MigrationContext.configure(conn, opts={"version_table_schema": "ops"}).get_current_revision()


def head() -> str:
    """The revision that this version of the code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def revisions() -> frozenset[str]:
    """Every revision that this version of the code knows."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def run_sql(conn: Connection, name: str) -> None:
    """Runs a file of statements; for the migrations."""
    # Through the driver's simple protocol: many statements at once, and a % or a colon in them is itself.
    cursor = conn.connection.cursor()
    cursor.execute((_MIGRATIONS / "sql" / name).read_bytes())
    cursor.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config
