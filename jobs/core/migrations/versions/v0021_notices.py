"""Notices to the team, and what became of each on every channel."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_sql(op.get_bind(), "0021_notices.sql")
