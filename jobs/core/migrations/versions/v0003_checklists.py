"""Checklist runs, their items and the history of both."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(op.get_bind(), "0003_checklists.sql")
