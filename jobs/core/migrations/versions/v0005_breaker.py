"""When each Horizon server was left, and when it is tried again."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(op.get_bind(), "0005_breaker.sql")
