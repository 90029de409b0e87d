"""What an item takes besides a tick: evidence, results of checks, a second person, a choice, somebody to do it."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql(op.get_bind(), "0009_what_items_take.sql")
