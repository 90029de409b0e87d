"""What earlier looks at a transaction found, counted for each finding and server."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql(op.get_bind(), "0012_looks.sql")
