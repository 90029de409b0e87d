"""What the planner is told about runs, so that the newest of a rare job are found by its index."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    run_sql(op.get_bind(), "0028_reads.sql")
