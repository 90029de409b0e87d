"""Alerts, silences, incidents, who is on call, and links to the wall view."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_sql(op.get_bind(), "0022_alerts.sql")
