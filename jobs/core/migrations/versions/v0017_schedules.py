"""A calendar beside cron and intervals, anchors, spread starts, and the waits between retries, for each schedule."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql(op.get_bind(), "0017_schedules.sql")
