"""What the proving jobs found, which wallets were compared, and where the audit of the history stands."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql(op.get_bind(), "0007_integrity.sql")
