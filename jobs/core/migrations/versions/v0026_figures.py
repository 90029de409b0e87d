"""Sums of what requests to Horizon cost, and what the network's status page says."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    run_sql(op.get_bind(), "0026_figures.sql")
