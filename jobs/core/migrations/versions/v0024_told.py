"""Of which alerts a notice tells."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    run_sql(op.get_bind(), "0024_told.sql")
