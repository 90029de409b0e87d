"""Foreign keys and indexes that each settlement paid for and nobody needed."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql(op.get_bind(), "0013_lighter_settling.sql")
