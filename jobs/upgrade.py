"""What `nexaops migrate` does: our migrations, the queue's tables, the flags, a schedule for every job, the shipped rules."""

from __future__ import annotations

import sys

from sqlalchemy import Connection

from jobs.alerts.shipped import seed_rules
from jobs.core.db import Database, open_database
from jobs.core.flags import seed_flags
from jobs.core.jobs import load_jobs
from jobs.core.logs import configure_logging
from jobs.core.schema import migrate
from jobs.core.settings import load_settings
from jobs.run.app import apply_schema
from jobs.schedule.store import seed_schedules


def upgrade(db: Database) -> str:
    """Brings the database to this version in one transaction and returns its revision; does nothing the second time."""

    def schedules(conn: Connection) -> None:
        seed_schedules(conn, load_jobs())

    def rules(conn: Connection) -> None:
        seed_rules(conn)

    return migrate(db, also=(apply_schema, seed_flags, schedules, rules))


def migrate_command() -> None:
    """Bring the database to the shape that this version needs; safe on several hosts at once."""
    settings = load_settings()
    configure_logging(settings, component="migrate")
    with open_database(settings) as db:
        sys.stdout.write(f"The database is at revision {upgrade(db)}.\n")
