"""The hash chain over the audit trail, the ids that are still to be sealed, and what verifications found."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql(op.get_bind(), "0010_audit_chain.sql")
