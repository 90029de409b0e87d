"""Signatures on runs of checklists, who may sign for whom, expedited starts, and items that a newer version took out."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    run_sql(op.get_bind(), "0015_signatures.sql")
