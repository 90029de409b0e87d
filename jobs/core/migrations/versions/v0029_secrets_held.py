"""What each host holds of each secret of the settings."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    run_sql(op.get_bind(), "0029_secrets_held.sql")
