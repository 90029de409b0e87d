"""Lists that open by themselves, reviews of definitions, contacts, versions in production, and how long runs are kept."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_sql(op.get_bind(), "0016_recurring.sql")
