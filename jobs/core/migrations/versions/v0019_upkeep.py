"""Backups that were proved, and samples with their rollups."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0019"
down_revision = "0017"


def upgrade() -> None:
    run_sql(op.get_bind(), "0019_upkeep.sql")
