"""The engine's tables: people, audit, flags, schedules, runs, Horizon's samples and budget, reconciliation."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(op.get_bind(), "0002_engine.sql")
