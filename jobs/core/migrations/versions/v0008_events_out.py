"""How far each event for other systems has got on its way out."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql(op.get_bind(), "0008_events_out.sql")
