"""Rules of one's own can be deleted while their past alerts stay."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    run_sql(op.get_bind(), "0023_alert_rules.sql")
