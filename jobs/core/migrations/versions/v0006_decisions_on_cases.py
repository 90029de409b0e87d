"""What people decide on cases: the decision, until when a case stays quiet, and who decided without a run."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql(op.get_bind(), "0006_decisions_on_cases.sql")
